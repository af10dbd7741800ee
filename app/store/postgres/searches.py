"""Whose read is next: no workspace's reads keep those of the others waiting.

A search is a read that may take seconds. Only some run at once, at most two of one workspace, and the workspaces that
wait take turns. A workspace has a number of seconds of searching a minute; what it does not use, it keeps for up to a
minute. All of it counts for one process.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import ceil
from typing import Generic, TypeVar

from schemas.errors import RateLimited, Unavailable

T = TypeVar("T")
Clock = Callable[[], float]

MAX_RUNNING = 2
"""Searches of one workspace at once."""

MAX_WAITING = 250
"""Searches of one workspace that wait."""

MINUTE_SECONDS = 60

FREE_SECONDS = 0.05
"""The first part of each search, which is not counted: whatever an index serves takes less."""

BUSY = "The server is busy with searches of other workspaces; retry"

NARROW = "narrow the filters, for example to a type, a user or a range of time"


class FairQueue(Generic[T]):
    """What waits, by workspace. The workspaces take turns; what one of them has put in comes out in that order."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[T]] = {}

    def __len__(self) -> int:
        """How many items wait."""
        return sum(map(len, self._queues.values()))

    def waiting(self, workspace: str) -> int:
        """How many items of a workspace wait."""
        return len(self._queues.get(workspace, ()))

    def put(self, workspace: str, item: T, *, first: bool = False) -> None:
        """Add an item behind those of its workspace, or before them if it is to be `first`."""
        queue = self._queues.setdefault(workspace, deque())
        if first:
            queue.appendleft(item)
        else:
            queue.append(item)

    def take(self, may: Callable[[str], bool] = lambda _: True) -> tuple[str, T] | None:
        """The next item of the first workspace whose turn it `may` be; None if there is none."""
        workspace = next(filter(may, self._queues), None)
        if workspace is None:
            return None
        queue = self._queues.pop(workspace)
        item = queue.popleft()
        if queue:  # behind the other workspaces now
            self._queues[workspace] = queue
        return workspace, item

    def discard(self, workspace: str, item: T) -> None:
        """Remove an item if it still waits."""
        queue = self._queues.get(workspace, deque())
        if item in queue:
            queue.remove(item)
        if not queue:
            self._queues.pop(workspace, None)


class Seconds:
    """What workspaces have used of their seconds a minute."""

    def __init__(self, a_minute: float, clock: Clock) -> None:
        """`a_minute` is what each workspace may use; 0: any number."""
        self._a_minute = a_minute
        self._clock = clock
        self._used: dict[str, tuple[float, float]] = {}
        """The seconds that are used and not yet regained, and when that was so. The latest come last."""

    def use(self, workspace: str, seconds: float) -> None:
        """Count what a search took."""
        counted = max(seconds - FREE_SECONDS, 0)
        if not counted or not self._a_minute:
            return
        used = self.used(workspace) + counted
        self._used.pop(workspace, None)
        self._used[workspace] = used, self._clock()
        for oldest in list(self._used)[:2]:  # forgotten faster than they come
            if not self.used(oldest):
                del self._used[oldest]

    def used(self, workspace: str) -> float:
        """What a workspace has used and not yet regained."""
        used, at = self._used.get(workspace, (0.0, 0.0))
        return max(used - (self._clock() - at) * self._a_minute / MINUTE_SECONDS, 0.0)

    def check(self, workspace: str) -> None:
        """Raise RateLimited if a workspace has used all that it may."""
        over = self.used(workspace) - self._a_minute
        if self._a_minute and over >= 0:
            raise limited(
                f"The searches of this workspace have used their {self._a_minute:g} seconds a minute; retry later, and "
                + NARROW,
                limit=int(self._a_minute),
                retry_after_seconds=max(ceil(over * MINUTE_SECONDS / self._a_minute), 1),
            )


class Searches:
    """Gives searches their turns, for the tasks of one event loop."""

    def __init__(
        self, *, places: int, wait_seconds: float, seconds_a_minute: float, clock: Clock = time.monotonic
    ) -> None:
        """`places` is how many run at once, `wait_seconds` how long one waits for its turn."""
        self.seconds = Seconds(seconds_a_minute, clock)
        self._free = places
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._running: Counter[str] = Counter()
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def turn(self, workspace: str, *, is_metered: bool = True) -> AsyncIterator[None]:
        """Wait for a place, and hold it for the block, whose time counts if it `is_metered`.

        Raises RateLimited if the workspace has used its seconds, or its own searches hold it up too long. Raises
        Unavailable if those of others do.
        """
        if is_metered:
            self.seconds.check(workspace)
        await self._enter(workspace)
        began = self._clock()
        try:
            yield
        finally:
            if is_metered:
                self.seconds.use(workspace, self._clock() - began)
            self._leave(workspace)

    async def _enter(self, workspace: str) -> None:
        if self._free and self._may_run(workspace):  # then nobody waits who could have the place
            self._occupy(workspace)
            return
        if self._waiting.waiting(workspace) >= MAX_WAITING:
            raise _too_many()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put(workspace, place)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await place
        except BaseException as error:
            if place.cancelled():
                self._waiting.discard(workspace, place)
            else:  # it came when its caller was already going
                self._leave(workspace)
            if isinstance(error, TimeoutError):
                raise (Unavailable(BUSY) if self._may_run(workspace) else _too_many()) from error
            raise

    def _leave(self, workspace: str) -> None:
        """Give a place back, to the next search that waits."""
        self._free += 1
        self._running -= Counter({workspace: 1})  # forgets workspaces without any
        while self._free and (turn := self._waiting.take(self._may_run)) is not None:
            next_workspace, place = turn
            if not place.done():  # its caller may be going
                self._occupy(next_workspace)
                place.set_result(None)

    def _may_run(self, workspace: str) -> bool:
        return self._running[workspace] < MAX_RUNNING

    def _occupy(self, workspace: str) -> None:
        self._free -= 1
        self._running[workspace] += 1


def _too_many() -> RateLimited:
    return limited(
        f"{MAX_RUNNING} searches of this workspace are running and others wait; send fewer at once, and {NARROW}",
        limit=MAX_RUNNING,
        retry_after_seconds=1,
    )


def limited(message: str, *, limit: int, retry_after_seconds: int) -> RateLimited:
    """The refusal of what goes beyond a `limit`, for now."""
    reset = int(time.time()) + retry_after_seconds
    return RateLimited(message, limit=limit, reset=reset, retry_after_seconds=retry_after_seconds)
