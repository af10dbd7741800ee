"""Where the events of a recorder wait to be sent: `Memory` here, or a `Journal` on disk."""

import threading
from collections import deque
from typing import Protocol

from msgspec import Struct

Place = tuple[int, int]
"""The number of a segment, and an offset in it."""


class Line(Struct, frozen=True):
    """An event as it will be sent, and the place after it."""

    content: bytes
    end: Place


class Store(Protocol):
    """Where events wait. Any thread may call `append` and `secure`; the thread that sends calls the rest."""

    size: int
    """Bytes in the store."""

    count: int
    """How many events were ever stored, in the order in which they are read."""

    def append(self, content: bytes) -> Place:
        """Store an event. Returns the place after it. Raises SpoolError if it was not stored."""

    def secure(self, end: Place) -> None:
        """Make everything before `end` as durable as is configured. Raises SpoolError; the events are sent anyway."""

    def read(self, max_events: int, max_bytes: int) -> list[Line]:
        """The next events: at least one if there are any."""

    def advance(self, end: Place) -> None:
        """Forget everything before `end`."""

    def sync(self) -> None:
        """Make everything durable."""

    def close(self) -> None:
        """Close the store. The events in a journal stay there."""


class Memory:
    """Events in the memory of the process."""

    def __init__(self) -> None:
        """Begin without events."""
        self.size = self.count = 0
        self._lines: deque[bytes] = deque()
        self._gone = 0
        self._lock = threading.RLock()  # a signal handler may log while its thread holds it

    def append(self, content: bytes) -> Place:
        """Store an event."""
        with self._lock:
            self.size += len(content)
            self._lines.append(content)
            self.count = self._gone + len(self._lines)
            return 0, self.count

    def secure(self, end: Place) -> None:
        """Do nothing: memory is not durable."""

    def read(self, max_events: int, max_bytes: int) -> list[Line]:
        """The next events."""
        found: list[Line] = []
        with self._lock:
            for place, content in enumerate(self._lines, self._gone + 1):
                max_bytes -= len(content)
                if found and (max_bytes < 0 or len(found) == max_events):
                    break
                found.append(Line(content, (0, place)))
        return found

    def advance(self, end: Place) -> None:
        """Forget the events before `end`."""
        with self._lock:
            while self._gone < end[1]:
                self.size -= len(self._lines.popleft())
                self._gone += 1

    def sync(self) -> None:
        """Do nothing: memory is not durable."""

    def close(self) -> None:
        """Do nothing: no file is open."""
