"""Files that hold events: written whole, durable, and locked against other processes."""

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


CAN_LOCK = fcntl is not None
"""Whether the system has flock(2)."""


def lock(fd: int) -> None:
    """Lock an open file. Raises OSError if another process has it locked."""
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def length_of(path: Path) -> int:
    """The size of a file. 0 if there is no file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def write_whole(fd: int, content: bytes) -> None:
    """Write all of `content`."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def append_to(path: Path, content: bytes) -> None:
    """Append durably, all or nothing. Processes that share the file write in turn."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_mode & 0o077:  # somebody else has made it, or copied it
            os.fchmod(fd, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        size = os.fstat(fd).st_size
        try:
            write_whole(fd, content)
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, size)
            raise
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # a forked child has the file open as well, so closing does not unlock it
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def size_of(directory: Path, without: Path | None) -> int:
    """The bytes of all files below a directory. Files that disappear meanwhile count nothing."""
    total = 0
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    total += (
                        0 if without is not None and entry.path == str(without) else size_of(Path(entry.path), without)
                    )
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total
