"""Calls that wait for something to happen: how many there may be, and that they end when the server stops."""

import asyncio
from contextlib import AbstractContextManager

from app.capacity.openings import Openings


class Waits:
    """The waiting calls of one process. For one event loop."""

    def __init__(self, openings: Openings) -> None:
        self._openings = openings
        self._stopping = asyncio.Event()

    def opened(self, key_id: str) -> AbstractContextManager[None]:
        """Count a waiting call of a key during a block. Raises RateLimited, Unavailable."""
        return self._openings.opened(key_id)

    async def pause(self, seconds: float) -> bool:
        """Wait. False if the server stops meanwhile: the call is to return what it has."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return True
        return False

    def end(self) -> None:
        """End every wait, now and from now on, because the server stops."""
        self._stopping.set()
