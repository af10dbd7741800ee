"""The time of a delivery's next attempt. Pure: the caller gives the clock and the random number."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_SECONDS = 86_400
"""The longest accepted `Retry-After`, a day, so that a receiver's answer cannot delay a delivery for ever."""

SPREAD = 0.2
"""The part of its wait by which a delivery is spread to either side, so that retries do not come all together."""

_SECONDS = re.compile(r"[0-9]+")
_LONGEST_HEADER = 64
"""Characters of an accepted `Retry-After`. Valid dates are far shorter, and the date parser is not ours."""


def next_attempt_at(
    attempts: int,
    *,
    schedule: Sequence[float],
    now: datetime,
    random: Callable[[], float],
    retry_after_seconds: float | None = None,
) -> datetime | None:
    """The time of the next attempt after `attempts` (0 before the first), or None if the schedule is exhausted.

    `schedule` has the seconds before each attempt, including the first, counted from the end of the attempt before
    (`now`). `random` returns a number from 0 to below 1. The wait is the scheduled one, up to a fifth shorter or
    longer. A `Retry-After` of at most a day, up to a fifth longer, counts instead if it is longer. It adds no attempt
    to the schedule.
    """
    if not 0 <= attempts < len(schedule):
        return None
    at = random()
    seconds = schedule[attempts] * (1 - SPREAD + 2 * SPREAD * at)
    if retry_after_seconds is not None:
        asked = min(max(retry_after_seconds, 0), MAX_RETRY_AFTER_SECONDS)
        seconds = max(seconds, asked * (1 + SPREAD * at))
    return now + timedelta(seconds=seconds)


def parse_retry_after(text: str, now: datetime) -> int | None:
    """The seconds in a `Retry-After` header, from 0 to 86,400; None if it is neither form of RFC 9110.

    The forms are whole seconds and an HTTP-date (sections 10.2.3 and 5.6.7). A date in the past is 0. Raises nothing.
    """
    text = text.strip(" \t")
    if len(text) > _LONGEST_HEADER:
        return MAX_RETRY_AFTER_SECONDS if _SECONDS.fullmatch(text) else None
    if _SECONDS.fullmatch(text):
        return min(int(text), MAX_RETRY_AFTER_SECONDS)
    try:
        at = parsedate_to_datetime(text)
        seconds = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - now
    except Exception:  # noqa: BLE001 - the text is a stranger's, and this parser raises what it happens to raise
        return None
    return min(max(math.ceil(seconds.total_seconds()), 0), MAX_RETRY_AFTER_SECONDS)
