"""Sends answers piece by piece, at the client's pace, and gives up if the client stops reading."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from litestar.types import Send

from app.capacity.answers import taken

WHOLE_BYTES = 262_144
"""An answer up to this size is written at once, because the network's buffers hold about as much."""

PIECE_BYTES = 131_072
"""The size of the pieces of a larger answer."""

SEND_SECONDS = 60.0
"""The time in which a client must take a piece. The piece holds memory meanwhile."""


class SlowClientError(Exception):
    """A client did not take its answer in time. The connection must be broken, because the answer is incomplete."""


async def ping_if_idle(last_sent: Callable[[], float], seconds: float, ping: Callable[[], Awaitable[None]]) -> None:
    """Ping if nothing was sent for so many seconds, for ever. `last_sent` is a time of `time.monotonic`."""
    while True:
        await asyncio.sleep(last_sent() + seconds - time.monotonic())
        if time.monotonic() >= last_sent() + seconds:
            await ping()


async def send_parts(send: Send, parts: list[bytes], *, more: bool, seconds: float = SEND_SECONDS) -> None:
    """Write the parts of a body, and remove each from the list. Raises SlowClientError."""
    written, size = 0, sum(map(len, parts))
    if size <= WHOLE_BYTES and not more:
        await send({"type": "http.response.body", "body": b"".join(parts), "more_body": False})
        return
    for piece in _pieces(parts):
        written += len(piece)
        try:
            async with asyncio.timeout(seconds):
                await send({"type": "http.response.body", "body": piece, "more_body": more or written < size})
        except TimeoutError:
            raise SlowClientError from None
        taken(len(piece))


def _pieces(parts: list[bytes]) -> Iterator[bytes]:
    """The parts in pieces: small parts joined, large ones divided."""
    parts.reverse()
    waiting: list[bytes] = []
    size = 0
    while parts:
        part = parts.pop()
        waiting.append(part[:PIECE_BYTES])
        size += len(waiting[-1])
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
        for start in range(PIECE_BYTES, len(part), PIECE_BYTES):
            yield part[start : start + PIECE_BYTES]
    if waiting:
        yield b"".join(waiting)
