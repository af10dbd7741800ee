"""Work on events that callers shape, such as judging their filters: in turns, so that nobody waits long for another.

Short work runs on the event loop, some milliseconds of it between two looks at the network. Long work runs in a thread.
Python runs one thread at a time, so there is one such thread; callers take turns, and it rests as long as it worked.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

SLICE_SECONDS = 0.005
"""How long the event loop works before it looks at the network again."""

LONG_COST = 2**21
"""What costs more is long. A unit is about a nanosecond: one comparison with one byte."""

MAX_REST_SECONDS = 0.5


class Turns:
    """For the tasks of one event loop."""

    def __init__(self) -> None:
        self._slice = asyncio.Lock()
        self._slice_ends = 0.0
        self._thread = asyncio.Lock()
        self._rested = 0.0
        self._of: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._pool = ThreadPoolExecutor(1, "turns")

    async def run(self, caller: str, cost: int, work: Callable[[], T]) -> T:
        """What `work` returns, once it is its turn. It must not touch the event loop."""
        if cost <= LONG_COST:
            await self._short()
            return work()
        # A caller waits in the common line once, however much work it has.
        async with self._of.setdefault(caller, asyncio.Lock()), self._thread:
            return await self._long(work)

    async def _short(self) -> None:
        async with self._slice:
            if time.perf_counter() >= self._slice_ends:
                await asyncio.sleep(0)
                self._slice_ends = time.perf_counter() + SLICE_SECONDS

    async def _long(self, work: Callable[[], T]) -> T:
        await asyncio.sleep(max(self._rested - time.perf_counter(), 0.0))
        started = time.perf_counter()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            ended = time.perf_counter()
            self._rested = ended + min(ended - started, MAX_REST_SECONDS)
