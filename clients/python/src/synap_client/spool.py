"""The disk under a recorder: journals of events in a directory that several processes may share.

    spool.json           the server and workspace that the events are for
    j-<id>/              the journal of one recorder; the process that holds `lock` owns it
      lock
      00000001.events    a line for each event: eight hex digits of CRC-32, a space, the event as JSON
      place              the segment and offset up to which events were sent
    rejected.ndjson      events that the server rejects permanently, with the reasons
    damaged              lines that are not events, as they were found

`log` writes an event to the file, with one write, before it returns. So the event outlives the process, however that
ends. A kill or a power cut can leave an unfinished line. It was not a logged event yet, and goes to `damaged`. The
place is written after the server has answered. Events that were sent just before a kill are sent again, with the same
ids, and stored once. If the owner of a journal is gone, its lock is free, and any recorder in the directory takes the
journal over. Locks are flock(2), so the directory must be on a local disk of Linux or macOS.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from synap_client.errors import InvalidInput, Issue, SpoolError, SynapError
from synap_client.events import new_id
from synap_client.files import CAN_LOCK, append_to, lock, size_of, sync_directory
from synap_client.journal import Damaged, Fsync, Journal

SEGMENT_BYTES = 8 * 2**20
"""The size of a segment."""

SURVEY_SECONDS = 1.0
"""How often the size of the directory is measured, at most."""

STALE_SECONDS = 60.0
"""The age at which an unfinished journal counts as abandoned."""


class Rejected(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event that the server rejects, and why. `error` is the name of the failure's class."""

    event: dict[str, object]
    error: str
    message: str
    issues: list[Issue] = []
    hash: str | None = None

    @classmethod
    def of(cls, content: bytes, error: SynapError) -> "Rejected":
        """The event in the line `content`, and its failure."""
        return cls(
            event=msgspec.json.decode(content),
            error=type(error).__name__,
            message=error.message,
            issues=error.issues if isinstance(error, InvalidInput) else [],
            hash=getattr(error, "hash", None),
        )


class Spool:
    """A directory of journals. All recorders that share it log to one server and workspace, as one user."""

    def __init__(self, directory: Path, *, target: str, max_bytes: int, fsync: Fsync) -> None:
        """`target` is the server and workspace. Raises SpoolError if the directory cannot be used for it."""
        if not CAN_LOCK:
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
        """Make a journal. Raises SpoolError."""
        made, fd = self.directory / f".new-{new_id()}", None
        try:
            made.mkdir(mode=0o700)
            fd = os.open(made / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            lock(fd)
            journal = self.directory / f"j-{new_id()}"
            made.rename(journal)
            if self._fsync != "never":
                sync_directory(self.directory)
            return self._journal(journal, fd)
        except BaseException as error:  # a signal handler may raise anything
            if fd is not None:
                os.close(fd)  # it is unlocked now, so `orphans` removes it later
            if isinstance(error, OSError):
                raise SpoolError(f"the spool {self.directory} cannot be used: {error}") from error
            raise

    def orphans(self) -> Iterator[Journal]:
        """Take over the journals whose owners are gone."""
        for path in sorted(self.directory.glob("j-*")):
            try:
                fd = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
            except OSError:  # somebody has removed it meanwhile
                continue
            try:
                lock(fd)
                is_there = os.path.samestat((path / "lock").stat(), os.fstat(fd))
                if is_there:
                    yield self._journal(path, fd)
                    continue
            except OSError:  # another process holds it, or has just removed it
                pass
            os.close(fd)
        for path in self.directory.glob(".new-*"):
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - STALE_SECONDS:
                    shutil.rmtree(path)

    def reject(self, rejected: Rejected) -> None:
        """Store a rejected event durably."""
        append_to(self.directory / "rejected.ndjson", msgspec.json.encode(rejected) + b"\n")

    def size_beside(self, own: Journal | None) -> int:
        """Bytes in the directory outside the journal `own`, measured at most SURVEY_SECONDS ago."""
        if time.monotonic() > self._surveyed_at + SURVEY_SECONDS:
            self._surveyed = size_of(self.directory, None if own is None else own.directory)
            self._surveyed_at = time.monotonic()
        return self._surveyed

    def _journal(self, path: Path, fd: int) -> Journal:
        return Journal(path, fd, self.damaged, fsync=self._fsync, segment_bytes=self._segment_bytes)

    def _check_target(self, target: str) -> None:
        path = self.directory / "spool.json"
        content = msgspec.json.encode({"target": target})
        made = self.directory / f".{new_id()}"
        append_to(made, content)  # durable before it has its name, so that no crash leaves an empty one
        try:
            os.link(made, path)  # fails if the file exists, and nobody sees it unfinished
        except FileExistsError:
            if path.read_bytes() != content:
                raise SpoolError(
                    f"the spool {self.directory} is for another server or workspace: {path.read_text()}"
                ) from None
        finally:
            made.unlink()
