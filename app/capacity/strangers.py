"""Limits for sockets of unknown callers: their number, time and memory.

The server below collects a WebSocket message of up to 64 MiB before it passes it on, and has no lower limit. So the
length of a message is unknown until it has arrived; only the growth of the process shows it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.capacity.growth import Growth
from schemas.errors import Unavailable

MAX_STRANGERS = 256
"""The maximum of strangers at once. Each may send a message of any length."""

MAX_MESSAGE_BYTES = 65_536
"""The maximum of a stranger's message: `connectionParams`, or calls that are rejected anyway."""

MAX_GROWN_BYTES = 2**27
"""How much the process may grow while strangers are connected before it disconnects them all."""

WATCH_SECONDS = 0.02
"""The time between two looks at the process's memory meanwhile."""

RETRY_SECONDS = 2

PAUSE_SECONDS = 1.0
"""How long no stranger of an address is read after one of them has sent too much.

The server below reads a message of 58 MiB in a tenth of a second, in which it does nothing else. So an address that
goes on sending such messages takes a tenth of the process, instead of all of it.
"""


class Strangers:
    """The strangers of a process. For any number of tasks of one event loop."""

    def __init__(
        self,
        most: int = MAX_STRANGERS,
        max_grown_bytes: int = MAX_GROWN_BYTES,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._most = most
        self._max_grown_bytes = max_grown_bytes
        self._pause_seconds = pause_seconds
        self._paused_until: dict[str, float] = {}
        """When the strangers of an address are read again, in the loop's time."""
        self._ends: set[asyncio.Timeout] = set()
        self._watching: asyncio.Task[None] | None = None

    def pause(self, address: str) -> None:
        """Read no stranger of an address for a while, because one has sent too much."""
        now = asyncio.get_running_loop().time()
        self._paused_until = {each: until for each, until in self._paused_until.items() if until > now}
        self._paused_until[address] = now + self._pause_seconds

    @asynccontextmanager
    async def listening(self, seconds: float, address: str) -> AsyncIterator[None]:
        """Listen to a stranger during the block, which raises TimeoutError after `seconds`.

        If strangers of the address are paused, the block and its time begin when they are read again. Raises
        Unavailable if there are too many, or as soon as the process has grown too much.
        """
        if len(self._ends) >= self._most:
            raise _unavailable()
        now = asyncio.get_running_loop().time()
        begin = max(self._paused_until.get(address, now), now)
        deadline = begin + seconds
        end = asyncio.timeout_at(deadline)
        try:
            async with end:
                self._begin(end)
                await asyncio.sleep(begin - now)
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
        """Disconnect all strangers when the process has grown too much. Returns when no stranger is left."""
        growth, now = Growth(self._max_grown_bytes), asyncio.get_running_loop().time
        while self._ends:
            await asyncio.sleep(WATCH_SECONDS)
            if growth.is_too_much():
                for end in self._ends:
                    if not end.expired():
                        end.reschedule(now())
        self._watching = None


def _unavailable() -> Unavailable:
    message = "Too many sockets have not sent their token yet; send it in a header, or connect again"
    return Unavailable(message, retry_after_seconds=RETRY_SECONDS)
