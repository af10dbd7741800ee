"""The thread for long work that callers cause: parsing large inputs, judging filters of large events.

Python runs one thread at a time, so a second thread would finish nothing sooner and would keep the event loop waiting.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

MAX_REST_SECONDS = 0.5


class RestingThread:
    """Runs work in order. After each piece it rests as long as that took, so the event loop has half of the time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "long-work")
        self._rested = 0.0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns. It must not touch the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, work)

    def _run(self, work: Callable[[], T]) -> T:
        time.sleep(max(self._rested - time.monotonic(), 0.0))
        # Processor time: what the thread waits for the event loop is no work of its own.
        started = time.thread_time()
        try:
            return work()
        finally:
            worked = time.thread_time() - started
            self._rested = time.monotonic() + min(worked, MAX_REST_SECONDS)


long_work = RestingThread()
"""The one of this process."""
