"""What other users of the machine could read or change in an install."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from app.settings import Settings
from app.store.postgres.admission import HBA, admits_peers_only
from app.store.postgres.postmaster import socket_directory
from app.store.postgres.sockets import SOCKET_NAME


def secrets(settings: Settings) -> list[Path]:
    """The files of keys and secrets that exist. Raises OSError."""
    key = settings.node_key_path
    former = sorted(key.parent.glob(f"{key.name}.z*"))
    return [path for path in (key, *former, settings.secret_path, settings.control_token_path) if path.exists()]


def openings(settings: Settings) -> Iterator[str]:
    """Yield one sentence, with the remedy, for each thing that other users can reach. Raises OSError."""
    if open_ := [str(path) for path in secrets(settings) if _is_open(path.stat())]:
        yield f"Other users may read {', '.join(open_)}; give them to this user, with mode 0600."
    if settings.data_dir.exists() and (fault := _folder_fault(settings.data_dir.stat())):
        yield (
            f"The data directory {settings.data_dir} {fault}: its keys could be replaced; give it to this user, with "
            "mode 0700."
        )
    database = settings.data_dir.resolve() / "postgres"
    if settings.database_url is None and database.exists():
        yield from _database_openings(database)


def _database_openings(database: Path) -> Iterator[str]:
    if _mode(database) & 0o077:
        yield f"Other users may enter {database}; set the mode to 0700."
    if not admits_peers_only(database):
        yield f"{database / HBA} is not as the server writes it, so others may log in; restart the server."
    folder = socket_directory(database)
    if folder is None or not (folder / SOCKET_NAME).exists():
        return
    if open_ := [str(path) for path in sorted({folder, folder / SOCKET_NAME} - {database}) if _mode(path) & 0o077]:
        yield f"Others reach the socket of the database: {', '.join(open_)}; the mode should be 0700."


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _is_open(file: os.stat_result) -> bool:
    """Whether others than this user and root may read a file.

    A mounted secret belongs to root and to a group; only this process is a member of that group.
    """
    if file.st_uid == 0 != os.geteuid() and file.st_gid in {os.getegid(), *os.getgroups()}:
        return bool(file.st_mode & 0o027)
    return bool(file.st_mode & 0o077) or file.st_uid not in {0, os.geteuid()}


def _folder_fault(folder: os.stat_result) -> str | None:
    """Why others could replace the files in a folder; None if they cannot.

    Root may use another user's folder, because the files in it belong to that user.
    """
    if os.geteuid() != 0 and folder.st_uid not in {0, os.geteuid()}:
        return "belongs to another user"
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        return "can be written by every user"
    if folder.st_mode & stat.S_IWGRP and folder.st_gid not in {os.getegid(), *os.getgroups()}:
        return "can be written by another group"
    return None
