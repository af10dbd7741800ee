"""Installs that tests do not make by a first start of a server: that takes three times as long as another start."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from app.store.install.install import Files, connect, set_up
from tests.kit.servers import serving


def initialised(database_url: str, data_dir: Path) -> str:
    """Make the install in a migrated database, with its files in `data_dir`. Returns the URL."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = Files(*(data_dir / name for name in ("node.key", "install.secret", "control.token")))
    with connect(database_url) as connection:
        set_up(connection, files)
    return database_url


def first_started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as the first start of a server leaves it, to copy. One process of a run makes it for all."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "first-start"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = tmp_path_factory.mktemp("making")
            with serving(making) as server:
                pass
            server.log.unlink()
            making.rename(folder)
    return folder


def copy(data_dir: Path, to: Path) -> Path:
    """Copy a data directory whose server is stopped. The copy has the owners of its files."""
    subprocess.run(["cp", "-a", data_dir, to], check=True)
    return to
