"""Connections keep the most recently used statements prepared, but none that depends on a caller's input."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from app.store.postgres.pipe import MAX_PREPARED, Once, PipedConnection

KEPT: Any = ("SELECT statement, prepare_time::text FROM pg_prepared_statements", {})


def with_connection(url: str, play: Callable[[PipedConnection], Awaitable[None]]) -> None:
    """Run a test's coroutine with a connection of its own."""

    async def run() -> None:
        async with await PipedConnection.connect(url, autocommit=True) as connection:
            await asyncio.wait_for(play(connection), 60)

    asyncio.run(run())


def statement(number: int) -> str:
    """One of many statements."""
    return f"SELECT %(value)s::int + {number}"


def test_the_statements_that_were_used_least_lately_go(database_url: str) -> None:
    async def play(connection: PipedConnection) -> None:
        await connection.trip([(statement(-1), {"value": 1})])
        [first] = await connection.trip([KEPT])

        for number in range(3 * MAX_PREPARED):
            rows = await connection.trip([(statement(-1), {"value": 1}), (statement(number), {"value": 1})])
            assert rows == [[(0,)], [(number + 1,)]]
        [(_, made_at)] = [row for row in first if row[0].endswith("-1")]
        kept: dict[str, str] = dict((await connection.trip([KEPT]))[0])

        assert len(kept) <= MAX_PREPARED + 1
        assert kept["SELECT $1::int + -1"] == made_at
        assert f"SELECT $1::int + {3 * MAX_PREPARED - 1}" in kept
        assert "SELECT $1::int + 0" not in kept

    with_connection(database_url, play)


def test_more_statements_than_are_kept_run_in_one_round_trip(database_url: str) -> None:
    async def play(connection: PipedConnection) -> None:
        calls = [(statement(number), {"value": 1}) for number in range(2 * MAX_PREPARED)]

        for _ in range(2):
            rows = await connection.trip(calls)
            assert rows == [[(number + 1,)] for number in range(2 * MAX_PREPARED)]
        [kept] = await connection.trip([KEPT])

        assert len(kept) <= MAX_PREPARED + 1

    with_connection(database_url, play)


def test_statements_go_though_others_fail(database_url: str) -> None:
    async def play(connection: PipedConnection) -> None:
        for number in range(2 * MAX_PREPARED):
            [outcome, skipped] = await connection.outcomes(
                [("SELECT 1 / %(value)s::int", {"value": 0}), (statement(number), {"value": 1})]
            )
            assert isinstance(outcome, psycopg.errors.DivisionByZero)
            assert skipped is None
            [[answer]] = await connection.trip([(statement(number), {"value": 1})])
            assert answer == (number + 1,)
        [kept] = await connection.trip([KEPT])

        assert len(kept) <= MAX_PREPARED + 1

    with_connection(database_url, play)


def test_a_statement_made_of_a_callers_input_is_not_kept(database_url: str) -> None:
    async def play(connection: PipedConnection) -> None:
        for number in range(10):
            rows = await connection.trip([(statement(-1), {"value": 1}), (Once(statement(number)), {"value": 1})])
            assert rows == [[(0,)], [(number + 1,)]]
        [kept] = await connection.trip([KEPT])

        assert sorted(sql for sql, _ in kept) == ["SELECT $1::int + -1", KEPT[0]]

    with_connection(database_url, play)


def test_a_commit_that_fails_after_the_last_statement_raises(database_url: str) -> None:
    async def play(connection: PipedConnection) -> None:
        await connection.execute("CREATE TABLE parent (id int PRIMARY KEY)")
        await connection.execute("CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")

        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            await connection.trip([("INSERT INTO child VALUES (%(id)s::int) RETURNING id", {"id": 1})])

        assert await connection.trip([("SELECT count(*) FROM child", {})]) == [[(0,)]]

    with_connection(database_url, play)
