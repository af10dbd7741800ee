"""The witness door (C2SP tlog-witness): other logs submit their checkpoints here, and anyone reads what was cosigned.

Nobody needs a key: a checkpoint has its log's signature. So calls are counted by address, before a body is read.
"""

import re
from functools import partial
from ipaddress import IPv6Address, ip_address, ip_network

import structlog
from litestar import Response, Router, get, post
from litestar.di import Provide
from msgspec import Struct

from app.capacity.bodies import Bodies
from app.capacity.rates import Rates
from app.ledger.notes import MalformedNoteError
from app.ledger.witnessing import (
    MAX_REQUEST_BYTES,
    InconsistentError,
    MovedError,
    UnknownLogError,
    UnsignedError,
)
from app.store.ledger.cosigner import Cosigner
from app.surfaces.shared.body import Body
from app.surfaces.shared.requests import header_map, refuse_malformed
from app.surfaces.shared.rest import Caller, limits, request_id
from app.surfaces.shared.statuses import headers_of, status_of
from schemas.errors import NotFound, ProcedureError, RateLimited

TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"

STATUSES: dict[type[Exception], int] = {
    MalformedNoteError: 400,
    UnsignedError: 403,
    UnknownLogError: 404,
    MovedError: 409,
    InconsistentError: 422,
}
"""The answers of the protocol."""

_HASH = re.compile(r"[0-9a-f]{64}")

logger = structlog.get_logger("synap.cosigner")


class WitnessDoor(Struct, frozen=True, kw_only=True):
    """The parts that an answer needs."""

    cosigner: Cosigner
    rates: Rates
    bodies: Bodies

    def admit(self, request: Caller) -> str:
        """Count a call. Returns the network of the caller. Raises InvalidInput, RateLimited."""
        refuse_malformed(request.scope, header_map(request.scope))
        network = _network(request)
        request.state.allowance = partial(self.rates.allowance, "write", network)
        self.rates.take("write", network)
        return network


@post("/add-checkpoint", status_code=200)
async def add_checkpoint(request: Caller, door: WitnessDoor) -> Response[bytes]:
    """Cosign a checkpoint that extends the last one of its log."""
    network = door.admit(request)
    with door.bodies.room(network) as room:
        body = await Body(request.receive, header_map(request.scope), MAX_REQUEST_BYTES, room).content()
        line = await door.cosigner.add(body)
    return _text(request, line, 200)


@get("/{origin_hash:str}/checkpoint")
async def cosigned_checkpoint(request: Caller, door: WitnessDoor, origin_hash: str) -> Response[bytes]:
    """Return the last cosigned checkpoint of a log."""
    door.admit(request)
    if not _HASH.fullmatch(origin_hash):
        raise NotFound("A log is named by the SHA-256 of its origin, as 64 lower-case hex digits")
    return _text(request, await door.cosigner.note(bytes.fromhex(origin_hash)), 200)


def witness_router(door: WitnessDoor) -> Router:
    """The routes of the door."""
    return Router(
        "/",
        route_handlers=[add_checkpoint, cosigned_checkpoint],
        opt={"door": "witness"},
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={ProcedureError: _failed, **dict.fromkeys(STATUSES, _refused)},
    )


def _refused(request: Caller, error: Exception) -> Response[bytes]:
    """The answer to a checkpoint that is not cosigned."""
    status = STATUSES[type(error)]
    logger.info("a checkpoint was not cosigned", status=status, reason=str(error), request_id=request_id(request))
    if isinstance(error, MovedError):
        return _answer(request, f"{error.size}\n", status, {"content-type": SIZE})
    return _text(request, f"{error}.\n", status)


def _failed(request: Caller, error: ProcedureError) -> Response[bytes]:
    """The answer to a request that could not be decided."""
    if isinstance(error, RateLimited):
        message = f"This network may make {error.limit} calls a minute; retry after {error.retry_after_seconds} s"
    else:
        message = error.message
    status = status_of(error).http
    return _answer(request, f"{message}.\n", status, {"content-type": TEXT, **headers_of(error)})


def _text(request: Caller, text: str, status: int) -> Response[bytes]:
    return _answer(request, text, status, {"content-type": TEXT})


def _answer(request: Caller, text: str, status: int, headers: dict[str, str]) -> Response[bytes]:
    own = {"x-request-id": request_id(request), **limits(request)}
    return Response(text.encode(), status_code=status, headers={**own, **headers})


def _network(request: Caller) -> str:
    """The network that a caller belongs to: its IPv4 address, or the first 64 bits of its IPv6 address."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(ip_network((address.ipv4_mapped or address, 32 if address.ipv4_mapped else 64), strict=False))
    return host
