"""Digits from a stranger: a number of any length and spelling is answered 400 in the door's shape, and is logged."""

import json
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.cases.conftest import Doors, spoken
from tests.kit import web
from tests.kit.servers import until

MANY = "0" * 5000 + "2"

LENGTHS = {"5,000 zeros and a 2": MANY, "19 digits": "0" * 18 + "2"}

SHAPES = {
    "/trpc/events.log": "httpStatus",
    "/trpc": "httpStatus",
    "/v1/events": "code",
    "/v1/events/subscriptions": "code",
    "/mcp": "jsonrpc",
}


@pytest.mark.parametrize("length", LENGTHS.values(), ids=list(LENGTHS))
@pytest.mark.parametrize("path", SHAPES)
def test_a_length_of_many_digits_is_rejected(doors: Doors, path: str, length: str) -> None:
    request_id = f"digits-{uuid4()}"
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-request-id: {request_id}\r\n"
        f"content-length: {length}\r\nconnection: close\r\n\r\n"
    )

    answer = spoken(doors.server.url, head.encode(), b"{}")

    assert answer.startswith(b"HTTP/1.1 400 "), answer
    head_, _, body = answer.partition(b"\r\n\r\n")
    assert f"x-request-id: {request_id}".encode() in head_
    assert f'"{SHAPES[path]}"' in body.decode()
    assert b"Content-Length" in body
    until(lambda: request_id in doors.server.log.read_text())


@pytest.mark.parametrize("length", ["+2", "-2", "2 2", "1_0", "0x2", "2.0", "\u0662", "\u00b2", "", "9" * 20])
@pytest.mark.parametrize("path", SHAPES)
def test_a_length_that_is_no_number_is_rejected(doors: Doors, path: str, length: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"

    answer = spoken(doors.server.url, head.encode(), b"{}")

    assert answer.startswith(b"HTTP/1.1 400 "), answer


def test_a_length_may_have_zeros_before_it(doors: Doors) -> None:
    pairs = "".join(f"{name}: {value}\r\n" for name, value in doors.server.headers.items())
    head = f"POST /trpc/events.list HTTP/1.1\r\nhost: x\r\n{pairs}content-type: application/json\r\n"

    answer = spoken(doors.server.url, f"{head}content-length: 0000000002\r\nconnection: close\r\n\r\n".encode(), b"{}")

    assert answer.startswith(b"HTTP/1.1 200 ")


PLACES = [
    "/v1/events?limit={}",
    "/v1/events?offset={}",
    "/api/events?limit={}",
    "/api/events/x/trace?depth={}",
    "/ledger/v1/events?limit={}",
    "/ledger/v1/audit?limit={}",
    "/ledger/v1/consistency?from={}",
    "/ledger/v1/events/export?from_seq={}",
]

ODD = {
    "5,000 digits": MANY,
    "20 digits": "9" * 20,
    "an underscore": "1_0",
    "Arabic digits": "\u0663",
    "a superscript": "\u00b2",
    "full width": "\uff15",
    "a plus": "%2B5",
    "a space": "%205",
    "nothing": "",
    "hexadecimal": "0x5",
}


@pytest.mark.parametrize("digits", ODD.values(), ids=list(ODD))
@pytest.mark.parametrize("place", PLACES)
def test_a_parameter_that_is_no_number_is_named(doors: Doors, place: str, digits: str) -> None:
    answer = doors.http("GET", place.format(digits))

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["field"] == place.partition("?")[2].partition("=")[0]


@pytest.mark.parametrize("number", [MANY, "9" * 5000, "-" + "9" * 5000, "1e" + "9" * 5000, "9" * 25])
@pytest.mark.parametrize(
    "content",
    [
        '{"jsonrpc":"2.0","id":NUMBER,"method":"ping"}',
        '{"jsonrpc":"2.0","id":NUMBER,"method":"tools/call","params":{"name":"events_list","arguments":{}}}',
        '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":NUMBER}}',
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"events_list","arguments":{"limit":NUMBER}}}',
    ],
    ids=["an id", "the id of a call", "a parameter", "an argument"],
)
def test_a_number_in_a_json_rpc_message_causes_no_failure(doors: Doors, content: str, number: str) -> None:
    headers = [("accept", "application/json, text/event-stream"), ("mcp-protocol-version", "2025-06-18")]
    headers.append(("content-type", "application/json"))

    answer = doors.http("POST", "/mcp", headers, content=content.replace("NUMBER", number))

    assert answer.status_code in {200, 400}, answer.text
    assert answer.json()["jsonrpc"] == "2.0"
    assert answer.json().get("error", {}).get("code") != -32603


@pytest.mark.parametrize("number", [MANY, "9" * 5000, "1e" + "9" * 5000])
@pytest.mark.parametrize("place", ["id", "input", "jsonrpc"])
def test_a_number_in_a_sockets_message_causes_no_failure(doors: Doors, place: str, number: str) -> None:
    members = {"id": "1", "method": '"query"', "params": '{"path":"events.list","input":{"limit":1}}'}
    odd = {"input": {"params": '{"path":"events.list","input":{"limit":NUMBER}}'}}.get(place, {place: "NUMBER"})
    inside = ",".join(f'"{name}":{value}' for name, value in (members | odd).items())

    url = f"{doors.server.url.replace('http', 'ws')}/trpc"
    with connect(url, additional_headers=doors.server.headers, proxy=None) as client:
        client.send(f"{{{inside}}}".replace("NUMBER", number))
        answer = json.loads(client.recv(timeout=30))

    assert answer["error"]["data"]["code"] in {"PARSE_ERROR", "BAD_REQUEST"}


@pytest.mark.parametrize("after", [MANY, "1_0", "\u0663", "%2B5", "-2"])
def test_a_place_that_is_no_number_closes_the_ledgers_socket(doors: Doors, after: str) -> None:
    url = f"{doors.ledger_url.replace('http', 'ws')}/v1/stream?after={after}"

    with (
        connect(url, additional_headers=doors.server.headers, proxy=None) as client,
        pytest.raises(ConnectionClosed) as closed,
    ):
        client.recv(timeout=30)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "invalid_input: after: must be a seq, or -1")


@pytest.mark.parametrize("place", [MANY, "\u0663", "1_0", "9" * 5000])
def test_a_last_event_id_of_digits_causes_no_failure(doors: Doors, place: str) -> None:
    own = doors.server.headers | {"last-event-id": place}
    headers = [(name.encode(), value.encode()) for name, value in own.items()]

    answer = web.get(f"{doors.server.url}/trpc/events.stream", headers=headers, timeout=30)

    assert "event: serialized-error" in answer.text
    assert "internal" not in answer.text
