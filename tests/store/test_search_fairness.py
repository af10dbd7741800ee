"""With a real PostgreSQL: the searches of one workspace leave connections and time to others."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psycopg
from msgspec import convert

from app.store.postgres.database import Database
from schemas.errors import ProcedureError
from schemas.event import ListEvents
from tests.kit.servers import until
from tests.store.opened import Store, draft

EFFECTS = 1000

SIBLINGS = {"OR": [{"seq": -1}, {"parent": {"some": {"children": {"some": {"data.place": "nosuch"}}}}}]}
"""A filter that reads all siblings of each event; OR prevents a join."""

SLEEPING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()
"""

SERVING = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE datname = current_database() AND starts_with(application_name, 'synap server')"
)


def test_searches_of_one_workspace_leave_another_its_own(store: Store) -> None:
    [cause] = store.append(draft())
    store.append(*(draft(causation_id=str(cause.id)) for _ in range(EFFECTS)))
    store.append(draft(data={"place": 1}), workspace=store.other)
    slow = convert({"filter": SIBLINGS}, ListEvents)
    quick = convert({"filter": {"data.place": 1}}, ListEvents)

    async def run() -> list[int]:
        async def search_on() -> None:
            while True:
                with suppress(ProcedureError):  # too many search at once
                    await store.reader.events(store.workspace, slow, None)
                await asyncio.sleep(0.01)

        flood = [asyncio.create_task(search_on()) for _ in range(8)]
        await asyncio.sleep(0.5)
        found = [await store.reader.events(store.other, quick, None) for _ in range(20)]
        for each in flood:
            each.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        return [len(each.read(list)) for each in found]

    assert store.run(run()) == [1] * 20


def played(url: str, play: Callable[[Database], Awaitable[None]]) -> None:
    """Run a test's coroutine with a database of its own."""

    async def run() -> None:
        database = Database(url, max_connections=4)
        await database.open()
        await database.pool.wait()
        try:
            await asyncio.wait_for(play(database), 60)
        finally:
            await database.close()

    asyncio.run(run())


def test_a_search_whose_caller_goes_ends_in_the_database_and_keeps_its_connection(database_url: str) -> None:
    def pids(query: str) -> set[int]:
        with psycopg.connect(database_url) as other:
            return {pid for (pid,) in other.execute(query)}

    async def play(database: Database) -> None:
        sleep = "SELECT pg_sleep(60)"
        search = asyncio.create_task(database.search(sleep, {"workspace": "a"}))
        running = await asyncio.to_thread(until, lambda: pids(SLEEPING))

        search.cancel()
        await asyncio.wait([search], timeout=30)

        assert search.cancelled()
        assert not pids(SLEEPING)
        assert running <= pids(SERVING)
        assert await database.search("SELECT 1", {"workspace": "a"}) == [(1,)]

    played(database_url, play)


def test_reads_of_one_workspace_do_not_go_before_all_reads_of_another(database_url: str) -> None:
    async def play(database: Database) -> None:
        ended: list[str] = []

        async def read(workspace: str) -> None:
            await database.rows("SELECT 1 FROM pg_sleep(0.01)", {"workspace": workspace})
            ended.append(workspace)

        many = [asyncio.create_task(read("a")) for _ in range(400)]
        await asyncio.sleep(0)
        await asyncio.gather(read("b"), *many)

        assert ended.index("b") < 200

    played(database_url, play)
