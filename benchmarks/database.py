"""One embedded PostgreSQL for all contestants, each with its own database.

The settings are those of the embedded database: fsync and synchronous_commit are on, so an event is on the disk when
its call returns.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from app.store.postgres.embedded import postgres


class Cluster:
    """A running PostgreSQL, as its superuser."""

    def __init__(self, url: str) -> None:
        """`url` is that of its database `postgres`."""
        self._url = url

    def create_database(self, name: str) -> None:
        """Create an empty database."""
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def drop_database(self, name: str) -> None:
        """Drop a database that nobody uses."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))

    def url(self, database: str) -> str:
        """The libpq URL of a database."""
        return self._url.replace("/postgres?", f"/{database}?", 1)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Open an autocommitting connection."""
        return psycopg.connect(self.url(database), autocommit=True)

    @cached_property
    def pid(self) -> int:
        """The id of the process that starts all others."""
        with self.connect() as connection:
            return int(psutil.Process(connection.info.backend_pid).ppid())

    def written(self, database: str) -> tuple[int, int]:
        """How many bytes of WAL were written so far, and how many bytes of disk `database` takes."""
        statement = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, pg_database_size(%s)"
        with self.connect() as connection:
            wal, disk = connection.execute(statement, (database,)).fetchone() or (0, 0)
        return wal, disk

    def leave_unanalyzed(self) -> None:
        """Switch off the automatic updates of statistics."""
        with self.connect() as connection:
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")

    def settle(self, databases: list[str], *, analyze: bool = True) -> None:
        """Write back dirty pages of earlier runs, and update statistics, so that no run pays for the one before."""
        for database in databases if analyze else ():
            with self.connect(database) as connection:
                connection.execute("VACUUM ANALYZE")
        with self.connect() as connection:
            connection.execute("CHECKPOINT")

    def facts(self) -> dict[str, str]:
        """The version, and the settings that durability depends on."""
        names = {"server_version": "PostgreSQL", "fsync": "fsync", "synchronous_commit": "synchronous_commit"}
        with self.connect() as connection:
            rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(names),))
            return {names[name]: setting for name, setting in sorted(rows, key=lambda row: list(names).index(row[0]))}


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a temporary cluster during the block. Its files are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-pg-") as directory, postgres(Path(directory), ours=True) as url:
        yield Cluster(url)
