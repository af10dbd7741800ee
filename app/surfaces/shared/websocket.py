"""One WebSocket, whatever its protocol: reads, writes, keeps it open, closes it."""

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
"""The maximum of a close reason (RFC 6455, section 5.5)."""

FRAME_BYTES = 8
"""The bytes of a frame's header for a message of ordinary length (RFC 6455, section 5.2)."""

CLOSE_SECONDS = 5.0
"""How long a client that does not read may delay the end of its socket."""


SLOWEST_BYTES = 65_536
"""The bytes of a large message that a client must take per second, after `SEND_SECONDS`."""


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
    """A message exceeds the limit for its sender."""


def close_code(error: ProcedureError, *, unavailable: int) -> int:
    """The close code of a socket that ends with an error: `unavailable` if the server cannot answer now."""
    if isinstance(error, RateLimited):
        return TRY_AGAIN
    if isinstance(error, Unavailable):
        return unavailable
    return DEFECT if isinstance(error, Internal) else POLICY


class Peer:
    """The client of a socket. For any number of tasks of one event loop, of which one reads."""

    def __init__(self, receive: Receive, send: Send, gone: Callable[[], None]) -> None:
        """`gone` is called if a message cannot be sent because the client has left or does not read."""
        self._receive = receive
        self._asgi_send = send
        self._gone = gone
        self._sending = asyncio.Lock()
        self._sent_at = time.monotonic()
        self.arrived = 0
        """The bytes of all messages received."""

    async def next(self, max_bytes: int) -> str | bytes | None:
        """The next message; None if the client has left. Raises TooBigError."""
        received = await self._receive()
        if received["type"] != "websocket.receive":
            return None
        text = received.get("text")
        message: str | bytes = received.get("bytes") or b"" if text is None else text
        # Each character has at least one byte, so a message that is too long is rejected without counting its bytes.
        if len(message) > max_bytes or (size := _bytes(message)) > max_bytes:
            raise TooBigError
        self.arrived += size + FRAME_BYTES
        return message

    async def send(self, text: bytes) -> None:
        """Send one message. Returns when the network accepts more, so the reader sets the pace.

        Messages go one at a time, because the server below copies each one that waits.
        """
        async with self._sending:
            try:
                await self._asgi_send({"type": "websocket.send", "text": text.decode(), "bytes": None})
            except RuntimeError:
                self._gone()
            self._sent_at = time.monotonic()

    async def send_parts(self, parts: list[bytes]) -> None:
        """Send one message that may be large, unless its client takes too long. This empties `parts`."""
        async with self._sending:
            seconds = SEND_SECONDS + sum(map(len, parts)) / SLOWEST_BYTES
            try:
                sending = self._asgi_send({"type": "websocket.send", "text": b"".join(parts).decode(), "bytes": None})
                parts.clear()  # the server below has a copy
                async with asyncio.timeout(seconds):
                    await sending
            except (RuntimeError, TimeoutError):
                self._gone()
            self._sent_at = time.monotonic()

    async def ping(self, text: bytes, seconds: float) -> None:
        """Send `text` whenever nothing else was sent for `seconds`, until cancelled."""
        await ping_if_idle(lambda: self._sent_at, seconds, lambda: self.send(text))

    async def close(self, code: int, reason: str = "") -> None:
        """Close the socket, with as much of the reason as a close frame holds."""
        cut = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        with suppress(TimeoutError, RuntimeError):  # the client has left, or does not read
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._asgi_send({"type": "websocket.close", "code": code, "reason": cut})


def _bytes(message: str | bytes) -> int:
    """The size of a message in bytes; text counts in UTF-8."""
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return len(message.encode("utf-8", "surrogatepass"))
