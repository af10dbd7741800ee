"""Reads JSON text that strangers wrote, and checks the limits of the JSON that may be stored."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from itertools import islice
from json import detect_encoding
from math import isfinite
from typing import Any

import msgspec

from schemas.errors import InvalidInput, Issue

MAX_DEPTH = 64
MAX_SAFE_INTEGER = 2**53 - 1
MAX_ISSUES = 100
"""An answer names at most this many issues, so that a small request cannot cause a large answer."""

MAX_ECHO = 128
"""An answer repeats at most this many characters of a name that the caller sent."""

EXPONENT_STARTS = 1e21
"""ES6, and so JCS, prints numbers from here on with an exponent, so their text is not an integer."""

UNSAFE_NUMBER = (
    "is a number that not every reader can hold: it is out of range (an integer beyond 2^53-1, or beyond a double); "
    "send it as text"
)

UNREADABLE = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""The errors that msgspec raises for hostile text. UnicodeDecodeError is a ValueError."""


def read_json(text: bytes, path: str = "") -> Any:
    """JSON as Python values: integers exactly, numbers beyond a double as infinity. Raises InvalidInput if malformed.

    An integer of 400 digits or more becomes infinity too, because msgspec rejects integers with thousands of digits.
    """
    try:
        try:
            return _decoder.decode(text)
        except msgspec.ValidationError:
            return _decoder.decode(_HUGE.sub(b"9e999", text))
    except RecursionError:
        raise InvalidInput([Issue(path, f"is nested deeper than {MAX_DEPTH}", "too_deep")]) from None
    except UNREADABLE as error:
        raise InvalidInput([Issue(path, f"JSON is malformed: {_fault(text, error)}", "malformed_json")]) from None


def read_parameter(text: str, path: str) -> Any:
    """JSON in a parameter of a URL, as Python values, without a byte order mark before it. Raises InvalidInput."""
    return read_json(text.removeprefix("\ufeff").encode(), path)


def _fault(text: bytes, error: Exception) -> str:
    """What is wrong with JSON text. msgspec's messages name the byte and the fault, and quote no content."""
    if not isinstance(error, msgspec.DecodeError):
        return "it is not UTF-8"
    said = str(error).removeprefix("JSON is malformed: ")
    if said.startswith("Invalid UTF-8"):
        return "it is not UTF-8"
    # msgspec also says that the text is truncated if it ends soon after half a pair.
    if "surrogate" in said or ("truncated" in said and _SURROGATE.search(text)):
        return "a string contains half of a surrogate pair"
    return "it ends too early" if "truncated" in said else said


def utf8_json(text: bytes, path: str = "") -> bytes:
    """JSON without the byte order mark that some editors write before it (RFC 8259, section 8.1).

    Raises InvalidInput for UTF-16 and UTF-32; the message names the encoding.
    """
    if text[:1] == b"{" and 0 not in text[:4]:
        return text  # it is in UTF-8, as nearly all is
    encoding = detect_encoding(text)
    if encoding not in {"utf-8", "utf-8-sig"}:
        message = f"JSON must be in UTF-8; this is {encoding.upper()}"
        raise InvalidInput([Issue(path, message, "malformed_json")])
    return text.removeprefix(BOM_UTF8)


class Looks:
    """How many values a search for issues may still look at. The limit keeps other calls from waiting long."""

    def __init__(self, left: int) -> None:
        self._left = left
        self.are_used_up = False
        """Whether the search has skipped a value."""

    def take(self, wanted: int) -> int:
        """Reserve up to `wanted` values. Returns how many of them the search may look at."""
        taken = min(wanted, self._left)
        self._left -= taken
        self.are_used_up = self.are_used_up or taken < wanted
        return taken


def limit_issues(value: object, path: str, depth: int = 1, looks: Looks | None = None) -> Iterator[Issue]:
    """Where decoded JSON is nested too deeply or has an unsafe number. It stops when `looks` are used up."""
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            yield Issue(path, f"is nested deeper than {MAX_DEPTH}", "too_deep")
            return
        items: Iterable[tuple[str | int, object]] = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items if looks is None else islice(items, looks.take(len(value))):
            yield from limit_issues(item, join(path, name), depth + 1, looks)
    elif isinstance(value, int | float) and not isinstance(value, bool) and not is_safe(value):
        yield Issue(path, UNSAFE_NUMBER, "unsafe_number")


def refuse_limits(value: object, path: str) -> None:
    """Raise InvalidInput, naming each place, if `value` exceeds the limits of JSON."""
    if issues := list(islice(limit_issues(value, path), MAX_ISSUES)):
        raise InvalidInput(issues)


def is_safe(number: float) -> bool:
    """Whether every reader can hold a number exactly as it was sent.

    An integer beyond ±(2^53 - 1) is not safe, nor is a float that JCS writes as such an integer.
    """
    if abs(number) <= MAX_SAFE_INTEGER:
        return True
    return isinstance(number, float) and isfinite(number) and abs(number) >= EXPONENT_STARTS


def join(path: str, name: str | int) -> str:
    """The dotted path of the member `name` of the value at `path`."""
    name = name if isinstance(name, int) else name[:MAX_ECHO]
    return f"{path}.{name}" if path else str(name)


_HUGE = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{400,}(?![0-9.eE])")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_decoder = msgspec.json.Decoder(float_hook=float)
