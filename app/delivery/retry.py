"""When a delivery is tried again. Pure: the clock and the random number are the caller's."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_SECONDS = 86_400
"""A receiver may ask for a day at most: its answer must not park a delivery for ever."""

SPREAD = 0.2
"""Deliveries that failed together come back spread over this part of their wait, to either side."""

_SECONDS = re.compile(r"[0-9]+")
_LONGEST_HEADER = 64
"""Characters; no form of HTTP-date comes near, and the parser of dates is not ours."""


def next_attempt_at(
    attempts: int,
    *,
    schedule: Sequence[float],
    now: datetime,
    random: Callable[[], float],
    retry_after_seconds: float | None = None,
) -> datetime | None:
    """When to make the next attempt after `attempts` (0 before the first), or None when the schedule is exhausted.

    `schedule` has the seconds before each attempt, the first included, each counted from the end of the attempt before
    (`now`). `random` answers from 0 to below 1. The wait is the scheduled one, a fifth shorter to a fifth longer. What
    the receiver asked for in `Retry-After`, a day at most, is a wait that is only ever made longer, by the same fifth;
    the longer of both counts. It adds no attempt to the schedule.
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
    """The seconds that a `Retry-After` header asks for, from 0 to 86,400; None where it is neither form of RFC 9110.

    Either whole seconds or an HTTP-date (sections 10.2.3 and 5.6.7); a date that has passed is 0. Raises nothing.
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
