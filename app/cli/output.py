"""The file that a command writes: it appears only when it is complete."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from app.signals import stop


class OutputError(Exception):
    """What a command should write cannot be made or written. The message is one sentence for the operator."""


@contextmanager
def written(path: Path | None, *, force: bool) -> Iterator[IO[bytes]]:
    """A file that gets its name when the block succeeds, with mode 0600. None is standard output.

    With `force` it replaces an existing file. Raises OutputError.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        _check(path, force=force)
        place = path.resolve()  # the target of a link; the link itself stays
        with _temporary(place) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            _name(file.name, place, force=force)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from None


@contextmanager
def _temporary(place: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside `place`. The end of the block removes it, unless it was renamed."""
    with ExitStack() as stack:
        with stop.finishing():
            file = NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}.", delete=False)  # noqa: SIM115 - below
            remove = partial(Path(file.name).unlink, missing_ok=True)
            stack.callback(remove)
            stack.enter_context(stop.before_end(remove))
        stop.check()
        yield stack.enter_context(file)


def _check(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a directory.")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is not a regular file; leave out -o, and redirect standard output to it.")
    if path.exists() and not force:
        raise OutputError(f"{path} exists already; add --force to replace it.")


def _name(written: str, path: Path, *, force: bool) -> None:
    if force:
        Path(written).replace(path)
    else:
        os.link(written, path)  # fails if the file exists by now
