"""The disk under a recorder: journals of events in a directory that several processes may share.

    spool.json           the server and workspace that all of it is for
    j-<id>/              the journal of one recorder; whoever holds `lock` owns it
      lock
      00000001.events    a line for each event: eight hex digits of CRC-32, a space, the event as JSON
      place              how far it has been sent: segment and offset
    rejected.ndjson      events that the server refuses for good, with the reasons
    damaged              lines that are no events, as they were found

An event is in the file, by one write, before its logger goes on: it outlives the process, however that ends. A line
that a kill or a power cut left unfinished never was a logged event, and goes to `damaged`. The place is written after
the server has answered: what was sent just before a kill is sent again, under the same ids, and stored once. A journal
whose owner is gone is not locked; any recorder in the directory takes it over. Locks are flock(2), so the directory
stands on a local disk of Linux or macOS.
"""

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol
from zlib import crc32

import msgspec
from msgspec import Struct

from synap_client.errors import InvalidInput, Issue, SpoolError, SynapError
from synap_client.events import new_id
from synap_client.quiet import logger

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Fsync = Literal["always", "second", "never"]

SEGMENT_BYTES = 8 * 2**20
SURVEY_SECONDS = 1.0
STALE_SECONDS = 60.0

Place = tuple[int, int]
"""A segment's number and an offset in it."""


class Line(Struct, frozen=True):
    """An event as it will be sent, and the place behind it."""

    content: bytes
    end: Place


class Store(Protocol):
    """Where events wait. `append` and `secure` are for any thread, the rest for the one that sends."""

    size: int
    """Bytes in it."""

    count: int
    """Events that were ever kept in it, in the order in which they are read."""

    def append(self, content: bytes) -> Place:
        """Keep an event. Answers the place behind it. Raises SpoolError: then it was not kept."""

    def secure(self, end: Place) -> None:
        """Make everything before `end` as durable as it is to be. Raises SpoolError: it will be sent all the same."""

    def read(self, max_events: int, max_bytes: int) -> list[Line]:
        """The next events, at least one where there are any."""

    def advance(self, end: Place) -> None:
        """Forget everything before `end`."""

    def sync(self) -> None:
        """Make everything durable."""

    def close(self) -> None:
        """Give up the store; what is in a journal stays there."""


class Memory:
    """Events that live as long as the process."""

    def __init__(self) -> None:
        """It is empty."""
        self.size = self.count = 0
        self._lines: deque[bytes] = deque()
        self._gone = 0
        self._lock = threading.RLock()  # a signal handler may log while its thread holds it

    def append(self, content: bytes) -> Place:
        """Keep an event."""
        with self._lock:
            self.size += len(content)
            self._lines.append(content)
            self.count = self._gone + len(self._lines)
            return 0, self.count

    def secure(self, end: Place) -> None:
        """There is nothing that lasts."""

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
        """Forget."""
        with self._lock:
            while self._gone < end[1]:
                self.size -= len(self._lines.popleft())
                self._gone += 1

    def sync(self) -> None:
        """There is nothing that lasts."""

    def close(self) -> None:
        """Nothing is held."""


class Journal:
    """One recorder's events, in segments that are deleted as they have been sent."""

    def __init__(self, directory: Path, lock: int, damaged: "Damaged", *, fsync: Fsync, segment_bytes: int) -> None:
        """`lock` is the open and locked file of a directory that is there. What is in it is to be sent first."""
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
        """The last one; it is written only by whoever made it."""
        self._offset = self._path(self._segment).stat().st_size if segments else 0
        self._synced: Place = (0, 0)
        self._place_fd = os.open(directory / "place", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._place = self._read_place(min(segments, default=1))

    def append(self, content: bytes) -> Place:
        """Write an event: from now on it outlives the process."""
        line = b"%08x %b\n" % (crc32(content), content)
        with self._writing:
            if self._closed:
                raise SpoolError("the recorder is closed")
            if self._within:
                raise SpoolError("the event was logged by what interrupted the writing of another, in the same thread")
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
        """Where every event is to survive a power cut, wait until this one does."""
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
            limit = offset if segment == last else _length(self._path(segment))
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
        """Remember how far it has been sent, and delete the segments before it."""
        with self._writing:
            if self._closed:
                return
            os.pwrite(self._place_fd, b"%020d %020d\n" % end, 0)
            gone = range(self._place[0], end[0])
            self._place = end
            for segment in gone:
                self.size -= _length(self._path(segment))
                self._path(segment).unlink(missing_ok=True)

    @property
    def is_empty(self) -> bool:
        """Whether all of it has been sent."""
        with self._writing:
            return self._place >= (self._segment, self._offset)

    def sync(self) -> None:
        """Make everything durable, unless it is never to be."""
        with self._writing:
            end = self._segment, self._offset
        if self._fsync != "never":
            self._sync_to(end)

    def close(self) -> None:
        """Unlock it, for whoever comes; an empty one is removed."""
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
        """In a forked child: the files are the parent's, and its lock must not outlive it because of us."""
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
        """Where to go on. Without a legible place it is sent again from the start, which stores nothing twice."""
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
        # It may be there: made, and given up by an exception out of a signal handler before anything was in it.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path(self._segment + 1), flags, 0o600)
        self._segment, self._offset = self._segment + 1, 0
        if self._fsync != "never":
            _sync_directory(self.directory)

    def _write(self, line: bytes) -> None:
        """Write a line and count it, both or neither, though a signal handler may raise out of any call in here."""
        assert self._fd is not None  # noqa: S101 - `append` has opened it
        length, raised = len(line), None
        try:
            _write_whole(self._fd, line)
        except BaseException as error:
            if os.fstat(self._fd).st_size != self._offset + length:
                os.ftruncate(self._fd, self._offset)  # a part of a line would spoil the next one
                raise
            raised = error
        self._offset += length
        self.size += length
        self.count += 1
        if raised is not None:
            raise raised

    def _sync_to(self, end: Place) -> None:
        """Wait until everything before `end` is durable. Threads that wait at once share one call."""
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
                with self._writing:  # what the kernel says of these pages from now on cannot be trusted
                    spoiled, self._fd = self._fd, None
                    if spoiled is not None:
                        os.close(spoiled)
                raise SpoolError(f"the spool could not be made durable: {error}") from error
            finally:
                os.close(fd)
            self._synced = upto

    def _lines(self, segment: int, start: int, limit: int, max_events: int, max_bytes: int) -> tuple[list[Line], int]:
        """Events from `start`, and the place behind all that was looked at."""
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


class Damaged:
    """Keeps what is no event, and tells of it."""

    def __init__(self, path: Path) -> None:
        """It is kept in the file `path`."""
        self._path = path

    def keep(self, content: bytes, where: Path) -> None:
        """Put `content` aside."""
        _append_to(self._path, content + b"\n")
        logger.warning("a line in %s is no whole event; it is kept in %s", where, self._path)


class Rejected(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event that will not be stored, and why. `error` is the name of the failure's class."""

    event: dict[str, object]
    error: str
    message: str
    issues: list[Issue] = []
    hash: str | None = None

    @classmethod
    def of(cls, content: bytes, error: SynapError) -> "Rejected":
        """The failure of one event."""
        return cls(
            event=msgspec.json.decode(content),
            error=type(error).__name__,
            message=error.message,
            issues=error.issues if isinstance(error, InvalidInput) else [],
            hash=getattr(error, "hash", None),
        )


class Spool:
    """A directory of journals. All who share it log to one server and workspace, as one user."""

    def __init__(self, directory: Path, *, target: str, max_bytes: int, fsync: Fsync) -> None:
        """`target` is the server and workspace. Raises SpoolError where the directory is another's, or no directory."""
        if fcntl is None:
            raise SpoolError("a spool needs the file locks of Linux or macOS; without `spool` events wait in memory")
        self.directory = directory
        self._fsync: Fsync = fsync
        self._segment_bytes = max(1, min(SEGMENT_BYTES, max_bytes // 8))
        self._surveyed_at = 0.0
        self._surveyed = 0
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_target(target)
        except OSError as error:
            raise SpoolError(f"the spool {directory} cannot be used: {error}") from error
        self.damaged = Damaged(directory / "damaged")

    def new_journal(self) -> Journal:
        """A journal of our own. Raises SpoolError."""
        made, fd = self.directory / f".new-{new_id()}", None
        try:
            made.mkdir(mode=0o700)
            fd = os.open(made / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            journal = self.directory / f"j-{new_id()}"
            made.rename(journal)
            if self._fsync != "never":
                _sync_directory(self.directory)
            return self._journal(journal, fd)
        except BaseException as error:  # a signal handler may raise anything
            if fd is not None:
                os.close(fd)  # unlocked, it is removed by whoever looks for journals
            if isinstance(error, OSError):
                raise SpoolError(f"the spool {self.directory} cannot be used: {error}") from error
            raise

    def orphans(self) -> Iterator[Journal]:
        """The journals whose owners are gone, now ours."""
        for path in sorted(self.directory.glob("j-*")):
            try:
                fd = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
            except OSError:  # it was removed meanwhile
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_there = os.path.samestat((path / "lock").stat(), os.fstat(fd))
                if is_there:
                    yield self._journal(path, fd)
                    continue
            except OSError:  # another holds it, or has just removed it
                pass
            os.close(fd)
        for path in self.directory.glob(".new-*"):
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - STALE_SECONDS:
                    shutil.rmtree(path)

    def reject(self, rejected: Rejected) -> None:
        """Keep a refused event, durably."""
        _append_to(self.directory / "rejected.ndjson", msgspec.json.encode(rejected) + b"\n")

    def size_beside(self, own: Journal | None) -> int:
        """Bytes in the directory that are not in the journal `own`, of a moment ago."""
        if time.monotonic() > self._surveyed_at + SURVEY_SECONDS:
            self._surveyed = _size(self.directory, None if own is None else own.directory)
            self._surveyed_at = time.monotonic()
        return self._surveyed

    def _journal(self, path: Path, fd: int) -> Journal:
        return Journal(path, fd, self.damaged, fsync=self._fsync, segment_bytes=self._segment_bytes)

    def _check_target(self, target: str) -> None:
        path = self.directory / "spool.json"
        content = msgspec.json.encode({"target": target})
        made = self.directory / f".{new_id()}"
        _append_to(made, content)  # durable before it has its name: an empty one would be nobody's spool
        try:
            os.link(made, path)  # fails where it is there; and it is never seen unfinished
        except FileExistsError:
            if path.read_bytes() != content:
                raise SpoolError(
                    f"the spool {self.directory} is for another server or workspace: {path.read_text()}"
                ) from None
        finally:
            made.unlink()


def _length(path: Path) -> int:
    """A file's bytes; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write_whole(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _append_to(path: Path, content: bytes) -> None:
    """Durably, and whole or not at all: the processes that share the file write in turn."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_mode & 0o077:  # somebody else made it, or copied it
            os.fchmod(fd, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        size = os.fstat(fd).st_size
        try:
            _write_whole(fd, content)
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, size)
            raise
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile has the file open as well
    finally:
        os.close(fd)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _size(directory: Path, without: Path | None) -> int:
    """Bytes of all files below; what disappears meanwhile counts nothing."""
    total = 0
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    total += (
                        0 if without is not None and entry.path == str(without) else _size(Path(entry.path), without)
                    )
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total
