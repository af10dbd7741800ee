"""A parameter or a single-valued header that is given twice is answered 400 with its name, at every door."""

import json
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.cases.conftest import Doors, Pairs

QUERIES = {
    "/api/events?type=a.b&type=c.d": "type",
    "/api/events?type=a.b&type=a.b": "type",
    "/api/events?workspace_id=default&workspace_id=other": "workspace_id",
    "/api/events?filter={}&limit=1&filter={}": "filter",
    "/api/events?limit=1&%6cimit=1": "limit",
    "/api/events?ids=a,b&ids=c": "ids",
    "/api/events/x?workspace_id=default&workspace_id=default": "workspace_id",
    "/api/events/x/trace?depth=1&depth=2": "depth",
    "/v1/events?limit=1&limit=2": "limit",
    "/v1/events?orgId=default&orgId=other": "orgId",
    "/v1/events?nosuch=1&nosuch=2": "nosuch",
    "/v1/events/subscriptions?orgId=default&orgId=other": "orgId",
    "/ledger/v1/events?log=default&log=other": "log",
    "/ledger/v1/events/export?from_seq=0&from_seq=1": "from_seq",
    "/ledger/v1/audit?action=key.created&action=key.revoked": "action",
    "/ledger/v1/consistency?from=0&from=1": "from",
    "/ledger/v1/checkpoint?log=default&log=default": "log",
    "/ledger/v1/node?log=default&log=default": "log",
}


@pytest.mark.parametrize(("path", "name"), QUERIES.items(), ids=list(QUERIES))
def test_a_parameter_given_twice_is_named(doors: Doors, path: str, name: str) -> None:
    answer = doors.http("GET", path)

    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["field"], error["message"]) == (name, f"{name}: is given more than once; send it once")


CALLS = {
    "/trpc/events.list?input={}&input={}": "input",
    f"/trpc/events.list?input={quote(json.dumps({'limit': 1}))}&input=": "input",
    "/trpc/events.list?batch=1&batch=1": "batch",
    "/trpc/events.list?batch=1&batch=0": "batch",
    "/trpc/events.list?connectionParams=null&connectionParams=null": "connectionParams",
    "/trpc/events.stream?lastEventId=a&lastEventId=b": "lastEventId",
    "/trpc/events.list?inpu%74={}&input={}": "input",
}


@pytest.mark.parametrize(("path", "name"), CALLS.items(), ids=list(CALLS))
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_parameter_of_a_call_given_twice_is_named(doors: Doors, method: str, path: str, name: str) -> None:
    answer = doors.http(method, path, [("content-type", "application/json")])

    assert answer.status_code == 400, answer.text
    assert f"The parameter {name} is given more than once" in answer.json()["error"]["message"]


def test_a_parameter_that_the_trpc_door_does_not_read_may_come_twice(doors: Doors) -> None:
    assert doors.http("GET", "/trpc/events.list?utm=1&utm=2").status_code == 200


HEADERS: Pairs = [
    ("Authorization", "Bearer other"),
    ("X-Workspace-Id", "other"),
    ("X-Workspace-Id", "default"),
    ("Content-Type", "text/plain"),
    ("Idempotency-Key", "b"),
]

POSTS = {
    "/trpc/events.log": {"type": "a.b", "data": {}},
    "/trpc/events.list": {},
    "/v1/events": {"type": "a.b", "source": "x", "data": {}},
    "/v1/events/subscriptions": {"webhookUrl": "https://hooks.example/", "eventTypes": ["*"]},
    "/mcp": {"jsonrpc": "2.0", "id": 1, "method": "ping"},
}


@pytest.mark.parametrize(("name", "value"), HEADERS)
@pytest.mark.parametrize("path", POSTS)
def test_a_header_given_twice_is_named(doors: Doors, path: str, name: str, value: str) -> None:
    once = [("X-Workspace-Id", "default"), ("Content-Type", "application/json"), ("Idempotency-Key", "a")]
    once.append(("Accept", "application/json, text/event-stream"))

    answer = doors.http("POST", path, [*once, (name, value)], content=json.dumps(POSTS[path]))

    assert answer.status_code == 400, answer.text
    assert f"{name}: is given more than once" in answer.text


@pytest.mark.parametrize("path", ["/api/events", "/ledger/v1/events", "/v1/events", "/metrics", "/trpc/events.list"])
@pytest.mark.parametrize("name", ["Authorization", "X-Workspace-Id"])
def test_a_header_given_twice_to_a_reader_is_named(doors: Doors, path: str, name: str) -> None:
    answer = doors.http("GET", path, [("X-Workspace-Id", "default"), (name, "Bearer other")])

    assert answer.status_code == 400, answer.text
    assert f"{name}: is given more than once" in answer.text


@pytest.mark.parametrize("name", ["ce-id", "ce-type", "ce-source", "ce-specversion", "ce-subject", "ce-anything"])
def test_an_attribute_given_twice_is_named(doors: Doors, name: str) -> None:
    own = [("ce-id", "1"), ("ce-type", "a.b"), ("ce-source", "/s"), ("ce-specversion", "1.0")]
    own += [("ce-subject", "s"), ("ce-anything", "x")]

    answer = doors.http("POST", "/v1/events", [*own, (name, "2")], content=b"{}")

    assert (answer.status_code, answer.json()["error"]["field"]) == (400, name)


@pytest.mark.parametrize("name", ["Accept", "X-Request-Id", "X-Forwarded-For", "Cache-Control", "traceparent"])
def test_a_list_may_come_in_two_headers(doors: Doors, name: str) -> None:
    answer = doors.http("GET", "/api/events", [(name, "a"), (name, "b")])

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("query", "name"), [("log=default&log=default", "log"), ("after=0&after=1", "after"), ("token=a&token=b", "token")]
)
def test_the_ledgers_socket_closes_with_its_name(doors: Doors, query: str, name: str) -> None:
    url = f"{doors.server.url.replace('http', 'ws')}/ledger/v1/stream?{query}"

    with (
        connect(url, additional_headers=doors.server.headers, proxy=None) as client,
        pytest.raises(ConnectionClosed) as closed,
    ):
        client.recv(timeout=30)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert f"{name}: is given more than once" in closed.value.rcvd.reason


@pytest.mark.parametrize(
    ("query", "name"), [("token=a&token=b", "token"), ("connectionParams=1&connectionParams=1", "connectionParams")]
)
def test_the_trpc_socket_names_the_parameter(doors: Doors, query: str, name: str) -> None:
    url = f"{doors.server.url.replace('http', 'ws')}/trpc?{query}"

    with connect(url, additional_headers=doors.server.headers, proxy=None) as client:
        answer = json.loads(client.recv(timeout=30))

    assert f"The parameter {name} is given more than once" in answer["error"]["message"]
