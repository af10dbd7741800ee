"""One HTTP request: the unread rest of its body, and the writing of its answer.

The head of a request may suffice to reject it. If the server closed the connection after that answer, a client that is
still sending might lose the answer. So the rest of the body is read and dropped while it arrives, within limits. Beyond
them, the answer says that the connection ends.
"""

import asyncio
from collections.abc import Awaitable, Iterable

from litestar.types import HTTPReceiveMessage, HTTPResponseBodyEvent, HTTPResponseStartEvent, HTTPScope, Receive, Send

from app.surfaces.shared.requests import declared_length
from app.surfaces.shared.sending import WHOLE_BYTES, send_parts

DROPPED_BYTES = 16 * 2**20
DROPPED_SECONDS = 5.0

PAUSE_SECONDS = 0.25
"""How long a sender may pause before the server answers without the rest of its body."""

PRIVATE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Headers of every answer that does not set them itself: no cache may store an event, and no browser may treat it as a
page."""


class Exchange:
    """A request and its answer. Its `receive` and `send` wrap those of the HTTP server.

    Every answer passes through it, so one object for each request does all of this, instead of a layer for each task.
    """

    __slots__ = ("_has_head", "_is_read", "_is_sent", "_is_whole", "_left", "_receive", "_send", "_start", "has_begun")

    def __init__(self, scope: HTTPScope, receive: Receive, send: Send, *, has_head: bool) -> None:
        """If `has_head`, HEAD is allowed wherever GET is. The routes themselves do not know HEAD."""
        headers = dict(scope["headers"])
        self._receive = receive
        self._send = send
        self._has_head = has_head
        self._left = declared_length(headers)
        """The unread bytes of the body; None if the head does not declare its length."""
        self._is_sent = b"expect" not in headers
        """Whether the client sends the body. A client that expects `100 Continue` has not sent it yet."""
        self._is_read = b"content-length" not in headers and b"transfer-encoding" not in headers
        self._is_whole = False
        """Whether the whole answer is known. The door of a stream writes its answer piece by piece itself."""
        self._start: HTTPResponseStartEvent | None = None
        """The beginning of the answer, held back until it is known whether the connection continues."""
        self.has_begun = False
        """Whether the answer has begun."""

    async def receive(self) -> HTTPReceiveMessage:
        """The next message of the request."""
        message: HTTPReceiveMessage = await self._receive()  # type: ignore[assignment] # no socket has this
        if message["type"] == "http.request" and self._left is not None:
            self._left -= len(message["body"])
            # The HTTP server reports the end in a separate message, which wakes three threads. The length makes that
            # unnecessary.
            message["more_body"] = message["more_body"] and self._left > 0
        self._is_read = message["type"] != "http.request" or not message["more_body"]
        return message

    def send(self, message: HTTPResponseStartEvent | HTTPResponseBodyEvent) -> Awaitable[None]:
        """Send the next message of the answer."""
        if message["type"] == "http.response.start":
            self.has_begun = True
            message["headers"] = self._completed(message["headers"])
            if self._is_read:
                return self._send(message)
            return self._hold(message)
        if self._is_read and self._start is None and len(message["body"]) <= WHOLE_BYTES:
            return self._send(message)
        return self._send_body(message)

    def _completed(self, sent: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The headers of the answer."""
        headers = [*sent]
        names = {name.lower() for name, _ in headers}
        self._is_whole = b"content-length" in names
        headers += [each for each in PRIVATE if each[0] not in names]
        if self._has_head and b"allow" in names:
            return [
                (name, value.replace(b"GET", b"GET, HEAD") if name.lower() == b"allow" else value)
                for name, value in headers
            ]
        return headers

    async def _hold(self, start: HTTPResponseStartEvent) -> None:
        self._start = start

    async def _send_body(self, message: HTTPResponseBodyEvent) -> None:
        """Send a large body piece by piece. Before the last message, the rest of the request is dropped."""
        is_last = not message.get("more_body", False)
        if is_last and not self._is_read and not await self._dropped() and self._start is not None:
            self._start["headers"] = [*self._start["headers"], (b"connection", b"close")]
        if self._start is not None:
            await self._send(self._start)
            self._start = None
        if self._is_whole and len(message["body"]) > WHOLE_BYTES:
            await send_parts(self._send, [message["body"]], more=not is_last)
        else:
            await self._send(message)

    async def _dropped(self) -> bool:
        """Read and drop the rest of the request. Returns whether its end was reached."""
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
