"""The ledger door, at `/ledger/v1`, and at `/v1` on a port of its own (the document "Event Log").

Events in the shape that anyone can verify, exports, proofs, the audit. Its WebSocket is in `ledger_stream.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from litestar import MediaType, Response, Router, get
from litestar.di import Provide
from litestar.types import ASGIApp, ControllerRouterHandler
from msgspec import Struct

from app.surfaces.ledger_export import Download
from app.surfaces.rest import Caller, RestDoor, answer, refusal
from procedures.audit.list import list_ as list_audit
from procedures.call import call
from procedures.context import Context
from procedures.ledger.checkpoint import checkpoint as ledger_checkpoint
from procedures.ledger.consistency import consistency as ledger_consistency
from procedures.ledger.entries import entries
from procedures.ledger.export import export as ledger_export
from procedures.ledger.node import node as ledger_node
from procedures.ledger.proof import proof as ledger_proof
from procedures.procedure import Procedure
from schemas.errors import InvalidInput, Issue, ProcedureError
from schemas.ledger import ProveEvent
from schemas.wire.ledger import QueryAudit, QueryConsistency, QueryEvents, QueryExport, QueryNothing

MOUNT = "/ledger/v1"
OWN_MOUNT = "/v1"
"""Where it is on the port that serves nothing else, so that the document's own commands work as printed."""

FIELDS = {
    "fromSeq": "from_seq",
    "toSeq": "to_seq",
    "fromSize": "from",
    "toSize": "to",
    "eventId": "event_id",
    "workspace": "log",
}
"""What the procedures call `fromSeq` is `from_seq` here, in what they refuse too."""


@get("/events")
async def events(request: Caller, door: RestDoor) -> Response[bytes]:
    """The events that match, oldest first (section GET /v1/events)."""
    context, wanted = await door.read(request, QueryEvents, "log")
    return answer(request, await _called(entries, context, wanted.to_read), 200)


@get("/events/export")
async def export(request: Caller, door: RestDoor) -> ASGIApp:
    """The log, or a part of it, as a signed bundle (section GET /v1/events/export)."""
    context, wanted = await door.read(request, QueryExport, "log")
    bundle = await _called(ledger_export, context, wanted.to_export)
    headers = {
        "content-type": MediaType.JSON,
        "x-request-id": context.request_id,
        "content-disposition": f'attachment; filename="{context.workspace}-{bundle.id}.json"',
        "cache-control": "no-store",
    }
    return Download(
        procedure=ledger_export,
        context=context,
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        pieces=aiter(bundle),
    )


@get("/events/{event_id:str}/proof")
async def proof(request: Caller, door: RestDoor, event_id: str) -> Response[bytes]:
    """One event and the proof that it is in the log."""
    context, _ = await door.read(request, QueryNothing, "log")
    return answer(request, await _called(ledger_proof, context, lambda: ProveEvent(event_id=event_id)), 200)


@get("/node")
async def node(request: Caller, door: RestDoor) -> Response[bytes]:
    """Who signs."""
    context, wanted = await door.read(request, QueryNothing, "log")
    return answer(request, await _called(ledger_node, context, wanted.to_describe), 200)


@get("/checkpoint")
async def checkpoint(request: Caller, door: RestDoor) -> Response[bytes]:
    """The log as it is now, in one signed note."""
    context, wanted = await door.read(request, QueryNothing, "log")
    return answer(request, await _called(ledger_checkpoint, context, wanted.to_describe), 200)


@get("/consistency")
async def consistency(request: Caller, door: RestDoor) -> Response[bytes]:
    """The proof that the log extends an earlier checkpoint."""
    context, wanted = await door.read(request, QueryConsistency, "log")
    return answer(request, await _called(ledger_consistency, context, wanted.to_prove), 200)


@get("/audit")
async def audit(request: Caller, door: RestDoor) -> Response[bytes]:
    """The administrative acts, oldest first (section GET /v1/audit)."""
    context, wanted = await door.read(request, QueryAudit, "log")
    return answer(request, await _called(list_audit, context, wanted.to_list), 200)


def ledger_router(mount: str, door: RestDoor, stream: ControllerRouterHandler) -> Router:
    """The routes of the door at `mount`; `stream` is its WebSocket."""
    handlers: Sequence[ControllerRouterHandler] = [
        events,
        export,
        proof,
        node,
        checkpoint,
        consistency,
        audit,
        stream,
    ]
    return Router(
        mount,
        route_handlers=handlers,
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={ProcedureError: refusal},
    )


async def _called(procedure: Procedure, context: Context, read: Callable[[], Struct]) -> Any:
    """As `call`, its errors in this door's words."""
    try:
        return await call(procedure, context, read)
    except InvalidInput as error:
        issues = [Issue(FIELDS.get(issue.path, issue.path), issue.message, issue.code) for issue in error.issues]
        raise InvalidInput(issues) from error
    except ProcedureError as error:
        error.field = FIELDS.get(error.field or "", error.field)
        raise
