"""Fixtures: one embedded PostgreSQL for each run, one migrated template, and a clone for each test that writes."""

import gc
import itertools
import os
import pwd
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from app.store.postgres.admission import IDENT, MAP
from app.store.postgres.embedded import postgres
from tests.kit import databases, installs
from tests.kit.packages import STRANGERS_PYTHON, install_packages, strangers_python
from tests.kit.servers import Server, cloned, serving
from tests.kit.trpc import SCRIPTS, Trpc, newest, oldest

_numbers = itertools.count()

# A test that is slow beside others is right.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without the garbage collector, and let it ignore them later.

    The tests are fifteen thousand objects with all that they hold, and they stay. Looking at them again and again takes
    almost half of the time of collecting them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of this run's PostgreSQL, database `postgres`. The user of the tests may log in as any role.

    It does not wait for the disk, and has its files in memory if there is room, so that a database is created and
    dropped many times as fast. Tests of crashes have a PostgreSQL of their own. If `TEST_DATABASE_URL` is set, it is
    that PostgreSQL, as it is.
    """
    if (given := databases.admin_url()) is not None:
        yield given
        return
    with databases.folder(tmp_path_factory) as data_dir, postgres(data_dir, ours=True) as url:
        with (data_dir / "postgres" / IDENT).open("a") as users:
            users.write(f"{MAP} {pwd.getpwuid(os.geteuid()).pw_name} all\n")
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """The name of a migrated database."""
    return databases.make(postgres_url, "template_synap")


@pytest.fixture
def database_url(postgres_url: str, template: str) -> Iterator[str]:
    """The URL of a migrated database of the test's own."""
    with cloned(postgres_url, template, f"test_{next(_numbers)}") as url:
        yield url


@pytest.fixture(scope="session")
def server(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server shared by tests that only add events to it."""
    with (
        cloned(postgres_url, template, f"test_{next(_numbers)}") as url,
        serving(tmp_path_factory.mktemp("server"), database_url=url) as started,
    ):
        yield started


@pytest.fixture(scope="session")
def superjson_server(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shared server that speaks superjson."""
    with (
        cloned(postgres_url, template, f"test_{next(_numbers)}") as url,
        serving(tmp_path_factory.mktemp("superjson"), database_url=url, transformer="superjson") as started,
    ):
        yield started


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory."""
    return tmp_path / "data"


@pytest.fixture(scope="session")
def first_started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with an embedded database in which a server has run, to copy."""
    return installs.first_started(tmp_path_factory)


@pytest.fixture
def started_before(first_started: Path, data_dir: Path) -> None:
    """A server has run in the test's data directory, so the next start does not make the database."""
    installs.copy(first_started, data_dir)


@pytest.fixture(scope="session")
def node() -> Path:
    """The folder of the node scripts, with the packages of its lock file installed.

    Without node the tests are skipped; in CI they fail.
    """
    missing = [command for command in ("node", "npm") if shutil.which(command) is None]
    if missing:
        reason = f"{' and '.join(missing)} not found: the official tRPC packages cannot run"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    install_packages(SCRIPTS)
    return SCRIPTS


@pytest.fixture(scope="session")
def newest_trpc(node: Path) -> Trpc:  # noqa: ARG001 # without node it is skipped
    """The node scripts with the newest packages of tRPC."""
    return newest()


@pytest.fixture(scope="session", params=["newest", "oldest"])
def trpc(request: pytest.FixtureRequest, newest_trpc: Trpc, tmp_path_factory: pytest.TempPathFactory) -> Trpc:
    """The node scripts with the newest packages of tRPC, and with the oldest that are supported."""
    return newest_trpc if request.param == "newest" else oldest(tmp_path_factory.mktemp("oldest"))


@pytest.fixture(scope="session")
def strangers() -> Path:
    """The Python that has other people's readers of logs. A machine without one that is new enough skips the tests."""
    python = strangers_python()
    if python is None:
        pytest.skip(f"no Python {'.'.join(map(str, STRANGERS_PYTHON))} or later found: these programs cannot run")
    return python
