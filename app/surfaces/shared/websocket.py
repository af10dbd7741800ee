"""One WebSocket, whichever protocol is spoken over it: reading, writing, keeping it alive, closing it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from litestar.types import Receive, Send, WebSocketScope

from app.surfaces.shared.requests import header_map, is_welcome, request_id_of
from app.surfaces.shared.sending import SEND_SECONDS, ping_if_idle
from procedures.call import log_call
from schemas.errors import Internal, ProcedureError, RateLimited, Unavailable

POLICY, TOO_BIG, DEFECT, RESTART, TRY_AGAIN = 1008, 1009, 1011, 1012, 1013
"""Close codes (RFC 6455, section 7.4, and its registry)."""

MAX_REASON_BYTES = 123
"""RFC 6455, section 5.5."""

FRAME_BYTES = 8
"""What a frame has beside its message, if that is no longer than most are (RFC 6455, section 5.2)."""

CLOSE_SECONDS = 5.0
"""How long a client that does not read may hold up the end of its socket."""


SLOWEST_BYTES = 65_536
"""How much of a large message a client takes at least in a second, after `SEND_SECONDS`."""


async def accepted(scope: WebSocketScope, receive: Receive, send: Send, origins: Sequence[str], name: str) -> bool:
    """Accept a socket, unless it comes from a page of another origin. The log calls it `name`."""
    await receive()
    headers = header_map(scope)
    if not is_welcome(headers, origins):
        log_call(name, request_id_of(headers), 0.0, "origin")
        await send({"type": "websocket.close", "code": POLICY, "reason": "this origin may not connect"})
        return False
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    return True


class TooBigError(Exception):
    """A message is larger than its sender may send."""


def close_code(error: ProcedureError, *, unavailable: int) -> int:
    """How a socket is closed that ends with an error: with `unavailable` if the server cannot answer now."""
    if isinstance(error, RateLimited):
        return TRY_AGAIN
    if isinstance(error, Unavailable):
        return unavailable
    return DEFECT if isinstance(error, Internal) else POLICY


class Peer:
    """The client at the other end. For any number of tasks of one event loop, of which one reads."""

    def __init__(self, receive: Receive, send: Send, gone: Callable[[], None]) -> None:
        """`gone` is called when a message cannot be sent because the client is gone, or does not take it."""
        self._receive = receive
        self._asgi_send = send
        self._gone = gone
        self._sending = asyncio.Lock()
        self._sent_at = time.monotonic()
        self.arrived = 0
        """Bytes of the messages that have come."""

    async def next(self, max_bytes: int) -> str | bytes | None:
        """The next message; None when the client has gone. Raises TooBigError."""
        received = await self._receive()
        if received["type"] != "websocket.receive":
            return None
        text = received.get("text")
        message: str | bytes = received.get("bytes") or b"" if text is None else text
        # Each character has a byte at least: nobody counts those of a message that is too large anyway.
        if len(message) > max_bytes or (size := _bytes(message)) > max_bytes:
            raise TooBigError
        self.arrived += size + FRAME_BYTES
        return message

    async def send(self, text: bytes) -> None:
        """Send one message. Returns when the network takes more: that is the reader's own pace.

        One at a time: what is below us makes copies of each that waits.
        """
        async with self._sending:
            try:
                await self._asgi_send({"type": "websocket.send", "text": text.decode(), "bytes": None})
            except RuntimeError:
                self._gone()
            self._sent_at = time.monotonic()

    async def send_parts(self, parts: list[bytes]) -> None:
        """Send one message that may be large, unless its client takes too long. The parts are used up."""
        async with self._sending:
            seconds = SEND_SECONDS + sum(map(len, parts)) / SLOWEST_BYTES
            try:
                sending = self._asgi_send({"type": "websocket.send", "text": b"".join(parts).decode(), "bytes": None})
                parts.clear()  # what is below us has a copy
                async with asyncio.timeout(seconds):
                    await sending
            except (RuntimeError, TimeoutError):
                self._gone()
            self._sent_at = time.monotonic()

    async def ping(self, text: bytes, seconds: float) -> None:
        """Send `text` if nothing else was sent for so many seconds, for ever."""
        await ping_if_idle(lambda: self._sent_at, seconds, lambda: self.send(text))

    async def close(self, code: int, reason: str = "") -> None:
        """Close it, with as much of the reason as a close frame holds."""
        cut = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        with suppress(TimeoutError, RuntimeError):  # it was gone, or does not read
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._asgi_send({"type": "websocket.close", "code": code, "reason": cut})


def _bytes(message: str | bytes) -> int:
    """How many bytes a message has, a text in UTF-8."""
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return len(message.encode("utf-8", "surrogatepass"))
