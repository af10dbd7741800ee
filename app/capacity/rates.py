"""Rate limits by key: the calls per minute of one key in one server process, through all doors.

Calls are counted in memory, without a database query. A key may use all calls of a minute at once. It regains them one
by one, so a caller at a steady pace is never rejected. A key that has regained all calls is forgotten.
"""

import time
from collections.abc import Callable, Mapping
from typing import Literal

from app.capacity.allowance import Allowance
from app.telemetry.metrics import RATE_LIMITED
from schemas.errors import RateLimited

Rate = Literal["read", "write"]

MINUTE = 60 * 10**9
"""A minute in nanoseconds, whose sums are exact."""


class Rates:
    """Counts the calls of keys. For one event loop."""

    def __init__(self, limits: Mapping[Rate, int], clock: Callable[[], int] = time.monotonic_ns) -> None:
        """`limits` has the calls per minute; 0 means no limit. `clock` returns nanoseconds."""
        self._limits = limits
        self._clock = clock
        self._full_at: dict[tuple[Rate, str], int] = {}
        """When each key will have regained all of its calls."""
        self._tidy_at = 0

    @property
    def known_keys(self) -> int:
        """The number of keys and rates that are remembered."""
        return len(self._full_at)

    def take(self, rate: Rate, key_id: str) -> None:
        """Count one call. Raises RateLimited."""
        limit = self._limits[rate]
        if limit == 0:
            return
        now = self._clock()
        full_at = max(self._full_at.get((rate, key_id), now), now) + MINUTE // limit
        if full_at > now + MINUTE:
            RATE_LIMITED.add(rate)
            wait_seconds = _seconds(full_at - now - MINUTE)
            raise RateLimited(
                f"The key may make {limit} {rate} calls a minute; retry after {wait_seconds} s",
                limit=limit,
                reset=int(time.time()) + wait_seconds,
                retry_after_seconds=wait_seconds,
            )
        self._tidy(now)
        self._full_at[rate, key_id] = full_at

    def allowance(self, rate: Rate, key_id: str) -> Allowance | None:
        """What a key has left; None if its rate is not limited."""
        limit = self._limits[rate]
        if limit == 0:
            return None
        now = self._clock()
        used = max(self._full_at.get((rate, key_id), now) - now, 0)
        wait_seconds = _seconds(used)
        return Allowance(limit, (MINUTE - used) // (MINUTE // limit), int(time.time()) + wait_seconds, wait_seconds)

    def _tidy(self, now: int) -> None:
        """Forget, once a minute, the keys that have regained all of their calls."""
        if now >= self._tidy_at:
            self._tidy_at = now + MINUTE
            self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}


def _seconds(nanoseconds: int) -> int:
    """Nanoseconds as seconds, rounded up, at least 1."""
    return max(-(-nanoseconds // 10**9), 1)
