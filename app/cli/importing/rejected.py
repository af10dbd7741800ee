"""The file of `--skip-bad`: the lines that an import rejected, with the reasons."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from app.cli.importing.drafting import LinePiece, RefusedLine
from app.cli.importing.options import ImportOptions
from app.cli.importing.reader import ImportingError


class _SetAside(Struct, frozen=True, forbid_unknown_fields=True):
    """A rejected line, as `--skip-bad` writes it."""

    line: int
    issues: list[dict[str, str]]
    text: str


@contextmanager
def refusals_of(path: Path, source: IO[bytes], options: ImportOptions) -> Iterator[IO[bytes]]:
    """The file for rejected lines: a new one, or that of an earlier run, with the lines that are not read again."""
    try:
        if path.exists() and os.path.samestat(path.stat(), os.fstat(source.fileno())):
            raise ImportingError(f"{path} is the file to import; name another file for rejected lines.")
        kept = _kept_bytes(path, options) if path.is_file() else 0
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")
        if path.is_file():
            os.fchmod(file.fileno(), 0o600)  # it may be that of an earlier run, or made by the operator
            file.truncate(kept)
    except OSError as error:
        raise ImportingError(f"{path} cannot be written: {error.strerror}.") from None
    try:
        yield file
    finally:
        with suppress(OSError):  # `set_aside` has reported it
            file.close()


def set_aside(file: IO[bytes], refused: Sequence[RefusedLine], piece: LinePiece, options: ImportOptions) -> None:
    """Write rejected lines of a piece, with the reasons. Raises ImportingError."""
    try:
        for each in refused:
            issues = [{"path": issue.path, "message": issue.message} for issue in each.issues]
            text = piece.lines[each.number - piece.first].decode(errors="replace")
            file.write(msgspec.json.encode(_SetAside(each.number, issues, text)) + b"\n")
        file.flush()
    except OSError as error:
        raise ImportingError(f"{options.skip_bad} cannot be written: {error.strerror}.") from None


def _kept_bytes(path: Path, options: ImportOptions) -> int:
    """The bytes of the file of an earlier run that hold lines before `from_line`. Raises ImportingError, OSError."""
    kept = 0
    with path.open("rb") as file:
        for place, text in enumerate(file):
            try:
                is_kept = msgspec.json.decode(text, type=_SetAside).line < options.from_line
            except msgspec.DecodeError:
                if place == 0:
                    raise ImportingError(
                        f"{path} exists already, and no import wrote it; name another file for rejected lines."
                    ) from None
                is_kept = False  # half a line: that run was killed
            if not is_kept:
                break
            kept += len(text)
    return kept
