"""One request over HTTP: what has not been read of its body, and how its answer is written.

A caller may be refused by the head of its request alone. Servers close a connection behind such an answer, and whoever
is still sending may lose the answer with it. So the rest is read and dropped for as long as it keeps coming, within
limits; beyond them the answer says that the connection ends.
"""

import asyncio
from collections.abc import Awaitable, Iterable

from litestar.types import HTTPReceiveMessage, HTTPResponseBodyEvent, HTTPResponseStartEvent, HTTPScope, Receive, Send

from app.surfaces.shared.requests import declared_length
from app.surfaces.shared.sending import WHOLE_BYTES, send_parts

DROPPED_BYTES = 16 * 2**20
DROPPED_SECONDS = 5.0

PAUSE_SECONDS = 0.25
"""How long a sender may pause before it is answered all the same."""

PRIVATE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Headers of every answer that does not set them itself: nobody may keep an event, or guess that it is a page."""


class Exchange:
    """A request and its answer. `receive` and `send` stand before those of the server below.

    Every answer passes here, so there is one such object for each request, and not a layer for each thing it does.
    """

    __slots__ = ("_has_head", "_is_read", "_is_sent", "_is_whole", "_left", "_receive", "_send", "_start", "has_begun")

    def __init__(self, scope: HTTPScope, receive: Receive, send: Send, *, has_head: bool) -> None:
        """`has_head`: where GET is allowed, HEAD is too, which the routes do not know."""
        headers = dict(scope["headers"])
        self._receive = receive
        self._send = send
        self._has_head = has_head
        self._left = declared_length(headers)
        """Of the body; None if its head does not say how long it is."""
        self._is_sent = b"expect" not in headers
        """Whether the body is on its way: who expects to be asked for it has not sent it."""
        self._is_read = b"content-length" not in headers and b"transfer-encoding" not in headers
        self._is_whole = False
        """Whether all of the answer is at hand. A stream's door writes it piece by piece itself."""
        self._start: HTTPResponseStartEvent | None = None
        """Of the answer, held back until it is known whether the connection goes on."""
        self.has_begun = False
        """Whether the answer has."""

    async def receive(self) -> HTTPReceiveMessage:
        """The next message of the request."""
        message: HTTPReceiveMessage = await self._receive()  # type: ignore[assignment] # no socket has this
        if message["type"] == "http.request" and self._left is not None:
            self._left -= len(message["body"])
            # The server below tells of the end in a message of its own, which costs three threads a wake-up.
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
        """Send what is large piece by piece, and what begins or ends the answer as the rest of the request lets it."""
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
        """Read the rest of the request and drop it. Returns whether that came to its end."""
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
