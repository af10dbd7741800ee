"""Reading JSON text that strangers wrote, and the limits of what may be stored of it."""

import re
from collections.abc import Iterator
from itertools import islice
from math import isfinite
from typing import Any

import msgspec

from schemas.errors import InvalidInput, Issue

MAX_DEPTH = 64
MAX_SAFE_INTEGER = 2**53 - 1
MAX_ISSUES = 100
"""More than this many issues help nobody, and would let a small request ask for a large answer."""

MAX_ECHO = 128
"""Characters of a caller's own names that an answer repeats."""

EXPONENT_STARTS = 1e21
"""From here on ES6 (and so JCS) prints a number with an exponent: its text is no integer any more."""

UNREADABLE = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""What msgspec raises for hostile text; UnicodeDecodeError is a ValueError."""


def read_json(text: bytes, path: str = "") -> Any:
    """JSON as Python values, numbers beyond a double as infinity. Raises InvalidInput where it is malformed."""
    try:
        return _decoder.decode(text)
    except UNREADABLE as error:
        if isinstance(error, RecursionError):
            raise InvalidInput([Issue(path, f"is nested deeper than {MAX_DEPTH}", "too_deep")]) from None
        # msgspec's messages name the byte and what is wrong with it, and repeat nothing.
        known = str(error).removeprefix("JSON is malformed: ") if isinstance(error, msgspec.DecodeError) else ""
        if "truncated" in known and _SURROGATE.search(text):
            known = "half of a surrogate pair stands alone in a text"  # msgspec calls that truncated
        message = f"JSON is malformed: {known or 'it is not UTF-8, or has a number of too many digits'}"
        raise InvalidInput([Issue(path, message, "malformed_json")]) from None


def limit_issues(value: object, path: str, depth: int = 1) -> Iterator[Issue]:
    """Where decoded JSON is nested too deep, or has a number that not every reader can hold."""
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            yield Issue(path, f"is nested deeper than {MAX_DEPTH}", "too_deep")
            return
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from limit_issues(item, join(path, name), depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool) and not is_safe(value):
        message = "is a number that not every reader can hold (an integer beyond 2^53-1); send it as text"
        yield Issue(path, message, "unsafe_number")


def refuse_limits(value: object, path: str) -> None:
    """Raise InvalidInput where `value` does not keep the limits, naming each place."""
    if issues := list(islice(limit_issues(value, path), MAX_ISSUES)):
        raise InvalidInput(issues)


def is_safe(number: float) -> bool:
    """Whether the text that JCS gives a number is no integer beyond ±(2^53 - 1)."""
    if abs(number) <= MAX_SAFE_INTEGER:
        return True
    try:
        double = float(number)
    except OverflowError:
        return False
    return isfinite(double) and (abs(double) >= EXPONENT_STARTS or not double.is_integer())


def join(path: str, name: str | int) -> str:
    """The path of a member."""
    name = name if isinstance(name, int) else name[:MAX_ECHO]
    return f"{path}.{name}" if path else str(name)


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_decoder = msgspec.json.Decoder(float_hook=float)
