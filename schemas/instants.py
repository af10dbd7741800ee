"""Instants: their limit, and one sentence for each mistake that callers make in writing one.

Accepted instants lie from year 1 to 9999 in UTC, whatever their offset is. Python can read
`9999-12-31T23:59:59-01:00` and PostgreSQL can store it, but neither can write it in UTC.
"""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args

import msgspec
from msgspec import Struct

FORM = "must be an RFC 3339 time with a UTC offset"

FAR = "must be a time from year 1 to 9999 in UTC"
"""The message for an instant beyond the limit."""

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PARTS = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.][0-9]+)?)?(?P<offset>.*))?",
    re.DOTALL,
)
_OFFSET = re.compile(r"[Zz]|[+-](?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})")
_LOST_PLUS = re.compile(r" [0-9]{2}:?[0-9]{2}")


def is_meant(text: str) -> bool:
    """Whether a text begins like an instant, although it may be something else."""
    return re.match(r"[0-9]{4}-[0-9]{2}(?![0-9])", text) is not None


def fault_of(text: str) -> str:
    """The message for a text that is not a valid instant: the mistake, and how to mend it."""
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return f"{FORM}, such as 2026-01-31T12:00:00Z"
    known = _day_fault(parts) or _time_fault(parts) or _offset_fault(parts["offset"])
    return f"{FORM}: {known}" if known else FAR  # its fraction is rounded up into the year 10000


def _day_fault(parts: re.Match[str]) -> str | None:
    year, month, day = (int(parts[name]) for name in ("year", "month", "day"))
    if year == 0:
        return "the first year is 0001"
    if not 1 <= month <= len(_DAYS):
        return f"there is no month {parts['month']}"
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _DAYS[month - 1] or (month == 2 and day == 29 and not is_leap):
        return f"the day {parts['year']}-{parts['month']}-{parts['day']} does not exist"
    return None


def _time_fault(parts: re.Match[str]) -> str | None:
    hour, minute, second = parts["hour"], parts["minute"], parts["second"]
    if hour is None:
        return "the time is missing; add one with an offset, such as T00:00:00Z"
    if int(hour) == 24:
        return "the last hour is 23; midnight is 00:00:00 of the next day"
    if int(hour) > 23 or int(minute) > 59:
        return f"the time {hour}:{minute} does not exist"
    if second is None:
        return "the seconds are missing"
    if int(second) == 60:
        return "leap seconds (second 60) cannot be stored; send second 59, or 00 of the next minute"
    return None if int(second) < 60 else f"there is no second {second}"


def _offset_fault(offset: str) -> str | None:
    if not offset:
        return "the UTC offset is missing; add Z, or an offset such as +02:00"
    if _LOST_PLUS.fullmatch(offset):
        return "the offset has a space in place of '+'; in a URL write '+' as %2B"
    known = _OFFSET.fullmatch(offset)
    if known is None:
        return "the UTC offset must be Z, or like +02:00"
    is_range = known["hours"] and (int(known["hours"]) > 23 or int(known["minutes"]) > 59)
    return "the largest UTC offset is 23:59" if is_range else None


def is_far(at: datetime) -> bool:
    """Whether an instant lies outside of the years 1 to 9999 in UTC."""
    try:
        at.astimezone(UTC)
    except OverflowError:
        return True
    return False


def holds_far(text: bytes, value: object) -> bool:
    """Whether the value decoded from a JSON text contains an instant outside of the years 1 to 9999 in UTC."""
    # Such an instant is of the first or of the last year, and its digits may be escaped.
    return (b"9999-" in text or b"0001-" in text or b"\\" in text) and _holds_far(value)


def _holds_far(value: object) -> bool:
    if isinstance(value, datetime):
        return is_far(value)
    if isinstance(value, Struct):
        return any(_holds_far(getattr(value, name)) for name in _places(type(value)))
    return isinstance(value, list) and any(map(_holds_far, value))


@cache
def _places(kind: type[Struct]) -> tuple[str, ...]:
    """The members of a Struct that may contain an instant."""
    return tuple(field.name for field in msgspec.structs.fields(kind) if _may_hold(field.type))


def _may_hold(wanted: Any) -> bool:
    if isinstance(wanted, type) and issubclass(wanted, datetime | Struct):
        return True
    return any(map(_may_hold, get_args(wanted)))
