"""An unexpected failure is answered in the door's shape, logged with its request id, and counted."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks.process import free_port
from tests.cases.conftest import Doors, rows
from tests.kit import web
from tests.kit.servers import cloned, serving, until

EVENT = {"type": "note.created", "source": "tests", "data": {}}

MCP = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}

DEFECT = 1011
"""The close code for an unexpected failure (RFC 6455, section 7.4)."""


@pytest.fixture(scope="module")
def limited(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A server whose database role may no longer count calls against a rate."""
    port = free_port()
    with cloned(postgres_url, template, "test_last_handler") as url:
        rows(url, "CREATE ROLE synap_limited LOGIN")
        try:
            rows(url, "GRANT ALL ON ALL TABLES IN SCHEMA public TO synap_limited")
            rows(url, "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO synap_limited")
            own = url.replace("://postgres", "://synap_limited", 1)
            folder = tmp_path_factory.mktemp("last")
            with serving(folder, database_url=own, ledger_port=port) as server, httpx.Client(timeout=30) as client:
                assert server.mutate("events.log", {"type": "a.b", "data": {}}).status_code == 200
                rows(url, "REVOKE ALL ON rate_window FROM synap_limited")
                yield Doors(server, f"http://127.0.0.1:{port}", url, client)
        finally:
            rows(url, "DROP OWNED BY synap_limited")
            rows(url, "DROP ROLE synap_limited")


@pytest.fixture
def keyless(limited: Doors) -> Iterator[Doors]:
    """That server, whose role now may not read the keys either."""
    rows(limited.database_url, "REVOKE ALL ON api_key FROM synap_limited")
    yield limited
    rows(limited.database_url, "GRANT ALL ON api_key TO synap_limited")


def defects(doors: Doors, request_id: str) -> list[dict[str, Any]]:
    """The log's lines about a defect in one request."""
    lines = [line for line in doors.server.log.read_text().splitlines() if f'"{request_id}"' in line]
    return [line for line in map(json.loads, lines) if line["event"] == "defect"]


def failures(doors: Doors, door: str) -> float:
    """How many failures a door has counted in all processes."""
    text = web.get(f"{doors.server.url}/metrics", timeout=30).text
    lines = [line for line in text.splitlines() if line.startswith("synap_failures_total{") and f'"{door}"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def headers(request_id: str, token: str = "sk_nobody_knows", **more: str) -> dict[str, str]:
    """The headers of a request with a token that no process has cached."""
    return {"authorization": f"Bearer {token}{request_id}", "x-request-id": request_id, **more}


def told(doors: Doors, door: str, request_id: str) -> None:
    """Fail unless a request's failure is logged and counted."""
    [line] = until(lambda: defects(doors, request_id))
    assert (line["procedure"], line["defect"], line["sqlstate"]) == (f"({door})", "InsufficientPrivilege", "42501")
    assert any("app/store" in frame for frame in line["at"])


Ask = Callable[[Doors, dict[str, str]], httpx.Response]


def get(path: str, **more: str) -> Ask:
    """Make a GET at the main listener."""
    return lambda doors, own: doors.client.get(f"{doors.server.url}{path}", headers=own | more)


def post(path: str, content: object, **more: str) -> Ask:
    """Make a POST of JSON."""
    return lambda doors, own: doors.client.post(f"{doors.server.url}{path}", json=content, headers=own | more)


REST: dict[str, tuple[str, Ask]] = {
    "publish": ("publish", post("/v1/events", EVENT)),
    "publish a CloudEvent": (
        "publish",
        post("/v1/events", {}, **{"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "a.b"}),
    ),
    "query": ("publish", get("/v1/events")),
    "webhooks": ("publish", get("/v1/events/subscriptions")),
    "browse": ("browse", get("/api/events")),
    "one event": ("browse", get("/api/events/x")),
    "ledger": ("ledger", get("/ledger/v1/events")),
    "export": ("ledger", get("/ledger/v1/events/export")),
    "the ledger's own port": ("ledger", lambda doors, own: web.get(f"{doors.ledger_url}/v1/events", headers=own)),
    "metrics": ("service", get("/metrics")),
}


@pytest.mark.parametrize(("door", "ask"), REST.values(), ids=list(REST))
def test_a_rest_door_answers_in_its_shape(keyless: Doors, door: str, ask: Ask) -> None:
    request_id, before = f"last-{uuid4()}", failures(keyless, door)

    answer = ask(keyless, headers(request_id))

    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == request_id
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["code"] == "internal"
    assert set(answer.json()) == {"error"}
    told(keyless, door, request_id)
    until(lambda: failures(keyless, door) == before + 1)


TRPC: dict[str, tuple[int, Ask]] = {
    "a query": (1, get("/trpc/events.list")),
    "a mutation": (1, post("/trpc/events.log", EVENT)),
    "a batch": (2, get("/trpc/events.list,events.page?batch=1")),
}


@pytest.mark.parametrize(("calls", "ask"), TRPC.values(), ids=list(TRPC))
def test_the_trpc_door_answers_each_call(keyless: Doors, calls: int, ask: Ask) -> None:
    request_id, before = f"last-{uuid4()}", failures(keyless, "trpc")

    answer = ask(keyless, headers(request_id))

    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == request_id
    envelopes = answer.json() if isinstance(answer.json(), list) else [answer.json()]
    assert len(envelopes) == calls
    for envelope in envelopes:
        assert envelope["error"]["code"] == -32603
        assert envelope["error"]["data"].items() >= {"code": "INTERNAL_SERVER_ERROR", "reason": "internal"}.items()
        assert envelope["error"]["data"]["path"].startswith("events.")
    told(keyless, "trpc", request_id)
    until(lambda: failures(keyless, "trpc") == before + 1)


def test_a_streamed_batch_and_a_stream_report_it_too(keyless: Doors) -> None:
    lines, events = f"last-{uuid4()}", f"last-{uuid4()}"

    streamed = get("/trpc/events.list?batch=1", **{"trpc-accept": "application/jsonl"})(keyless, headers(lines))
    stream = get("/trpc/events.stream")(keyless, headers(events))

    assert '"reason":"internal"' in streamed.text
    assert "event: serialized-error" in stream.text
    assert '"reason":"internal"' in stream.text
    told(keyless, "trpc", lines)
    told(keyless, "trpc", events)


def test_the_mcp_door_answers_in_json_rpc(keyless: Doors) -> None:
    request_id = f"last-{uuid4()}"

    answer = post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, **MCP)(keyless, headers(request_id))

    assert (answer.status_code, answer.headers["x-request-id"]) == (500, request_id)
    error = answer.json()["error"]
    assert (answer.json()["jsonrpc"], error["code"], error["data"]) == ("2.0", -32603, {"reason": "internal"})
    told(keyless, "mcp", request_id)


@pytest.mark.parametrize("listener", ["main", "own"])
def test_the_ledgers_socket_closes_with_the_reason(keyless: Doors, listener: str) -> None:
    request_id = f"last-{uuid4()}"
    url = f"{keyless.server.url}/ledger/v1" if listener == "main" else f"{keyless.ledger_url}/v1"

    url = f"{url.replace('http', 'ws')}/stream"
    with (
        connect(url, additional_headers=headers(request_id), proxy=None) as client,
        pytest.raises(ConnectionClosed) as closed,
    ):
        client.recv(timeout=30)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == DEFECT
    assert closed.value.rcvd.reason.startswith("internal: ")
    told(keyless, "ledger", request_id)


def test_the_trpc_socket_answers_its_calls_and_closes(keyless: Doors) -> None:
    request_id = f"last-{uuid4()}"
    call = {"id": 1, "method": "query", "params": {"path": "events.list", "input": {}}}

    url = f"{keyless.server.url.replace('http', 'ws')}/trpc"
    with connect(url, additional_headers=headers(request_id), proxy=None) as client:
        client.send(json.dumps(call))
        answers = [json.loads(client.recv(timeout=30)) for _ in range(2)]
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=30)

    assert [answer["id"] for answer in answers] == [None, 1]
    assert {answer["error"]["data"]["reason"] for answer in answers} == {"internal"}
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == DEFECT
    told(keyless, "trpc", request_id)


@pytest.mark.parametrize("ask", [post("/v1/events", EVENT), get("/v1/events")], ids=["publish", "query"])
def test_a_rate_that_cannot_be_counted_is_a_failure_of_the_publish_door(limited: Doors, ask: Ask) -> None:
    request_id = f"last-{uuid4()}"

    answer = ask(limited, limited.server.headers | {"x-request-id": request_id})

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert answer.headers["x-request-id"] == request_id
    told(limited, "publish", request_id)


def test_the_answer_and_the_log_keep_secrets(keyless: Doors) -> None:
    request_id = f"last-{uuid4()}"

    answer = post("/v1/events", {"secret": "pAyLoAd"})(keyless, headers(request_id, token="tOkEn"))

    log = until(lambda: defects(keyless, request_id) and keyless.server.log.read_text())
    for secret in ("pAyLoAd", "tOkEn"):
        assert secret not in log
        assert secret not in answer.text


@pytest.mark.parametrize(
    ("path", "shape"),
    [("/trpc/events.log", "httpStatus"), ("/mcp", "jsonrpc"), ("/v1/events", "code"), ("/healthz", "code")],
)
def test_rejections_of_the_framework_have_the_doors_shape(limited: Doors, path: str, shape: str) -> None:
    answer = web.post(f"{limited.server.url}{path}", json={}, headers={"host": "a/b", "x-request-id": "framework"})

    assert answer.status_code == 400
    assert answer.headers["x-request-id"] == "framework"
    assert f'"{shape}"' in answer.text
    assert "status_code" not in answer.text
