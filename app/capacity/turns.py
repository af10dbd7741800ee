"""Runs work whose cost callers choose, such as matching their filters, in turns, so that no caller delays others.

Short work runs on the event loop, a few milliseconds between two looks at the network. Callers take turns to use the
thread for long work.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from app.capacity.thread import long_work

T = TypeVar("T")

SLICE_SECONDS = 0.005
"""How long the event loop works before it looks at the network again."""

LONG_COST = 2**21
"""Work above this cost is long. A unit is about a nanosecond, the comparison of one byte."""


class Turns:
    """The turns of one process. For the tasks of one event loop."""

    def __init__(self) -> None:
        self._slice = asyncio.Lock()
        self._slice_ends = 0.0
        self._thread = asyncio.Lock()
        self._of: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, caller: str, cost: int, work: Callable[[], T]) -> T:
        """The result of `work` when its turn has come. It must not touch the event loop."""
        if cost <= LONG_COST:
            await self._short()
            return work()
        # A caller waits in the common line only once, however much work it has.
        async with self._of.setdefault(caller, asyncio.Lock()), self._thread:
            return await long_work.run(work)

    async def _short(self) -> None:
        async with self._slice:
            if time.perf_counter() >= self._slice_ends:
                await asyncio.sleep(0)
                self._slice_ends = time.perf_counter() + SLICE_SECONDS
