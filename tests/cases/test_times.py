"""Limits of time: every door accepts instants from year 1 to 9999 in UTC, and has one sentence for all others."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.cases.conftest import Doors, Pairs

FAR = "must be a time from year 1 to 9999 in UTC"

BEYOND = [
    "9999-12-31T23:59:59-01:00",
    "9999-12-31T23:59:59.9999999Z",  # the seventh digit is rounded up
    "0001-01-01T00:00:00+00:01",
]

WITHIN = [
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T22:59:59-01:00",
    "0001-01-01T01:00:00+01:00",
]

MCP: Pairs = [
    ("accept", "application/json, text/event-stream"),
    ("mcp-protocol-version", "2025-06-18"),
    ("content-type", "application/json"),
]

IMPORT = {"source": "other"}

QUERIES: dict[str, Any] = {
    "events.list from": ("events.list", lambda at: {"from": at}),
    "events.list to": ("events.list", lambda at: {"to": at}),
    "events.page": ("events.page", lambda at: {"from": at}),
    "events.browse": ("events.browse", lambda at: {"createdAtAfter": at}),
    "a filter": ("events.list", lambda at: {"filter": {"timestamp": {"gt": at}}}),
    "ledger.entries": ("ledger.entries", lambda at: {"since": at}),
    "audit.list": ("audit.list", lambda at: {"since": at}),
}

MUTATIONS: dict[str, Any] = {
    "occurredAt": ("events.log", lambda at: {"type": "a.b", "data": {}, "occurredAt": at}),
    "occurredAt in a batch": (
        "events.logBatch",
        lambda at: {"events": [{"type": "a.b", "data": {}, "occurredAt": at}]},
    ),
    "importedAt": (
        "events.log",
        lambda at: {"type": "a.b", "data": {}, "metadata": {"import": IMPORT | {"importedAt": at}}},
    ),
    "syncedAt": (
        "events.log",
        lambda at: {
            "type": "a.b",
            "data": {},
            "metadata": {"sync": {"deviceId": "d", "platform": "cli", "syncedAt": at}},
        },
    ),
}

REST = [
    "/v1/events?from={}",
    "/v1/events?to={}",
    "/api/events?created_at_after={}",
    "/api/events?created_at_before={}",
    "/ledger/v1/events?since={}",
    "/ledger/v1/audit?since={}",
]


def asked(doors: Doors, name: str, value: Any, *, method: str = "GET") -> Any:
    """Make a call, and return its answer."""
    if method == "GET":
        return doors.http("GET", f"/trpc/{name}?input={quote(json.dumps(value))}")
    return doors.http("POST", f"/trpc/{name}", json=value)


@pytest.mark.parametrize("at", BEYOND)
@pytest.mark.parametrize("case", QUERIES)
def test_a_query_rejects_instants_beyond_the_limits(doors: Doors, case: str, at: str) -> None:
    name, value = QUERIES[case]

    for method in ("GET", "POST"):
        answer = asked(doors, name, value(at), method=method)
        assert answer.status_code == 400, answer.text
        assert FAR in answer.json()["error"]["message"]


@pytest.mark.parametrize("at", BEYOND)
@pytest.mark.parametrize("case", MUTATIONS)
def test_a_mutation_rejects_instants_beyond_the_limits(doors: Doors, case: str, at: str) -> None:
    name, value = MUTATIONS[case]

    answer = asked(doors, name, value(at), method="POST")

    assert answer.status_code == 400, answer.text
    [issue] = answer.json()["error"]["data"]["issues"]
    assert issue["message"] == FAR
    assert issue["path"].endswith("At")


@pytest.mark.parametrize("at", BEYOND)
@pytest.mark.parametrize("path", REST)
def test_a_parameter_rejects_instants_beyond_the_limits(doors: Doors, path: str, at: str) -> None:
    answer = doors.http("GET", path.format(quote(at)))

    assert answer.status_code == 400, answer.text
    name = path.partition("?")[2].partition("=")[0]
    assert answer.json()["error"] == {"code": "invalid_input", "message": f"{name}: {FAR}", "field": name}


@pytest.mark.parametrize("at", BEYOND)
def test_the_other_doors_reject_them_too(doors: Doors, at: str) -> None:
    event = {"specversion": "1.0", "id": "far", "source": "/s", "type": "a.b", "time": at}
    headers = [(f"ce-{name}", value) for name, value in event.items()]
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "events_list", "arguments": {"from": at}},
    }

    answers = [
        doors.http("POST", "/v1/events", [("content-type", "application/cloudevents+json")], content=json.dumps(event)),
        doors.http("POST", "/v1/events", headers, content=b"{}"),
        doors.http("POST", "/mcp", MCP, content=json.dumps(call)),
        doors.http("GET", f"/trpc/events.stream?input={quote(json.dumps({'start': at}))}"),
    ]

    assert [FAR in answer.text for answer in answers] == [True] * len(answers), [answer.text for answer in answers]


def test_a_socket_rejects_them_too(doors: Doors) -> None:
    call = {"id": 1, "method": "query", "params": {"path": "events.list", "input": {"from": BEYOND[0]}}}

    url = f"{doors.server.url.replace('http', 'ws')}"
    with connect(f"{url}/trpc", additional_headers=doors.server.headers, proxy=None) as client:
        client.send(json.dumps(call))
        answer = json.loads(client.recv(timeout=30))
    wanted = quote(json.dumps({"timestamp": {"gt": BEYOND[0]}}))
    with (
        connect(
            f"{url}/ledger/v1/stream?filter={wanted}", additional_headers=doors.server.headers, proxy=None
        ) as client,
        pytest.raises(ConnectionClosed) as closed,
    ):
        client.recv(timeout=30)

    assert FAR in answer["error"]["message"]
    assert closed.value.rcvd is not None
    assert FAR in closed.value.rcvd.reason


@pytest.mark.parametrize("at", WITHIN)
@pytest.mark.parametrize("case", QUERIES)
def test_a_query_accepts_instants_within_the_limits(doors: Doors, case: str, at: str) -> None:
    name, value = QUERIES[case]

    assert asked(doors, name, value(at)).status_code == 200


@pytest.mark.parametrize("at", WITHIN)
@pytest.mark.parametrize("case", MUTATIONS)
def test_a_mutation_accepts_instants_within_the_limits(doors: Doors, case: str, at: str) -> None:
    name, value = MUTATIONS[case]

    assert asked(doors, name, value(at), method="POST").status_code == 200


@pytest.mark.parametrize("at", WITHIN)
@pytest.mark.parametrize("path", REST)
def test_a_parameter_accepts_instants_within_the_limits(doors: Doors, path: str, at: str) -> None:
    assert doors.http("GET", path.format(quote(at))).status_code == 200
