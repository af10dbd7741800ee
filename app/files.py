"""Files of the data directory that are replaced while other processes read them."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes, *, durable: bool) -> None:
    """Replace a file atomically. Only this user may read it. If `durable`, it survives a power cut.

    No link is followed, neither at the file, its folder nor the new file: a server that runs as root writes where the
    owner of the data directory could place links. Raises OSError.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        made = f".{path.name}.{secrets.token_hex(8)}"
        file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            _write(file, content, durable=durable)
            os.replace(made, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(made, dir_fd=folder)
            raise
        if durable:
            os.fsync(folder)
    finally:
        os.close(folder)


def _write(descriptor: int, content: bytes, *, durable: bool) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(descriptor)
