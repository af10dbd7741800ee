"""The log holds no token and no payload, wherever a caller puts them: in a path, a tool's name or a request's id."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from websockets.sync.client import connect

from tests.cases.conftest import Doors
from tests.kit.servers import until

JSON = [("content-type", "application/json"), ("accept", "application/json")]

Call = Callable[[Doors, str, str], object]


def _path(doors: Doors, sent: str, request_id: str) -> object:
    return doors.http("GET", f"/trpc/{quote(sent, safe='')}", [("x-request-id", request_id)])


def _batch(doors: Doors, sent: str, request_id: str) -> object:
    return doors.http("GET", f"/trpc/events.list,{quote(sent, safe='')}?batch=1", [("x-request-id", request_id)])


def _tool(doors: Doors, sent: str, request_id: str) -> object:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": sent}}
    return doors.http("POST", "/mcp", [*JSON, ("x-request-id", request_id)], content=json.dumps(message))


def _socket(doors: Doors, sent: str, request_id: str) -> object:
    headers = {**doors.server.headers, "x-request-id": request_id}
    with connect(f"{doors.server.url.replace('http', 'ws')}/trpc", additional_headers=headers) as socket:
        socket.send(json.dumps({"id": 1, "method": "query", "params": {"path": sent}}))
        return socket.recv()


CALLS: dict[str, Call] = {"a path": _path, "a batch": _batch, "a tool": _tool, "a socket": _socket}

SENT = {
    "a token after a '?' that was escaped": "events.list?token={token}",
    "a token in place of a name": "{token}",
    "an input after a '?' that was escaped": 'events.list?input={{"type":"mArKeR"}}',
    "a header": "authorization: Bearer mArKeR",
    "a long text": "mArKeR" * 100,
}


def _line(doors: Doors, request_id: str) -> dict[str, Any]:
    """The log's line about one request."""
    lines = until(lambda: [line for line in doors.server.log.read_text().splitlines() if f'"{request_id}"' in line])
    return dict(json.loads(lines[-1]))


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("sent", SENT.values(), ids=list(SENT))
def test_what_is_no_name_of_a_procedure_is_not_logged(doors: Doors, call: Call, sent: str) -> None:
    request_id = f"names-{uuid4()}"

    call(doors, sent.format(token=doors.server.token), request_id)

    line = _line(doors, request_id)
    assert (line["procedure"], line["error"]) == ("(unknown)", "not_found")
    assert "mArKeR" not in str(line)
    assert doors.server.token not in doors.server.log.read_text()


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_the_name_of_a_procedure_that_does_not_exist_is_logged(doors: Doors, call: Call) -> None:
    request_id = f"names-{uuid4()}"

    call(doors, "events.logAll", request_id)

    assert _line(doors, request_id)["procedure"] == "events.logAll"


@pytest.mark.parametrize("path", ["/trpc/nosuch", "/v1/events?limit=x", "/mcp", "/v1/nosuch"])
def test_a_token_as_the_id_of_a_request_is_replaced(doors: Doors, path: str) -> None:
    answer = doors.http("GET", path, [("x-request-id", doors.server.token)])

    assert doors.server.token not in answer.headers["x-request-id"]
    assert doors.server.token not in doors.server.log.read_text()
