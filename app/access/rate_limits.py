"""Rate limits by workspace, across all processes and machines that share the database, without a write per call.

Windows are fixed, by the database's clock. A process leases part of a window's calls, counts them down in memory, and
then asks again. Leases grow with use and shrink with what is left, down to 1. Leased calls are never returned. So a
window never accepts more than its limit, and loses what a process has leased but not used, part of its last lease.
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
"""At a steady pace a lease lasts for this part of a window, so that a process holds few calls when its callers stop."""

CLOCK_RATE = 0.99
"""One of our seconds counts as slightly more than the database's, because clocks that are adjusted run unevenly."""


def seconds_since_boot() -> float:
    """A clock that nobody sets, and that continues while the machine sleeps."""
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
        """`limits` has the calls per window by kind; 0 means no limit. All processes must use windows of one length."""
        self._database = database
        self._limits = limits
        self._window_seconds = window_seconds
        self._clock = clock
        self._shares: dict[tuple[str, str], _Share] = {}
        self._tidy_at = 0.0

    async def take(self, kind: str, workspace: str) -> Allowance | None:
        """Count one accepted call of `kind` in `workspace`; None if there is no limit.

        Raises RateLimited if the window has no more calls, Unavailable.
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
        """Forget, once per window, the workspaces without calls in it."""
        now = self._clock()
        if now >= self._tidy_at:
            self._tidy_at = now + self._window_seconds
            self._shares = {key: share for key, share in self._shares.items() if share.is_needed(now)}


class _Share:
    """The share of one process in the current window of one workspace and kind."""

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
        """The end of the lease by our clock, not after the end of the window."""
        self._over_at = 0.0
        """A time at which the window is certainly over."""
        self._reset = 0
        self._size = 0
        self._left = 0
        """The size of the last lease, and its unused rest."""
        self._leased_at = 0.0
        self._own = 0
        self._all = 0
        """The calls leased of the window, by this process and by all, when the database was last asked."""

    def is_needed(self, now: float) -> bool:
        """Whether there is a lease that has not ended, or a caller that waits for one."""
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
        """The result of one more call, or None if the database must be asked."""
        now = self._clock()
        if now >= self._ends_at:
            return None
        retry_after_seconds = max(ceil(self._over_at - now), 1)
        if self._left:
            self._left -= 1
            # The other processes keep leasing from what is free, so only our share of it is promised.
            remaining = self._left + ceil(max(self._limit - self._all, 0) * self._own / self._all)
            return Allowance(self._limit, remaining, self._reset, retry_after_seconds)
        if self._size:
            return None
        return RateLimited(
            f"The workspace may make {self._limit} such calls in {self._window_seconds} s; retry in the next window",
            limit=self._limit,
            reset=self._reset,
            retry_after_seconds=retry_after_seconds,
        )

    async def _fill(self) -> None:
        """Lease until no caller waits, including those that come meanwhile."""
        try:
            while self._waiting:
                await self._lease()
                while self._waiting and (answer := self._answer()) is not None:
                    waiting = self._waiting.popleft()
                    if waiting.done():  # the caller has gone
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
        # The database counted from a moment between our question and its answer: the window ends between the two.
        self._ends_at = asked_at + lease.seconds_left * CLOCK_RATE
        self._over_at = self._clock() + lease.seconds_left
        self._size = self._left = lease.size
        self._leased_at = asked_at

    def _wanted(self, now: float) -> int:
        """The calls to lease: for those that wait, or twice what the last lease used, limited by its pace."""
        used = self._size - self._left
        lasted_seconds = max(now - self._leased_at, 1e-6)
        by_pace = used / lasted_seconds * self._window_seconds / LEASES_A_WINDOW
        return max(len(self._waiting), int(min(2 * used, by_pace)), 1)
