"""Runs code as other users of the machine, who attack or just share it. Only root can act as another user."""

import os
import pwd
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.kit.paths import ROOT

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as other users")

BECOME = """
import os, sys
import psycopg
from pathlib import Path
from app.store.postgres.embedded import postgres

os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
"""
"""Becomes another user after all imports, because that user may not be able to read Python or our code."""

LOG_IN = """
try:
    with psycopg.connect(sys.argv[2]) as connection:
        print("admitted")
        print(*connection.execute("SELECT pg_read_file(%s)", [sys.argv[3]]).fetchone())
except psycopg.Error as error:
    print("refused:", error)
"""


def start_as(user: str | int, code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start Python code as another user, by name or number. It reads `arguments` from `sys.argv[2:]`."""
    uid = user if isinstance(user, int) else pwd.getpwnam(user).pw_uid
    return subprocess.Popen(
        [sys.executable, "-c", BECOME + code, str(uid), *map(str, arguments)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def log_in_as(name: str, url: str, file: Path | str = "PG_VERSION") -> str:
    """What a user of the machine gets by logging in to a database and reading a file as PostgreSQL's role."""
    said, _ = start_as(name, LOG_IN, url, file).communicate(timeout=120)
    return said.strip()


def owners_and_modes(paths: Iterable[Path]) -> dict[Path, tuple[int, int, int]]:
    """The mode, owner and group of each path."""
    found = {}
    for path in paths:
        stat = path.lstat()
        found[path] = (stat.st_mode, stat.st_uid, stat.st_gid)
    return found
