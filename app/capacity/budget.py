"""Budgets of bytes: the memory that one caller, or one process, may hold at once."""

import asyncio
from collections import deque

from msgspec import Struct


class Waiting(Struct, frozen=True, eq=False):
    """A caller that waits for room."""

    size: int
    admitted: asyncio.Future[None]


class Budget:
    """Bytes that may be held at once, for the tasks of one event loop.

    A size beyond the whole budget is admitted when nothing else is held, so that no caller waits for ever.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._waiting: deque[Waiting] = deque()

    def take(self, size: int) -> bool:
        """Hold `size` more bytes, if they fit and no caller waits. Returns whether they are held now."""
        fits = not self._waiting and self._has_room(size)
        if fits:
            self.used += size
        return fits

    def force(self, size: int) -> None:
        """Hold `size` more bytes even if they do not fit."""
        self.used += size

    def give(self, size: int) -> None:
        """Release `size` bytes, and admit waiting callers in their order."""
        self.used -= size
        self._admit()

    async def wait(self, size: int) -> None:
        """Hold `size` more bytes as soon as they fit. If cancelled, it holds nothing."""
        if self.take(size):
            return
        waiting = Waiting(size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            await waiting.admitted
        except asyncio.CancelledError:
            if waiting.admitted.done() and not waiting.admitted.cancelled():
                self.used -= size
            elif waiting in self._waiting:
                self._waiting.remove(waiting)
            self._admit()
            raise

    def _has_room(self, size: int) -> bool:
        return self.used == 0 or self.used + size <= self.limit

    def _admit(self) -> None:
        while self._waiting and self._has_room(self._waiting[0].size):
            waiting = self._waiting.popleft()
            if not waiting.admitted.cancelled():
                self.used += waiting.size
                waiting.admitted.set_result(None)
