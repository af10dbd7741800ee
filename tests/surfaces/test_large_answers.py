"""Large answers at every door: how much of them a request and a process may hold, and the errors beyond that."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import pytest
from websockets.sync.client import connect

from app.store.ledger.export import MAX_OPEN
from app.surfaces.shared.sending import PIECE_BYTES
from tests.kit import web
from tests.kit.servers import Server, cloned, serving
from tests.procedures.conftest import Keyed

MIB = 2**20
EVENTS, EVENT_BYTES = 33, 1_000_000
ALL = EVENTS * EVENT_BYTES
TOO_MUCH = "PAYLOAD_TOO_LARGE"


@pytest.fixture(scope="module")
def keyed(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A separate server, whose memory is measured. Its workspace `default` has 33 MB of events."""
    with (
        cloned(postgres_url, template, "test_large_answers") as url,
        serving(tmp_path_factory.mktemp("large"), database_url=url) as server,
    ):
        for _ in range(EVENTS):
            assert server.mutate("events.log", {"type": "big.one", "data": {"text": "x" * EVENT_BYTES}}).is_success
        yield Keyed(server, url)


@pytest.fixture
def server(keyed: Keyed) -> Server:
    """The server."""
    return keyed.server


def batch(calls: int, limit: int) -> str:
    """The path of a batch of `events.list`."""
    inputs = quote(json.dumps({str(index): {"limit": limit} for index in range(calls)}))
    return f"/trpc/{','.join(['events.list'] * calls)}?batch=1&input={inputs}"


def codes(answers: list[dict[str, object]]) -> list[str]:
    """`ok` or the code of the error for each call."""
    return [json.loads(json.dumps(each)).get("error", {}).get("data", {}).get("code", "ok") for each in answers]


def peak_mib(server: Server) -> float:
    """The maximum memory of a server's processes so far."""
    parent = psutil.Process(server.process.pid)
    peaks = [Path(f"/proc/{each.pid}/status").read_text() for each in (parent, *parent.children(recursive=True))]
    lines = [line for status in peaks for line in status.splitlines() if line.startswith("VmHWM")]
    return sum(int(line.split()[1]) for line in lines) / 1024


def asked(server: Server, path: str, **headers: str) -> socket.socket:
    """A connection that has sent a request, and reads nothing."""
    url = urlsplit(server.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.connect((url.hostname, url.port))
    lines = [f"GET {path} HTTP/1.1", "host: x", *(f"{each}: {headers[each]}" for each in headers), "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


def test_the_first_answers_of_a_batch_come_and_the_others_are_too_large_for_their_call(server: Server) -> None:
    before = peak_mib(server)

    answer = web.get(server.url + batch(12, 10), headers=server.headers, timeout=120)

    told = codes(answer.json())
    refused = answer.json()[-1]["error"]
    assert answer.status_code == 207
    assert told == ["ok"] * 3 + [TOO_MUCH] * 9
    assert "ask for fewer" in refused["message"]
    assert refused["data"]["reason"] == "payload_too_large"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert peak_mib(server) - before < 200


def test_the_smaller_answers_of_a_batch_are_not_touched_by_a_large_one(server: Server) -> None:
    inputs = {"0": {"limit": 32}, "1": {"type": "no.such"}, "2": {"limit": 1}, "3": {"limit": 5}}
    path = f"/trpc/{','.join(['events.list'] * 4)}?batch=1&input={quote(json.dumps(inputs))}"

    answer = web.get(server.url + path, headers=server.headers, timeout=120)

    assert codes(answer.json()) == ["ok", "ok", "ok", TOO_MUCH]


def test_a_batch_by_lines_waits_for_its_reader_and_answers_every_call(server: Server) -> None:
    before = peak_mib(server)

    answer = web.get(
        server.url + batch(12, 10), headers={**server.headers, "trpc-accept": "application/jsonl"}, timeout=120
    )

    lines = answer.content.splitlines()
    assert len(lines) == 13
    assert sum(b'"result"' in line[:40] for line in lines[1:]) == 12
    assert len(answer.content) > 12 * 10 * EVENT_BYTES
    assert peak_mib(server) - before < 200


def test_the_calls_of_a_socket_share_what_it_may_hold(server: Server) -> None:
    before = peak_mib(server)
    call = {"method": "query", "params": {"path": "events.list", "input": {"limit": 30}}}

    with connect(
        server.url.replace("http", "ws") + "/trpc", additional_headers=server.headers, max_size=None, compression=None
    ) as told:
        told.send(json.dumps([{"id": number, **call} for number in range(100)]))
        answers = [json.loads(told.recv(timeout=120)) for _ in range(100)]

    assert set(codes(answers)) == {"ok", TOO_MUCH}
    assert peak_mib(server) - before < 300


def test_a_page_of_every_door_is_whole_and_ends_at_its_bound(server: Server) -> None:
    pages = [
        server.query("events.page", {"limit": 100}).json()["result"]["data"]["events"],
        web.get(f"{server.url}/api/events?limit=100", headers=server.headers, timeout=60).json()["data"],
        web.get(f"{server.url}/ledger/v1/events?limit=100", headers=server.headers, timeout=60).json()["events"],
    ]
    too_many = server.query("events.list", {"limit": 100})

    assert [len(page) for page in pages] == [EVENTS] * 3
    assert too_many.status_code == 200
    assert len(too_many.content) > ALL


def test_clients_that_do_not_read_leave_room_for_others(keyed: Keyed, server: Server) -> None:
    other = keyed.workspace()
    _, stranger = keyed.key("events:read", "events:write", workspaces=(other,))
    for _ in range(3):
        assert stranger.mutate("events.log", {"type": "big.one", "data": {"text": "x" * EVENT_BYTES}}).is_success
    before = peak_mib(server)
    paths = ["/api/events?limit=32", "/ledger/v1/events?limit=32", batch(3, 30), "/v1/events?limit=32"]

    with ExitStack() as stack:
        hung = [stack.enter_context(asked(server, path, **server.headers)) for path in paths * 5]
        heads = [connection.recv(12)[9:].decode() for connection in hung]
        going_on = stranger.query("events.list", {"limit": 3})
        refused = server.query("events.list", {"limit": 32})

    assert "503" in heads
    assert {"200", "207", "503"} >= set(heads)
    assert going_on.status_code == 200
    assert len(going_on.content) > 3 * EVENT_BYTES
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) == refused.json()["error"]["data"]["retryAfterSeconds"] > 0
    assert peak_mib(server) - before < 350


def test_exports_whose_clients_do_not_read_leave_room_for_one_that_is_read(server: Server) -> None:
    before = peak_mib(server)

    with ExitStack() as stack:
        for _ in range(MAX_OPEN - 1):
            stack.enter_context(asked(server, "/ledger/v1/events/export", **server.headers)).recv(12)
        exported = web.get(f"{server.url}/ledger/v1/events/export", headers=server.headers, timeout=120)

    assert exported.json()["count"] == EVENTS
    assert peak_mib(server) - before < 350


def test_a_tool_rejects_before_it_has_read_what_no_model_can_take(server: Server) -> None:
    call = {"name": "events_list", "arguments": {"limit": 30}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}

    answer = web.post(f"{server.url}/mcp", json=body, headers=server.headers, timeout=60).json()

    assert answer["result"]["isError"] is True
    assert answer["result"]["structuredContent"]["error"]["reason"] == "payload_too_large"
    assert len(json.dumps(answer)) < PIECE_BYTES
