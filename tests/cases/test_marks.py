"""The first bytes of a JSON body: a byte order mark is skipped, and an error names another encoding."""

import json
from codecs import BOM_UTF8

import pytest
from websockets.sync.client import connect

from tests.cases.conftest import Doors, Pairs
from tests.cases.test_encodings import binary, door

OTHERS = {
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16-LE",
    "utf-16-be": "UTF-16-BE",
    "utf-32": "UTF-32",
    "utf-32-be": "UTF-32-BE",
}


@door
def test_a_byte_order_mark_is_skipped(doors: Doors, path: str, headers: Pairs, body: bytes) -> None:
    answer = doors.http("POST", path, headers, content=BOM_UTF8 + body)

    assert answer.is_success, answer.text


@door
@pytest.mark.parametrize("encoding", OTHERS)
def test_another_encoding_is_named(doors: Doors, path: str, headers: Pairs, body: bytes, encoding: str) -> None:
    answer = doors.http("POST", path, headers, content=body.decode().encode(encoding))

    assert answer.status_code == 400, answer.text
    assert f"JSON must be in UTF-8; this is {OTHERS[encoding]}" in answer.text


@door
def test_only_a_mark_is_no_input(doors: Doors, path: str, headers: Pairs, body: bytes) -> None:
    assert body

    answer = doors.http("POST", path, headers, content=BOM_UTF8)

    assert answer.status_code == 400, answer.text


@door
def test_a_second_mark_is_rejected(doors: Doors, path: str, headers: Pairs, body: bytes) -> None:
    answer = doors.http("POST", path, headers, content=BOM_UTF8 * 2 + body)

    assert answer.status_code == 400, answer.text


def test_the_json_of_a_cloudevent_may_have_a_mark(doors: Doors) -> None:
    assert binary(doors, "application/json", BOM_UTF8 + b'{"a":1}')["data"] == {"a": 1}


def test_the_text_of_a_cloudevent_keeps_its_mark(doors: Doors) -> None:
    assert binary(doors, "text/plain", BOM_UTF8 + b"a")["data"] == "\ufeffa"


def test_a_frame_of_a_socket_may_have_a_mark(doors: Doors) -> None:
    call = {"id": 1, "method": "query", "params": {"path": "events.list", "input": {"limit": 1}}}

    with connect(
        f"{doors.server.url.replace('http', 'ws')}/trpc", additional_headers=doors.server.headers, proxy=None
    ) as client:
        client.send("\ufeff" + json.dumps(call))
        answer = json.loads(client.recv(timeout=30))

    assert "result" in answer
