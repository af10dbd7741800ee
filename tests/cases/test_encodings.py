"""Headers that change the meaning of a body: the server obeys them, or rejects the request."""

import gzip
import json
from functools import cache
from typing import Any
from uuid import uuid4

import pytest

from tests.cases.conftest import Doors, Pairs, gone, rows, spoken
from tests.kit import web
from tests.kit.servers import until

JSON = ("content-type", "application/json")

MCP: Pairs = [("accept", "application/json, text/event-stream"), ("mcp-protocol-version", "2025-06-18")]

CLOUDEVENT: Pairs = [("ce-specversion", "1.0"), ("ce-source", "/tests"), ("ce-type", "a.b")]

DOORS: dict[str, tuple[str, Pairs, bytes]] = {
    "trpc": ("/trpc/events.log", [JSON], b'{"type":"a.b","data":{"text":"gr\xc3\xbcn"}}'),
    "trpc in a batch": ("/trpc/events.log?batch=1", [JSON], b'{"0":{"type":"a.b","data":{}}}'),
    "trpc query by POST": ("/trpc/events.list", [JSON], b'{"limit":1}'),
    "publish": ("/v1/events", [JSON], b'{"type":"a.b","source":"x","data":{}}'),
    "mcp": ("/mcp", [JSON, *MCP], b'{"jsonrpc":"2.0","id":1,"method":"ping"}'),
    "a structured CloudEvent": (
        "/v1/events",
        [("content-type", "application/cloudevents+json")],
        b'{"specversion":"1.0","id":"encoded","source":"/s","type":"a.b","data":{}}',
    ),
    "a batch of CloudEvents": (
        "/v1/events",
        [("content-type", "application/cloudevents-batch+json")],
        b'[{"specversion":"1.0","id":"encoded","source":"/s","type":"a.b","data":{}}]',
    ),
}

door = pytest.mark.parametrize(("path", "headers", "body"), DOORS.values(), ids=list(DOORS))


def compressed(body: bytes, times: int = 1) -> bytes:
    """A body that is compressed with gzip so many times."""
    return body if times == 0 else compressed(gzip.compress(body), times - 1)


CODINGS: dict[str, tuple[Pairs, int]] = {
    "gzip": ([("content-encoding", "gzip")], 1),
    "x-gzip, in capitals": ([("content-encoding", "X-GZIP")], 1),
    "identity": ([("content-encoding", "identity")], 0),
    "an empty list": ([("content-encoding", "")], 0),
    "a list": ([("content-encoding", "identity , gzip")], 1),
    "twice": ([("content-encoding", "gzip, gzip")], 2),
    "two headers": ([("content-encoding", "gzip"), ("content-encoding", "gzip")], 2),
}


@door
@pytest.mark.parametrize(("coding", "times"), CODINGS.values(), ids=list(CODINGS))
def test_a_body_in_gzip_is_decoded(
    doors: Doors, path: str, headers: Pairs, body: bytes, coding: Pairs, times: int
) -> None:
    answer = doors.http("POST", path, [*headers, *coding], content=compressed(body, times))

    assert answer.is_success, answer.text


@door
@pytest.mark.parametrize("coding", ["x-nonsense", "br", "deflate", "zstd", "gzip, x-nonsense", "gzip;q=1", "*", "a b"])
def test_another_coding_is_rejected(doors: Doors, path: str, headers: Pairs, body: bytes, coding: str) -> None:
    answer = doors.http("POST", path, [*headers, ("content-encoding", coding)], content=body)

    assert answer.status_code == 415, answer.text
    assert answer.headers["accept-encoding"] == "gzip, identity"
    assert "Content-Encoding" in answer.text
    assert answer.headers["x-request-id"]


BROKEN = {
    "not gzip": b'{"type":"a.b"}',
    "cut off": gzip.compress(b'{"type":"a.b","data":{}}')[:-4],
    "with something behind it": gzip.compress(b"{}") + b"more",
    "with a wrong checksum": gzip.compress(b"{}")[:-8] + bytes(8),
    "of 5,000 empty members": gzip.compress(b"") * 5000,
}


@door
@pytest.mark.parametrize("broken", BROKEN.values(), ids=list(BROKEN))
def test_what_is_not_gzip_is_rejected(doors: Doors, path: str, headers: Pairs, body: bytes, broken: bytes) -> None:
    assert body

    answer = doors.http("POST", path, [*headers, ("content-encoding", "gzip")], content=broken)

    assert answer.status_code == 400, answer.text
    assert "Content-Encoding" in answer.text


@cache
def bomb(times: int) -> bytes:
    """100 MB of spaces, compressed so many times."""
    return compressed(b" " * 100_000_000, times)


@door
@pytest.mark.parametrize("times", [1, 2])
def test_a_bomb_costs_no_more_than_the_limit(doors: Doors, path: str, headers: Pairs, body: bytes, times: int) -> None:
    assert body

    answer = doors.http(
        "POST", path, [*headers, ("content-encoding", ", ".join(["gzip"] * times))], content=bomb(times)
    )

    assert answer.status_code == 413, answer.text


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(b" " * 9_000_000)], ids=["not gzip", "a bomb"])
def test_a_dry_run_tells_what_is_wrong_with_a_body(doors: Doors, content: bytes) -> None:
    answer = doors.http("POST", "/trpc/events.validate", [JSON, ("content-encoding", "gzip")], content=content)

    assert answer.status_code == 200
    assert answer.json()["result"]["data"]["valid"] is False


def test_the_limit_of_an_event_counts_decoded_bytes(doors: Doors) -> None:
    event = json.dumps({"type": "a.b", "source": "x", "data": {"text": "x" * 1_100_000}}).encode()

    answer = doors.http("POST", "/v1/events", [JSON, ("content-encoding", "gzip")], content=gzip.compress(event))

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


def test_a_body_of_an_unknown_caller_is_not_decoded(doors: Doors) -> None:
    answer = web.post(
        f"{doors.server.url}/trpc/events.log",
        content=b"not gzip",
        headers={"content-type": "application/json", "content-encoding": "gzip"},
    )

    assert answer.status_code == 401


def test_a_transfer_coding_beside_chunked_is_rejected(doors: Doors) -> None:
    for path, headers, _ in DOORS.values():
        lines = "".join(f"{name}: {value}\r\n" for name, value in [*doors.server.headers.items(), *headers])
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\n{lines}transfer-encoding: gzip, chunked\r\nconnection: close\r\n\r\n"
        )

        answer = spoken(doors.server.url, head.encode(), b"2\r\n{}\r\n0\r\n\r\n")

        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b"Transfer-Encoding" in answer.partition(b"\r\n\r\n")[2]


@door
@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"utf-8"', "us-ascii"])
def test_json_may_say_that_it_is_utf8(doors: Doors, path: str, headers: Pairs, body: bytes, charset: str) -> None:
    (name, kind), *rest = headers

    answer = doors.http("POST", path, [(name, f"{kind}; charset={charset}"), *rest], content=body)

    assert answer.is_success, answer.text


@door
@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "utf-7", "x-nonsense", "utf-8; charset=utf-16", ""])
def test_json_in_another_charset_is_rejected(
    doors: Doors, path: str, headers: Pairs, body: bytes, charset: str
) -> None:
    (name, kind), *rest = headers

    answer = doors.http("POST", path, [(name, f"{kind}; charset={charset}"), *rest], content=body)

    assert answer.status_code == 415, answer.text
    assert "UTF-8" in answer.text


def binary(doors: Doors, content_type: str, body: bytes, *more: tuple[str, str]) -> dict[str, Any]:
    """Publish an event in the binary mode, and return it as it is stored."""
    own = [*CLOUDEVENT, ("ce-id", str(uuid4())), ("content-type", content_type), *more]
    answer = doors.http("POST", "/v1/events", [*own, ("accept", "application/cloudevents+json")], content=body)
    assert answer.status_code == 201, answer.text
    event: dict[str, Any] = answer.json()
    return event


def test_the_data_of_a_cloudevent_in_gzip_is_what_was_compressed(doors: Doors) -> None:
    event = binary(doors, "text/plain", gzip.compress(b"hello"), ("content-encoding", "gzip"))

    assert event["data"] == "hello"


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain; charset=iso-8859-1", b"caf\xe9", "café"),
        ("text/plain; charset=ISO-8859-1", "é".encode(), "Ã©"),
        ("text/plain;charset=windows-1252", b"\x80", "€"),
        ("text/csv; header=present; charset=utf-16", "a,ü".encode("utf-16"), "a,ü"),
        ("application/xml; charset=shift_jis", "<a>日本</a>".encode("shift_jis"), "<a>日本</a>"),
        ("text/plain; charset=utf-8", "ü".encode(), "ü"),
        ("text/plain", "ü".encode(), "ü"),
    ],
)
def test_the_charset_of_text_is_honoured(doors: Doors, content_type: str, body: bytes, text: str) -> None:
    event = binary(doors, content_type, body)

    assert event["data"] == text


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("text/plain", b"caf\xe9"), ("text/plain; charset=utf-8", b"\xff"), ("image/png; charset=binary", b"\x89PNG")],
)
def test_bytes_that_are_no_text_stay_bytes(doors: Doors, content_type: str, body: bytes) -> None:
    assert "data_base64" in binary(doors, content_type, body)


@pytest.mark.parametrize("charset", ["x-nonsense", "rot13", "unicode_escape", "utf-8; charset=utf-16"])
def test_a_charset_that_is_not_known_is_rejected(doors: Doors, charset: str) -> None:
    headers = [*CLOUDEVENT, ("ce-id", "1"), ("content-type", f"text/plain; charset={charset}")]

    answer = doors.http("POST", "/v1/events", headers, content=b"x")

    assert (answer.status_code, answer.json()["error"]["field"]) == (415, "Content-Type")


def test_nothing_is_stored_of_a_cloudevent_whose_client_goes_within_its_body(doors: Doors) -> None:
    def count() -> object:
        return rows(doors.database_url, "SELECT count(*) FROM event")[0][0]

    before, request_id = count(), f"cut-{uuid4()}"
    pairs = [*doors.server.headers.items(), *CLOUDEVENT, ("ce-id", request_id), ("x-request-id", request_id)]
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\n{lines}content-length: 50\r\n\r\n"

    gone(doors, head.encode() + b"half")

    until(lambda: request_id in doors.server.log.read_text())
    assert count() == before
