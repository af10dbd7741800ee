"""The data directory on disk, and the lock that lets only one server use it at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DataDirectoryError(Exception):
    """The data directory cannot be used; the message is one sentence for the operator."""


@contextmanager
def hold(data_dir: Path) -> Iterator[bool]:
    """Hold the data directory for this process. Yields False if another process holds it.

    The lock ends with the process that holds it, even if that is killed. Raises DataDirectoryError if the directory
    cannot be made.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataDirectoryError(f"The data directory {data_dir} cannot be used: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
