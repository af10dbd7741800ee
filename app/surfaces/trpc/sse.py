"""Subscriptions by server-sent events (`docs/api/wire.md`, section 7).

The status is always 200: the rejection of a subscription is an event too. If a stream ends without `return` or an
error, the client opens it again and resumes after the last id that it saw. So the server may end one at any time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar.types import Receive, Send
from msgspec import Struct

from app.surfaces.shared.body import disconnected
from app.surfaces.shared.connections import Live
from app.surfaces.shared.failures import told
from app.surfaces.shared.sending import ping_if_idle
from app.surfaces.trpc.envelope import event, failure, message
from app.surfaces.trpc.transformer import Transformer
from procedures.call import next_batch
from procedures.context import Context
from procedures.procedure import Procedure, Stream
from schemas.errors import ProcedureError

CLOSE_SECONDS = 5.0
"""How long a client that does not read may delay the end of its stream."""

PIECE_BYTES = 65_536
"""The maximum of a piece. The server below keeps some pieces for a client that does not read, so they are small."""

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-store, no-transform"),
    (b"x-accel-buffering", b"no"),  # without it nginx, and proxies that imitate it, buffer the events
]


class Timing(Struct, frozen=True):
    """After how much silence the server pings, and after how much the client must reconnect."""

    ping_seconds: float
    reconnect_seconds: float

    @property
    def connected(self) -> bytes:
        """The contents of the first event."""
        return msgspec.json.encode({"reconnectAfterInactivityMs": round(self.reconnect_seconds * 1000)})


class EventStream(Struct, frozen=True, kw_only=True):
    """One request that is answered with events."""

    live: Live
    timing: Timing
    transformer: Transformer
    procedure: Procedure
    receive: Receive
    send: Send

    async def refuse(self, headers: list[tuple[bytes, bytes]], error: bytes) -> None:
        """Answer a subscription that was rejected."""
        await self._start(headers)
        await self._write(event("connected", self.timing.connected) + self._error(error), more=False)

    async def run(self, headers: list[tuple[bytes, bytes]], context: Context, stream: Stream[Any, Any]) -> None:
        """Send a stream until it ends, its client goes, its key ends or the server stops. Closes the stream."""
        told = b""

        def end(error: ProcedureError | None) -> None:
            nonlocal told
            told = b"" if error is None else self._error(failure(error, self.procedure.name).error or b"")
            pumping.cancel()

        pumping = asyncio.create_task(self._pump(headers, context, stream))
        leaving = asyncio.create_task(disconnected(self.receive))
        leaving.add_done_callback(lambda _: pumping.cancel())
        try:
            with self.live.holding(context.principal, end):
                await asyncio.wait([pumping])
            if not leaving.done():
                if not pumping.cancelled():
                    told = pumping.result()
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._write(told, more=False)
        except TimeoutError:
            pass
        finally:
            pumping.cancel()
            leaving.cancel()
            await stream.aclose()

    async def _pump(self, headers: list[tuple[bytes, bytes]], context: Context, stream: Stream[Any, Any]) -> bytes:
        """Send batch after batch. Returns the last event to send."""
        await self._start(headers)
        # The id is where the stream begins: a browser that loses the connection before the first event resumes there.
        await self._write(event("connected", self.timing.connected, stream.place))
        sender = _Sender(self._write, self.timing.ping_seconds)
        pinging = asyncio.create_task(sender.ping())
        try:
            while (batch := await next_batch(self.procedure, context, stream)) is not None:
                await sender.send(b"".join([message(item, self.procedure, self.transformer) for item in batch]))
                del batch  # frees the memory before the next is awaited
            return event("return", b"")
        except Exception as failed:  # noqa: BLE001 - whatever it is, the client and the log are told
            error = told(failed, "trpc", context.request_id)
            return self._error(failure(error, self.procedure.name).error or b"")
        finally:
            pinging.cancel()

    def _error(self, error: bytes) -> bytes:
        return event("serialized-error", self.transformer.error(error))

    async def _start(self, headers: list[tuple[bytes, bytes]]) -> None:
        await self.send({"type": "http.response.start", "status": 200, "headers": [*headers, *HEADERS]})

    async def _write(self, content: bytes, *, more: bool = True) -> None:
        last = max(len(content) - 1, 0) // PIECE_BYTES
        for place in range(last + 1):
            piece = content[place * PIECE_BYTES : (place + 1) * PIECE_BYTES]
            await self.send({"type": "http.response.body", "body": piece, "more_body": more or place < last})


class _Sender:
    """Sends, and pings if nothing else was sent for a while."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]], ping_seconds: float) -> None:
        self._write = write
        self._ping_seconds = ping_seconds
        self._sent_at = time.monotonic()
        self._turn = asyncio.Lock()

    async def send(self, content: bytes) -> None:
        """Send one content at a time. Returns when the network accepts more, so the reader sets the pace."""
        async with self._turn:
            await self._write(content)
            self._sent_at = time.monotonic()

    async def ping(self) -> None:
        """Ping until cancelled."""
        await ping_if_idle(lambda: self._sent_at, self._ping_seconds, lambda: self.send(event("ping", b"")))
