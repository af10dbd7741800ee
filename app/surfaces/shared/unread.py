"""What becomes of a body that nobody has read: who sent it was refused by the head of its request alone.

Servers close a connection behind such an answer, and whoever is still sending may lose the answer with it. So the rest
is read and dropped for as long as it keeps coming, within limits; beyond them the answer says that the connection ends.
"""

import asyncio

from litestar.types import HTTPReceiveMessage, HTTPResponseStartEvent, HTTPScope, Message, Receive, Send

from app.surfaces.shared.requests import declared_length

DROPPED_BYTES = 16 * 2**20
DROPPED_SECONDS = 5.0

PAUSE_SECONDS = 0.25
"""How long a sender may pause before it is answered all the same."""


def finishing(scope: HTTPScope, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """The two, such that an answer ends behind the body of its request, or says `connection: close`."""
    headers = dict(scope["headers"])
    if b"content-length" not in headers and b"transfer-encoding" not in headers:
        return receive, send
    # Who expects to be asked for a body has not sent it.
    body = _Unread(receive, send, declared_length(headers), is_sent=b"expect" not in headers)
    return body.receive, body.send


class _Unread:
    """The body of one request, as far as it has not been read."""

    def __init__(self, receive: Receive, send: Send, length: int | None, *, is_sent: bool) -> None:
        """`length` is None if the head does not say it."""
        self._left = length
        self._is_sent = is_sent
        self._receive = receive
        self._send = send
        self._is_read = False
        self._start: HTTPResponseStartEvent | None = None
        """Of the answer, held back until it is known whether the connection goes on."""

    async def receive(self) -> HTTPReceiveMessage:
        message: HTTPReceiveMessage = await self._receive()  # type: ignore[assignment] # no socket has this
        if message["type"] == "http.request" and self._left is not None:
            self._left -= len(message["body"])
            # The server below tells of the end in a message of its own, which costs three threads a wake-up.
            message["more_body"] = message["more_body"] and self._left > 0
        self._is_read = message["type"] != "http.request" or not message["more_body"]
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        is_last = not message.get("more_body", False)
        if is_last and not self._is_read and not await self._dropped() and self._start is not None:
            self._start["headers"] = [*self._start["headers"], (b"connection", b"close")]
        if self._start is not None:
            await self._send(self._start)
            self._start = None
        await self._send(message)

    async def _dropped(self) -> bool:
        """Read the rest and drop it. Returns whether that came to its end."""
        dropped, ends_at = 0, asyncio.get_running_loop().time() + DROPPED_SECONDS
        try:
            while self._is_sent and not self._is_read and dropped < DROPPED_BYTES:
                pause_ends_at = asyncio.get_running_loop().time() + PAUSE_SECONDS
                async with asyncio.timeout_at(min(ends_at, pause_ends_at)):
                    message = await self.receive()
                dropped += len(message["body"]) if message["type"] == "http.request" else 0
        except TimeoutError:
            return False
        return self._is_read
