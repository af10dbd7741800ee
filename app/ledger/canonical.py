"""RFC 8785 (JCS) bytes of JSON text, and the limits that JSON must keep to be stored.

`rfc8785` is the reference. The fast path is msgspec's sorted encoder, which differs from JCS in three ways only: how
floats print (they are printed by `rfc8785` here), integers beyond 2^53 and the order of keys beyond the Basic
Multilingual Plane. Text in which one of the last two could occur takes the slow path. A property test holds the two
to each other.
"""

import re
from functools import lru_cache
from math import isfinite
from typing import Any

import msgspec
import rfc8785
from msgspec import Raw

from schemas.errors import InvalidInput, Issue
from schemas.issues import MAX_ECHO, join

MAX_DEPTH = 64
MAX_SAFE_INTEGER = 2**53 - 1
_EXPONENT_STARTS = 10**21
"""From here on ES6 (and so JCS) prints a number with an exponent: its text is no integer any more."""

_LONG_NUMBER = re.compile(rb"[0-9]{16}")
_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]")


def canonical(text: bytes, path: str) -> bytes:
    """The JCS bytes of JSON `text`. `path` is where the text stands in the input.

    Raises InvalidInput: malformed JSON, nesting deeper than 64, an `unsafe_number` (an integer in JCS beyond
    ±(2^53 - 1), or a number that is not finite), naming the place.
    """
    try:
        written = _sorted.encode(_fast.decode(text))
    except _ERRORS:
        return canonical_value(decode(text, path), path)
    if (
        _LONG_NUMBER.search(written)
        or _BEYOND_BMP.search(written)
        or written.count(b"[") + written.count(b"{") > MAX_DEPTH
    ):
        return canonical_value(decode(text, path), path)
    return written


def canonical_value(value: object, path: str) -> bytes:
    """The same of decoded JSON."""
    return rfc8785.dumps(_checked(value, path, 1))


def decode(text: bytes, path: str = "") -> Any:
    """JSON as Python values. Raises InvalidInput for all that strict `JSON.parse` refuses, and a little more."""
    try:
        return msgspec.json.decode(text)
    except _ERRORS as error:
        raise InvalidInput([Issue(path, malformed(error), "malformed_json")]) from None


def malformed(error: Exception) -> str:
    """What is wrong with JSON text, without repeating any of it."""
    if isinstance(error, RecursionError):
        return f"JSON is nested deeper than {MAX_DEPTH}"
    if isinstance(error, msgspec.DecodeError):
        return f"JSON is malformed: {str(error).removeprefix('JSON is malformed: ')}"
    return "JSON is malformed: not valid UTF-8, or a number with too many digits"


_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError)
"""What msgspec raises for hostile text."""


@lru_cache(maxsize=4096)
def _float(text: str) -> Raw:
    number = float(text)
    if not isfinite(number) or (number.is_integer() and abs(number) > MAX_SAFE_INTEGER):
        raise ValueError("not for the fast path")
    return Raw(rfc8785.dumps(number))


_fast = msgspec.json.Decoder(float_hook=_float)
_sorted = msgspec.json.Encoder(order="sorted")


def _checked(value: Any, path: str, depth: int) -> Any:
    """`value` as `rfc8785` takes it, or InvalidInput."""
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise InvalidInput([Issue(path, f"is nested deeper than {MAX_DEPTH}", "too_deep")])
        if isinstance(value, list):
            return [_checked(item, join(path, index), depth + 1) for index, item in enumerate(value)]
        return {name: _checked(item, join(path, name[:MAX_ECHO]), depth + 1) for name, item in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _checked_number(value, path)
    return value


def _checked_number(value: float, path: str) -> float:
    if abs(value) >= _EXPONENT_STARTS:
        try:
            value = float(value)
        except OverflowError:
            value = float("inf")
        if isfinite(value):
            return value
    elif abs(value) <= MAX_SAFE_INTEGER or not float(value).is_integer():
        return value
    raise InvalidInput(
        [
            Issue(
                path,
                "is a number that not every reader can hold (an integer beyond 2^53-1); send it as text",
                "unsafe_number",
            )
        ]
    )
