"""The databases of the tests: on an embedded PostgreSQL, or on the one that `TEST_DATABASE_URL` names.

That URL is a superuser's, of any database. If that database has Citus, it is the coordinator's, and knows the other
nodes: then every database of the tests is made on all nodes, and distributed.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from app.store.install.distribution import distribute
from app.store.install.install import migrate
from app.store.install.parts import citus_version

GIVEN = os.environ.get("TEST_DATABASE_URL")

NODES = "SELECT nodename, nodeport FROM pg_dist_node WHERE isactive ORDER BY groupid"
"""The nodes of a cluster, the coordinator first."""

LEAVE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
"""Ends the connections of a database, also that of the extension itself."""


PREFIX = "synap-tests-"

MEMORY = Path("/dev/shm")
"""A file system in memory, as Linux has it."""

ROOM_BYTES = 4 * 2**30
"""How much of it must be free: a run's databases and their log take less than a quarter of it for each worker."""


@contextmanager
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for a PostgreSQL, in memory if there is room, else on the disk.

    A database has four hundred files. A disk's file system looks at each file that was deleted in the last seconds
    before it makes another, which takes most of the time in which a database is copied.
    """
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        yield tmp_path_factory.mktemp("pg")
        return
    _remove_abandoned()
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=MEMORY))
    try:
        with (path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _remove_abandoned() -> None:
    """Remove the folders of runs that were killed. A run that goes on holds the lock in its folder."""
    for lock in MEMORY.glob(f"{PREFIX}*/lock"):
        with suppress(OSError), lock.open() as file:  # another worker may be removing it
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent)


def admin_url() -> str | None:
    """The URL of the database `postgres` of the given PostgreSQL. None if the tests have their own."""
    return None if GIVEN is None else named(GIVEN, "postgres")


def require_own(what: str) -> None:
    """Skip a test of what another PostgreSQL than the embedded one may do in another way."""
    if GIVEN is not None:
        pytest.skip(f"{what} of the PostgreSQL of TEST_DATABASE_URL may be others")


def require_cluster() -> None:
    """Skip a test of what only a cluster does."""
    if GIVEN is None or not is_cluster(named(GIVEN, "postgres")):
        pytest.skip("TEST_DATABASE_URL names no cluster")


def require_one_postgresql(what: str) -> None:
    """Skip a test of what only one PostgreSQL does."""
    if GIVEN is not None and is_cluster(named(GIVEN, "postgres")):
        pytest.skip(f"{what} happens only on one PostgreSQL")


def named(url: str, database: str) -> str:
    """The URL of another database of the same PostgreSQL."""
    parts = urlsplit(url)
    return parts._replace(path=f"/{database}", query=parts.query or "connect_timeout=30").geturl()


def as_role(url: str, role: str) -> str:
    """The URL of the same database for another role, which logs in without a password."""
    return re.sub(r"//[^@]*@", f"//{role}:@", url, count=1)


def make(admin: str, name: str) -> str:
    """Make a migrated database to copy, and return its name. On a cluster it is distributed.

    An earlier run may have left one in a given PostgreSQL: it is removed.
    """
    drop(admin, name)
    nodes, name = _nodes(admin), _own(name)
    for node in nodes:
        _run(node, f"CREATE DATABASE {name}")
    url = named(admin, name)
    if is_cluster(admin):
        _join(url, [named(node, name) for node in nodes])
    migrate(url)
    if is_cluster(admin):
        with psycopg.connect(url, autocommit=True) as connection:
            distribute(connection)
        for node in nodes:  # so that the extension lets the database be copied
            _run(node, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    return name


def copy(admin: str, template: str, name: str) -> str:
    """Make a database as a copy of `template`, and return its URL. An earlier one of this name is removed."""
    drop(admin, name)
    own = _own(name)
    for node in _nodes(admin):
        if is_cluster(admin):
            _run(node, LEAVE, template)
        _administer(node, f"CREATE DATABASE {own} TEMPLATE {template} STRATEGY file_copy")
    return named(admin, own)


def drop(admin: str, name: str) -> None:
    """Remove a database of a test, if it is there."""
    statement = f"DROP DATABASE IF EXISTS {_own(name)} WITH (FORCE)"
    for node in _nodes(admin):
        try:
            _administer(node, statement)
        except psycopg.errors.ObjectInUse:  # on a busy machine the sessions that it ends may need more than its 5 s
            _administer(node, statement)


@cache
def is_cluster(admin: str) -> bool:
    """Whether the tests run on a cluster."""
    if GIVEN is None or admin != admin_url():
        return False
    with psycopg.connect(GIVEN) as connection:
        return citus_version(connection) is not None


@cache
def _nodes(admin: str) -> Sequence[str]:
    """The URLs of the database `postgres` of all nodes."""
    if GIVEN is None or not is_cluster(admin):
        return [admin]
    with psycopg.connect(GIVEN) as connection:
        return [_at(admin, host, port) for host, port in connection.execute(NODES)]


def _own(name: str) -> str:
    """The name of a database. Several processes of one run may share a given PostgreSQL."""
    return f"{name}_{os.environ['PYTEST_XDIST_WORKER']}" if GIVEN and "PYTEST_XDIST_WORKER" in os.environ else name


def _at(url: str, host: str, port: int) -> str:
    """The URL for another node, with the same user."""
    user = urlsplit(url).netloc.rpartition("@")[0]
    return re.sub(r"//[^/?]*", f"//{user}@{host}:{port}", url, count=1)


def _join(url: str, databases: Sequence[str]) -> None:
    """Make the databases of all nodes one cluster."""
    for database in databases:
        _run(database, "CREATE EXTENSION citus")
    first, *others = [urlsplit(database) for database in databases]
    _run(url, "SELECT citus_set_coordinator_host(%s, %s)", first.hostname, first.port)
    for other in others:
        _run(url, "SELECT citus_add_node(%s, %s)", other.hostname, other.port)


_administering: dict[str, psycopg.Connection] = {}


def _administer(url: str, statement: str) -> None:
    """Run a statement on a connection to the database `postgres` that stays open.

    To connect for each costs a quarter of what a test's database costs.
    """
    connection = _administering.get(url)
    if connection is None or connection.closed:
        connection = _administering[url] = psycopg.connect(url, autocommit=True)
    connection.execute(statement)


def _run(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement, values or None)
