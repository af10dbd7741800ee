"""Reads the text of a bundle piece by piece, whatever its size and the order of its members.

It decodes one run of events at a time, or one member other than `events`. So little of a file is in memory at once, and
several processes can check the runs.
"""

import mmap
import re
from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from app.ledger.verify.shapes import Bundle, Source, bundle_decoder, decoded
from app.ledger.verify.verdict import COUNT, NO_EVENTS, SHAPE, Fault, check
from schemas.jsontext import UNREADABLE

RUN_EVENTS = 500
RUN_BYTES = 2**20
"""A run ends with the event that reaches this size or `RUN_EVENTS`."""

WINDOW_BYTES = 2**16
"""The end of a value is first looked for within this many bytes."""

_space = re.compile(rb"[ \t\n\r]+")
_trailing = re.compile(r"trailing characters \(byte ([0-9]+)\)")
_value = msgspec.json.Decoder(Raw)
_name = msgspec.json.Decoder(str)


class Run(Struct, frozen=True):
    """Adjacent events: their places among all, and the beginning and end of their text."""

    place: int
    next_place: int
    start: int
    end: int


class Layout(Struct, frozen=True):
    """A bundle's text without its events, and the places of the events."""

    outside: bytes
    """The text with an empty list of events."""
    runs: list[Run]
    count: int
    """The number of events."""


class EvidenceText:
    """JSON text, in memory or in a mapped file."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def piece(self, run: Run) -> bytes:
        """The events of a run, with the commas between them."""
        return bytes(self._source[run.start : run.end])

    def forget(self, run: Run) -> None:
        """Let the system reclaim the memory of a run in a mapped file. It can be read again."""
        if isinstance(self._source, mmap.mmap):
            start = run.start - run.start % mmap.ALLOCATIONGRANULARITY
            self._source.madvise(mmap.MADV_DONTNEED, start, run.end - start)

    def read(self) -> tuple[Bundle, Layout]:
        """The bundle, with the right members and types, whose seqs and count agree. Raises Fault."""
        try:
            layout = _Scan(self).layout()
        except UNREADABLE:
            decoded(self._source, bundle_decoder, SHAPE)
            raise Fault(SHAPE.format("it is not JSON")) from None
        bundle = decoded(layout.outside, bundle_decoder, SHAPE)
        first, last, count = bundle.first_seq, bundle.last_seq, bundle.count
        if first < 0 or last < first:
            check((first, last, count) == (0, -1, 0), NO_EVENTS)
        check(count == last - first + 1 and not (first % 1 or last % 1), COUNT)
        return bundle, layout

    def view(self) -> memoryview:
        """The whole text, without a copy."""
        return memoryview(self._source)


class _Scan:
    """Scans the text once. The decoder of each value skips it.

    Raises the errors of msgspec, and ValueError, for text that is not one JSON object.
    """

    def __init__(self, text: EvidenceText) -> None:
        self._text = text
        self._view = text.view()
        self._at = 0
        self._runs: list[Run] = []
        self._count = 0

    def layout(self) -> Layout:
        """Scan the whole text."""
        outside = bytearray()
        for name in self._names():
            outside += b"," if outside else b"{"
            outside += msgspec.json.encode(name) + b":"
            start = self._at
            if name == "events" and self._take(b"["):
                self._pass_events()
                outside += b"[]"
            else:
                self._pass_value()
                outside += self._view[start : self._at]
        self._skip_space()
        if self._at != len(self._view):
            raise ValueError("there is text after the object")
        return Layout(bytes(outside or b"{") + b"}", self._runs, self._count)

    def _names(self) -> Iterator[str]:
        """The name of each member. The caller skips its value."""
        self._expect(b"{")
        if self._take(b"}"):
            return
        while True:
            start = self._at
            self._pass_value()
            name = _name.decode(self._view[start : self._at])
            self._expect(b":")
            self._skip_space()
            yield name
            if self._take(b"}"):
                return
            self._expect(b",")

    def _pass_events(self) -> None:
        """Note the runs of the open list."""
        self._runs, self._count = [], 0
        more = not self._take(b"]")
        start = self._at
        while more:
            self._pass_value()
            end = self._at
            self._count += 1
            more = self._take(b",")
            if not more:
                self._expect(b"]")
            first = self._runs[-1].next_place if self._runs else 0
            if not more or self._count - first == RUN_EVENTS or end - start >= RUN_BYTES:
                self._runs.append(Run(first, self._count, start, end))
                self._text.forget(self._runs[-1])
                start = self._at

    def _pass_value(self) -> None:
        """Skip a value and the space after it."""
        size = WINDOW_BYTES
        while True:
            end = self._at + size
            try:
                _value.decode(self._view[self._at : end])
            except msgspec.DecodeError as error:
                if found := _trailing.search(str(error)):
                    self._at += int(found[1]) - 1
                    return
                if end >= len(self._view):
                    raise
            else:
                if end >= len(self._view):
                    self._at = len(self._view)
                    return
            size *= 4

    def _expect(self, octet: bytes) -> None:
        if not self._take(octet):
            raise ValueError("there is another character in its place")

    def _take(self, octet: bytes) -> bool:
        """Skip the octet, and space before it, if it comes next."""
        self._skip_space()
        found = self._view[self._at : self._at + 1] == octet
        self._at += found
        return found

    def _skip_space(self) -> None:
        if found := _space.match(self._view, self._at):
            self._at = found.end()
