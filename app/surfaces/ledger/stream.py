"""The ledger's stream, over WebSocket (`docs/api/ledger.md`, GET /v1/stream).

Each message is one event as JSON and a newline. A single newline keeps an idle socket open. A client that comes back
sends the last seq that it has as `?after=`, and misses nothing.
"""

import asyncio

from litestar import asgi
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send, WebSocketScope
from msgspec import Struct

from app.surfaces.shared.connections import Live
from app.surfaces.shared.failures import told
from app.surfaces.shared.requests import header_map, refuse_malformed, single, token_of
from app.surfaces.shared.rest import Connection, RestDoor, parsed, request_id
from app.surfaces.shared.websocket import POLICY, RESTART, TOO_BIG, TRY_AGAIN, Peer, TooBigError, accepted, close_code
from procedures.call import call, is_logged, log_call, next_batch
from procedures.context import Context
from procedures.ledger.stream import stream as ledger_stream
from schemas.errors import Unauthorized
from schemas.event import CaughtUp
from schemas.ledger import LedgerEvent
from schemas.wire.ledger import QueryStream
from schemas.written import Tracked

PING = b"\n"
"""An empty line, which newline-delimited JSON allows. ASGI has no ping frames."""

MAX_MESSAGE_BYTES = 65_536
"""The maximum size of a client's message. The server ignores the contents."""


class LedgerStream(Struct, frozen=True, kw_only=True):
    """Serves the stream to any number of clients."""

    door: RestDoor
    live: Live
    origins: tuple[str, ...]
    """The origins of pages that may connect, in addition to the server's own host."""
    ping_seconds: float

    def handler(self) -> ASGIRouteHandler:
        """The route of the stream."""

        @asgi("/stream")
        async def stream(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == ScopeType.HTTP:
                await receive()
                await send({"type": "http.response.start", "status": 426, "headers": [(b"upgrade", b"websocket")]})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await self._connect(scope, receive, send)

        return stream

    async def _connect(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        if await accepted(scope, receive, send, self.origins, ledger_stream.name):
            await self.live.serve(_Socket(self, ASGIConnection(scope), receive, send).run())


class _Socket:
    """One open socket."""

    def __init__(self, served: LedgerStream, connection: Connection, receive: Receive, send: Send) -> None:
        self._served = served
        self._connection = connection
        self._peer = Peer(receive, send, lambda: self._close(None))
        self._parameters: dict[str, str] = {}
        self._end: asyncio.Future[tuple[int, str] | None] = asyncio.get_running_loop().create_future()
        """The close code and reason; None if the client has left."""

    async def run(self) -> None:
        """Serve the socket to its end."""
        streaming = asyncio.create_task(self._stream())
        try:
            reason = await self._end
        finally:
            streaming.cancel()
            await asyncio.gather(streaming, return_exceptions=True)
        if reason is not None:
            await self._peer.close(*reason)

    async def _stream(self) -> None:
        try:
            refuse_malformed(self._connection.scope, header_map(self._connection.scope))
            self._parameters = single(self._connection.query_params.items())
            context = await self._context()
            wanted = parsed(self._parameters, QueryStream)
            with self._served.live.opened(context.principal):
                reader = await call(ledger_stream, context, wanted.to_follow)
                # Only now, so that nothing is read from strangers.
                beside = [self._read(), self._peer.ping(PING, self._served.ping_seconds)]
                tasks = [asyncio.create_task(each) for each in beside]
                try:
                    with (
                        self._served.live.holding(context.principal, self._ended),
                        self._served.live.unfinished.watched(
                            self._connection.scope["client"], lambda: self._peer.arrived, self._overflow
                        ),
                    ):
                        while (batch := await next_batch(ledger_stream, context, reader)) is not None:
                            await self._send_batch(batch)
                            del batch  # frees the memory before the next is awaited
                finally:
                    for task in tasks:
                        task.cancel()
                    await reader.aclose()
        except Exception as failed:  # noqa: BLE001 - whatever it is, the client and the log are told
            error = told(failed, "ledger", request_id(self._connection))
            if not is_logged(error):
                log_call(ledger_stream.name, request_id(self._connection), 0.0, error.code)
            self._close(close_code(error, unavailable=TRY_AGAIN), f"{error.code}: {error.message}")

    async def _context(self) -> Context:
        door = self._served.door
        token = token_of(header_map(self._connection.scope), self._parameters)
        principal = await door.authenticator.principal(token)
        return await door.context(self._connection, principal, self._parameters.get("log"), "log")

    async def _read(self) -> None:
        """Wait until the client leaves, and ignore what it sends."""
        try:
            while await self._peer.next(MAX_MESSAGE_BYTES) is not None:
                pass
            self._close(None)
        except TooBigError:
            self._overflow()

    def _overflow(self) -> None:
        self._close(TOO_BIG, f"payload_too_large: a message may have at most {MAX_MESSAGE_BYTES} bytes")

    async def _send_batch(self, batch: list[Tracked[LedgerEvent] | CaughtUp]) -> None:
        for event in batch:
            if isinstance(event, Tracked):
                await self._peer.send(event.json + b"\n")

    def _ended(self, error: Unauthorized | None) -> None:
        """End the socket: the key has ended, or (without an error) the server stops."""
        if error is not None:
            self._close(POLICY, f"{error.code}: {error.message}")
        else:
            self._close(RESTART, "the server restarts; connect again with ?after= the last seq")

    def _close(self, code: int | None, text: str = "") -> None:
        if not self._end.done():
            self._end.set_result(None if code is None else (code, text))
