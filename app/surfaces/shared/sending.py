"""Answers on their way to a client: piece by piece, at the client's own pace, unless it stops taking them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from litestar.types import Send

from app.capacity.answers import taken

WHOLE_BYTES = 262_144
"""An answer up to this size is written at once: the network's buffers take about as much."""

PIECE_BYTES = 131_072
"""Of a larger one."""

SEND_SECONDS = 60.0
"""How long a client may take for a piece. It holds memory meanwhile."""


class SlowClientError(Exception):
    """A client did not take its answer in time. The connection has to be broken: the answer is not whole."""


async def ping_if_idle(last_sent: Callable[[], float], seconds: float, ping: Callable[[], Awaitable[None]]) -> None:
    """Ping if nothing was sent for so many seconds, for ever. `last_sent` is a time of `time.monotonic`."""
    while True:
        await asyncio.sleep(last_sent() + seconds - time.monotonic())
        if time.monotonic() >= last_sent() + seconds:
            await ping()


async def send_parts(send: Send, parts: list[bytes], *, more: bool, seconds: float = SEND_SECONDS) -> None:
    """Write parts of a body, which are used up meanwhile. Raises SlowClientError."""
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
    """The parts, small ones joined and large ones divided."""
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
