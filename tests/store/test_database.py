"""Reads that share round trips."""

import asyncio
import time

import psycopg
import pytest
import uvloop

from app.store.postgres.database import MAX_BATCH, MAX_LANES, Database
from app.store.postgres.pipe import PipedConnection
from benchmarks.process import free_port
from schemas.errors import Unavailable

SLOW = "SELECT 1 FROM pg_sleep(0.1)"

END_THE_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, 'synap server')
"""


def test_a_read_that_comes_as_every_lane_ends_is_answered(database_url: str) -> None:
    async def run() -> None:
        database = Database(database_url)
        await database.open()
        await database.pool.wait()

        answered = 0

        async def read() -> None:
            nonlocal answered
            await database.rows(SLOW, {})
            answered += 1
            if answered == 1:
                assert await database.rows("SELECT 2", {}) == [(2,)]

        try:
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                for _ in range(MAX_LANES):
                    group.create_task(read())
                    await asyncio.sleep(0.02)  # the next read finds this lane running, and opens another
                time.sleep(0.3)  # noqa: ASYNC251 - blocks until every lane has its answer, so that all end in one turn
        finally:
            await database.close()

    asyncio.run(run())


def test_waiting_reads_fail_together_without_a_database() -> None:
    async def run() -> list[object]:
        database = Database(f"postgresql://127.0.0.1:{free_port()}/postgres", wait_seconds=1)
        await database.open()
        try:
            async with asyncio.timeout(60):  # batch after batch it would take 100 s
                reads = [database.rows("SELECT 1", {}) for _ in range(100 * MAX_LANES * MAX_BATCH)]
                return list(await asyncio.gather(*reads, return_exceptions=True))
        finally:
            await database.close()

    assert {type(answer) for answer in asyncio.run(run())} == {Unavailable}


def test_a_reset_after_the_last_message_of_a_connection_ends_its_trip(database_url: str) -> None:
    unread = "x" * 100_000  # more than a backend reads ahead: it hangs up on the rest, which resets the connection

    async def run() -> None:
        async with await PipedConnection.connect(database_url, autocommit=True) as connection:
            trip = asyncio.create_task(
                connection.outcomes([("SELECT pg_sleep(60)", {}), ("SELECT %(text)s", {"text": unread})])
            )
            await asyncio.sleep(0.2)
            with psycopg.connect(database_url) as other:
                other.execute("SELECT pg_terminate_backend(%s::int)", [connection.info.backend_pid])
            time.sleep(0.3)  # noqa: ASYNC251 - its last message and the reset arrive in one turn
            with pytest.raises(psycopg.OperationalError, match=r"closed the connection|Connection reset"):
                await asyncio.wait_for(trip, timeout=30)

    uvloop.run(run())


def test_a_restart_is_not_noticed_by_reads(database_url: str) -> None:
    async def run() -> None:
        database = Database(database_url)
        await database.open()
        try:
            with psycopg.connect(database_url, autocommit=True) as other:
                for _ in range(3):
                    await database.pool.wait()  # all connections are open and idle
                    assert other.execute(END_THE_OTHERS).fetchall()
                    assert await database.rows_alone("SELECT 1", {}) == [(1,)]
        finally:
            await database.close()

    asyncio.run(run())


HELD = "SELECT 1 FROM pg_advisory_xact_lock_shared(1)"
"""A search that runs until the test releases the lock."""


def test_searches_leave_connections_to_everything_else(database_url: str) -> None:
    async def run() -> list[object]:
        database = Database(database_url, max_connections=4, search_wait_seconds=0.5)
        await database.open()
        try:
            asked = [{"workspace": f"w{place}"} for place in range(10)]
            with psycopg.connect(database_url) as holder:
                holder.execute("SELECT pg_advisory_xact_lock(1)")
                slow = [asyncio.create_task(database.search(HELD, each)) for each in asked]
                while len(waiting := [each for each in slow if not each.done()]) > 2:  # until the others are rejected
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                assert await database.rows("SELECT 2", {}) == [(2,)]
                assert await database.rows_alone("SELECT 3", {}) == [(3,)]
            return list(await asyncio.gather(*slow, return_exceptions=True))
        finally:
            await database.close()

    answers = asyncio.run(run())

    assert answers.count([(1,)]) == 2
    assert [type(answer) for answer in answers].count(Unavailable) == 8


OVERLOADED = "The database cannot be reached or is overloaded; retry"
AWAY = "The database is unavailable or took too long; retry"

FAILURES = {
    "08006 connection_failure": AWAY,
    "25006 read_only_sql_transaction": "The database is read-only; retry later",
    "40001 serialization_failure": AWAY,
    "40P01 deadlock_detected": AWAY,
    "53000 insufficient_resources": OVERLOADED,
    "53100 disk_full": "The disk of the database is full; retry later",
    "53200 out_of_memory": OVERLOADED,
    "53300 too_many_connections": OVERLOADED,
    "53400 configuration_limit_exceeded": OVERLOADED,
    "55P03 lock_not_available": AWAY,
    "57P01 admin_shutdown": AWAY,
    "57P02 crash_shutdown": AWAY,
    "57P03 cannot_connect_now": AWAY,
    "58000 system_error": AWAY,
    "58030 io_error": AWAY,
    "42501 insufficient_privilege": None,
    "23505 unique_violation": None,
    "XX001 data_corrupted": None,
}
"""The message for a statement that fails with a SQLSTATE; None if it is our fault, so that the error stays as it is."""


@pytest.mark.parametrize(("state", "message"), FAILURES.items(), ids=list(FAILURES))
def test_temporary_failures_are_unavailable(database_url: str, state: str, message: str | None) -> None:
    async def run() -> Exception:
        database = Database(database_url)
        await database.open()
        try:
            await database.rows("SELECT failed(%(state)s)", {"state": state.split(maxsplit=1)[0]})
        except (Unavailable, psycopg.Error) as error:
            return error
        finally:
            await database.close()
        raise AssertionError("it did not fail")

    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION failed(state text) RETURNS void LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = state; END $$"
        )

    error = asyncio.run(run())

    if message is None:
        assert isinstance(error, psycopg.Error)
    else:
        assert isinstance(error, Unavailable)
        assert error.message == message
