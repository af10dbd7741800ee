"""A process that freezes in a transaction holds the tip's lock. The others continue without it within seconds."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager

import psycopg
import pytest

from app.store.events.linker import LOCK_TIP
from app.store.postgres.database import LOST, Database
from tests.acceptance.conftest import Pair
from tests.acceptance.processes import frozen, waiting_for_the_tip
from tests.acceptance.writers import writing
from tests.kit.checks import check_log
from tests.kit.servers import until

PATIENCE_SECONDS = 12
"""How long a frozen process may delay the others."""

CLIENTS = 16
"""Clients of each server. So many answers may be on their way when it freezes."""

EVENT = {"type": "note.created", "data": {}}


def test_others_continue_without_the_frozen_process(pair: Pair, workspace: str) -> None:
    """In one workspace a server freezes within a transaction, in another a client within a message."""
    freezing, other = pair.servers
    with (
        writing(pair.servers, clients=2 * CLIENTS, workspace=workspace) as writers,
        _frozen_client(pair.database_url, "default"),
    ):
        until(lambda: writers.by(freezing) > 50 and writers.by(other) > 50)

        with (
            psycopg.connect(pair.database_url) as connection,
            psycopg.connect(pair.database_url, autocommit=True) as watcher,
            ExitStack() as frost,
        ):
            connection.execute(LOCK_TIP, {"workspace": workspace})
            until(lambda: len(waiting_for_the_tip(watcher)) == 2)
            frost.enter_context(frozen(freezing))
            by_frozen, by_other = writers.by(freezing), writers.by(other)
            # The lock passes to the processes that wait for it, and so to the frozen server, which cannot continue.
            connection.rollback()
            until(lambda: writers.by(other) > by_other + 100, seconds=PATIENCE_SECONDS)
            assert writers.by(freezing) <= by_frozen + CLIENTS, "it is not frozen"
        until(lambda: writers.by(freezing) > by_frozen + 2 * CLIENTS)
        writers.stop()
        until(lambda: other.mutate("events.log", EVENT).status_code == 200, seconds=PATIENCE_SECONDS)

    stored = {event["event_id"] for event in check_log(pair.database_url, workspace)}
    assert writers.acknowledged.keys() <= stored
    check_log(pair.database_url, "default")


@contextmanager
def _frozen_client(database_url: str, workspace: str) -> Iterator[None]:
    """A database client like a server's that freezes under the lock: its event loop does not run during the block.

    It freezes in a pipeline: the database waits for more, and does not regard the transaction as idle.
    """
    database = Database(database_url)
    stack = AsyncExitStack()

    async def lock() -> None:
        await database.open()
        connection = await stack.enter_async_context(database.pool.connection())
        await stack.enter_async_context(connection.pipeline())
        await stack.enter_async_context(connection.transaction())
        await (await connection.execute(LOCK_TIP, {"workspace": workspace})).fetchall()

    async def go_on() -> None:
        with pytest.raises(LOST):
            await stack.aclose()
        assert await database.rows("SELECT 1", {}) == [(1,)], "it no longer works"
        await database.close()

    with asyncio.Runner() as runner:
        runner.run(lock())
        yield
        runner.run(go_on())
