"""Decides where inputs are parsed: small ones on the event loop, others in a thread, so that callers do not wait.

The limit applies to the sum of all parsing between two looks at the network, because a hundred small calls of a batch
delay others as much as a large one.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from app.capacity.thread import long_work

P = ParamSpec("P")
T = TypeVar("T")

TURN_BYTES = 65536
"""The maximum that is parsed in one turn of the event loop. The slowest JSON takes half a microsecond per byte."""

UNWATCHED_BYTES = 16_384


class _Turn:
    """The bytes parsed in the current turn of the event loop.

    Noticing the end of a turn costs more than a small input, so the first `UNWATCHED_BYTES` may span several turns.
    """

    def __init__(self) -> None:
        self._watching: asyncio.AbstractEventLoop | None = None
        self._bytes = 0

    def has_room(self, size: int) -> bool:
        """Whether `size` more bytes may be parsed in this turn. If so, they are counted."""
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
    """The result of `function`, which works through `size` bytes of a caller. It must not touch the event loop."""
    if _turn.has_room(size):
        return function(*arguments, **options)
    return await long_work.run(partial(function, *arguments, **options))
