"""Notices of commits between processes: when a process listens, and how long it gathers notices."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from websockets.sync.client import connect

from app.store.postgres.notices import CHANNEL, LISTENER, PATIENT_LISTENER, TELLER, Notices
from benchmarks.process import answers, free_port
from tests.kit.servers import cloned, serving, until

ROUNDS = 20

UNHEARD_SECONDS = 0.1

NEVER_SECONDS = 3600.0
"""A process that gathers its notices for so long tells nothing in a test, unless something makes it hurry."""


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """A database without tables."""
    with cloned(postgres_url, "template0", "test_notices") as own:
        yield own


@asynccontextmanager
async def _telling(url: str, unheard_seconds: float = UNHEARD_SECONDS) -> AsyncIterator[Notices]:
    notices = Notices(url, unheard_seconds)
    notices.open()
    try:
        yield notices
    finally:
        await notices.close()


async def _seconds_of_rounds(url: str, notices: Notices) -> float:
    """How long it takes to send some notices, each after the previous one was received."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        started = time.monotonic()
        for seq in range(ROUNDS):
            notices.tell("default", seq)
            told: list[str] = []
            while f"default {seq}" not in told:  # a process also tells that it begins to listen
                told = [notice.payload async for notice in connection.notifies(timeout=60, stop_after=1)]
                assert told
        return time.monotonic() - started


def test_notices_are_gathered_longer_while_nobody_else_listens(url: str) -> None:
    seconds: list[float] = []

    async def run() -> None:
        async with _telling(url) as teller, _telling(url) as other:
            for process in (teller, other):  # the teller hears itself first
                connected = asyncio.Event()
                process.listen(lambda _workspace, _seq: None, lambda _workspace: None, connected.set)
                await connected.wait()
                seconds.append(await _seconds_of_rounds(url, teller))

    asyncio.run(run())
    unheard, heard = seconds

    assert unheard > (ROUNDS - 2) / 2 * UNHEARD_SECONDS
    assert heard < unheard


def test_a_process_receives_notices_while_it_listens(url: str) -> None:
    heard: list[tuple[str, int]] = []

    async def eventually(condition: Callable[[], Any]) -> None:
        await asyncio.to_thread(until, condition)

    async def run() -> None:
        async with _telling(url) as teller, _telling(url) as other:
            for place in range(2):
                connected = asyncio.Event()
                other.listen(lambda workspace, seq: heard.append((workspace, seq)), lambda _: None, connected.set)
                await connected.wait()
                teller.tell("default", place)
                await eventually(lambda: ("default", place) in heard)  # noqa: B023
                other.stop_listening()
                await eventually(lambda: _listeners(url) == 0)

    asyncio.run(run())


@pytest.mark.parametrize("begins", ["listens", "hurries", "changes"])
def test_a_process_that_gathers_notices_hurries_if_another_begins_to(url: str, begins: str) -> None:
    heard: list[int] = []
    hurries: list[bool] = []

    def listen(notices: Notices, *, is_hurried: Callable[[], bool]) -> None:
        notices.listen(lambda _, seq: heard.append(seq), lambda _: None, lambda: None, is_hurried=is_hurried)

    async def run() -> None:
        async with _telling(url, NEVER_SECONDS) as teller, _telling(url, NEVER_SECONDS) as other:
            listen(teller, is_hurried=lambda: False)
            if begins != "listens":
                listen(other, is_hurried=lambda: bool(hurries))
            await asyncio.to_thread(until, lambda: _listeners(url, PATIENT_LISTENER) == 1 + (begins != "listens"))
            teller.tell("default", 0)
            await asyncio.to_thread(until, lambda: _sent(url))

            hurries.append(True)
            if begins == "changes":
                other.tell_changed("default")
            else:
                listen(other, is_hurried=lambda: True)
            await asyncio.to_thread(until, lambda: _listeners(url) == 1)
            teller.tell("default", 1)

            await asyncio.to_thread(until, lambda: 1 in heard)

    asyncio.run(run())


def _sent(url: str) -> bool:
    """Whether the process that tells first has sent, and then has asked whether anybody hears it."""
    with psycopg.connect(url) as connection:
        asked = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND query LIKE '%%EXISTS%%'"
            " AND state = 'idle' AND datname = current_database()",
            [TELLER],
        ).fetchone()
    return asked == (1,)


def _listeners(url: str, name: str = LISTENER) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s",
            [name],
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_news_is_gathered_while_others_listen_only_for_the_first_webhook(url: str) -> None:
    waits: list[bool] = []

    async def run() -> tuple[float, float]:
        async with _telling(url) as teller, _telling(url) as other:
            other.listen(lambda _workspace, _seq: None, lambda _: None, lambda: None, is_hurried=lambda: bool(waits))
            await asyncio.to_thread(until, lambda: _listeners(url, PATIENT_LISTENER) == 1)
            patient = await _seconds_of_rounds(url, teller)
            waits.append(True)
            await asyncio.to_thread(until, lambda: _listeners(url) == 1)
            return patient, await _seconds_of_rounds(url, teller)

    patient, hurried = asyncio.run(run())

    assert patient > (ROUNDS - 2) / 2 * UNHEARD_SECONDS
    assert hurried < patient


def test_processes_listen_in_a_hurry_while_they_have_a_reader(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, database_url=database_url, ledger_port=port) as server:
        until(lambda: _listeners(database_url, PATIENT_LISTENER) == 1)
        until(lambda: answers(f"http://127.0.0.1:{port}/v1/events", 401))  # a process of its own, which may be later
        for place in range(2):
            stream = f"ws://127.0.0.1:{port}/v1/stream"
            with connect(stream, additional_headers=server.headers, proxy=None) as reader:
                until(lambda: _listeners(database_url) == 1)
                logged = server.mutate("events.log", {"type": "note.created", "data": {"place": place}})
                assert logged.json()["result"]["data"]["id"] in str(reader.recv(timeout=60))
            until(lambda: _listeners(database_url) == 0)


def test_processes_listen_in_a_hurry_while_there_is_a_webhook(database_url: str, tmp_path: Path) -> None:
    with serving(tmp_path, database_url=database_url, workers=2) as server:
        until(lambda: _listeners(database_url, PATIENT_LISTENER) == 2)

        wanted = {"eventTypes": ["note.*"], "webhookUrl": "https://93.184.216.34/hook"}
        assert server.mutate("subscriptions.create", wanted).status_code == 200

        until(lambda: _listeners(database_url) == 2)
