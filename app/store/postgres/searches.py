"""Decides which read is next, so that no workspace's reads delay those of the others.

A search is a read that may take seconds. A limited number runs at once, at most two of one workspace, and the
workspaces that wait take turns. Each workspace may search for a number of seconds in a minute, and keeps unused seconds
for up to a minute. All limits apply to each process separately.
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
"""How many searches of one workspace run at once."""

MAX_WAITING = 250
"""How many searches of one workspace may wait."""

MINUTE_SECONDS = 60

FREE_SECONDS = 0.05
"""The first part of each search is not counted. A read that an index serves takes less."""

BUSY = "The server is busy with searches of other workspaces; retry"

NARROW = "narrow the filters, for example to a type, a user or a range of time"


class FairQueue(Generic[T]):
    """A queue in which the workspaces take turns.

    The items of one workspace come out in the order in which it put them in.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[T]] = {}

    def __len__(self) -> int:
        """How many items wait."""
        return sum(map(len, self._queues.values()))

    def waiting(self, workspace: str) -> int:
        """How many items of a workspace wait."""
        return len(self._queues.get(workspace, ()))

    def put(self, workspace: str, item: T, *, first: bool = False) -> None:
        """Add an item behind the other items of its workspace, or before them if `first`."""
        queue = self._queues.setdefault(workspace, deque())
        if first:
            queue.appendleft(item)
        else:
            queue.append(item)

    def take(self, may: Callable[[str], bool] = lambda _: True) -> tuple[str, T] | None:
        """Take the next item of the first workspace that `may` have a turn; None if there is none."""
        workspace = next(filter(may, self._queues), None)
        if workspace is None:
            return None
        queue = self._queues.pop(workspace)
        item = queue.popleft()
        if queue:  # its next turn comes after those of the other workspaces
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
    """How many of their seconds a minute the workspaces have used."""

    def __init__(self, a_minute: float, clock: Clock) -> None:
        """`a_minute` is how many seconds each workspace may use in a minute; 0 means no limit."""
        self._a_minute = a_minute
        self._clock = clock
        self._used: dict[str, tuple[float, float]] = {}
        """The used seconds that a workspace had not regained, and the time of that. The latest entries come last."""

    def use(self, workspace: str, seconds: float) -> None:
        """Count the seconds of a search."""
        counted = max(seconds - FREE_SECONDS, 0)
        if not counted or not self._a_minute:
            return
        used = self.used(workspace) + counted
        self._used.pop(workspace, None)
        self._used[workspace] = used, self._clock()
        for oldest in list(self._used)[:2]:  # each call adds one entry and looks at two, so old entries do not pile up
            if not self.used(oldest):
                del self._used[oldest]

    def used(self, workspace: str) -> float:
        """The seconds that a workspace has used and not yet regained."""
        used, at = self._used.get(workspace, (0.0, 0.0))
        return max(used - (self._clock() - at) * self._a_minute / MINUTE_SECONDS, 0.0)

    def check(self, workspace: str) -> None:
        """Raise RateLimited if a workspace has used all of its seconds."""
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
        """`places` is how many searches run at once, `wait_seconds` how long a search waits for its turn."""
        self.seconds = Seconds(seconds_a_minute, clock)
        self._free = places
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._running: Counter[str] = Counter()
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def turn(self, workspace: str, *, is_metered: bool = True) -> AsyncIterator[None]:
        """Wait for a place, and hold it during the block. The time of the block counts if it `is_metered`.

        Raises RateLimited if the workspace has used its seconds, or if it waits too long for its own searches. Raises
        Unavailable if it waits too long for those of others.
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
        if self._free and self._may_run(workspace):  # if so, no waiting search could use the place
            self._occupy(workspace)
            return
        if self._waiting.waiting(workspace) >= MAX_WAITING:
            raise _too_many()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put(workspace, place)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await place
        except TimeoutError as error:
            if place.cancelled():
                self._waiting.discard(workspace, place)
                if not self._free or not self._may_run(workspace):
                    raise (Unavailable(BUSY) if self._may_run(workspace) else _too_many()) from error
                self._occupy(workspace)  # another search ended in the same instant
        except BaseException:
            if place.cancelled():
                self._waiting.discard(workspace, place)
            else:  # the place was given when the caller was already leaving
                self._leave(workspace)
            raise

    def _leave(self, workspace: str) -> None:
        """Give a place back, and give it to the next search that waits."""
        self._free += 1
        self._running -= Counter({workspace: 1})  # removes workspaces without a running search
        while self._free and (turn := self._waiting.take(self._may_run)) is not None:
            next_workspace, place = turn
            if not place.done():  # its caller may be leaving
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
    """The exception for a call beyond a `limit` that may be retried later."""
    reset = int(time.time()) + retry_after_seconds
    return RateLimited(message, limit=limit, reset=reset, retry_after_seconds=retry_after_seconds)
