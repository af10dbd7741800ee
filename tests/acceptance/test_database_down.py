"""The database goes away under a running server, and comes back."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import httpx
import psycopg
import pytest

from app.store.events.linker import LOCK_TIP
from tests.acceptance.processes import Cluster, waiting_for_the_tip
from tests.acceptance.writers import writing
from tests.kit import web
from tests.kit.checks import check_log
from tests.kit.installs import copy
from tests.kit.servers import Server, serving, until

FAIL_SECONDS = 15
"""A request that cannot be served is answered within this time."""

HEAL_SECONDS = 30
"""This long after its database is back, a server serves again by itself."""

GIVE_UP_SECONDS = 12
"""The maximum time of a request whose database neither answers nor closes the connection."""

CUT_THE_FIRST_COMMIT = """
CREATE SEQUENCE commits;
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('commits') = 1 THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION cut();
"""
"""Ends the connection of the next commit, while it commits and before anything is durable."""

UNANSWERED = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"
"""The backends whose commit is durable but not confirmed yet."""


@pytest.fixture(scope="module")
def cluster(first_started: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A PostgreSQL that tests may stop. Each test leaves it running."""
    started = Cluster(copy(first_started, tmp_path_factory.mktemp("cluster") / "data"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Server]:
    """A server of that database."""
    with serving(cluster.data_dir, database_url=cluster.url) as started:
        yield started


def test_requests_fail_fast_while_the_database_is_down_and_work_when_it_is_back(
    cluster: Cluster, server: Server
) -> None:
    logged = server.mutate("events.log", _event()).json()["result"]["data"]

    with _outage(cluster, server, cluster.stop):
        # For longer than the server caches a key: then it cannot even authenticate a caller.
        asked_anew_at = time.monotonic() + 4
        while time.monotonic() < asked_anew_at:
            with ThreadPoolExecutor() as pool:
                answers = [
                    pool.submit(server.mutate, "events.log", _event()),
                    pool.submit(server.query, "events.get", {"eventId": logged["id"]}),
                    pool.submit(server.query, "events.list"),
                ]
            for answer in answers:
                _assert_unavailable(answer.result())
        assert web.get(f"{server.url}/readyz", timeout=FAIL_SECONDS).status_code == 503
        assert web.get(f"{server.url}/healthz", timeout=FAIL_SECONDS).status_code == 200

    assert server.query("events.get", {"eventId": logged["id"]}).json()["result"]["data"] == logged
    assert server.ready()


def test_a_read_only_database_is_unavailable_only_for_writes(cluster: Cluster, server: Server) -> None:
    logged = server.mutate("events.log", _event()).json()["result"]["data"]

    with _read_only(cluster):
        until(lambda: web.get(f"{server.url}/readyz").json().get("reason") == "The database is read-only")
        refused = server.mutate("events.log", _event())
        read = server.query("events.get", {"eventId": logged["id"]})

    assert (refused.status_code, refused.json()["error"]["data"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert refused.json()["error"]["message"] == "The database is read-only; retry later"
    assert read.status_code == 200
    until(server.ready)
    assert server.mutate("events.log", _event()).status_code == 200


@contextmanager
def _read_only(cluster: Cluster) -> Iterator[None]:
    writable = f"{cluster.url}&options=-c%20default_transaction_read_only%3Doff"
    with psycopg.connect(writable, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")


def test_writers_get_through_a_crash_of_the_database(cluster: Cluster, server: Server) -> None:
    with _outage(cluster, server, cluster.crash):
        pass


def test_a_stream_outlives_a_crash_of_the_database(cluster: Cluster, server: Server) -> None:
    with web.stream("GET", f"{server.url}/trpc/events.stream", headers=server.headers, timeout=60) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: connected"
        cluster.crash()
        cluster.start()
        event = _event()
        until(lambda: server.mutate("events.log", event).status_code == 200, seconds=HEAL_SECONDS)

        begun, *ids = [
            line.removeprefix("id: ") for line in _up_to(f"id: {event['id']}", lines) if line.startswith("id: ")
        ]

    assert begun
    assert ids == [event["id"]]


def test_requests_fail_in_time_while_the_database_is_frozen(cluster: Cluster, server: Server) -> None:
    assert server.mutate("events.log", _event()).status_code == 200

    def ask(path: str) -> int:
        return web.get(f"{server.url}/{path}", headers=server.headers, timeout=GIVE_UP_SECONDS).status_code

    with cluster.frozen(), ThreadPoolExecutor() as pool:
        assert list(pool.map(ask, ("trpc/events.list", "readyz"))) == [503, 503]

    until(lambda: server.mutate("events.log", _event()).status_code == 200, seconds=HEAL_SECONDS)


def test_append_whose_database_crashed_before_the_commit_is_not_stored(cluster: Cluster, server: Server) -> None:
    before, event = len(check_log(cluster.url)), _event()

    with ThreadPoolExecutor(1) as pool, closing(psycopg.connect(cluster.url)) as connection:
        connection.execute(LOCK_TIP, {"workspace": "default"})
        answer = pool.submit(server.mutate, "events.log", event)
        until(lambda: waiting_for_the_tip(connection))
        cluster.crash()
        try:
            _assert_unavailable(answer.result())
        finally:
            cluster.start()

    assert len(check_log(cluster.url)) == before
    until(lambda: server.mutate("events.log", event).status_code == 200, seconds=HEAL_SECONDS)
    assert [logged["event_id"] for logged in check_log(cluster.url)[before:]] == [event["id"]]


def test_append_whose_connection_died_before_the_commit_is_stored_once(cluster: Cluster, server: Server) -> None:
    before, event = len(check_log(cluster.url)), _event()

    with ThreadPoolExecutor(1) as pool, psycopg.connect(cluster.url) as connection:
        connection.execute(LOCK_TIP, {"workspace": "default"})
        answer = pool.submit(server.mutate, "events.log", event)
        [backend] = until(lambda: waiting_for_the_tip(connection))
        connection.execute("SELECT pg_terminate_backend(%s)", [backend])
        until(lambda: waiting_for_the_tip(connection) not in ([], [backend]))

    _assert_stored_once(cluster.url, before, event, answer.result())


def test_append_whose_connection_died_during_the_commit_is_stored_once(cluster: Cluster, server: Server) -> None:
    before, event = len(check_log(cluster.url)), _event()
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute(CUT_THE_FIRST_COMMIT)
        try:
            answer = server.mutate("events.log", event)
            row = connection.execute("SELECT last_value FROM commits").fetchone()
        finally:
            connection.execute("DROP TRIGGER cut ON event; DROP FUNCTION cut; DROP SEQUENCE commits")

    assert row == (2,), "there was no second attempt"
    _assert_stored_once(cluster.url, before, event, answer)


def test_append_whose_connection_died_after_the_commit_is_stored_once(cluster: Cluster, server: Server) -> None:
    before, event = len(check_log(cluster.url)), _event()

    with ThreadPoolExecutor(1) as pool, psycopg.connect(cluster.url, autocommit=True) as connection:
        # With this setting commits are durable, but wait in vain for another machine before they are confirmed.
        _configure(connection, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try:
            answer = pool.submit(server.mutate, "events.log", event)
            [(backend,)] = until(lambda: connection.execute(UNANSWERED).fetchall())
            connection.execute("SELECT pg_terminate_backend(%s)", [backend])
            until(lambda: connection.execute(UNANSWERED).fetchall() not in ([], [(backend,)]))
        finally:
            _configure(connection, "ALTER SYSTEM RESET synchronous_standby_names")

    _assert_stored_once(cluster.url, before, event, answer.result())


def _up_to(last: str, lines: Iterator[str]) -> Iterator[str]:
    """The lines up to `last`, which may come after any number of pings."""
    for line in lines:
        yield line
        if line == last:
            break


@contextmanager
def _outage(cluster: Cluster, server: Server, end: Callable[[], None]) -> Iterator[None]:
    """Keep the database down during the block, while some clients append before, during and after it."""
    before = len(check_log(cluster.url))
    with writing([server], clients=8) as writers:
        until(lambda: len(writers.acknowledged) > 50)
        end()
        try:
            yield
            until(lambda: writers.refused > 32)
            missed = len(writers.acknowledged)
        finally:
            cluster.start()
        until(lambda: len(writers.acknowledged) > missed + 50, seconds=HEAL_SECONDS)
        writers.stop()
    assert writers.slowest_seconds < FAIL_SECONDS
    assert writers.acknowledged.keys() <= {event["event_id"] for event in check_log(cluster.url)[before:]}


def _event() -> dict[str, object]:
    return {"id": str(uuid4()), "type": "note.created", "data": {"n": 1}}


def _assert_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    data = answer.json()["error"]["data"]
    assert data["code"] == "SERVICE_UNAVAILABLE"
    assert data["retryAfterSeconds"] >= 1
    assert answer.headers["retry-after"] == str(data["retryAfterSeconds"])
    assert answer.elapsed.total_seconds() < FAIL_SECONDS


def _assert_stored_once(database_url: str, before: int, event: dict[str, object], answer: httpx.Response) -> None:
    """Check that `event` was stored once, and that `answer` reports it."""
    assert answer.status_code == 200, answer.text
    [stored] = check_log(database_url)[before:]
    logged = answer.json()["result"]["data"]
    assert (logged["id"], logged["hash"]) == (event["id"], stored["hash"])


def _configure(connection: psycopg.Connection, statement: LiteralString) -> None:
    connection.execute(statement)
    connection.execute("SELECT pg_reload_conf()")
