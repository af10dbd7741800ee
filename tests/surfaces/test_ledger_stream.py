"""The ledger's stream: what a reader gets, in which form, and how its socket ends."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.kit import web
from tests.kit.servers import Server, serving, until
from tests.procedures.conftest import Keyed
from tests.surfaces.conftest import ORIGINS, Observed

MAX_REASON_BYTES = 123
"""The maximum length of a close reason (RFC 6455, section 5.5)."""


@pytest.fixture
def keyed(observed: Observed) -> Keyed:
    """The shared server, with helpers that create keys."""
    return Keyed(observed.server, observed.database_url)


@pytest.fixture
def org(keyed: Keyed) -> str:
    """A workspace of the test's own."""
    return keyed.workspace()


def opened(server: Server, query: str = "", **options: Any) -> ClientConnection:
    """Open the stream, for a caller that is authenticated by its header."""
    url = f"{server.url.replace('http', 'ws')}/ledger/v1/stream{query}"
    return connect(url, **{"additional_headers": server.headers, "proxy": None} | options)


def log(server: Server, org: str, *types: str, **members: object) -> list[dict[str, Any]]:
    """Log one event of each type in one batch, and return them."""
    events = [{"type": type_, "data": {"place": place}, **members} for place, type_ in enumerate(types)]
    answer = server.mutate("events.logBatch", {"events": events}, **{"x-workspace-id": org})
    assert answer.status_code == 200, answer.text
    came: list[dict[str, Any]] = answer.json()["result"]["data"]
    return came


def texts(client: ClientConnection, count: int, seconds: float = 60) -> list[str]:
    """The texts of the next events, each with its newline."""
    found: list[str] = []
    while len(found) < count:
        text = client.recv(timeout=seconds)
        assert isinstance(text, str)
        assert text.endswith("\n")
        assert text.count("\n") == 1
        if text != "\n":
            found.append(text)
    return found


def received(client: ClientConnection, seconds: float = 60) -> dict[str, Any]:
    """The next event."""
    event: dict[str, Any] = json.loads(texts(client, 1, seconds)[0])
    return event


def seqs(client: ClientConnection, count: int) -> list[int]:
    """The seqs of the next events."""
    return [json.loads(text)["seq"] for text in texts(client, count)]


def ending(client: ClientConnection, seconds: float = 60) -> tuple[int, str]:
    """The code and the reason with which the server closes a socket, on which it must send nothing more."""
    try:
        while (text := client.recv(timeout=seconds)) == "\n":
            pass
        pytest.fail(f"it went on with {text!r}")
    except ConnectionClosed as closed:
        told = closed.rcvd
    assert told is not None, "the server closed the connection without a close frame"
    return told.code, told.reason


def listed(server: Server, org: str) -> list[str]:
    """The texts of the events in the list."""
    answer = web.get(
        f"{server.url}/ledger/v1/events", params={"log": org, "limit": 1000}, headers=server.headers, timeout=30
    )
    text = answer.text.removeprefix('{"events":[').rpartition("]")[0]
    return list(_objects(text))


def _objects(text: str) -> Iterator[str]:
    """Yield the text of each of several JSON objects in a list."""
    decoder, start = json.JSONDecoder(), 0
    while start < len(text):
        _, end = decoder.raw_decode(text, start)
        yield text[start:end]
        start = end + 1


def test_events_come_as_they_are_appended(observed: Observed, org: str) -> None:
    log(observed.server, org, "before.it")

    with opened(observed.server, f"?log={org}") as client:
        _begin(observed.server, org, client)
        came = log(observed.server, org, "a.b", "a.c")
        found = [_after_begun(client), _after_begun(client)]
        [later] = log(observed.server, org, "a.d")
        found.append(_after_begun(client))

    assert [event["event_id"] for event in found] == [event["id"] for event in [*came, later]]


def _begin(server: Server, org: str, client: ClientConnection) -> None:
    """Return when a stream from now has begun. Its client sees that only by the events that it gets."""
    while True:
        log(server, org, "has.begun")
        try:
            assert received(client, seconds=0.5)["type"] == "has.begun"
        except TimeoutError:
            continue
        return


def _after_begun(client: ClientConnection) -> dict[str, Any]:
    """The next event, without those that were logged to see that the stream has begun."""
    while (event := received(client))["type"] == "has.begun":
        pass
    return event


def test_earlier_events_are_sent_on_request(observed: Observed, org: str) -> None:
    log(observed.server, org, *["a.b"] * 600)

    with opened(observed.server, f"?log={org}&after=-1") as client:
        assert seqs(client, 600) == list(range(600))
        log(observed.server, org, "a.b")
        assert seqs(client, 1) == [600]
    with opened(observed.server, f"?log={org}&after=597") as client:
        assert seqs(client, 3) == [598, 599, 600]
    with opened(observed.server, f"?log={org}&after=600") as client:
        log(observed.server, org, "a.b")
        assert seqs(client, 1) == [601]


def test_events_are_those_of_the_list_byte_for_byte(observed: Observed, org: str) -> None:
    server = observed.server
    came = log(
        server,
        org,
        "a.b",
        "a.c",
        subjectId='s "1"\\\n\u2028\U0001f600',
        producer="p",
        correlationId="c",
        metadata={"custom": {"nul": "a\x00b", "x": 1.50}},
        occurredAt="2024-01-01T01:00:00+01:00",
    )
    erased = server.mutate("events.erase", {"ids": [came[0]["id"]]}, **{"x-workspace-id": org})
    assert erased.status_code == 200, erased.text

    with opened(server, f"?log={org}&after=-1") as client:
        backlog = texts(client, 3)
        log(server, org, "a.d", metadata={"custom": {"x": 1e21}})
        live = texts(client, 1)

    assert [text.removesuffix("\n") for text in backlog + live] == listed(server, org)


@pytest.mark.parametrize("after", ["-1", "0"])
def test_a_type_filters_what_was_there_and_what_comes(observed: Observed, org: str, after: str) -> None:
    log(observed.server, org, "x.y", "a.b", "x.y", "a.c.d")

    with opened(observed.server, f"?log={org}&after={after}&type=a.*") as client:
        assert seqs(client, 2) == [1, 3]
        log(observed.server, org, "x.y", "a.e")
        assert seqs(client, 1) == [5]


def test_readers_of_one_log_each_get_everything(observed: Observed, keyed: Keyed, org: str) -> None:
    other = keyed.workspace()
    with ExitStack() as stack:
        clients = [stack.enter_context(opened(observed.server, f"?log={org}&after=-1")) for _ in range(5)]
        for _ in range(3):
            log(observed.server, org, *["a.b"] * 10)
            log(observed.server, other, "of.another")
        assert [seqs(client, 30) for client in clients] == [list(range(30))] * 5


def test_what_another_process_appends_comes_too(database_url: str, data_dir: Path) -> None:
    with (
        serving(data_dir, database_url=database_url) as first,
        serving(data_dir, database_url=database_url) as second,
        opened(first, "?after=-1") as client,
    ):
        log(second, "default", "a.b", "a.c")
        log(first, "default", "a.d")
        log(second, "default", "a.e")

        assert seqs(client, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize("by", ["header", "parameter"])
def test_the_token_is_in_the_header_or_in_the_url(observed: Observed, org: str, by: str) -> None:
    server = observed.server
    log(server, org, "a.b")
    token = f"&token={server.token}" if by == "parameter" else ""
    headers = {} if by == "parameter" else server.headers

    with opened(server, f"?log={org}&after=-1{token}", additional_headers=headers) as client:
        assert seqs(client, 1) == [0]


def test_the_header_counts_before_the_url(observed: Observed, org: str) -> None:
    with opened(observed.server, f"?log={org}&after=-1&token=nosuch") as client:
        log(observed.server, org, "a.b")
        assert seqs(client, 1) == [0]


def test_the_log_may_be_named_by_header(observed: Observed, org: str) -> None:
    log(observed.server, org, "a.b")
    headers = observed.server.headers | {"x-workspace-id": org}

    with opened(observed.server, "?after=-1", additional_headers=headers) as client:
        assert received(client)["log"] == org


REFUSED = {
    "no token": ("", False, "unauthorized: A token is required"),
    "a wrong token": ("?token=nosuch", False, "unauthorized: The token is unknown"),
    "an empty token": ("?token=", False, "unauthorized: A token is required"),
    "a log that is not there": ("?log=nosuch", True, "forbidden: There is no such workspace"),
    "after in words": ("?after=now", True, "invalid_input: after: "),
    "after nothing": ("?after=", True, "invalid_input: after: "),
    "after less than all": ("?after=-2", True, "invalid_input: after: "),
    "after what no log reaches": ("?after=99999999999999999999", True, "invalid_input: after: "),
    "after what this log has not reached": ("?after=9007199254740991", True, "invalid_input: after: "),
    "no type": ("?type=a%20b", True, "invalid_input: type: "),
    "a name that is not known": ("?since=2024-11-01T00:00:00Z", True, "invalid_input: since: "),
    "a long name": (f"?{'x' * 500}=1", True, "invalid_input: xxxx"),
    "a long name of long letters": (f"?{quote('é' * 200)}=1", True, "invalid_input: é"),
}


@pytest.mark.parametrize(("query", "known", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_an_invalid_stream_is_closed_with_the_reason(
    observed: Observed,
    query: str,
    known: bool,  # noqa: FBT001
    reason: str,
) -> None:
    with opened(observed.server, query, additional_headers=observed.server.headers if known else {}) as client:
        code, told = ending(client)

    assert code == 1008
    assert told.startswith(reason)
    assert len(told.encode()) <= MAX_REASON_BYTES


def test_a_key_without_the_scope_is_rejected(keyed: Keyed) -> None:
    _, holder = keyed.key("events:read")

    with opened(holder) as client:
        code, told = ending(client)

    assert (code, told) == (1008, "forbidden: The key lacks the scope ledger:read")


def test_the_token_of_a_url_is_in_no_log(observed: Observed) -> None:
    with opened(observed.server, f"?token={observed.server.token}x", additional_headers={}) as client:
        ending(client)

    assert observed.server.token not in observed.server.log.read_text()


def test_a_key_that_reads_its_own_sees_its_own_only(keyed: Keyed, org: str) -> None:
    _, holder = keyed.key("ledger:read", "events:read-own", "events:write", user="ann", workspaces=(org,))
    log(keyed.server, org, "a.others")
    log(holder, org, "a.own")

    with opened(holder, "?after=-1") as client:
        assert seqs(client, 1) == [1]
        log(keyed.server, org, "a.others")
        log(keyed.server, org, "a.others", userId="bob")
        log(holder, org, "a.own")
        event = received(client)

    assert (event["seq"], event["context"]["userId"]) == (4, "ann")


def test_a_revoked_key_ends_the_stream_with_the_reason(keyed: Keyed, org: str) -> None:
    key_id, holder = keyed.key("ledger:read", workspaces=(org,))
    log(keyed.server, org, "a.b")
    with opened(holder, "?after=-1") as client:
        assert seqs(client, 1) == [0]
        keyed.revoke(key_id)
        revoked_at = time.monotonic()

        assert ending(client) == (1008, "unauthorized: The token is unknown, expired or revoked")
    assert time.monotonic() - revoked_at < 30


def test_a_key_that_expires_ends_the_stream(keyed: Keyed, org: str) -> None:
    key_id, holder = keyed.key("ledger:read", workspaces=(org,), seconds=3600)
    with opened(holder) as client:
        keyed.expire(key_id)
        assert ending(client)[0] == 1008


def test_a_stopping_server_closes_with_the_reason(database_url: str, data_dir: Path) -> None:
    with serving(data_dir, database_url=database_url, workers=2) as server:
        log(server, "default", "a.b")
        with opened(server, "?after=-1") as client, opened(server, "?after=0") as idle:
            assert seqs(client, 1) == [0]
            time.sleep(0.5)  # the idle stream is open by then
            server.process.send_signal(signal.SIGTERM)
            stopped_at = time.monotonic()

            for one in (client, idle):
                code, told = ending(one)
                assert code == 1012
                assert "after=" in told
        assert server.process.wait(timeout=60) == 0
        assert time.monotonic() - stopped_at < 20


def test_an_idle_stream_is_kept_alive_by_empty_lines(database_url: str, data_dir: Path) -> None:
    with (
        serving(data_dir, database_url=database_url, sse_ping_seconds=0.3) as server,
        opened(server, "?after=-1") as client,
    ):
        begun = time.monotonic()
        assert [client.recv(timeout=30) for _ in range(4)] == ["\n"] * 4
        assert time.monotonic() - begun > 0.9
        log(server, "default", "a.b")
        assert seqs(client, 1) == [0]


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [(ORIGINS[0], True), ("http://{host}", True), ("https://evil.example", False), ("null", False)],
    ids=["allowed", "own", "foreign", "null"],
)
def test_pages_of_other_origins_may_not_connect(observed: Observed, org: str, origin: str, welcome: bool) -> None:  # noqa: FBT001
    host = urlsplit(observed.server.url).netloc
    log(observed.server, org, "a.b")
    if welcome:
        with opened(observed.server, f"?log={org}&after=-1", origin=origin.format(host=host)) as client:
            assert seqs(client, 1) == [0]
    else:
        with pytest.raises(InvalidStatus) as refused:
            opened(observed.server, origin=origin)
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_websocket_it_says_that_it_needs_one(observed: Observed, method: str) -> None:
    answer = web.request(method, f"{observed.server.url}/ledger/v1/stream", headers=observed.server.headers)

    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"


def test_what_a_client_says_changes_nothing(observed: Observed, org: str) -> None:
    with opened(observed.server, f"?log={org}&after=-1") as client:
        client.send("subscribe")
        client.send(b"\x00\xff")
        log(observed.server, org, "a.b")
        assert seqs(client, 1) == [0]


def test_a_reader_that_stops_reading_costs_little_and_loses_nothing(database_url: str, data_dir: Path) -> None:
    """It reads nothing while much more is logged than buffers may hold. Then it reads everything, in order."""
    batch = {"events": [{"type": "note.created", "data": {"text": "x" * 20_000}} for _ in range(100)]}
    batches, readers = 14, 3
    with serving(data_dir, database_url=database_url, sse_ping_seconds=0.5) as server, ExitStack() as stack:
        for _ in range(3):
            assert server.mutate("events.logBatch", batch).status_code == 200  # memory that it needs anyway
        clients = [stack.enter_context(_unread(server, after=299)) for _ in range(readers)]
        memory = _memory(server)
        for _ in range(batches):
            assert server.mutate("events.logBatch", batch).status_code == 200
        grown = _memory(server) - memory

        found = [seqs(client, batches * 100) for client in clients]

    assert grown < readers * batches * 100 * 20_000 / 4, "the server keeps in memory what the readers have not read"
    assert found == [list(range(300, 300 + batches * 100))] * readers


def test_a_client_that_leaves_is_released(observed: Observed, org: str) -> None:
    """Every open stream has a place in the feed and a connection. Both are released when its client leaves."""
    server = observed.server
    worker = psutil.Process(server.process.pid).children()[0]
    before = _established(worker)
    for _ in range(3):
        with ExitStack() as stack:
            clients = [stack.enter_context(opened(server, f"?log={org}&after=-1")) for _ in range(20)]
            for client in clients[10:]:
                client.socket.shutdown(socket.SHUT_RDWR)  # without a close frame

    until(lambda: _established(worker) < before + 10)


def _unread(server: Server, after: int) -> ClientConnection:
    """A stream whose client receives little before it begins to read."""
    host = urlsplit(server.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.connect((host.hostname, host.port))
    options = {"max_size": None, "max_queue": 1, "ping_interval": None, "close_timeout": 1}
    return opened(server, f"?after={after}", sock=connection, **options)


def _established(process: psutil.Process) -> int:
    return sum(each.status == psutil.CONN_ESTABLISHED for each in process.net_connections("tcp"))


def _memory(server: Server) -> int:
    """The memory of the server's processes, in bytes."""
    process = psutil.Process(server.process.pid)
    workers = [child for child in process.children() if not child.name().startswith("postgres")]
    return sum(each.memory_info().rss for each in (process, *workers))
