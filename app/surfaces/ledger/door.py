"""The ledger door, at `/ledger/v1`, and at `/v1` on a port of its own (`docs/api/ledger.md`).

Events in the form that anyone can verify, exports, proofs, the audit. `stream.py` has its WebSocket.
"""

from collections.abc import Callable, Sequence
from typing import Any

from litestar import MediaType, Response, Router, get
from litestar.di import Provide
from litestar.types import ASGIApp, ControllerRouterHandler
from msgspec import Struct

from app.surfaces.ledger.export import Download
from app.surfaces.shared.accept import chosen
from app.surfaces.shared.called import called
from app.surfaces.shared.operation import Operation
from app.surfaces.shared.requests import header_map
from app.surfaces.shared.rest import Caller, RestDoor, answer, limits, named_by, refusal
from procedures.audit.list import list_ as list_audit
from procedures.context import Context
from procedures.ledger.checkpoint import checkpoint as ledger_checkpoint
from procedures.ledger.consistency import consistency as ledger_consistency
from procedures.ledger.entries import entries
from procedures.ledger.export import export as ledger_export
from procedures.ledger.node import node as ledger_node
from procedures.ledger.proof import proof as ledger_proof
from procedures.ledger.receipt import receipt as ledger_receipt
from schemas.base import Output
from schemas.errors import ProcedureError
from schemas.ledger import InclusionProof, LedgerEvent, ProveEvent, SigningKey
from schemas.wire.ledger import LedgerEventsQuery, QueryAudit, QueryConsistency, QueryExport, QueryNothing

MOUNT = "/ledger/v1"
OWN_MOUNT = "/v1"
"""Its path on a port that serves nothing else."""

TLOG_PROOF = "text/plain; charset=utf-8"

FIELDS = {
    "fromSeq": "from_seq",
    "toSeq": "to_seq",
    "fromSize": "from",
    "toSize": "to",
    "eventId": "event_id",
}
"""The procedures' member `fromSeq` is `from_seq` here, also in errors."""


class LedgerBundle(Output, frozen=True, kw_only=True, rename=None):
    """An export: a whole log or a part without gaps that anyone can verify (`docs/reference/evlog1.md`, Exports).

    If it has no events, `first_seq`, `last_seq` and `count` are 0, -1 and 0, and the hashes are 64 zeros. `kid` is the
    signing key after the last event. The last of `keys` signed the `checkpoint`, which covers the log when the bundle
    was sealed. `inclusion_proof`, hashes in base64, proves that the last event is in the checkpoint's tree.
    """

    export_id: str
    node_did: str
    log: str
    first_seq: int
    events: list[LedgerEvent]
    last_seq: int
    count: int
    chain_root_hash: str
    chain_tip_hash: str
    generated_at: str
    kid: str
    keys: list[SigningKey]
    checkpoint: str
    inclusion_proof: list[str]
    bundle_signature: str


EVENTS = Operation(procedure=entries, query=LedgerEventsQuery, workspace="log")
EXPORT = Operation(
    procedure=ledger_export,
    query=QueryExport,
    workspace="log",
    answer=LedgerBundle,
    answer_headers=("content-disposition",),
)
PROOF = Operation(
    procedure=ledger_proof,
    query=QueryNothing,
    workspace="log",
    other_answers={MediaType.TEXT: str},
)
RECEIPT = Operation(procedure=ledger_receipt, query=QueryNothing, workspace="log")
NODE = Operation(procedure=ledger_node, query=QueryNothing, workspace="log")
CHECKPOINT = Operation(procedure=ledger_checkpoint, query=QueryNothing, workspace="log")
CONSISTENCY = Operation(procedure=ledger_consistency, query=QueryConsistency, workspace="log")
AUDIT = Operation(procedure=list_audit, query=QueryAudit, workspace="log")


@get("/events", operation=EVENTS)
async def events(request: Caller, door: RestDoor) -> Response[bytes]:
    """Return the events that match, oldest first (section GET /v1/events)."""
    context, wanted = await door.read(request, EVENTS)
    return answer(request, await _called(request, EVENTS, context, wanted.to_read), EVENTS.status)


@get("/events/export", operation=EXPORT)
async def export(request: Caller, door: RestDoor) -> ASGIApp:
    """Return the log, or a part of it, as a signed bundle (section GET /v1/events/export)."""
    context, wanted = await door.read(request, EXPORT)
    bundle = await _called(request, EXPORT, context, wanted.to_export)
    headers = {
        "content-type": MediaType.JSON,
        "x-request-id": context.request_id,
        "content-disposition": f'attachment; filename="{context.workspace}-{bundle.id}.json"',
        **limits(request),
    }
    return Download(
        procedure=ledger_export,
        context=context,
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        pieces=aiter(bundle),
    )


@get("/events/{event_id:str}/proof", operation=PROOF)
async def read_proof(request: Caller, door: RestDoor, event_id: str) -> Response[bytes]:
    """Return one event, and the proof that it is in the log. `Accept: text/plain` asks for a proof that travels."""
    travels = chosen(header_map(request.scope), [MediaType.JSON, MediaType.TEXT]) == MediaType.TEXT
    context, _ = await door.read(request, PROOF)
    wanted = ProveEvent(event_id=event_id, tlog_proof=travels)
    proved: InclusionProof = await _called(request, PROOF, context, lambda: wanted)
    if proved.tlog_proof is None:
        return answer(request, proved, PROOF.status, {"vary": "accept"})
    headers = {"content-type": TLOG_PROOF, "vary": "accept", "x-request-id": context.request_id, **limits(request)}
    return Response(proved.tlog_proof.encode(), status_code=PROOF.status, headers=headers)


@get("/events/{event_id:str}/receipt", operation=RECEIPT)
async def read_receipt(request: Caller, door: RestDoor, event_id: str) -> Response[bytes]:
    """Return an event with all that belongs to it, and their proofs, as one file."""
    context, _ = await door.read(request, RECEIPT)
    receipt = await _called(request, RECEIPT, context, lambda: ProveEvent(event_id=event_id))
    return answer(request, receipt, RECEIPT.status)


@get("/node", operation=NODE)
async def read_node(request: Caller, door: RestDoor) -> Response[bytes]:
    """Return the node that signs, with all its keys."""
    context, wanted = await door.read(request, NODE)
    return answer(request, await _called(request, NODE, context, wanted.to_describe), NODE.status)


@get("/checkpoint", operation=CHECKPOINT)
async def read_checkpoint(request: Caller, door: RestDoor) -> Response[bytes]:
    """Return the newest signed checkpoint of the log."""
    context, wanted = await door.read(request, CHECKPOINT)
    return answer(request, await _called(request, CHECKPOINT, context, wanted.to_describe), CHECKPOINT.status)


@get("/consistency", operation=CONSISTENCY)
async def read_consistency(request: Caller, door: RestDoor) -> Response[bytes]:
    """Return the proof that the log extends an earlier checkpoint."""
    context, wanted = await door.read(request, CONSISTENCY)
    return answer(request, await _called(request, CONSISTENCY, context, wanted.to_prove), CONSISTENCY.status)


@get("/audit", operation=AUDIT)
async def audit(request: Caller, door: RestDoor) -> Response[bytes]:
    """Return the administrative acts, oldest first (section GET /v1/audit)."""
    context, wanted = await door.read(request, AUDIT)
    return answer(request, await _called(request, AUDIT, context, wanted.to_list), AUDIT.status)


def ledger_router(mount: str, door: RestDoor, stream: ControllerRouterHandler) -> Router:
    """The routes of the door at `mount`. `stream` is the handler of its WebSocket."""
    handlers: Sequence[ControllerRouterHandler] = [
        events,
        export,
        read_proof,
        read_receipt,
        read_node,
        read_checkpoint,
        read_consistency,
        audit,
        stream,
    ]
    return Router(
        mount,
        route_handlers=handlers,
        opt={"door": "ledger"},
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={ProcedureError: refusal},
    )


async def _called(request: Caller, operation: Operation[Any], context: Context, read: Callable[[], Struct]) -> Any:
    return await called(operation.procedure, context, read, FIELDS, named_by(request, operation))
