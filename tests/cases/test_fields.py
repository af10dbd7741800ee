"""An error names the caller's field by the name that it has at the caller's door."""

import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from schemas.errors import Conflict, InvalidInput, Issue, NotFound
from tests.kit.servers import Server
from tests.kit.web import request as ask

UNSAFE = 2**60

QUERIES: dict[str, list[tuple[str, str]]] = {
    "/v1/events": [
        ("correlationId=%00", "correlationId"),
        ("source=%00", "source"),
        ("producer=x", "producer"),
        ("userId=x", "userId"),
        ("metadata.userId=x", "metadata.userId"),
        ("type=*a", "type"),
        ("from=x", "from"),
        ("to=x", "to"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
        ("orgId=", "orgId"),
        ("orgId=nowhere", "orgId"),
        ("orgId=_node", "orgId"),
    ],
    "/v1/events/subscriptions": [("orgId=_node", "orgId"), ("limit=0", "limit"), ("offset=1", "offset")],
    "/api/events": [
        ("subject_id=%00", "subject_id"),
        ("parent_id=%00", "parent_id"),
        ("user_id=%00", "user_id"),
        ("created_at_after=x", "created_at_after"),
        ("created_at_before=x", "created_at_before"),
        ("createdAtAfter=x", "createdAtAfter"),
        ("eventId=x", "eventId"),
        ("after=x", "after"),
        ("before=x", "before"),
        ("after=x&before=y", "before"),
        ("filter={", "filter"),
        (quote('filter={"nope":1}', safe="="), "filter.nope"),
        (quote('orderBy=[{"nope":"asc"}]', safe="="), "orderBy.0.nope"),
        (f"ids={','.join('x' * 101)}", "ids"),
        ("workspace_id=_node", "workspace_id"),
        ("workspace_id=nowhere", "workspace_id"),
    ],
    "/api/events/nope": [("", "id"), ("limit=1", "limit")],
    "/api/events/nope/trace": [("", "id"), ("limit=0", "limit"), ("depth=0", "depth")],
    "/ledger/v1/events": [
        ("since=x", "since"),
        ("limit=0", "limit"),
        ("type=*a", "type"),
        (quote('filter={"nope":1}', safe="="), "filter.nope"),
        ("log=nowhere", "log"),
        ("fromSeq=1", "fromSeq"),
    ],
    "/ledger/v1/events/export": [
        ("from_seq=-1", "from_seq"),
        ("from_seq=9007199254740991", "from_seq"),
        ("to_seq=9007199254740991", "to_seq"),
    ],
    "/ledger/v1/events/nope/proof": [("", "event_id")],
    "/ledger/v1/consistency": [
        ("from=x", "from"),
        ("from=9007199254740991", "from"),
        ("from=0&to=9007199254740991", "to"),
        ("", "from"),
    ],
    "/ledger/v1/audit": [("since=x", "since"), ("action=X", "action"), ("limit=0", "limit")],
}


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [(path, query, field) for path, cases in QUERIES.items() for query, field in cases],
)
def test_a_parameter_is_named_as_it_was_sent(server: Server, path: str, query: str, field: str) -> None:
    response = ask("GET", f"{server.url}{path}?{query}", headers=server.headers)

    error = response.json()["error"]
    assert error["field"] == field, error
    if error["code"] not in {"not_found", "forbidden"}:
        assert error["message"].startswith(f"{field}: ")


BODIES: dict[str, tuple[dict[str, Any], str]] = {
    "a tag": ({"metadata": {"tags": ["x", "\0"]}}, "metadata.tags.1"),
    "tags": ({"metadata": {"tags": "x"}}, "metadata.tags"),
    "a correlation": ({"metadata": {"correlationId": ""}}, "metadata.correlationId"),
    "a correlation beside": ({"correlationId": "x"}, "correlationId"),
    "a user": ({"metadata": {"userId": "\0"}}, "metadata.userId"),
    "a user beside": ({"userId": "x"}, "userId"),
    "a workspace": ({"metadata": {"orgId": "nowhere"}}, "metadata.orgId"),
    "the log of the node": ({"metadata": {"orgId": "_node"}}, "metadata.orgId"),
    "a source": ({"source": ""}, "source"),
    "a producer": ({"producer": "x"}, "producer"),
    "a type": ({"type": "x"}, "type"),
    "a reserved type": ({"type": "synap.x"}, "type"),
    "data": ({"data": []}, "data"),
    "a number": ({"data": {"n": UNSAFE}}, "data.n"),
    "an id": ({"eventId": "x"}, "eventId"),
    "a subject": ({"subjectId": "x"}, "subjectId"),
}


@pytest.mark.parametrize(("change", "field"), BODIES.values(), ids=list(BODIES))
def test_a_published_field_is_named_as_it_was_sent(server: Server, change: dict[str, Any], field: str) -> None:
    sent = {"type": "case.field", "source": "s", "data": {}, **change}

    response = ask("POST", f"{server.url}/v1/events", json=sent, headers=server.headers)

    assert response.json()["error"]["field"] == field, response.text


HEADERS: dict[str, tuple[dict[str, str], str]] = {
    "a workspace": ({"X-Workspace-Id": "nowhere"}, "X-Workspace-Id"),
    "the log of the node": ({"X-Workspace-Id": "_node"}, "X-Workspace-Id"),
    "an empty key": ({"Idempotency-Key": ""}, "Idempotency-Key"),
    "a long key": ({"Idempotency-Key": "k" * 256}, "Idempotency-Key"),
}


@pytest.mark.parametrize(("headers", "field"), HEADERS.values(), ids=list(HEADERS))
def test_a_header_is_named_as_it_was_sent(server: Server, headers: dict[str, str], field: str) -> None:
    sent = {"type": "case.field", "source": "s", "data": {}}

    response = ask("POST", f"{server.url}/v1/events", json=sent, headers=server.headers | headers)

    assert response.json()["error"]["field"] == field, response.text


@pytest.mark.parametrize("path", ["/v1/events", "/api/events", "/api/events/x/trace", "/v1/events/subscriptions"])
def test_a_workspace_from_a_header_is_named_by_the_header(server: Server, path: str) -> None:
    response = ask("GET", f"{server.url}{path}", headers=server.headers | {"X-Workspace-Id": "_node"})

    assert (response.status_code, response.json()["error"]["field"]) == (404, "X-Workspace-Id")


def test_other_content_under_a_key_names_the_key(server: Server) -> None:
    headers = server.headers | {"Idempotency-Key": str(uuid4())}
    sent = {"type": "case.field", "source": "s", "data": {}}
    ask("POST", f"{server.url}/v1/events", json=sent, headers=headers)

    response = ask("POST", f"{server.url}/v1/events", json=sent | {"data": {"n": 1}}, headers=headers)

    assert (response.status_code, response.json()["error"]["field"]) == (409, "Idempotency-Key")


@pytest.mark.parametrize(
    ("name", "sent", "path"),
    [
        ("events.log", {"type": "case.field", "data": {"n": UNSAFE}}, "data.n"),
        ("events.log", {"type": "case.field", "data": {}, "correlationId": "\0"}, "correlationId"),
        ("events.logBatch", {"events": [{"type": "case.field", "data": {}, "producer": ""}]}, "events.0.producer"),
        ("subscriptions.create", {"eventTypes": ["*a"], "webhookUrl": "https://a.example"}, "eventTypes.0"),
    ],
)
def test_a_procedure_names_its_own_fields(server: Server, name: str, sent: dict[str, Any], path: str) -> None:
    response = server.mutate(name, sent)

    assert [issue["path"] for issue in response.json()["error"]["data"]["issues"]] == [path]


CLOUDEVENT = {"specversion": "1.0", "id": "1", "source": "s", "type": "case.field"}

CLOUDEVENTS: dict[str, tuple[dict[str, Any], str]] = {
    "a number": ({"data": UNSAFE}, "data"),
    "a number in a list": ({"data": [1, {"n": UNSAFE}]}, "data.1.n"),
    "a number in an object": ({"data": {"value": UNSAFE}}, "data.value"),
    "a source": ({"source": ""}, "source"),
    "a subject": ({"subject": "\0"}, "subject"),
    "a time": ({"time": "2026-02-30T00:00:00Z"}, "time"),
    "an id": ({"id": 1}, "id"),
    "a version": ({"specversion": 1.0}, "specversion"),
    "a correlation": ({"correlationid": ""}, "correlationid"),
    "an extension": ({"ext": 5.5}, "ext"),
    "our own name": ({"subjectId": "x"}, "subjectId"),
}


@pytest.mark.parametrize("kind", ["application/cloudevents+json", "application/cloudevents-batch+json"])
@pytest.mark.parametrize(("change", "field"), CLOUDEVENTS.values(), ids=list(CLOUDEVENTS))
def test_an_attribute_is_named_as_it_was_sent(server: Server, change: dict[str, Any], field: str, kind: str) -> None:
    sent = CLOUDEVENT | change
    is_batch = "batch" in kind
    content = json.dumps([CLOUDEVENT | {"data": {}}, sent] if is_batch else sent)

    response = ask("POST", f"{server.url}/v1/events", content=content, headers=server.headers | {"content-type": kind})

    assert response.json()["error"]["field"] == (f"1.{field}" if is_batch else field), response.text


def test_a_tool_names_its_arguments(server: Server) -> None:
    params = {"name": "events_log", "arguments": {"type": "case.field", "data": {}, "correlationId": "\0"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}

    answer = ask("POST", f"{server.url}/mcp", content=json.dumps(message), headers=server.headers | JSON).json()

    assert answer["result"]["structuredContent"]["error"]["issues"][0]["path"] == "correlationId"


JSON = {"content-type": "application/json"}

NAMES = {"userId": "metadata.userId", "metadata.custom.tags": "metadata.tags", "events": ""}


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("userId", "metadata.userId"),
        ("userIds", "userIds"),
        ("metadata.custom.tags.3", "metadata.tags.3"),
        ("metadata.custom", "metadata.custom"),
        ("events.3.data", "3.data"),
        ("", ""),
    ],
)
def test_a_failure_is_renamed_whole(path: str, named: str) -> None:
    invalid, missing = InvalidInput([Issue(path, "is wrong")]), NotFound("is gone", field=path or None)

    invalid.rename(NAMES)
    missing.rename(NAMES)

    assert [issue.path for issue in invalid.issues] == [named]
    assert (invalid.field, missing.field) == (named or None, named or None)
    assert invalid.message == (f"{named}: is wrong" if named else "is wrong")


def test_a_failure_without_a_field_keeps_none() -> None:
    conflict = Conflict("taken", hash="sha256:00")

    conflict.rename(NAMES)

    assert conflict.field is None
