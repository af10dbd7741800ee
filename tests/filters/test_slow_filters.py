"""A read that takes too long is ended in time, with an error that names the remedy, and harms no other call."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg
import pytest
from msgspec import Struct

from app.store.postgres.database import Database
from app.store.postgres.pipe import ANSWER_SECONDS
from tests.kit import web
from tests.kit.servers import Server, cloned, serving
from tests.properties.door import Door

TIMEOUT_SECONDS = 1
"""The statement timeout of this server."""

BACKENDS = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND starts_with(application_name, 'synap server')
ORDER BY pid
"""

TIMEOUTS = "SELECT name, setting::int FROM pg_settings WHERE name LIKE '%_timeout' AND unit = 'ms'"


class Impatient(Struct, frozen=True):
    """A running server and its database."""

    server: Server
    database_url: str

    def connections(self) -> list[int]:
        """The pids of the database processes that serve this server."""
        with psycopg.connect(self.database_url) as connection:
            return [pid for (pid,) in connection.execute(BACKENDS)]

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Make every read of events wait during the block."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()


@pytest.fixture(scope="module")
def impatient(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Impatient]:
    """A server whose log has one event that caused all the others."""
    options = quote(f"-c statement_timeout={TIMEOUT_SECONDS}s")
    with (
        cloned(postgres_url, template, "test_slow_filters") as url,
        serving(tmp_path_factory.mktemp("slow"), database_url=f"{url}&options={options}") as server,
    ):
        cause = str(uuid4())
        effects = [{"type": "note.created", "data": {"place": place}, "causationId": cause} for place in range(999)]
        _logged(server, [{"id": cause, "type": "a.b", "data": {}}, *effects])
        yield Impatient(server, url)


def _logged(server: Server, drafts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = server.mutate("events.logBatch", {"events": drafts})
    assert answer.status_code == 200, answer.text
    events: list[dict[str, Any]] = answer.json()["result"]["data"]
    return events


def _siblings() -> dict[str, Any]:
    """A filter that reads the siblings of each event many times; OR prevents a join."""
    looked_for = [{"parent": {"some": {"children": {"some": {"data.place": f"no {number}"}}}}} for number in range(30)]
    return {"OR": [{"seq": -1}, *looked_for]}


def _costly(place: int) -> dict[str, Any]:
    """A filter that searches each event's text a hundred times, and matches only one event."""
    return {"OR": [*({"data.text": {"contains": f"{number}"}} for number in range(97)), {"data.place": place}]}


def _rest(path: str) -> Callable[[Server, object], httpx.Response]:
    def ask(server: Server, filter_: object) -> httpx.Response:
        return web.get(
            f"{server.url}{path}", params={"filter": json.dumps(filter_)}, headers=server.headers, timeout=30
        )

    return ask


def _trpc(name: str) -> Callable[[Server, object], httpx.Response]:
    return lambda server, filter_: server.query(name, {"filter": filter_})


DOORS = {
    "GET /api/events": _rest("/api/events"),
    "GET /ledger/v1/events": _rest("/ledger/v1/events"),
    **{name: _trpc(name) for name in ("events.browse", "events.list", "events.page", "ledger.entries")},
}


def _error(answer: httpx.Response) -> tuple[str, str]:
    """The code and the message of a rejected call."""
    error = answer.json()["error"]
    return error["data"]["reason"] if "data" in error else error["code"], error["message"]


@pytest.mark.parametrize("door", DOORS)
def test_a_read_that_takes_too_long_is_rejected_in_time(impatient: Impatient, door: str) -> None:
    ask = DOORS[door]
    ask(impatient.server, {})
    connections = impatient.connections()

    with impatient.slow():
        started = time.perf_counter()
        answer = ask(impatient.server, {"data.place": 7})
        elapsed = time.perf_counter() - started

    assert answer.status_code == 503, answer.text
    assert TIMEOUT_SECONDS <= elapsed < TIMEOUT_SECONDS + 15
    code, message = _error(answer)
    assert code == "unavailable"
    assert "took too long" in message
    assert "narrow the filter" in message
    assert impatient.connections() == connections  # no connection was lost
    assert ask(impatient.server, {"data.place": 7}).status_code == 200


def test_many_slow_reads_at_once_leave_a_server_that_answers(impatient: Impatient) -> None:
    with impatient.slow(), ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda door: DOORS[door](impatient.server, {"data.place": 7}), [*DOORS] * 4))

    assert {answer.status_code for answer in answers} <= {429, 503}
    assert {_error(answer)[0] for answer in answers} <= {"rate_limit_exceeded", "unavailable"}
    assert {message for _, message in map(_error, answers) if "narrow the filter" not in message} == set()
    assert all(answer.headers["retry-after"] for answer in answers)
    for ask in DOORS.values():
        assert ask(impatient.server, {"seq": 3}).status_code == 200
    log = impatient.server.log.read_text(errors="replace")
    assert '"event": "defect"' not in log
    assert "discarding closed connection" not in log


@pytest.mark.parametrize("door", DOORS)
def test_the_costliest_filters_are_answered_in_time(impatient: Impatient, door: str) -> None:
    for filter_ in (_siblings(), _costly(1)):
        started = time.perf_counter()

        answer = DOORS[door](impatient.server, filter_)

        assert time.perf_counter() - started < 2 * TIMEOUT_SECONDS + 15  # one timeout each for page and total
        assert answer.status_code == 200 or "narrow the filter" in _error(answer)[1]


def test_a_statement_is_ended_before_its_connection_is(database_url: str) -> None:
    async def run() -> dict[str, int]:
        database = Database(database_url)
        await database.open()
        try:
            return dict(await database.rows_alone(TIMEOUTS, {}))
        finally:
            await database.close()

    timeouts = asyncio.run(run())

    assert 0 < timeouts["lock_timeout"] < timeouts["statement_timeout"] < ANSWER_SECONDS * 1000
    assert timeouts["statement_timeout"] < timeouts.get("transaction_timeout", ANSWER_SECONDS * 1000)


def test_a_stream_with_a_slow_filter_continues_in_smaller_pieces(impatient: Impatient) -> None:
    server, text = impatient.server, "word " * 24_000
    drafts = [{"type": "a.large", "data": {"text": text, "place": place}} for place in range(200)]
    first, *_ = [event for start in range(0, 200, 50) for event in _logged(server, drafts[start : start + 50])]
    wanted = {"start": first["id"], "filter": _costly(199), "markers": True}
    assert _trpc("events.list")(server, wanted["filter"]).status_code == 503

    reply = Door(server, superjson=False, seconds=60).stream("events.stream", wanted)

    [found, marker] = reply.body
    assert found["data"]["place"] == 199
    assert marker["caughtUp"] is True
