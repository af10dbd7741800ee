"""The publish door compared with its document, section by section."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from tests.kit import web
from tests.kit.servers import Server, cloned, serving, until
from tests.procedures.conftest import Keyed
from tests.surfaces.conftest import Observed

EVENT: dict[str, Any] = {
    "type": "code.analysis.complete",
    "source": "github.action",
    "data": {"applicationId": "app_abc123", "repository": "my-app", "score": 72, "issueCount": 14},
}


@pytest.fixture
def keyed(observed: Observed) -> Keyed:
    """The shared server, with helpers that create keys."""
    return Keyed(observed.server, observed.database_url)


@pytest.fixture
def org(keyed: Keyed) -> str:
    """A workspace of the test's own."""
    return keyed.workspace()


def publish(server: Server, event: object, **headers: str) -> httpx.Response:
    """Make a `POST /v1/events`."""
    content = event if isinstance(event, bytes) else json.dumps(event).encode()
    return web.post(f"{server.url}/v1/events", content=content, headers=server.headers | headers, timeout=30)


def query(server: Server, **parameters: object) -> httpx.Response:
    """Make a `GET /v1/events`."""
    named = {name.rstrip("_"): str(value) for name, value in parameters.items()}
    return web.get(f"{server.url}/v1/events", params=named, headers=server.headers, timeout=30)


def published(server: Server, org: str, **members: Any) -> dict[str, Any]:
    """Publish an event, and return the answer. `members` are those of the body."""
    metadata = {"orgId": org} | members.pop("metadata", {})
    answer = publish(server, EVENT | members | {"metadata": metadata})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error of a rejected call, which must have exactly the document's fields."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    [(name, error)] = answer.json().items()
    assert name == "error"
    assert set(error) <= {"code", "message", "field"}
    assert error["message"]
    body: dict[str, Any] = error
    return body


def found(server: Server, org: str, **parameters: object) -> list[str]:
    """The ids of the events that a query finds."""
    answer = query(server, orgId=org, **parameters)
    assert answer.status_code == 200, answer.text
    return [event["eventId"] for event in answer.json()["events"]]


def test_publish_event_response_has_its_fields(observed: Observed, org: str) -> None:
    body = published(observed.server, org, metadata={"correlationId": "run-gh-001"})

    assert set(body) == {"eventId", "type", "timestamp", "status", "workflowsTriggered"}
    assert UUID(body["eventId"])
    assert body["type"] == EVENT["type"]
    assert body["status"] == "published"
    assert body["workflowsTriggered"] == 0
    assert abs((datetime.fromisoformat(body["timestamp"]) - datetime.now(UTC)).total_seconds()) < 60


def test_publish_event_is_the_event_that_the_other_doors_show(observed: Observed, org: str) -> None:
    tags = ["ci", "nightly"]
    body = published(observed.server, org, metadata={"correlationId": "run-1", "userId": "ann", "tags": tags})

    event = observed.server.query("events.get", {"eventId": body["eventId"]}, **{"x-workspace-id": org}).json()
    event = event["result"]["data"]

    assert event["data"] == EVENT["data"]
    assert (event["producer"], event["source"]) == ("github.action", "api")
    assert (event["userId"], event["correlationId"]) == ("ann", "run-1")
    assert event["metadata"] == {"custom": {"tags": tags}}
    assert event["timestamp"] == body["timestamp"]


@pytest.mark.parametrize("member", ["type", "source", "data"])
@pytest.mark.parametrize("absent", [True, False], ids=["absent", "null"])
def test_error_codes_missing_required_field(observed: Observed, member: str, absent: bool) -> None:  # noqa: FBT001
    event = {name: value for name, value in EVENT.items() if name != member} | ({} if absent else {member: None})

    error = error_of(publish(observed.server, event), 400)

    assert (error["code"], error["field"]) == ("missing_required_field", member)


@pytest.mark.parametrize(
    "type_", ["created", "", "a..b", "a.b.", "ä.b", "synap.key.rotated", "a." + "b" * 127, "a b.c"]
)
def test_error_codes_invalid_event_type(observed: Observed, type_: str) -> None:
    error = error_of(publish(observed.server, EVENT | {"type": type_}), 400)

    assert (error["code"], error["field"]) == ("invalid_event_type", "type")


def test_error_codes_invalid_event_type_says_what_the_document_says(observed: Observed) -> None:
    error = error_of(publish(observed.server, EVENT | {"type": "created"}), 400)

    assert "Event type must follow dot notation (e.g., 'code.analysis.complete')" in error["message"]


def test_error_codes_payload_too_large(observed: Observed) -> None:
    event = EVENT | {"data": {"text": ""}}
    room = 1_048_576 - len(json.dumps(event))

    assert publish(observed.server, event | {"data": {"text": "x" * room}}).status_code == 201
    error = error_of(publish(observed.server, event | {"data": {"text": "x" * (room + 1)}}), 413)
    assert error["code"] == "payload_too_large"
    assert error_of(publish(observed.server, b"x" * (9 * 2**20)), 413)["code"] == "payload_too_large"


@pytest.mark.parametrize("token", [None, "nosuch"])
def test_error_codes_unauthorized(observed: Observed, token: str | None) -> None:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    url = f"{observed.server.url}/v1/events"

    for answer in (web.post(url, content=b"not looked at", headers=headers), web.get(url, headers=headers)):
        assert error_of(answer, 401)["code"] == "unauthorized"


def test_error_codes_forbidden_without_the_scope(keyed: Keyed) -> None:
    _, reader = keyed.key("events:read")
    _, writer = keyed.key("events:write")

    assert error_of(publish(reader, EVENT), 403)["code"] == "forbidden"
    assert error_of(query(writer), 403)["code"] == "forbidden"
    assert publish(writer, EVENT).status_code == 201
    assert query(reader).status_code == 200


@pytest.mark.parametrize("foreign", ["theirs", "nosuch", "NOT A SLUG", "\x00"])
def test_an_org_that_is_not_the_callers_is_forbidden(keyed: Keyed, org: str, foreign: str) -> None:
    _, holder = keyed.key("*", workspaces=(org,))
    asked = keyed.workspace() if foreign == "theirs" else foreign

    for caller in (holder, keyed.server) if foreign != "theirs" else (holder,):
        error = error_of(publish(caller, EVENT | {"metadata": {"orgId": asked}}), 403 if foreign != "\x00" else 400)
        assert error["field"] == "metadata.orgId"
        assert error_of(query(caller, orgId=asked), 403)["field"] == "orgId"


def test_the_org_defaults_to_the_keys_first_and_may_stand_in_the_header(keyed: Keyed, org: str) -> None:
    other = keyed.workspace()
    _, holder = keyed.key("*", workspaces=(org, other))

    for headers, expected in (({}, org), ({"x-workspace-id": other}, other)):
        id_ = publish(holder, EVENT, **headers).json()["eventId"]
        assert found(holder, expected) == [id_]


def test_another_user_needs_the_scope_for_it(keyed: Keyed) -> None:
    _, writer = keyed.key("events:write", user="ann")

    error = error_of(publish(writer, EVENT | {"metadata": {"userId": "bob"}}), 403)

    assert (error["code"], error["field"]) == ("forbidden", "metadata.userId")


BAD: dict[str, tuple[Any, str, str | None]] = {
    "nothing": (b"", "malformed_json", None),
    "no JSON": (b"{bad", "malformed_json", None),
    "an array": (b"[]", "invalid_input", None),
    "NaN": (b'{"type":"a.b","source":"s","data":{"n":NaN}}', "malformed_json", None),
    "an unknown field": (EVENT | {"level": 1}, "invalid_input", "level"),
    "an unknown field of metadata": (EVENT | {"metadata": {"level": 1}}, "invalid_input", "metadata.level"),
    "data is a list": (EVENT | {"data": []}, "invalid_input", "data"),
    "an empty source": (EVENT | {"source": ""}, "invalid_input", "source"),
    "a source with U+0000": (EVENT | {"source": "a\x00"}, "invalid_input", "source"),
    "tags are text": (EVENT | {"metadata": {"tags": "a"}}, "invalid_input", "metadata.tags"),
    "a tag is a number": (EVENT | {"metadata": {"tags": ["a", 1]}}, "invalid_input", "metadata.tags.1"),
    "an unsafe number": (EVENT | {"data": {"n": 2**53}}, "unsafe_number", "data.n"),
}


@pytest.mark.parametrize(("event", "code", "field"), BAD.values(), ids=list(BAD))
def test_bad_input_names_the_place(observed: Observed, event: Any, code: str, field: str | None) -> None:
    error = error_of(publish(observed.server, event), 400)

    assert (error["code"], error.get("field")) == (code, field)


def test_an_idempotency_key_returns_the_first_event_again(observed: Observed, org: str) -> None:
    event = EVENT | {"metadata": {"orgId": org}}
    first = publish(observed.server, event, **{"idempotency-key": "run 1"})
    again = publish(observed.server, event, **{"idempotency-key": "run 1"})
    other = publish(observed.server, event, **{"idempotency-key": "run 2"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 201)
    assert first.json() == again.json() != other.json()
    assert len(found(observed.server, org)) == 2
    changed = publish(observed.server, event | {"data": {}}, **{"idempotency-key": "run 1"})
    error = error_of(changed, 409)
    assert error["code"] == "conflict"


def test_an_idempotency_key_is_the_api_keys_own_and_the_workspaces(keyed: Keyed, org: str) -> None:
    other = keyed.workspace()
    _, holder = keyed.key("*", workspaces=(org, other))
    same = {"idempotency-key": "1"}

    ids = {
        publish(caller, EVENT | {"metadata": {"orgId": workspace}}, **same).json()["eventId"]
        for caller, workspace in ((holder, org), (holder, other), (keyed.server, org))
    }

    assert len(ids) == 3


@pytest.mark.parametrize("key", ["", "x" * 256, "ä"])
def test_an_idempotency_key_that_cannot_be_one_is_rejected(observed: Observed, key: str) -> None:
    headers = [*observed.server.headers.items(), ("idempotency-key", key.encode())]
    answer = web.post(f"{observed.server.url}/v1/events", json=EVENT, headers=headers)  # type: ignore[arg-type]

    assert error_of(answer, 400)["field"] == "Idempotency-Key"


def test_query_events_response_has_its_fields(observed: Observed, org: str) -> None:
    plain = published(observed.server, org)
    full = published(observed.server, org, metadata={"correlationId": "run-gh-001", "tags": ["ci"], "userId": "ann"})

    body = query(observed.server, orgId=org).json()

    assert set(body) == {"events", "total", "offset", "limit"}
    assert (body["total"], body["offset"], body["limit"]) == (2, 0, 20)
    newest, oldest = body["events"]
    assert newest == {
        "eventId": full["eventId"],
        "type": EVENT["type"],
        "source": "github.action",
        "orgId": org,
        "timestamp": full["timestamp"],
        "data": EVENT["data"],
        "metadata": {"correlationId": "run-gh-001", "userId": "ann", "tags": ["ci"]},
    }
    assert (oldest["eventId"], oldest["metadata"]) == (plain["eventId"], {"userId": "control"})


def test_query_parameters_filter(observed: Observed, org: str) -> None:
    server = observed.server
    first = published(server, org)
    second = published(server, org, type="lead.scored", metadata={"correlationId": "c1"})
    server.mutate("events.log", {"type": "lead.enriched", "data": {}, "source": "sync"}, **{"x-workspace-id": org})
    one, two, three = first["eventId"], second["eventId"], found(server, org)[0]

    assert found(server, org, type="code.*") == [one]
    assert found(server, org, type="*.scored") == [two]
    assert found(server, org, type="lead.*") == [three, two]
    assert found(server, org, source="github.action") == [two, one]
    assert found(server, org, source="sync") == [three], "an event without a producer comes from its source"
    assert found(server, org, correlationId="c1") == [two]
    assert found(server, org, from_=second["timestamp"]) == [three, two]
    assert found(server, org, to=second["timestamp"]) == [one]
    assert found(server, org, limit=1, offset=1) == [two]
    assert query(server, orgId=org, limit=1, offset=1, source="github.action").json()["total"] == 2


def test_query_parameters_limit_is_20_by_default_and_100_at_most(observed: Observed, org: str) -> None:
    events = {"events": [{"type": "a.b", "data": {}} for _ in range(101)]}
    assert observed.server.mutate("events.logBatch", events, **{"x-workspace-id": org}).status_code == 200

    assert len(found(observed.server, org)) == 20
    assert len(found(observed.server, org, limit=100)) == 100
    assert error_of(query(observed.server, orgId=org, limit=101), 400)["field"] == "limit"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "cod*"),
        ("limit", "0"),
        ("limit", "ten"),
        ("offset", "-1"),
        ("from", "2024-01-01T00:00:00"),
        ("to", "yesterday"),
        ("source", ""),
        ("nosuch", "1"),
    ],
)
def test_query_parameters_that_do_not_fit_are_named(observed: Observed, name: str, value: str) -> None:
    error = error_of(query(observed.server, **{name: value}), 400)

    assert (error["code"], error["field"]) == ("invalid_input", name)


def test_a_key_that_reads_its_own_finds_its_own(keyed: Keyed, org: str) -> None:
    published(keyed.server, org)
    _, holder = keyed.key("events:read-own", "events:write", user="own", workspaces=(org,))
    own = publish(holder, EVENT).json()["eventId"]

    assert found(holder, org) == [own]


def test_a_page_that_would_be_too_large_says_so(observed: Observed, org: str) -> None:
    for _ in range(5):
        events = {"events": [{"type": "a.b", "data": {"text": "x" * 1_000_000}} for _ in range(8)]}
        assert observed.server.mutate("events.logBatch", events, **{"x-workspace-id": org}).status_code == 200

    error = error_of(query(observed.server, orgId=org, limit=100), 413)

    assert (error["code"], error["field"]) == ("payload_too_large", "limit")
    assert len(found(observed.server, org, limit=20)) == 20


def test_what_is_not_there_has_the_doors_error_shape(observed: Observed) -> None:
    server = observed.server

    assert error_of(web.get(f"{server.url}/v1/nosuch", headers=server.headers), 404)["code"] == "not_found"
    refused = web.put(f"{server.url}/v1/events", headers=server.headers)
    assert error_of(refused, 405)["code"] == "method_not_allowed"


def test_answers_carry_the_request_id(observed: Observed) -> None:
    answer = publish(observed.server, EVENT, **{"x-request-id": "req-1"})

    assert answer.headers["x-request-id"] == "req-1"
    assert msgspec.json.decode(answer.content)["status"] == "published"


LIMIT_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


def test_rate_limits_state_is_in_the_headers_of_every_answer(observed: Observed, org: str) -> None:
    server = observed.server
    event = EVENT | {"metadata": {"orgId": org}}
    answers = {201: publish(server, event), 400: publish(server, {}), 200: query(server, orgId=org)}

    for status, answer in answers.items():
        assert answer.status_code == status
        limit, remaining, reset = (int(answer.headers[name]) for name in LIMIT_HEADERS)
        assert limit == (300 if status == 200 else 1000)
        assert 0 <= remaining < limit
        assert 0 < reset - time.time() <= 61


def test_error_codes_rate_limit_exceeded(postgres_url: str, template: str, data_dir: Path) -> None:
    with (
        cloned(postgres_url, template, "test_publish_rates") as url,
        serving(data_dir, database_url=url, rate_publish=3, rate_query=2) as server,
    ):
        keyed = Keyed(server, url)
        org = keyed.workspace()
        event = EVENT | {"metadata": {"orgId": org}}
        until(lambda: time.time() % 60 < 50)  # all counted calls are in one minute

        answers = [publish(server, event) for _ in range(4)]
        queries = [query(server, orgId=org) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert [answer.status_code for answer in queries] == [200, 200, 429]
        for refused in (answers[-1], queries[-1]):
            assert error_of(refused, 429)["code"] == "rate_limit_exceeded"
            assert 1 <= int(refused.headers["retry-after"]) <= 61
            assert [refused.headers[name] for name in LIMIT_HEADERS[:2]] == [refused.headers[LIMIT_HEADERS[0]], "0"]
        assert publish(server, EVENT).status_code == 201, "another workspace has a limit of its own"
        assert server.mutate("events.log", {"type": "a.b", "data": {}}, **{"x-workspace-id": org}).status_code == 200


def test_rate_limits_can_be_lifted(postgres_url: str, template: str, data_dir: Path) -> None:
    with (
        cloned(postgres_url, template, "test_publish_lifted") as url,
        serving(data_dir, database_url=url, rate_publish=0, rate_query=0) as server,
    ):
        answers = [publish(server, EVENT), query(server)]

    assert [answer.status_code for answer in answers] == [201, 200]
    assert not any(name in answer.headers for answer in answers for name in LIMIT_HEADERS)
