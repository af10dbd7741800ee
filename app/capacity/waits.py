"""Calls that wait for something to happen: how many there may be, and that they end when the server stops."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from typing import Any

from app.capacity.openings import Openings


class Waits:
    """The waiting calls of one process. For one event loop."""

    def __init__(self, openings: Openings) -> None:
        self._openings = openings
        self._stopping = asyncio.Event()

    def opened(self, key_id: str) -> AbstractContextManager[None]:
        """Count a waiting call of a key during a block. Raises RateLimited, Unavailable."""
        return self._openings.opened(key_id)

    async def until(self, done: Coroutine[Any, Any, None], seconds: float) -> None:
        """Wait until `done` ends, the time is up, or the server stops. Raises what `done` raises."""
        waiting = [asyncio.create_task(done), asyncio.create_task(self._stopping.wait())]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if waiting[0].done():
                waiting[0].result()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def end(self) -> None:
        """End every wait, now and from now on, because the server stops: the calls return what they have."""
        self._stopping.set()
