"""The tiles door, at `/tiles` (C2SP tlog-tiles): each log as files that any reader of transparency logs understands.

The files hold hashes and headers, no bodies, so they need `ledger:read` and not `events:read`. Full tiles never change.
"""

import asyncio
import gzip
from functools import partial

from litestar import Response, Router, get
from litestar.di import Provide
from msgspec import Struct

from app.ledger import tiles
from app.store.ledger.ledger import Ledger
from app.store.ledger.tiles import Tiles
from app.surfaces.shared.accept import named_quality
from app.surfaces.shared.requests import header_map, refuse_malformed
from app.surfaces.shared.rest import Caller, RestDoor, limits, refusal, request_id
from schemas.errors import Forbidden, NotFound, ProcedureError
from schemas.principal import Scope, lacking

MOUNT = "/tiles"

NOTE = "text/plain; charset=utf-8"
HASHES = "application/octet-stream"

EVERYBODY = ""
"""Stands for the key of the readers of public logs. They share one rate."""

KEPT_SECONDS = 31_536_000
"""How long a client may keep a full tile: a year, the longest time in common use."""

COMPRESSION = 1
"""The fastest level of gzip. Headers repeat so much that it halves them; the slowest saves a tenth more."""


class TilesDoor(Struct, frozen=True, kw_only=True):
    """The parts that an answer needs."""

    rest: RestDoor
    ledger: Ledger
    tiles: Tiles
    public_logs: frozenset[str]
    """The logs that anyone may read here, without a key."""

    async def admit(self, request: Caller, log: str, *, headers_too: bool = False) -> None:
        """Count a read. A log that is not public needs a key with `ledger:read` that reaches it.

        With `headers_too`, the key must not be limited to its own user's events: headers say what others logged. Raises
        InvalidInput, Unauthorized, Forbidden, RateLimited, Unavailable.
        """
        refuse_malformed(request.scope, header_map(request.scope))
        if log in self.public_logs:
            self._count(request, EVERYBODY)
            return
        principal = await self.rest.principal(request)
        if not principal.allows(Scope.LEDGER_READ):
            raise lacking(Scope.LEDGER_READ)
        if headers_too and principal.delivers_only is not None:
            raise Forbidden("Entries are every user's, but the key may read only its own user's")
        await self.rest.context(request, principal, log, "log")
        self._count(request, principal.key_id)

    def _count(self, request: Caller, key_id: str) -> None:
        rates = self.rest.services.rates
        request.state.allowance = partial(rates.allowance, "read", key_id)
        rates.take("read", key_id)

    def cache_control(self, log: str) -> str:
        """Who may keep a full tile of a log: everyone on the way if the log is public, otherwise only the caller."""
        return f"{'public' if log in self.public_logs else 'private'}, max-age={KEPT_SECONDS}, immutable"


@get("/{log:str}/checkpoint")
async def checkpoint(request: Caller, door: TilesDoor, log: str) -> Response[bytes]:
    """Return the log's newest checkpoint: the note itself."""
    await door.admit(request, log)
    note = (await door.ledger.checkpoint(log)).note
    return Response(note.encode(), headers={"content-type": NOTE, **_of_call(request)})


@get("/{log:str}/tile/{name:path}")
async def tile(request: Caller, door: TilesDoor, log: str, name: str) -> Response[bytes]:
    """Return hashes of the log's tree, or the entries below them. An entry is the header of an event."""
    wanted = tiles.parse(name.removeprefix("/"))
    await door.admit(request, log, headers_too=wanted is not None and wanted.level is None)
    if wanted is None:
        raise NotFound("A tile is <level>/<index>, or entries/<index>, and .p/<width> if it is not full")
    content = await door.tiles.read(log, wanted)
    headers = {"content-type": HASHES, **_of_call(request)}
    if wanted.is_full:
        headers["cache-control"] = door.cache_control(log)
    if wanted.level is None:  # hashes do not become shorter
        headers["vary"] = "accept-encoding"
        if named_quality(header_map(request.scope), "gzip", header=b"accept-encoding") > 0:
            headers["content-encoding"] = "gzip"
            content = await asyncio.to_thread(gzip.compress, content, COMPRESSION, mtime=0)
    return Response(content, headers=headers)


def tiles_router(door: TilesDoor) -> Router:
    """The routes of the door."""
    return Router(
        MOUNT,
        route_handlers=[checkpoint, tile],
        opt={"door": "tiles"},
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={ProcedureError: refusal},
    )


def _of_call(request: Caller) -> dict[str, str]:
    return {"x-request-id": request_id(request), **limits(request)}
