"""Streams and sockets: how they end, their limits, and what a slow reader costs."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.surfaces.trpc.socket import HELLO_SECONDS, MAX_SUBSCRIPTIONS
from tests.kit import web
from tests.kit.servers import Server, cloned, serving, until
from tests.procedures.conftest import Keyed
from tests.surfaces.conftest import ORIGINS, Observed

REVOKED_SECONDS = 30
"""Within this time after a key has ended, its open streams end."""


@pytest.fixture
def keyed(observed: Observed) -> Keyed:
    """The shared server, with helpers that create keys."""
    return Keyed(observed.server, observed.database_url)


@contextmanager
def streaming(server: Server, **query: Any) -> Iterator[Iterator[str]]:
    """Yield the lines of an event stream after `connected`."""
    parameters = {"input": json.dumps(query)}
    with web.stream(
        "GET", f"{server.url}/trpc/events.stream", params=parameters, headers=server.headers, timeout=60
    ) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        assert next(lines) == "event: connected"
        assert json.loads(next(lines).removeprefix("data: ")) == {"reconnectAfterInactivityMs": 45000}
        assert next(lines).startswith("id: ")
        assert next(lines) == ""
        yield lines


def opened(server: Server, query: str = "", **options: Any) -> ClientConnection:
    """Open a socket, for a caller that is authenticated by its header."""
    url = f"{server.url.replace('http', 'ws')}/trpc{query}"
    return connect(url, **{"additional_headers": server.headers} | options)


def ask(client: ClientConnection, **message: Any) -> None:
    """Send one message."""
    client.send(json.dumps(message))


def told(client: ClientConnection, seconds: float = 60) -> Any:
    """The next message that is no ping."""
    while True:
        message = json.loads(client.recv(timeout=seconds))
        if message.get("method") != "ping":
            return message


def subscribe(client: ClientConnection, id: int | str = 1, **query: Any) -> None:
    """Follow the log over a socket."""
    ask(client, id=id, method="subscription", params={"path": "events.stream", "input": query})
    assert told(client) == {"id": id, "result": {"type": "started"}}


def log(server: Server, **data: Any) -> str:
    """Log an event, and return its id."""
    answer = server.mutate("events.log", {"type": "note.created", "data": data})
    assert answer.status_code == 200, answer.text
    id_: str = answer.json()["result"]["data"]["id"]
    return id_


def test_a_revoked_key_ends_its_open_streams_with_the_reason(keyed: Keyed) -> None:
    key_id, holder = keyed.key("events:read")
    with streaming(holder) as lines, opened(holder) as client:
        subscribe(client)
        keyed.revoke(key_id)
        revoked_at = time.monotonic()

        assert next(lines) == "event: serialized-error"
        error = json.loads(next(lines).removeprefix("data: "))
        assert (error["code"], error["data"]["code"]) == (-32001, "UNAUTHORIZED")
        assert [line for line in lines if line] == []

        # No error is sent for its subscriptions: a client would open them again on this socket.
        with pytest.raises(ConnectionClosed) as closed:
            told(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert closed.value.rcvd.reason == "unauthorized: The token is unknown, expired or revoked"
        assert time.monotonic() - revoked_at < REVOKED_SECONDS


def test_a_key_that_expires_ends_its_open_streams(keyed: Keyed) -> None:
    key_id, holder = keyed.key("events:read", seconds=3600)
    with streaming(holder) as lines:
        keyed.expire(key_id)
        assert next(lines) == "event: serialized-error"
        assert json.loads(next(lines).removeprefix("data: "))["data"]["code"] == "UNAUTHORIZED"


def test_other_keys_continue(keyed: Keyed) -> None:
    key_id, _ = keyed.key("events:read")
    _, holder = keyed.key("events:read")
    with streaming(holder) as lines:
        keyed.revoke(key_id)
        time.sleep(4)  # longer than the server takes to notice
        logged = log(keyed.server)

        assert (
            json.loads(next(line for line in lines if line.startswith("data: {")).removeprefix("data: "))["id"]
            == logged
        )


def test_a_key_that_reads_its_own_sees_its_own_only(keyed: Keyed) -> None:
    _, holder = keyed.key("events:read-own", "events:write", user="own-reader")
    with streaming(holder) as lines, opened(holder) as client:
        subscribe(client)
        log(keyed.server)
        own = log(holder)

        assert json.loads(next(lines).removeprefix("data: "))["id"] == own
        assert told(client)["result"]["id"] == own


def test_a_key_that_may_not_read_is_rejected(keyed: Keyed) -> None:
    _, holder = keyed.key("events:write")
    with web.stream("GET", f"{holder.url}/trpc/events.stream", headers=holder.headers) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert json.loads(lines[1].removeprefix("data: "))["data"]["code"] == "FORBIDDEN"
    with opened(holder) as client:
        ask(client, id=1, method="subscription", params={"path": "events.stream"})
        assert told(client)["error"]["data"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("by", [pytest.param("process", id="SIGTERM"), pytest.param("group", id="Ctrl-C")])
def test_a_stopping_server_ends_streams_at_once_and_asks_sockets_to_come_again(
    postgres_url: str, template: str, data_dir: Path, by: str
) -> None:
    with (
        cloned(postgres_url, template, f"test_live_stop_{by}") as url,
        serving(data_dir, database_url=url, workers=2) as server,
    ):
        with streaming(server) as lines, opened(server) as client, opened(server) as idle:
            subscribe(client)
            if by == "process":
                server.process.send_signal(signal.SIGTERM)
            else:
                os.killpg(server.process.pid, signal.SIGINT)
            stopped_at = time.monotonic()

            assert [line for line in lines if line] == [], "clients do not resume a stream that ends with `return`"
            assert told(client) == told(idle) == {"id": None, "method": "reconnect"}
            client.close()
            with pytest.raises(ConnectionClosed) as closed:
                idle.recv(timeout=30)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        assert server.process.wait(timeout=60) == 0
        assert time.monotonic() - stopped_at < 20


def test_a_socket_without_a_caller_is_closed_within_seconds(observed: Observed) -> None:
    started = time.monotonic()
    with opened(observed.server, additional_headers={}) as client:
        ask(client, id=7, method="query", params={"path": "events.list"})
        errors = [told(client), told(client)]
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=30)

    assert [(error["id"], error["error"]["data"]["code"]) for error in errors] == [
        (None, "UNAUTHORIZED"),
        (7, "UNAUTHORIZED"),
    ]
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert time.monotonic() - started < 20


def test_a_socket_that_sends_no_token_is_closed_within_seconds(observed: Observed) -> None:
    started = time.monotonic()
    with opened(observed.server, "?connectionParams=1", additional_headers={}) as client:
        assert told(client)["error"]["data"]["code"] == "UNAUTHORIZED"
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=30)
    assert HELLO_SECONDS <= time.monotonic() - started < HELLO_SECONDS + 15


@pytest.mark.parametrize("query", ["?token={}", "?connectionParams=1"])
def test_a_token_may_stand_in_the_url_or_in_the_first_message(observed: Observed, query: str) -> None:
    server = observed.server
    with opened(server, query.format(server.token), additional_headers={}) as client:
        if "connectionParams" in query:
            ask(client, method="connectionParams", data={"token": server.token})
        ask(client, id=1, method="query", params={"path": "events.list", "input": {"limit": 1}})
        assert told(client)["result"]["type"] == "data"


def test_the_token_of_a_url_is_in_no_log(observed: Observed) -> None:
    server = observed.server
    with opened(server, f"?token={server.token}x", additional_headers={}) as client:
        assert told(client)["error"]["data"]["code"] == "UNAUTHORIZED"

    assert server.token not in server.log.read_text()


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [(ORIGINS[0], True), ("http://{host}", True), ("https://evil.example", False), ("null", False)],
    ids=["allowed", "own", "foreign", "null"],
)
def test_pages_of_other_origins_may_not_connect(observed: Observed, origin: str, welcome: bool) -> None:  # noqa: FBT001
    host = urlsplit(observed.server.url).netloc
    if welcome:
        with opened(observed.server, origin=origin.format(host=host)) as client:
            client.send("PING")
            assert client.recv(timeout=30) == "PONG"
    else:
        with pytest.raises(InvalidStatus) as refused:
            opened(observed.server, origin=origin)
        assert refused.value.response.status_code == 403


def test_a_message_that_is_too_large_closes_the_socket(observed: Observed) -> None:
    with opened(observed.server) as client:
        client.send("x" * (8 * 2**20 + 1))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_a_socket_has_a_maximum_of_subscriptions(observed: Observed) -> None:
    with opened(observed.server) as client:
        for number in range(MAX_SUBSCRIPTIONS):
            subscribe(client, number)
        ask(client, id="more", method="subscription", params={"path": "events.stream"})
        refused = told(client)
        ask(client, id=0, method="subscription.stop")
        assert told(client) == {"id": 0, "result": {"type": "stopped"}}
        subscribe(client, "more")

    assert refused["id"] == "more"
    assert refused["error"]["data"]["code"] == "BAD_REQUEST"


def test_idle_connections_are_kept_alive(postgres_url: str, template: str, data_dir: Path) -> None:
    with (
        cloned(postgres_url, template, "test_live_ping") as url,
        serving(data_dir, database_url=url, sse_ping_seconds=0.2, sse_reconnect_seconds=3) as server,
        opened(server) as client,
        web.stream("GET", f"{server.url}/trpc/events.stream", headers=server.headers, timeout=60) as answer,
    ):
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(4)][1] == 'data: {"reconnectAfterInactivityMs":3000}'
        assert [next(lines) for _ in range(6)] == ["event: ping", "data: ", ""] * 2
        assert json.loads(client.recv(timeout=30)) == {"id": None, "method": "ping"}


def test_a_reader_that_stops_reading_costs_little_and_loses_nothing(
    postgres_url: str, template: str, data_dir: Path
) -> None:
    """It reads nothing while much more is logged than buffers may hold. Then it reads everything, in order."""
    batch = {"events": [{"type": "note.created", "data": {"text": "x" * 20_000}} for _ in range(100)]}
    batches, readers = 40, 4
    with cloned(postgres_url, template, "test_live_slow") as url, serving(data_dir, database_url=url) as server:
        assert server.mutate("events.logBatch", batch).status_code == 200  # memory that it needs anyway
        host = urlsplit(server.url)
        with ThreadPoolExecutor(readers) as pool:
            sockets = []
            for _ in range(readers):
                sockets.append(socket.create_connection((host.hostname, host.port)))
                sockets[-1].sendall(
                    f"GET /trpc/events.stream?lastEventId= HTTP/1.1\r\nhost: {host.netloc}\r\n"
                    f"authorization: Bearer {server.token}\r\n\r\n".encode()
                )
            memory = _memory(server)
            for _ in range(batches):
                assert server.mutate("events.logBatch", batch).status_code == 200
            logged_bytes = batches * 100 * 20_000
            grown = _memory(server) - memory

            seqs = list(pool.map(lambda one: _read_seqs(one, batches * 100), sockets))

    assert grown < readers * logged_bytes / 4, "the server keeps in memory what the readers have not read"
    assert seqs == [list(range(100, 100 + batches * 100))] * readers


def test_more_open_streams_than_a_listeners_backlog_hold_up_nobody(observed: Observed) -> None:
    server, streams = observed.server, []
    host = urlsplit(server.url)
    request = f"GET /trpc/events.stream HTTP/1.1\r\nhost: {host.netloc}\r\nauthorization: Bearer {server.token}\r\n\r\n"
    try:
        for _ in range(1200):
            streams.append(socket.create_connection((host.hostname, host.port), timeout=30))
            streams[-1].sendall(request.encode())
            assert streams[-1].recv(4096).startswith(b"HTTP/1.1 200 ")
        logged = log(server)

        for stream in streams:
            received = b""
            while logged.encode() not in received:
                received += stream.recv(4096)
    finally:
        for stream in streams:
            stream.close()


def _memory(server: Server) -> int:
    """The memory of the server's processes, in bytes."""
    process = psutil.Process(server.process.pid)
    workers = [child for child in process.children() if not child.name().startswith("postgres")]
    return sum(each.memory_info().rss for each in (process, *workers))


def _read_seqs(connection: socket.socket, count: int) -> list[int]:
    """The seqs of the next events of a stream."""
    seqs: list[int] = []
    with connection, HTTPResponse(connection) as answer:
        connection.settimeout(30)
        answer.begin()
        while len(seqs) < count:
            line = answer.readline()
            assert line, f"the stream ended after {len(seqs)} events"
            if line.startswith(b'data: {"id"'):
                seqs.append(int(line.rpartition(b'"seq":')[2].partition(b",")[0]))
    return seqs


def test_a_client_that_leaves_is_released(observed: Observed) -> None:
    """Every open stream has a place in the feed, which is released when its client leaves."""
    server = observed.server
    for _ in range(3):
        with ThreadPoolExecutor(20) as pool:

            def visit(_: int) -> None:
                with streaming(server), opened(server) as client:
                    subscribe(client)

            list(pool.map(visit, range(20)))
    worker = psutil.Process(server.process.pid).children()[0]

    until(lambda: sum(each.status == psutil.CONN_ESTABLISHED for each in worker.net_connections("tcp")) < 20)
