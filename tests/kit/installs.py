"""Installs without their command: the keys and the rows that `synap init` makes."""

from pathlib import Path

from app.store.install.install import Files, connect, set_up


def initialised(database_url: str, data_dir: Path) -> str:
    """Make the install in a migrated database, with its files in `data_dir`. Returns the URL."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = Files(*(data_dir / name for name in ("node.key", "install.secret", "control.token")))
    with connect(database_url) as connection:
        set_up(connection, files)
    return database_url
