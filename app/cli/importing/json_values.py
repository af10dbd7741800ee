"""Splits text that comes in pieces into JSON values: lines, elements of an array, or objects over several lines.

It holds one value at a time, and at most `max_bytes` of it: enough to see that it is too large.
"""

import re
from typing import Protocol

# Without possessive quantifiers: Python 3.11.2, which Debian 12 has, goes wrong with those of groups.
_STRING_END = rb'[^"\\]*(?:\\.[^"\\]*)*"'
_REST_OF_STRING = re.compile(_STRING_END, re.DOTALL)
_UP_TO_SIGN = rb'[^"%(signs)b]*(?:"%(end)b[^"%(signs)b]*)*([%(signs)b]|"(?!%(end)b))'
_BETWEEN = re.compile(_UP_TO_SIGN % {b"signs": rb"\[\]{},", b"end": _STRING_END}, re.DOTALL)
_WITHIN = re.compile(_UP_TO_SIGN % {b"signs": rb"\[\]{}", b"end": _STRING_END}, re.DOTALL)
"""Matches up to the next character that may begin or end a value; a quote only if its string does not end here."""

_ODD_BACKSLASHES = re.compile(rb"(?<!\\)(?:\\\\)*\\\Z")


class SplitError(ValueError):
    """Text begins like an array, but is not one. The message follows the word `it`."""


class Splitter(Protocol):
    """Takes text piece by piece, and returns the values in it."""

    unit: str
    """The word for one value."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The values that end in `chunk`. Raises SplitError."""

    def end(self) -> list[bytes]:
        """The values that are left at the end of the text. Raises SplitError."""


def splitter(head: bytes, max_bytes: int) -> Splitter:
    """The splitter for a text with this beginning."""
    begin = head.lstrip()
    if begin.startswith(b"["):
        return Values(max_bytes, in_array=True)
    if re.match(rb"\{[ \t]*\r?\n", begin):
        return Values(max_bytes, in_array=False)
    return Lines(max_bytes)


class Lines:
    """Each line is a value, without its line end."""

    unit = "line"

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """As in `Splitter`."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[: self._max_bytes]
        return lines

    def end(self) -> list[bytes]:
        """As in `Splitter`."""
        return [self._rest] if self._rest else []


class Values:
    """The elements of one array, or objects with white space between them."""

    unit = "event"

    def __init__(self, max_bytes: int, *, in_array: bool) -> None:
        self._max_bytes = max_bytes
        self._in_array = in_array
        self._depth = -1 if in_array else 0
        """How deep in a value; -1 is outside of the array."""
        self._is_closed = False
        self._in_string = False
        self._held = b""
        """A backslash at the end of a chunk; the character that it escapes is in the next one."""
        self._value = bytearray()
        self._values: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """As in `Splitter`."""
        chunk, at = self._held + chunk, 0
        while token := self._token(chunk, at):
            at = self._taken(chunk, at, token)
        held = self._in_string and _ODD_BACKSLASHES.search(chunk, at)
        self._held = b"\\" if held else b""
        self._keep(chunk[at : len(chunk) - len(self._held)])
        values, self._values = self._values, []
        return values

    def end(self) -> list[bytes]:
        """As in `Splitter`."""
        if self._in_array and not self._is_closed:
            raise SplitError("ends within its JSON array: a part of it is missing")
        return [bytes(self._value.rstrip())] if self._value.strip() else []

    def _token(self, chunk: bytes, at: int) -> re.Match[bytes] | None:
        """The match up to the next character that matters, or to the end of the current string."""
        if self._in_string:
            return _REST_OF_STRING.match(chunk, at)
        return (_WITHIN if self._depth > 0 else _BETWEEN).match(chunk, at)

    def _taken(self, chunk: bytes, at: int, token: re.Match[bytes]) -> int:
        """Take a token. Returns the place after it."""
        end, sign = token.end(), b"" if self._in_string else token[1]
        self._in_string = sign == b'"'
        ends_value = self._in_array and self._depth == 0 and sign in {b",", b"]"}
        if ends_value or self._depth < 0:
            self._keep(chunk[at : end - 1])
        else:
            self._keep(chunk[at:end])
        if sign in {b"[", b"{"}:
            self._open(sign)
        elif sign in {b"]", b"}"} and self._depth > 0:
            self._depth -= 1
            ends_value = not self._in_array and self._depth == 0
        elif sign == b"]" and ends_value:
            self._depth, self._is_closed = -1, True
        if ends_value and (self._value.strip() or sign == b","):
            self._values.append(bytes(self._value.rstrip()))
            self._value.clear()
        return end

    def _open(self, sign: bytes) -> None:
        if self._depth < 0 and (self._is_closed or sign == b"{"):
            raise SplitError("has more text after its JSON array")
        self._depth += 1

    def _keep(self, text: bytes) -> None:
        if self._depth >= 0:
            text = text if self._value else text.lstrip()
            self._value += text[: max(self._max_bytes - len(self._value), 0)]
        elif text.strip():
            raise SplitError("has more text after its JSON array")
