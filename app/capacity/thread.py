"""The thread for long work of callers: parsing large inputs, matching filters against large events.

Python runs one thread at a time, so a second thread would finish nothing sooner, and would delay the event loop.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

MAX_REST_SECONDS = 0.5


class RestingThread:
    """Runs work in order. After each piece it rests as long as the piece took, so the event loop has half the time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "long-work")
        self._rested = 0.0

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, which must not touch the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, work)

    def _run(self, work: Callable[[], T]) -> T:
        time.sleep(max(self._rested - time.monotonic(), 0.0))
        # Processor time, because waiting for the event loop is not work.
        started = time.thread_time()
        try:
            return work()
        finally:
            worked = time.thread_time() - started
            self._rested = time.monotonic() + min(worked, MAX_REST_SECONDS)


long_work = RestingThread()
"""The thread of this process."""
