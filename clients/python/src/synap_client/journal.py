"""The journal of one recorder: its events in files, until they are sent."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal
from zlib import crc32

from synap_client.errors import SpoolError
from synap_client.files import append_to, length_of, sync_directory, write_whole
from synap_client.quiet import logger
from synap_client.store import Line, Place

Fsync = Literal["always", "second", "never"]


class Damaged:
    """Stores lines that are not events, and logs a warning."""

    def __init__(self, path: Path) -> None:
        """Lines go to the file `path`."""
        self._path = path

    def keep(self, content: bytes, where: Path) -> None:
        """Store a line that was found in `where`."""
        append_to(self._path, content + b"\n")
        logger.warning("a line in %s is not a complete event; it is kept in %s", where, self._path)


class Journal:
    """One recorder's events, in segments. A segment is deleted when all of it has been sent."""

    def __init__(self, directory: Path, lock: int, damaged: "Damaged", *, fsync: Fsync, segment_bytes: int) -> None:
        """`lock` is the open and locked file of an existing directory. The events in it are read first."""
        self.directory = directory
        self._lock_fd = lock
        self._damaged = damaged
        self._fsync: Fsync = fsync
        self._segment_bytes = segment_bytes
        self._writing = threading.RLock()  # a signal handler may log while its thread holds these
        self._syncing = threading.RLock()
        self._within = False
        self._closed = False
        self._fd: int | None = None
        segments = [int(path.stem) for path in directory.glob("*.events")]
        self.size = sum(self._path(segment).stat().st_size for segment in segments)
        self.count = 0
        self._segment = max(segments, default=0)
        """The last segment. Only the process that made it writes to it."""
        self._offset = self._path(self._segment).stat().st_size if segments else 0
        self._synced: Place = (0, 0)
        self._place_fd = os.open(directory / "place", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._place = self._read_place(min(segments, default=1))

    def append(self, content: bytes) -> Place:
        """Write an event. When this returns, the event outlives the process."""
        line = b"%08x %b\n" % (crc32(content), content)
        with self._writing:
            if self._closed:
                raise SpoolError("the recorder is closed")
            if self._within:
                raise SpoolError("a signal handler logged the event while its own thread was writing another one")
            self._within = True
            try:
                if self._fd is None or 0 < self._offset > self._segment_bytes - len(line):
                    self._roll()
                self._write(line)
            except OSError as error:
                raise SpoolError(f"the event could not be written to the spool: {error}") from error
            finally:
                self._within = False
            return self._segment, self._offset

    def secure(self, end: Place) -> None:
        """If every event must survive a power cut, wait until this one does."""
        if self._fsync == "always":
            self._sync_to(end)

    def read(self, max_events: int, max_bytes: int) -> list[Line]:
        """The next events, from one segment."""
        while True:
            with self._writing:
                last, offset = self._segment, self._offset
            segment, start = self._place
            if segment > last:
                return []
            limit = offset if segment == last else length_of(self._path(segment))
            if start < limit:
                lines, end = self._lines(segment, start, limit, max_events, max_bytes)
                if lines:
                    return lines
                self.advance((segment, end))
            elif segment == last:
                return []
            else:
                self.advance((segment + 1, 0))

    def advance(self, end: Place) -> None:
        """Store the place up to which events were sent, and delete the segments before it."""
        with self._writing:
            if self._closed:
                return
            os.pwrite(self._place_fd, b"%020d %020d\n" % end, 0)
            gone = range(self._place[0], end[0])
            self._place = end
            for segment in gone:
                self.size -= length_of(self._path(segment))
                self._path(segment).unlink(missing_ok=True)

    @property
    def is_empty(self) -> bool:
        """Whether all events have been sent."""
        with self._writing:
            return self._place >= (self._segment, self._offset)

    def sync(self) -> None:
        """Make everything durable, unless `fsync` is `never`."""
        with self._writing:
            end = self._segment, self._offset
        if self._fsync != "never":
            self._sync_to(end)

    def close(self) -> None:
        """Unlock the journal for other recorders. It removes an empty journal."""
        is_empty = self.is_empty
        with self._writing:
            if self._closed:
                return
            self._closed = True
            if is_empty:
                for path in self.directory.glob("*.events"):
                    path.unlink(missing_ok=True)
                (self.directory / "place").unlink(missing_ok=True)
                (self.directory / "lock").unlink(missing_ok=True)
                with suppress(OSError):
                    self.directory.rmdir()
            self._close_files()

    def abandon(self) -> None:
        """Close the files in a forked child, which would hold the parent's lock after the parent's end."""
        self._closed = True
        self._close_files()

    def _close_files(self) -> None:
        for fd in (self._fd, self._place_fd, self._lock_fd):
            if fd is not None:
                os.close(fd)
        self._fd = None

    def _path(self, segment: int) -> Path:
        return self.directory / f"{segment:08d}.events"

    def _read_place(self, first: int) -> Place:
        """The place to continue at. If it cannot be read, all is sent again, which stores nothing twice."""
        try:
            segment, offset = os.pread(self._place_fd, 42, 0).split()
            return max((int(segment), int(offset)), (first, 0))
        except ValueError:
            return first, 0

    def _roll(self) -> None:
        """Begin the next segment."""
        if self._fd is not None:
            if self._fsync != "never":
                os.fsync(self._fd)
            fd, self._fd = self._fd, None
            os.close(fd)
        # The file may exist: an exception of a signal handler may have come right after it was made.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path(self._segment + 1), flags, 0o600)
        self._segment, self._offset = self._segment + 1, 0
        if self._fsync != "never":
            sync_directory(self.directory)

    def _write(self, line: bytes) -> None:
        """Write a line and count it, both or neither. A signal handler may raise within any call in here."""
        assert self._fd is not None  # noqa: S101 - `append` has opened it
        length, raised = len(line), None
        try:
            write_whole(self._fd, line)
        except BaseException as error:
            if os.fstat(self._fd).st_size != self._offset + length:
                os.ftruncate(self._fd, self._offset)  # a part of a line would spoil the next line
                raise
            raised = error
        self._offset += length
        self.size += length
        self.count += 1
        if raised is not None:
            raise raised

    def _sync_to(self, end: Place) -> None:
        """Wait until everything before `end` is durable. Threads that wait at the same time share one call."""
        with self._syncing:
            if self._synced >= end:
                return
            with self._writing:
                if self._closed or self._fd is None:
                    return
                fd, upto = os.dup(self._fd), (self._segment, self._offset)
            try:
                getattr(os, "fdatasync", os.fsync)(fd)
            except OSError as error:
                with self._writing:  # later calls may report success for pages that were lost
                    spoiled, self._fd = self._fd, None
                    if spoiled is not None:
                        os.close(spoiled)
                raise SpoolError(f"the spool could not be made durable: {error}") from error
            finally:
                os.close(fd)
            self._synced = upto

    def _lines(self, segment: int, start: int, limit: int, max_events: int, max_bytes: int) -> tuple[list[Line], int]:
        """Events from `start`, and the place after all lines that were read."""
        wanted = max_bytes
        with self._path(segment).open("rb") as file:
            while True:
                file.seek(start)
                content = file.read(min(wanted, limit - start))
                if b"\n" in content or start + len(content) >= limit:
                    break
                wanted *= 2
        lines: list[Line] = []
        end = start
        *whole, rest = content.split(b"\n")
        for line in whole:
            end += len(line) + 1
            if len(line) > 9 and line[:9] == b"%08x " % crc32(line[9:]):
                lines.append(Line(line[9:], (segment, end)))
                if len(lines) == max_events:
                    return lines, end
            else:
                self._damaged.keep(line, self.directory)
        if rest and start + len(content) >= limit and not lines:
            self._damaged.keep(rest, self.directory)
            end = limit
        return lines, end
