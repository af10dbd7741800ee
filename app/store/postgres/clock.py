"""The clock of this process, beside the database's, which all processes of an install have in common.

An event's time is its process's, and never less than the time of the event before it. So one clock that is ahead would
give every later event of a log a time in the future, whoever appends it. A process whose clock is off appends nothing.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from schemas.errors import Unavailable

MAX_SKEW_SECONDS = 60.0
"""How far the clock of a process may be from the database's. Above the time that an overloaded process may need to look
at an answer."""

RETRY_SECONDS = 60
"""When to retry what a wrong clock refused: somebody has to set it."""

GET_CLOCK = "SELECT clock_timestamp()"
"""The database's clock."""

logger = structlog.get_logger("synap.clock")


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


def skew_seconds(before: datetime, database: datetime, after: datetime) -> float:
    """By how much a clock is ahead of the database's, which said `database` between `before` and `after`.

    0 if it may be right.
    """
    return max((before - database).total_seconds(), 0.0) + min((after - database).total_seconds(), 0.0)


def fault(skew: float, most: float = MAX_SKEW_SECONDS) -> str | None:
    """What is wrong with a clock that is so far ahead, as a sentence without its dot; None if it is right."""
    if abs(skew) <= most:
        return None
    side = "ahead of" if skew > 0 else "behind"
    return f"This server's clock is {abs(skew):.0f} s {side} the database's; set both by NTP"


class Clock:
    """The clock by which one process gives events their times."""

    def __init__(self, now: Callable[[], datetime] = utc_now, max_skew_seconds: float = MAX_SKEW_SECONDS) -> None:
        self.now = now
        self._max_skew = timedelta(seconds=max_skew_seconds)
        self._is_off = False

    def agreed(self, database: datetime) -> datetime:
        """The time, which the database has just told. Raises Unavailable if they differ too much."""
        now = self.now()
        wrong = fault((now - database).total_seconds(), self._max_skew.total_seconds())
        if wrong is not None and not self._is_off:
            logger.error("appends are refused: the clock is off", reason=wrong)
        self._is_off = wrong is not None
        if wrong is not None:
            raise Unavailable(f"{wrong}; nothing was stored, retry", retry_after_seconds=RETRY_SECONDS)
        return now

    def around(self, now: datetime) -> dict[str, object]:
        """Between which times the database's clock agrees with `now`, as parameters of a statement."""
        return {"earliest": now - self._max_skew, "latest": now + self._max_skew}
