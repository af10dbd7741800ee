"""Rate limits by workspace, over all processes and machines that share the database, without a write for each call.

Windows are fixed, by the database's clock. A process leases a part of the window and counts it down in memory; it asks
again when that is used up. Leases grow with what the process uses and shrink with what is left, to 1 in the end. What
is leased is never given back, so a window never lets more pass than its limit; what a process has leased and not used
at the window's end (a part of its last lease) is lost.
"""

import time
from asyncio import Future, Task, create_task, get_running_loop
from collections import deque
from collections.abc import Callable, Mapping
from math import ceil

from app.capacity.allowance import Allowance
from app.store.install import rate_windows
from app.store.postgres.database import Database
from schemas.errors import RateLimited

WINDOW_SECONDS = 60

LEASES_A_WINDOW = 12
"""At a steady pace a lease lasts for this part of a window: what a process sits on when its calls stop is used soon."""

CLOCK_RATE = 0.99
"""A second of ours counts as more than one of the database's: clocks that are being adjusted run at other rates."""


def seconds_since_boot() -> float:
    """A clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class RateLimits:
    """Counts calls, for any number of tasks of one event loop."""

    def __init__(
        self,
        database: Database,
        limits: Mapping[str, int],
        *,
        window_seconds: int = WINDOW_SECONDS,
        clock: Callable[[], float] = seconds_since_boot,
    ) -> None:
        """`limits` has the calls in a window by their kind; 0 lifts. All processes must give the same window length."""
        self._database = database
        self._limits = limits
        self._window_seconds = window_seconds
        self._clock = clock
        self._shares: dict[tuple[str, str], _Share] = {}
        self._tidy_at = 0.0

    async def take(self, kind: str, workspace: str) -> Allowance | None:
        """Count one call of `kind` in `workspace`, which may pass; None where the limit is lifted.

        Raises RateLimited where the window has no more, Unavailable.
        """
        limit = self._limits[kind]
        if limit == 0:
            return None
        share = self._shares.get((kind, workspace))
        if share is None:
            self._tidy()
            share = self._shares[kind, workspace] = _Share(
                self._database, workspace, kind, limit, self._window_seconds, self._clock
            )
        return await share.take()

    def _tidy(self) -> None:
        """Once a window: forget the workspaces that were not heard of in it."""
        now = self._clock()
        if now >= self._tidy_at:
            self._tidy_at = now + self._window_seconds
            self._shares = {key: share for key, share in self._shares.items() if share.is_needed(now)}


class _Share:
    """What one process has of the current window of one workspace and kind."""

    def __init__(
        self,
        database: Database,
        workspace: str,
        kind: str,
        limit: int,
        window_seconds: int,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._workspace = workspace
        self._kind = kind
        self._limit = limit
        self._window_seconds = window_seconds
        self._clock = clock
        self._waiting: deque[Future[Allowance]] = deque()
        self._filling: Task[None] | None = None
        self._ends_at = 0.0
        """When the lease ends, by our clock: never after the window."""
        self._over_at = 0.0
        """When the window is certainly over."""
        self._reset = 0
        self._size = 0
        self._left = 0
        """Of the last lease: its size, and how much of it is unused."""
        self._leased_at = 0.0
        self._own = 0
        self._all = 0
        """What was leased of the window, by this process and by all, when the database was asked last."""

    def is_needed(self, now: float) -> bool:
        """Whether there is a lease that has not ended, or somebody who waits for one."""
        return now < self._ends_at or self._filling is not None

    async def take(self) -> Allowance:
        """Count one call. Raises RateLimited, Unavailable."""
        if self._filling is None:
            answer = self._answer()
            if isinstance(answer, RateLimited):
                raise answer
            if answer is not None:
                return answer
            self._filling = create_task(self._fill())
        waiting: Future[Allowance] = get_running_loop().create_future()
        self._waiting.append(waiting)
        return await waiting

    def _answer(self) -> Allowance | RateLimited | None:
        """What one more call is told, or None where the database must be asked."""
        now = self._clock()
        if now >= self._ends_at:
            return None
        retry_after_seconds = max(ceil(self._over_at - now), 1)
        if self._left:
            self._left -= 1
            # The others go on taking theirs of what was free: no more of it than our share is promised.
            remaining = self._left + ceil(max(self._limit - self._all, 0) * self._own / self._all)
            return Allowance(self._limit, remaining, self._reset, retry_after_seconds)
        if self._size:
            return None
        return RateLimited(
            f"The workspace may make {self._limit} such calls in {self._window_seconds} s; retry when they are over",
            limit=self._limit,
            reset=self._reset,
            retry_after_seconds=retry_after_seconds,
        )

    async def _fill(self) -> None:
        """Lease until nobody waits. Those who come meanwhile wait too."""
        try:
            while self._waiting:
                await self._lease()
                while self._waiting and (answer := self._answer()) is not None:
                    waiting = self._waiting.popleft()
                    if waiting.done():  # who asked has gone
                        self._left += isinstance(answer, Allowance)
                    elif isinstance(answer, RateLimited):
                        waiting.set_exception(answer)
                    else:
                        waiting.set_result(answer)
        except Exception as error:  # noqa: BLE001 - each caller gets the error as its own
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(error)
            self._waiting.clear()
        finally:
            self._filling = None

    async def _lease(self) -> None:
        asked_at = self._clock()
        lease = await rate_windows.lease(
            self._database,
            self._workspace,
            self._kind,
            limit=self._limit,
            length=self._window_seconds,
            wanted=min(self._wanted(asked_at), self._limit),
            own=self._own,
        )
        self._own = lease.size + (self._own if lease.reset == self._reset else 0)
        self._all = lease.leased
        self._reset = lease.reset
        # The database began with it after we asked, and before we heard: the window ends between the two.
        self._ends_at = asked_at + lease.seconds_left * CLOCK_RATE
        self._over_at = self._clock() + lease.seconds_left
        self._size = self._left = lease.size
        self._leased_at = asked_at

    def _wanted(self, now: float) -> int:
        """For those who wait, and else what was used of the last lease, twice; at its pace not for too long."""
        used = self._size - self._left
        lasted_seconds = max(now - self._leased_at, 1e-6)
        by_pace = used / lasted_seconds * self._window_seconds / LEASES_A_WINDOW
        return max(len(self._waiting), int(min(2 * used, by_pace)), 1)
