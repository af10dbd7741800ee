"""Reading JSON text that strangers wrote, and the limits of what may be stored of it."""

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
"""More than this many issues help nobody, and would let a small request ask for a large answer."""

MAX_ECHO = 128
"""Characters of a caller's own names that an answer repeats."""

EXPONENT_STARTS = 1e21
"""From here on ES6 (and so JCS) prints a number with an exponent: its text is no integer any more."""

UNSAFE_NUMBER = (
    "is a number that not every reader can hold: it is out of range (an integer beyond 2^53-1, or beyond a double); "
    "send it as text"
)

UNREADABLE = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""What msgspec raises for hostile text; UnicodeDecodeError is a ValueError."""


def read_json(text: bytes, path: str = "") -> Any:
    """JSON as Python values: integers exactly, numbers beyond a double as infinity. Raises InvalidInput if malformed.

    An integer of 400 digits or more counts as a number beyond a double: msgspec refuses to read one of thousands.
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


def _fault(text: bytes, error: Exception) -> str:
    """What is wrong with JSON. msgspec's messages name the byte and what is wrong with it, and repeat nothing."""
    if not isinstance(error, msgspec.DecodeError):
        return "it is not UTF-8"
    said = str(error).removeprefix("JSON is malformed: ")
    if said.startswith("Invalid UTF-8"):
        return "it is not UTF-8"
    if "truncated" not in said:
        return said
    # msgspec says the same of a text that ends with half a surrogate pair.
    return "half of a surrogate pair stands alone in a text" if _SURROGATE.search(text) else "it ends too early"


def utf8_json(text: bytes, path: str = "") -> bytes:
    """JSON without the byte order mark that some editors write before it (RFC 8259, section 8.1).

    Raises InvalidInput for UTF-16 and UTF-32, by their name.
    """
    encoding = detect_encoding(text)
    if encoding not in {"utf-8", "utf-8-sig"}:
        message = f"JSON must be in UTF-8; this is {encoding.upper()}"
        raise InvalidInput([Issue(path, message, "malformed_json")])
    return text.removeprefix(BOM_UTF8)


class Looks:
    """How many values a search may still look at: whoever sent them waits, and so do those behind him."""

    def __init__(self, left: int) -> None:
        self._left = left
        self.are_used_up = False
        """Whether the search has left out any."""

    def take(self, wanted: int) -> int:
        """How many of `wanted` values more may be looked at."""
        taken = min(wanted, self._left)
        self._left -= taken
        self.are_used_up = self.are_used_up or taken < wanted
        return taken


def limit_issues(value: object, path: str, depth: int = 1, looks: Looks | None = None) -> Iterator[Issue]:
    """Where decoded JSON is nested too deep, or has a number that not every reader can hold; as far as `looks` go."""
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
    """Raise InvalidInput where `value` does not keep the limits, naming each place."""
    if issues := list(islice(limit_issues(value, path), MAX_ISSUES)):
        raise InvalidInput(issues)


def is_safe(number: float) -> bool:
    """Whether every reader can hold a number as it was sent.

    No integer beyond ±(2^53 - 1), however long; nor a number with a fraction or an exponent whose JCS text is one.
    """
    if abs(number) <= MAX_SAFE_INTEGER:
        return True
    return isinstance(number, float) and isfinite(number) and abs(number) >= EXPONENT_STARTS


def join(path: str, name: str | int) -> str:
    """The path of a member."""
    name = name if isinstance(name, int) else name[:MAX_ECHO]
    return f"{path}.{name}" if path else str(name)


_HUGE = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{400,}(?![0-9.eE])")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_decoder = msgspec.json.Decoder(float_hook=float)
