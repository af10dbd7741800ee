"""A store whose process tells how it appends, and where something happens around an append."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.ledger.keyring import Keyring
from app.store.events.alone import ALONE_AFTER, APPEND
from app.store.events.event_log import EventLog
from app.store.events.linker import COUNT_TYPES
from app.store.postgres.database import BEGIN, COMMIT, Database
from app.store.postgres.pipe import Call, CallResult, PipedConnection
from tests.kit.checks import check_log
from tests.kit.databases import require_one_postgresql
from tests.store.opened import Store, draft, opened

BEFORE = {"alone": ALONE_AFTER + 1, "in line": 2}
"""The events after which a process appends so."""

IN_LINE = (APPEND, COMMIT[0])

Interruption = Callable[[], Awaitable[object]]

ID = "01938c1e-0000-7000-8000-000000000001"

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

TERMINATE = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE starts_with(application_name, 'synap server') AND datname = current_database()
"""


TERMINATE_IDLE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE state = 'idle in transaction' AND datname = current_database()
"""


class Watched(Database):
    """A database whose connections tell what they send, and where something happens around an append."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.sent: list[tuple[str, ...]] = []
        """The statements of each round trip."""
        self.before: list[Interruption] = []
        """What happens, once, when a process is about to append: alone it has linked the group already."""
        self.under_lock: list[Interruption] = []
        """What happens, once, when a process in line has linked its group under the lock."""
        self.after: list[Interruption] = []
        """What happens, once, when the group is committed and the process does not know it yet."""
        self.is_many_nodes = False
        """Whether its connections take the database for a distributed one."""
        self.pool.connection_class = type("_Watched", (_Watched,), {"database": self})

    def ways(self) -> list[str]:
        """In which way each group was appended since this was asked last."""
        ways = [way for trip in self.sent if (way := _way(trip))]
        self.sent.clear()
        return ways

    async def interrupt(self, trip: tuple[str, ...]) -> None:
        """Do what is to happen before a round trip."""
        if trip[0] in (APPEND, BEGIN[0]) and trip != IN_LINE and self.before:
            await self.before.pop()()
        if trip == IN_LINE and self.under_lock:
            await self.under_lock.pop()()


def _way(trip: tuple[str, ...]) -> str | None:
    if APPEND in trip:
        return "in line" if trip == IN_LINE else "alone"
    return "locked" if COUNT_TYPES in trip else None


class _Watched(PipedConnection):
    database: Watched

    @property
    def is_distributed(self) -> bool:
        return self.database.is_many_nodes

    @is_distributed.setter
    def is_distributed(self, value: bool) -> None:
        pass

    async def outcomes(self, calls: Sequence[Call]) -> list[CallResult]:
        trip = tuple(sql for sql, _ in calls)
        await self.database.interrupt(trip)
        outcomes = await super().outcomes(calls)
        self.database.sent.append(trip)
        if APPEND in trip and self.database.after:
            await self.database.after.pop()()
        return outcomes


@pytest.fixture(params=list(BEFORE))
def way(request: pytest.FixtureRequest) -> str:
    """In which way the store's process appends next."""
    return str(request.param)


@pytest.fixture
def store(database_url: str, tmp_path: Path, way: str) -> Iterator[Store]:
    """An install of the test's own, whose process has appended to the log `default`."""
    require_one_postgresql("an append without the lock on the end of the log")
    with opened(database_url, tmp_path, connected=Watched) as store:
        for _ in range(BEFORE[way]):
            store.append(draft())
        watched(store).ways()
        yield store


@pytest.fixture
def end(way: str) -> int:
    """The seq of the store's next event."""
    return BEFORE[way]


def watched(store: Store) -> Watched:
    """The store's database."""
    assert isinstance(store.database, Watched)
    return store.database


@pytest.fixture
def other(store: Store) -> Iterator[EventLog]:
    """The log in another process."""
    database = Database(store.url)
    store.run(database.open())
    yield EventLog(database, Keyring(store.keys.path), store.node)
    store.run(database.close())


def log_of(store: Store) -> list[str]:
    """The ids of the log, once all of it was verified, with its counters."""
    return [event["event_id"] for event in check_log(store.url, store.workspace)]


def tried(way: str) -> list[str]:
    """What a process tries that finds other events behind those that it knows."""
    return [*(["alone"] if way == "alone" else []), "in line"]


def asked(store: Store, query: str, *arguments: object) -> Any:
    with psycopg.connect(store.url, autocommit=True) as connection:
        cursor = connection.execute(query, arguments)
        return cursor.fetchone() if cursor.description else None
