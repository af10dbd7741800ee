"""Sockets whose callers are not known yet: how many are listened to, for how long, and how much memory they may take.

The server below us collects a WebSocket message of up to 64 MiB before it hands it over, and nothing makes that less.
So nobody sees how long a message is before it is there; what is seen is the memory of the process.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.capacity.growth import Growth
from schemas.errors import Unavailable

MAX_STRANGERS = 256
"""Strangers who are listened to at once. Each may come with a message of any length."""

MAX_MESSAGE_BYTES = 65_536
"""One message of a stranger: `connectionParams`, or calls that are refused anyway."""

MAX_GROWN_BYTES = 2**27
"""How far the process may grow while it listens to strangers, before it lets them all go."""

WATCH_SECONDS = 0.02
"""How often its memory is looked at meanwhile."""

RETRY_SECONDS = 2


class Strangers:
    """Those whom a process listens to. For any number of tasks of one event loop."""

    def __init__(self, most: int = MAX_STRANGERS, max_grown_bytes: int = MAX_GROWN_BYTES) -> None:
        self._most = most
        self._max_grown_bytes = max_grown_bytes
        self._ends: set[asyncio.Timeout] = set()
        self._watching: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def listening(self, seconds: float) -> AsyncIterator[None]:
        """Listen to a stranger during the block, which ends with TimeoutError after so many seconds.

        Raises Unavailable if there are too many, and as soon as the process has grown too much meanwhile.
        """
        if len(self._ends) >= self._most:
            raise _unavailable()
        deadline = asyncio.get_running_loop().time() + seconds
        end = asyncio.timeout_at(deadline)
        try:
            async with end:
                self._begin(end)
                yield
        except TimeoutError:
            if end.when() != deadline:
                raise _unavailable() from None
            raise
        finally:
            self._ends.discard(end)

    def _begin(self, end: asyncio.Timeout) -> None:
        self._ends.add(end)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Let everybody go who is listened to when the process has grown too much; until nobody is."""
        growth, now = Growth(self._max_grown_bytes), asyncio.get_running_loop().time
        while self._ends:
            await asyncio.sleep(WATCH_SECONDS)
            if growth.is_too_much():
                for end in self._ends:
                    if not end.expired():
                        end.reschedule(now())
        self._watching = None


def _unavailable() -> Unavailable:
    message = "Too many sockets are about to say who calls; send the token in a header, or connect again"
    return Unavailable(message, retry_after_seconds=RETRY_SECONDS)
