"""Kept checkpoints: files in the data directory that record how far each log had come.

They are outside of the database, so they reveal what a changed database has lost.
"""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from app.files import replace_file
from app.ledger.checkpoint import Checkpoint, parse
from app.ledger.notes import MalformedNoteError
from schemas.jsontext import UNREADABLE


class KeptNoteError(Exception):
    """A kept checkpoint cannot be read. The message is one sentence for the operator."""


class RolledBack(Struct, frozen=True):
    """The data of the event `synap.log.rolledback`: the lost checkpoint's size and root (`sha256:<hex>`)."""

    size: int
    root: str


class KeptNote(Struct, frozen=True, forbid_unknown_fields=True):
    """A signed checkpoint of one log, and the ids of the `synap.log.rolledback` events in the log at that time."""

    note: str
    accepted: list[str]

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint in the note. Raises MalformedNoteError."""
        return parse(self.note).checkpoint

    def is_settled_by(self, accepted: Iterable[tuple[str, RolledBack]]) -> bool:
        """Whether an administrator accepted the loss of what this note covers after it was written.

        `accepted` has the id and the data of each `synap.log.rolledback` in the log now.
        """
        size = self.checkpoint.size
        return any(id_ not in self.accepted and event.size >= size for id_, event in accepted)


class KeptNotes:
    """The kept checkpoints of one install on one machine. Every method may raise OSError."""

    def __init__(self, data_dir: Path, node: str) -> None:
        """`node` is the install's id, because a data directory may have served another install before."""
        self.path = data_dir / "checkpoints" / node.removeprefix("did:key:")

    def read(self) -> dict[str, KeptNote | KeptNoteError]:
        """Each log's kept checkpoint, or the reason why its file cannot be read."""
        return {path.stem: _read(path) for path in sorted(self.path.glob("*.json"))}

    def write(self, log: str, kept: KeptNote) -> None:
        """Replace the file of a log atomically. Only this user may read it."""
        self._make_folder()
        replace_file(self._file(log), msgspec.json.encode(kept) + b"\n", durable=True)

    def remove(self, log: str) -> None:
        """Remove the file of a log that was deleted."""
        self._file(log).unlink(missing_ok=True)

    def take(self) -> int | None:
        """A descriptor that locks these files for one process of the machine; None if another process has the lock."""
        self._make_folder()
        descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _make_folder(self) -> None:
        for folder in (self.path.parent, self.path):
            folder.mkdir(mode=0o700, exist_ok=True)

    def _file(self, log: str) -> Path:
        return self.path / f"{log}.json"


def _read(path: Path) -> KeptNote | KeptNoteError:
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=KeptNote)
        parse(kept.note)
    except (*UNREADABLE, MalformedNoteError) as error:
        return KeptNoteError(
            f"The kept checkpoint {path} cannot be read ({type(error).__name__}); restore the file, or remove it to "
            "start a new one."
        )
    except OSError as error:
        return KeptNoteError(f"The kept checkpoint {path} cannot be read: {error.strerror}.")
    return kept
