"""The folder for the socket of the embedded PostgreSQL, if the path of the database is too long for a socket.

It is a new folder in the system's temporary folder, and only its owner can enter it. A start removes the folders of
servers that were killed.
"""

import os
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.store.postgres.data_directory import DataDirectoryError
from app.store.postgres.programs import Programs, open_folder

SOCKET_NAME = ".s.PGSQL.5432"

MAX_SOCKET_BYTES = 103
"""The maximum length of a socket's path on all systems (107 on Linux)."""

PREFIX = "synap-socket-"

FILES = {SOCKET_NAME, f"{SOCKET_NAME}.lock"}

OLD_SECONDS = 600.0
"""A folder without a listening server may belong to a server that is starting, but only if it is newer than this."""


def fits(folder: Path) -> bool:
    """Whether the path of a folder is short enough for a socket."""
    return len(os.fsencode(folder / SOCKET_NAME)) <= MAX_SOCKET_BYTES


def socket_folder(programs: Programs) -> Path:
    """Create a folder with a short path that only root and the user that runs the programs can enter.

    Raises DataDirectoryError.
    """
    for parent in _temporary_folders():
        if not fits(parent / f"{PREFIX}12345678") or (programs.user is not None and not _is_open_to_all(parent)):
            continue
        with suppress(OSError):
            made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            programs.give_folder(made)
            return made
    raise DataDirectoryError(
        f"The path {programs.directory} is longer than that of a socket may be, and no folder for temporary files can "
        "be used; set SYNAP_DATA_DIR to a path of at most 80 characters."
    )


def remove_left(programs: Programs) -> None:
    """Remove the folders of this user's servers that were killed."""
    uids = {os.geteuid(), programs.user.uid if programs.user else os.geteuid()}
    for parent in _temporary_folders():
        for folder in parent.glob(f"{PREFIX}*"):
            with suppress(OSError):
                if folder.lstat().st_uid in uids and _is_left(folder):
                    remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder with its socket. If the folder contains anything else, it stays."""
    with suppress(OSError), open_folder(folder) as opened:
        for name in FILES:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=opened)
        folder.rmdir()


def _temporary_folders() -> Iterator[Path]:
    """The system's folders for temporary files: the chosen one first, then the usual ones."""
    folders = []
    with suppress(FileNotFoundError):  # no such folder can be written
        folders.append(tempfile.gettempdir())
    yield from map(Path, dict.fromkeys([*folders, "/tmp", "/var/tmp"]))  # noqa: S108 - mkdtemp makes what is used


def _is_open_to_all(folder: Path) -> bool:
    """Whether every user of the machine can reach a folder."""
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


def _is_left(folder: Path) -> bool:
    """Whether a folder looks like one of ours, and no server listens in it. Raises OSError."""
    found = folder.lstat()
    names = {file.name for file in folder.iterdir()}
    if not stat.S_ISDIR(found.st_mode) or stat.S_IMODE(found.st_mode) != 0o700 or names - FILES:
        return False
    if time.time() - found.st_mtime < OLD_SECONDS:
        return False
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.connect(str(folder / SOCKET_NAME))
        except (ConnectionRefusedError, FileNotFoundError):
            return True
    return False
