"""CloudEvents: the preferences of `Accept`, one event in several modes, hints, and the handshake of webhooks."""

import base64
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.surfaces.shared.accept import chosen, named_quality
from tests.cases.conftest import Doors

EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"

ATTRIBUTES = {"specversion": "1.0", "source": "/tests", "type": "a.b"}

ACCEPTS = {
    EVENT: EVENT,
    f"{EVENT}, {JSON}": JSON,
    f"{EVENT}, {JSON};q=0.9": EVENT,
    f"{EVENT};q=0.5, {JSON}": JSON,
    f"{EVENT};q=0": JSON,
    f"{EVENT};q=0.0, */*": JSON,
    f"{EVENT}; q=0.1 , {JSON};q=0": EVENT,
    f"{EVENT.upper()}": EVENT,
    f"{EVENT};charset=utf-8;q=0.7, text/html": EVENT,
    f"{EVENT}, */*": EVENT,
    f"{EVENT}, */*;q=0.8": EVENT,
    "*/*": JSON,
    "application/*": JSON,
    f"application/*, {JSON};q=0.1": EVENT,
    "text/html": JSON,
    "": JSON,
    ";q=1": JSON,
    f"{EVENT};q=nonsense": EVENT,
    f"{EVENT};q=inf, {JSON};q=nan": JSON,
    f'text/x;a="b,{EVENT}", {JSON};q=0.1': JSON,
    f"text/*, {EVENT}": EVENT,
}


@pytest.mark.parametrize(("accept", "kind"), ACCEPTS.items(), ids=list(ACCEPTS))
def test_the_preferred_format_is_returned(accept: str, kind: str) -> None:
    assert chosen({b"accept": accept.encode()}, (JSON, EVENT)) == kind


def test_without_accept_the_first_format_is_returned(doors: Doors) -> None:
    assert chosen({}, (JSON, EVENT)) == JSON
    assert doors.http("GET", "/v1/events").headers["content-type"] == JSON


@pytest.mark.parametrize(("accept", "quality"), [(JSON, 1.0), (f"{JSON};q=0.25", 0.25), ("*/*", 0.0), ("", 0.0)])
def test_a_wildcard_names_nothing(accept: str, quality: float) -> None:
    assert named_quality({b"accept": accept.encode()}, JSON) == quality


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (f"{EVENT};q=0.2, {JSON};q=0.8", JSON),
        (f"{EVENT};q=0.8, {JSON};q=0.2", EVENT),
        (f"{EVENT};q=0", JSON),
    ],
)
def test_the_publish_door_honours_it(doors: Doors, accept: str, kind: str) -> None:
    answer = publish(doors, {"type": "a.b", "source": "x", "data": {}}, JSON, accept=accept)

    assert answer.headers["content-type"] == kind
    found = doors.http("GET", "/v1/events?limit=1", [("accept", accept.replace(EVENT, BATCH))])
    assert found.headers["content-type"] == kind.replace(EVENT, BATCH)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*;q=0.2", "application/openmetrics-text"),
        ("application/openmetrics-text;q=0.1,text/plain;q=0.3", "text/plain"),
        ("application/openmetrics-text;q=0", "text/plain"),
        ("*/*", "text/plain"),
    ],
)
def test_the_metrics_honour_it(doors: Doors, accept: str, kind: str) -> None:
    answer = doors.http("GET", "/metrics", [("accept", accept)])

    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("application/jsonl", True),
        ("application/jsonl;q=0.5", True),
        ("application/jsonl, application/json", True),
        ("application/jsonl;q=0.5, application/json", False),
        ("application/jsonl;q=0", False),
        ("*/*", False),
    ],
)
def test_the_trpc_door_honours_it(doors: Doors, accept: str, streams: bool) -> None:  # noqa: FBT001
    answer = doors.http("GET", "/trpc/events.list?batch=1", [("accept", accept)])

    assert answer.status_code == 200
    assert answer.text.startswith('{"0":[[0]') == streams


def publish(doors: Doors, body: object, content_type: str, **headers: str) -> httpx.Response:
    """Publish an event in the structured mode."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return doors.http("POST", "/v1/events", [("content-type", content_type), *headers.items()], content=content)


def binary(doors: Doors, attributes: dict[str, str], content_type: str | None, body: bytes) -> httpx.Response:
    """Publish an event in the binary mode."""
    own = [(f"ce-{name}", value) for name, value in attributes.items()]
    return doors.http(
        "POST", "/v1/events", own + ([("content-type", content_type)] if content_type else []), content=body
    )


Members = dict[str, Any]

SAME: dict[str, tuple[Members, Members, str | None, bytes]] = {
    "JSON": ({"data": {"a": 1}}, {}, JSON, b'{"a": 1}'),
    "JSON that says so": ({"datacontenttype": JSON, "data": {"a": 1}}, {}, JSON, b'{"a":1}'),
    "JSON with a charset": ({"datacontenttype": JSON, "data": {"a": 1}}, {}, f"{JSON}; charset=utf-8", b'{"a":1}'),
    "JSON in capitals": ({"data": {"a": 1}}, {}, "Application/JSON;charset=UTF-8", b'{"a":1}'),
    "JSON with a mark": ({"data": {"a": 1}}, {}, JSON, b'\xef\xbb\xbf{"a":1}'),
    "a kind of JSON": (
        {"datacontenttype": "application/vnd.x+json", "data": {"a": 1}},
        {},
        "application/vnd.x+json; charset=utf-8",
        b'{"a":1}',
    ),
    "a list": ({"data": [1, 2]}, {}, JSON, b"[1,2]"),
    "a JSON text": ({"data": "x"}, {}, JSON, b'"x"'),
    "null": ({"datacontenttype": JSON, "data": None}, {}, JSON, b""),
    "no data": ({}, {}, None, b""),
    "no data, and a type": ({}, {}, JSON, b""),
    "text": ({"datacontenttype": "text/plain", "data": "grün"}, {}, "text/plain", "grün".encode()),
    "an empty text": ({"datacontenttype": "text/plain", "data": ""}, {}, "text/plain", b""),
    "text as bytes": (
        {"datacontenttype": "text/plain", "data_base64": base64.b64encode("grün".encode()).decode()},
        {},
        "text/plain",
        "grün".encode(),
    ),
    "text in another charset": (
        {"datacontenttype": "text/plain; charset=iso-8859-1", "data": "café"},
        {},
        "text/plain; charset=iso-8859-1",
        b"caf\xe9",
    ),
    "bytes": (
        {"datacontenttype": "application/octet-stream", "data_base64": "AP8="},
        {},
        "application/octet-stream",
        b"\x00\xff",
    ),
    "bytes that are a text": (
        {"datacontenttype": "application/octet-stream", "data_base64": "aGVsbG8="},
        {},
        "application/octet-stream",
        b"hello",
    ),
    "JSON as bytes": ({"datacontenttype": JSON, "data_base64": "eyJhIjoxfQ=="}, {}, JSON, b'{"a":1}'),
    "times with offsets": (
        {"time": "2026-01-15T10:30:00Z", "data": {}},
        {"time": "2026-01-15T11:30:00.000+01:00"},
        JSON,
        b"{}",
    ),
    "attributes that are percent-encoded": (
        {"subject": "Grüße %", "data": {}},
        {"subject": "Gr%C3%BC%C3%9Fe %25"},
        JSON,
        b"{}",
    ),
    "extensions": (
        {"sampledrate": 30, "isfinal": True, "partitionkey": "7", "data": {}},
        {"sampledrate": "30", "isfinal": "true", "partitionkey": "7"},
        JSON,
        b"{}",
    ),
    "extensions that are numbers": ({"a": -5, "b": 0, "data": {}}, {"a": "-5", "b": "0"}, JSON, b"{}"),
    "extensions that spell numbers": ({"a": "007", "b": "-0", "data": {}}, {"a": "007", "b": "-0"}, JSON, b"{}"),
}


@pytest.mark.parametrize(("members", "headers", "content_type", "body"), SAME.values(), ids=list(SAME))
@pytest.mark.parametrize("first", ["binary", "structured"])
def test_an_event_in_two_modes_is_one(
    doors: Doors, first: str, members: Members, headers: Members, content_type: str | None, body: bytes
) -> None:
    if body == b"" and "data" in members and members["data"] is None:
        members = {name: value for name, value in members.items() if name != "data"}
    own = ATTRIBUTES | {"id": f"run/{uuid4()}"}

    def sent(mode: str) -> httpx.Response:
        if mode == "binary":
            return binary(doors, own | headers, content_type, body)
        return publish(doors, own | members, EVENT)

    answers = [sent(mode) for mode in (first, *{"binary", "structured"} - {first}, first)]

    assert [answer.status_code for answer in answers] == [201] * 3, [answer.text for answer in answers]
    assert len({answer.json()["eventId"] for answer in answers}) == 1
    assert len({answer.json()["timestamp"] for answer in answers}) == 1


OTHERS: dict[str, Members] = {
    "data": {"data": {"a": 2}},
    "an extension": {"data": {"a": 1}, "sampledrate": 31},
    "one extension more": {"data": {"a": 1}, "sampledrate": 30, "more": "x"},
    "a subject": {"data": {"a": 1}, "sampledrate": 30, "subject": "s"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=list(OTHERS))
def test_another_event_of_the_same_id_is_a_conflict_in_every_mode(doors: Doors, other: Members) -> None:
    own = ATTRIBUTES | {"id": f"run/{uuid4()}"}
    assert binary(doors, own | {"sampledrate": "30"}, JSON, b'{"a":1}').status_code == 201

    assert publish(doors, own | other, EVENT).status_code == 409
    assert publish(doors, own | {"data": {"a": 1}, "sampledrate": 30}, EVENT).status_code == 201


HINTS = {
    "an event": (ATTRIBUTES | {"id": "1", "data": {}}, EVENT),
    "an event without data": (ATTRIBUTES | {"id": "1"}, EVENT),
    "an event that lacks all else": ({"specversion": "1.0"}, EVENT),
    "a batch": ([ATTRIBUTES | {"id": "1"}, ATTRIBUTES | {"id": "2"}], BATCH),
}


@pytest.mark.parametrize(("body", "kind"), HINTS.values(), ids=list(HINTS))
@pytest.mark.parametrize("content_type", [JSON, "text/plain", f"{JSON}; charset=utf-8"])
def test_a_cloudevent_that_says_json_gets_a_hint(doors: Doors, content_type: str, body: object, kind: str) -> None:
    answer = publish(doors, body, content_type)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["field"] == "Content-Type"
    assert f"must be {kind}" in error["message"]


@pytest.mark.parametrize("body", [{"data": {}}, [], [{}], {"specversion": 1}, "specversion"], ids=str)
def test_other_json_gets_no_hint(doors: Doors, body: object) -> None:
    assert "cloudevents" not in publish(doors, body, JSON).text


def handshake(doors: Doors, **headers: str) -> httpx.Response:
    """The request that a sender of CloudEvents makes before it delivers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return doors.client.options(f"{doors.server.url}/v1/events", headers=named)


@pytest.mark.parametrize("origin", ["eventemitter.example.com", "https://sender.example", "eventgrid.azure.net"])
def test_the_handshake_of_webhooks_is_answered(doors: Doors, origin: str) -> None:
    answer = handshake(doors, webhook_request_origin=origin, webhook_request_rate="120")

    assert answer.status_code in {200, 204}
    assert answer.headers["webhook-allowed-origin"] == origin
    assert answer.headers["webhook-allowed-rate"] == "100000"
    assert {"GET", "HEAD", "OPTIONS", "POST"} == {word.strip() for word in answer.headers["allow"].split(",")}
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("origin", [None, "", "a b", "x" * 300, "\xe9"], ids=repr)
def test_no_other_sender_is_granted_anything(doors: Doors, origin: str | None) -> None:
    raw = [] if origin is None else [(b"webhook-request-origin", origin.encode("latin-1"))]

    answer = doors.client.options(f"{doors.server.url}/v1/events", headers=raw)

    assert answer.status_code == 204
    assert "webhook-allowed-origin" not in answer.headers


CHARSETS = {
    "unknown": {"datacontenttype": "text/plain; charset=nope", "data_base64": "/w=="},
    "unknown, of JSON": {"datacontenttype": "application/json; charset=nope", "data": {}},
    "two": {"datacontenttype": "text/plain; charset=utf-8; charset=latin1", "data_base64": "/w=="},
    "another, of JSON as bytes": {"datacontenttype": "application/json; charset=utf-16", "data_base64": "e30="},
}


@pytest.mark.parametrize("data", CHARSETS.values(), ids=list(CHARSETS))
@pytest.mark.parametrize("mode", [EVENT, BATCH])
def test_a_charset_in_an_event_is_named_by_its_member(doors: Doors, data: dict[str, Any], mode: str) -> None:
    event = {**ATTRIBUTES, "id": str(uuid4()), **data}

    answer = doors.http("POST", "/v1/events", [("content-type", mode)], json=event if mode == EVENT else [event])

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_input")
    assert error["field"] == ("datacontenttype" if mode == EVENT else "0.datacontenttype")
