"""Where inputs are parsed: small ones where they come, the others in a thread, so that no caller waits for another.

What counts is the sum of all that is parsed before the event loop looks at the network again. A hundred calls of a
batch, each of them small, hold everybody up as much as one that is large.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from app.capacity.thread import long_work

P = ParamSpec("P")
T = TypeVar("T")

TURN_BYTES = 65536
"""What may be parsed in one turn of the event loop. The slowest JSON takes about half a microsecond a byte."""

UNWATCHED_BYTES = 16_384


class _Turn:
    """How much is parsed before the event loop looks at the network again.

    To be told of the end of a turn costs more than a small input. So the first `UNWATCHED_BYTES` may be of several.
    """

    def __init__(self) -> None:
        self._watching: asyncio.AbstractEventLoop | None = None
        self._bytes = 0

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes more may be parsed in this turn. Counts them if they may."""
        if self._bytes + size > UNWATCHED_BYTES:
            self._watch()
        has_room = self._bytes + size <= TURN_BYTES
        self._bytes += size if has_room else 0
        return has_room

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        if self._watching is not loop:
            self._watching = loop
            self._bytes = 0
            loop.call_soon(self._end)

    def _end(self) -> None:
        self._watching = None
        self._bytes = 0


_turn = _Turn()


async def parse(size: int, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """What `function` returns, which works through `size` bytes of a caller's. It must not touch the event loop."""
    if _turn.has_room(size):
        return function(*arguments, **options)
    return await long_work.run(partial(function, *arguments, **options))
