"""Who may log in to the embedded PostgreSQL, whatever the modes and owners of its folders are."""

import os
import pwd
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.server.install import ready
from app.settings import Settings
from app.store.install.install import connect
from app.store.postgres.admission import HBA, admits_peers_only
from app.store.postgres.data_directory import DataDirectoryError
from app.store.postgres.embedded import postgres
from app.store.postgres.postmaster import url_of_server
from app.store.postgres.programs import Programs
from app.store.postgres.roles import SERVER, power
from app.store.postgres.sockets import OLD_SECONDS, PREFIX, SOCKET_NAME, remove_left, socket_folder
from tests.kit import installs
from tests.kit.users import AS_ROOT, log_in_as, start_as

LONG = "x" * 110

START = """
from app.store.postgres.data_directory import DataDirectoryError
try:
    with postgres(Path(sys.argv[2]), ours=True):
        print("started")
except DataDirectoryError as error:
    print(error)
"""

OLD_RULES = "local all all trust\nhost all all 127.0.0.1/32 trust\n"
"""The login rules of version 0.1."""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory below a folder that every user can enter."""
    with tempfile.TemporaryDirectory(prefix="synap-test-") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / LONG).mkdir(mode=0o755)
        yield Path(folder) / LONG


@pytest.fixture
def used(first_started: Path, data_dir: Path) -> Path:
    """That data directory after a server has run in it."""
    data_dir.rmdir()
    installs.copy(first_started, data_dir).chmod(0o755)
    return data_dir


def _socket(url: str) -> Path:
    """The socket of a server whose path is too long for a socket."""
    with psycopg.connect(url) as connection:
        [(folder,)] = connection.execute("SHOW unix_socket_directories").fetchall()
    return Path(folder) / SOCKET_NAME


def _open(url: str) -> None:
    """Open the socket to every user."""
    _socket(url).parent.chmod(0o777)
    _socket(url).chmod(0o777)


@AS_ROOT
def test_no_other_user_reaches_the_socket_of_a_long_path(used: Path) -> None:
    with postgres(used, ours=True) as url:
        found = [log_in_as("daemon", each) for each in (url, url_of_server(url))]

    assert [said.startswith("refused: ") and "Permission denied" in said for said in found] == [True] * 2


@AS_ROOT
@pytest.mark.parametrize("name", ["daemon", "nobody"])
def test_no_other_user_logs_in_though_the_socket_is_open(used: Path, name: str) -> None:
    """PostgreSQL runs as `nobody` here, because root owns the data directory. Other programs run as that user too."""
    with ready(Settings(data_dir=used), serving=True) as install:
        _open(install.urls.owner)
        found = [log_in_as(name, url, used / "node.key") for url in (install.urls.owner, install.urls.server)]

    assert [said.startswith("refused: ") and "Peer authentication failed" in said for said in found] == [True] * 2


@AS_ROOT
def test_the_owner_of_the_directory_and_root_log_in(data_dir: Path) -> None:
    daemon = pwd.getpwnam("daemon")
    os.chown(data_dir, daemon.pw_uid, daemon.pw_gid)

    with postgres(data_dir, ours=True) as url:
        found = [log_in_as(name, url).split()[0] for name in ("root", "daemon", "nobody")]

    assert found == ["admitted", "admitted", "refused:"]


@AS_ROOT
def test_an_old_data_directory_is_closed_at_the_next_start(used: Path) -> None:
    settings = Settings(data_dir=used)
    with ready(settings, serving=True) as install, connect(install.urls.owner) as connection:
        connection.execute(f"DROP OWNED BY {SERVER}; DROP ROLE {SERVER}")
    (used / "postgres" / HBA).write_text(OLD_RULES)

    with ready(settings, serving=True) as install:
        _open(install.urls.owner)
        found = log_in_as("daemon", install.urls.owner)
        with connect(install.urls.server) as connection:
            has = power(connection)

    assert "Peer authentication failed" in found
    assert (has.role, has.is_superuser, has.is_owner) == (SERVER, False, False)
    assert admits_peers_only(used / "postgres")


@AS_ROOT
def test_no_file_of_another_is_given_away_through_a_link(data_dir: Path) -> None:
    daemon = pwd.getpwnam("daemon")
    os.chown(data_dir, daemon.pw_uid, daemon.pw_gid)
    with postgres(data_dir, ours=True):
        pass
    secret = data_dir.parent / "secret"
    secret.touch(mode=0o600)
    (data_dir / "postgres" / "log").unlink()
    (data_dir / "postgres" / "log").symlink_to(secret)

    with pytest.raises(DataDirectoryError, match="cannot be used"), postgres(data_dir, ours=True):
        pass

    assert (secret.stat().st_uid, secret.stat().st_size) == (0, 0)


# The folders of sockets.


def _age(folder: Path) -> None:
    os.utime(folder, (0, folder.stat().st_mtime - 2 * OLD_SECONDS))


@pytest.fixture
def programs(data_dir: Path) -> Programs:
    """The programs of the data directory."""
    return Programs(data_dir / "postgres")


def test_the_folder_of_a_killed_server_is_removed_by_the_next_start(programs: Programs) -> None:
    left = socket_folder(programs)
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(left / SOCKET_NAME))

    remove_left(programs)
    was_there = left.exists()
    _age(left)
    remove_left(programs)

    assert was_there
    assert not left.exists()


def test_no_other_folder_is_removed(programs: Programs, tmp_path: Path) -> None:
    with_more, live = socket_folder(programs), socket_folder(programs)
    (with_more / "more").touch()
    link = with_more.with_name(f"{PREFIX}link-{os.getpid()}")
    link.symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(live / SOCKET_NAME))
        listener.listen()
        for folder in (with_more, live, link):
            _age(folder)

        remove_left(programs)

        found = [folder.exists() for folder in (with_more, live, link)]
    for path in (with_more / "more", live / SOCKET_NAME, link):
        path.unlink()
    with_more.rmdir()
    live.rmdir()
    assert found == [True, True, True]


@AS_ROOT
def test_a_folder_of_another_user_is_left_alone(programs: Programs) -> None:
    folder = socket_folder(programs)
    os.chown(folder, pwd.getpwnam("daemon").pw_uid, -1)

    _age(folder)

    remove_left(programs)

    assert folder.exists()
    folder.rmdir()


# Users without a name, as in containers.

NAMELESS = 54321


@AS_ROOT
def test_root_makes_a_database_in_the_folder_of_a_user_without_a_name(data_dir: Path) -> None:
    os.chown(data_dir, NAMELESS, NAMELESS)

    with postgres(data_dir, ours=True) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)

    assert (data_dir / "postgres").stat().st_uid == pwd.getpwnam("nobody").pw_uid


@AS_ROOT
def test_root_continues_the_database_of_a_user_without_a_name(used: Path) -> None:
    for path in (used / "postgres", *(used / "postgres").rglob("*")):
        os.chown(path, NAMELESS, NAMELESS, follow_symlinks=False)

    with postgres(used, ours=True) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@AS_ROOT
def test_a_user_without_a_name_is_one_sentence(data_dir: Path) -> None:
    os.chown(data_dir, NAMELESS, NAMELESS)

    said, _ = start_as(NAMELESS, START, data_dir).communicate(timeout=120)

    assert said.startswith(f"The user {NAMELESS} has no name on this machine, but PostgreSQL needs one; ")
