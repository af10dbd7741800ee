"""Queues: a few callers at once have a turn, and a limited number wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct


class TooManyWaitError(Exception):
    """The maximum of callers already waits for a turn."""


class _Line(Struct):
    """The callers that have a turn for one key, and those that wait."""

    free: asyncio.Semaphore
    length: int = 0
    """The number of both together."""


class Queues:
    """For each key at most `at_once` callers have a turn, and `waiting` wait in order. For one event loop."""

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self.at_once = at_once
        self.waiting = waiting
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Wait for a turn, which lasts to the end of the block. Raises TooManyWaitError at once.

        A waiter that is cancelled leaves the queue.
        """
        line = self._lines.setdefault(key, _Line(asyncio.Semaphore(self.at_once)))
        if line.length >= self.at_once + self.waiting:
            raise TooManyWaitError
        line.length += 1
        try:
            async with line.free:
                yield
        finally:
            line.length -= 1
            if line.length == 0:
                del self._lines[key]
