"""CloudEvents at the publish door: as the official SDK sends and reads them, in every mode."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event, to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from tests.kit import web
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed
from tests.surfaces.conftest import Observed
from tests.surfaces.test_publish import error_of

EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

AT = datetime(2026, 1, 15, 10, 30, 0, 123000, tzinfo=UTC)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

ATTRIBUTES: dict[str, Any] = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "https://github.com/cloudevents/spec/pull",
    "type": "com.example.note.created",
}


@pytest.fixture
def keyed(observed: Observed) -> Keyed:
    """The shared server, with helpers that create keys."""
    return Keyed(observed.server, observed.database_url)


@pytest.fixture
def org(keyed: Keyed) -> str:
    """A workspace of the test's own."""
    return keyed.workspace()


def made(data: Any = None, **attributes: Any) -> CloudEvent:
    """A CloudEvent of the SDK with a new id."""
    return CloudEvent(ATTRIBUTES | {"id": f"run/{uuid4()}"} | attributes, data)


def binary(event: CloudEvent) -> HTTPMessage:
    """An event in the binary mode.

    The SDK writes a list as Python's text, which is no JSON, so this does not use it for that.
    """
    message, data = to_binary_event(event), event.get_data()
    return HTTPMessage(message.headers, json.dumps(data).encode()) if isinstance(data, list) else message


def sent(server: Server, org: str, message: HTTPMessage, **headers: str) -> httpx.Response:
    """Send a message of the SDK."""
    own = server.headers | {"x-workspace-id": org} | message.headers | headers
    return web.post(f"{server.url}/v1/events", content=message.body, headers=own, timeout=30)


def sent_json(server: Server, org: str, event: object, content_type: str = EVENT, **headers: str) -> httpx.Response:
    """Send JSON that the SDK would not send."""
    content = event if isinstance(event, bytes) else json.dumps(event).encode()
    return sent(server, org, HTTPMessage({"content-type": content_type}, content), **headers)


def logged(server: Server, org: str, event_id: str) -> dict[str, Any]:
    """The event as the log has it."""
    answer = server.query("events.get", {"eventId": event_id}, **{"x-workspace-id": org})
    assert answer.status_code == 200, answer.text
    event: dict[str, Any] = answer.json()["result"]["data"]
    return event


def read(answer: httpx.Response, status: int = 201) -> CloudEvent:
    """Read an answer with the SDK."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == EVENT
    event = from_structured_event(HTTPMessage(dict(answer.headers), answer.content))
    assert isinstance(event, CloudEvent)
    return event


def found(server: Server, org: str, **parameters: str) -> list[CloudEvent]:
    """The events of a workspace, newest first, as the SDK reads them."""
    answer = web.get(
        f"{server.url}/v1/events", params={"orgId": org} | parameters, headers=server.headers | {"accept": BATCH}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == BATCH
    return [JSONFormat().read(CloudEvent, json.dumps(each)) for each in answer.json()]  # type: ignore[misc]


def same(one: CloudEvent, other: CloudEvent) -> None:
    """Fail if a CloudEvent differs from another, in which the door has filled in attributes."""
    filled = {"datacontenttype": "application/json", "time": other.get_time()}
    if one.get_data() is None:
        del filled["datacontenttype"]
    assert filled | one.get_attributes() == other.get_attributes()
    assert one.get_data() == other.get_data()


EVENTS = {
    "an object": made({"title": "Call John", "nested": {"n": 1.5, "list": [1, None]}}),
    "every attribute": made(
        {"title": "x"},
        subject="note-1",
        time=AT,
        datacontenttype="application/json",
        dataschema="https://example.com/note.json",
        correlationid="run-1",
        causationid="cause-1",
        partitionkey="p1",
        traceparent=f"00-{TRACE}-00f067aa0ba902b7-01",
    ),
    "a list": made([1, "two", {"three": 3}], datacontenttype="application/json"),
    "text": made("Grüße\n", datacontenttype="text/plain"),
    "xml": made("<note/>", datacontenttype="application/xml"),
    "bytes": made(b"\x00\xff\x10binary", datacontenttype="application/octet-stream"),
    "no data": made(),
    "an empty object": made({}),
    "a kind of JSON": made({"a": 1}, datacontenttype="application/vnd.example+json"),
    "a UUID": made({"a": 1}, id=str(uuid4())),
    "extensions of other types": made({"a": 1}, sampledrate=30, isfinal=True, comexample='Ünïcode, "quoted" 100%'),
}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_structured_makes_the_round_trip(observed: Observed, org: str, event: CloudEvent) -> None:
    answer = sent(observed.server, org, to_structured_event(event), accept=EVENT)

    expected = event
    if "traceparent" in event.get_attributes():
        assert read(answer).get_extension("correlationid") == "run-1"
    same(expected, read(answer))
    [again] = found(observed.server, org)
    assert again.get_attributes() == read(answer).get_attributes()
    assert again.get_data() == event.get_data()


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())
def test_binary_makes_the_round_trip(observed: Observed, org: str, event: CloudEvent) -> None:
    answer = sent(observed.server, org, binary(event), accept=EVENT)

    texts = {name: str(value) for name, value in event.get_attributes().items() if name in {"sampledrate", "isfinal"}}
    same(CloudEvent(event.get_attributes() | texts, event.get_data()), read(answer))  # headers are texts


def test_batched_makes_the_round_trip(observed: Observed, org: str) -> None:
    content = b"[%b]" % b",".join(JSONFormat().write(event) for event in EVENTS.values())

    answer = sent_json(observed.server, org, content, BATCH, accept=BATCH)

    assert answer.status_code == 201
    assert answer.headers["content-type"] == BATCH
    events = [JSONFormat().read(CloudEvent, json.dumps(each)) for each in answer.json()]
    for event, other in zip(EVENTS.values(), events, strict=True):
        assert isinstance(other, CloudEvent)
        same(event, other)
    assert len(found(observed.server, org)) == len(EVENTS)


def test_what_the_log_has_of_it(observed: Observed, org: str) -> None:
    event = EVENTS["every attribute"]

    answer = sent(observed.server, org, to_structured_event(event))

    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"eventId", "type", "timestamp", "status", "workflowsTriggered"}
    stored = logged(observed.server, org, answer.json()["eventId"])
    assert stored["type"] == ATTRIBUTES["type"]
    assert stored["producer"] == ATTRIBUTES["source"]
    assert stored["subjectId"] == "note-1"
    assert stored["occurredAt"] == "2026-01-15T10:30:00.123000Z"
    assert (stored["correlationId"], stored["causationId"]) == ("run-1", "cause-1")
    assert stored["data"] == {"title": "x"}
    assert stored["metadata"] == {
        "custom": {
            "cloudevent": {
                "id": event.get_id(),
                "dataschema": "https://example.com/note.json",
                "extensions": {"partitionkey": "p1", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
            }
        }
    }


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("a list", {"value": [1, "two", {"three": 3}]}),
        ("text", {"text": "Grüße\n"}),
        ("bytes", {"base64": base64.b64encode(b"\x00\xff\x10binary").decode()}),
        ("no data", {}),
    ],
)
def test_data_that_is_no_object_is_wrapped_in_one(observed: Observed, org: str, event: str, data: Any) -> None:
    modes = [to_structured_event(EVENTS[event]), binary(EVENTS[event])]
    answers = [sent(observed.server, org, message) for message in modes]

    assert [answer.status_code for answer in answers] == [201, 201], "both modes must accept it"
    assert answers[0].json()["eventId"] == answers[1].json()["eventId"]
    assert logged(observed.server, org, answers[0].json()["eventId"])["data"] == data


def test_an_event_that_needs_nothing_more_has_no_metadata(observed: Observed, org: str) -> None:
    event_id = str(uuid4())

    answer = sent(
        observed.server, org, to_binary_event(made({"a": 1}, id=event_id, datacontenttype="application/json"))
    )

    assert answer.json()["eventId"] == event_id
    assert "metadata" not in logged(observed.server, org, event_id)


def test_source_and_id_name_an_event(keyed: Keyed, org: str) -> None:
    event, other = made({"a": 1}, id="7"), made({"a": 1}, id="7", source="/other")
    elsewhere = keyed.workspace()

    ids = [sent(keyed.server, org, to_structured_event(each)).json()["eventId"] for each in (event, event, other)]

    assert ids[0] == ids[1]
    assert len({*ids, sent(keyed.server, elsewhere, to_structured_event(event)).json()["eventId"]}) == 3
    refused = error_of(sent(keyed.server, org, to_structured_event(made({"a": 2}, id="7"))), 409)
    assert refused["code"] == "conflict"
    batch = [ATTRIBUTES | {"id": id_, "data": {"a": 2}} for id_ in ("8", "9", "7")]
    refused = error_of(sent_json(keyed.server, org, batch, BATCH), 409)
    assert (refused["code"], refused["field"]) == ("conflict", "2.id")
    assert len(found(keyed.server, org)) == 2


def test_a_batch_is_all_or_nothing(observed: Observed, org: str) -> None:
    good = ATTRIBUTES | {"data": {}}
    batch = [good | {"id": "1"}, good | {"id": "2", "type": "undotted"}, good | {"id": "3", "data": {"n": 2**60}}]

    refused = error_of(sent_json(observed.server, org, batch, BATCH), 400)

    assert (refused["code"], refused["field"]) == ("invalid_event_type", "1.type")
    assert found(observed.server, org) == []
    refused = error_of(sent_json(observed.server, org, [batch[0], batch[2]], BATCH), 400)
    assert (refused["code"], refused["field"]) == ("unsafe_number", "1.data.n")
    assert found(observed.server, org) == []
    answer = sent_json(observed.server, org, [good | {"id": str(number)} for number in range(3)], BATCH)
    assert (answer.status_code, answer.headers["content-type"]) == (201, BATCH)
    assert [each["id"] for each in answer.json()] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"type": "created"}, "invalid_event_type", "type"),
        ({"type": "https://example.com/created"}, "invalid_event_type", "type"),
        ({"type": "synap.key.rotated"}, "invalid_event_type", "type"),
        ({"specversion": "0.3"}, "invalid_input", "specversion"),
        ({"specversion": None}, "missing_required_field", "specversion"),
        ({"id": ""}, "invalid_input", "id"),
        ({"id": 7}, "invalid_input", "id"),
        ({"source": None}, "missing_required_field", "source"),
        ({"source": "x" * 257}, "invalid_input", "source"),
        ({"time": "2026-01-15T10:30:00"}, "invalid_input", "time"),
        ({"time": "yesterday"}, "invalid_input", "time"),
        ({"data_base64": "AA=="}, "invalid_input", "data_base64"),
        ({"data": None, "data_base64": "A"}, "invalid_input", "data_base64"),
        ({"data": None, "data_base64": 7}, "invalid_input", "data_base64"),
        ({"Upper": "x"}, "invalid_input", "Upper"),
        ({"with_underscore": "x"}, "invalid_input", "with_underscore"),
        ({"extension": {"a": 1}}, "invalid_input", "extension"),
        ({"extension": 1.5}, "invalid_input", "extension"),
        ({"extension": 2**31}, "invalid_input", "extension"),
        ({"extension": -(2**31) - 1}, "invalid_input", "extension"),
        ({"data": {"n": 2**60}}, "unsafe_number", "data.n"),
        ({"data": [2**60]}, "unsafe_number", "data.0"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(
    observed: Observed, org: str, change: dict[str, Any], code: str, field: str
) -> None:
    event = ATTRIBUTES | {"data": {"a": 1}} | change

    error = error_of(sent_json(observed.server, org, event), 400)

    assert (error["code"], error["field"]) == (code, field)


@pytest.mark.parametrize(
    "change",
    [{"extension": -(2**31)}, {"extension": 2**31 - 1}, {"data_base64": "AAE="}, {"data_base64": None, "data": 1}],
    ids=str,
)
def test_whole_numbers_of_32_bits_fit_and_null_data_is_absent(
    observed: Observed, org: str, change: dict[str, Any]
) -> None:
    event = ATTRIBUTES | {"subject": None, "time": None, "other": None, "data": None} | change

    answer = sent_json(observed.server, org, event, accept=EVENT)

    assert answer.status_code == 201, answer.text
    assert change.items() <= ({"data_base64": None} | answer.json()).items()
    assert not {"subject", "other"} & set(answer.json())


@pytest.mark.parametrize(
    ("event", "content_type"),
    [
        (ATTRIBUTES | {f"Upper{number}": "x" for number in range(150)}, EVENT),
        ([ATTRIBUTES | {"id": str(number), "Upper": "x", "type": "undotted"} for number in range(150)], BATCH),
    ],
    ids=["structured", "batched"],
)
def test_no_more_places_are_named_than_help(observed: Observed, org: str, event: object, content_type: str) -> None:
    error = error_of(sent_json(observed.server, org, event, content_type), 400)

    assert error["message"].endswith("(and 99 more)")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"", EVENT),
        (b"{", EVENT),
        (b"[]", EVENT),
        (b"null", EVENT),
        (b'"\xff"', EVENT),
        (b"[" * 5000, EVENT),
        (b'{"a":' * 5000, EVENT),
        (b"", BATCH),
        (b"{}", BATCH),
        (b"[]", BATCH),
        (b"[1]", BATCH),
        (b"[null]", BATCH),
        (b"<event/>", "application/cloudevents+xml"),
        (b"{}", "application/cloudevents"),
    ],
    ids=str,
)
def test_hostile_bodies_are_rejected(observed: Observed, org: str, content: bytes, content_type: str) -> None:
    error = error_of(sent_json(observed.server, org, content, content_type), 400)

    assert error["code"] in {"invalid_input", "malformed_json", "too_deep"}


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"ce-specversion": ""}, "specversion"),
        ({"ce-type": "x"}, "type"),
        ({"ce-subject": "%ff"}, "ce-subject"),
        ({"ce-datacontenttype": "text/plain"}, "datacontenttype"),
        ({"ce-data": "x"}, "data"),
        ({"ce-data_base64": "x"}, "data_base64"),
        ({"ce-bad-name": "x"}, "bad-name"),
        ({f"ce-{'x' * 200}": "%ff"}, f"ce-{'x' * 200}"),
    ],
    ids=str,
)
def test_headers_that_do_not_fit_are_named(observed: Observed, org: str, headers: dict[str, str], field: str) -> None:
    message = to_binary_event(made({"a": 1}))

    error = error_of(sent(observed.server, org, message, **headers), 400)

    assert error["field"] == field[:128]


def test_headers_are_decoded_as_the_binding_says(observed: Observed, org: str) -> None:
    own = {"ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80", "ce-comexample": '"a \\"b\\" c"'}

    event = read(sent(observed.server, org, to_binary_event(made({"a": 1})), **own, accept=EVENT))

    assert event.get_subject() == "Euro € 😀"
    assert event.get_extension("comexample") == 'a "b" c'


def test_a_body_that_is_not_the_json_it_claims_to_be_is_rejected(observed: Observed, org: str) -> None:
    message = to_binary_event(made(b"{not json", datacontenttype="application/json"))

    error = error_of(sent(observed.server, org, message), 400)

    assert (error["code"], error["field"]) == ("malformed_json", "data")


def test_the_trace_is_the_correlation_of_an_event_that_has_none(observed: Observed, org: str) -> None:
    event = made({"a": 1}, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")

    shown = read(sent(observed.server, org, to_binary_event(event), accept=EVENT))

    assert shown.get_extension("correlationid") == TRACE
    assert shown.get_extension("traceparent") == event.get_extension("traceparent")


def test_an_event_of_another_door_is_a_cloudevent_too(observed: Observed, org: str) -> None:
    header = {"x-workspace-id": org}
    plain = {"type": "note.created", "data": {"a": 1}, "producer": "my service", "subjectId": "s1"}
    forged = {
        "type": "note.created",
        "data": {"a": 1},
        "metadata": {
            "custom": {"cloudevent": {"data": "base64", "extensions": {"id": "x", "data": "y", "specversion": "9"}}}
        },
    }
    ids = [
        observed.server.mutate("events.log", event, **header).json()["result"]["data"]["id"]
        for event in (plain, forged, plain | {"metadata": {"custom": {"cloudevent": "nonsense"}}})
    ]

    third, second, first = found(observed.server, org)

    assert [each.get_id() for each in (first, second, third)] == ids
    assert (first.get_source(), first.get_subject()) == ("my%20service", "s1")
    assert second.get_source() == "api"
    assert [each.get_data() for each in (first, second, third)] == [{"a": 1}] * 3
    posted = {"type": "note.created", "source": "github.action", "data": {"a": 1}}
    asked = observed.server.headers | header | {"accept": EVENT}
    answer = web.post(f"{observed.server.url}/v1/events", headers=asked, json=posted)
    assert (answer.status_code, answer.headers["content-type"]) == (201, EVENT)
    assert answer.json().items() >= {"specversion": "1.0", "type": "note.created", "source": "github.action"}.items()


def test_an_erased_event_says_so(observed: Observed, org: str) -> None:
    event_id = sent(observed.server, org, to_structured_event(EVENTS["text"])).json()["eventId"]
    assert observed.server.mutate("events.erase", {"ids": [event_id]}, **{"x-workspace-id": org}).status_code == 200

    event = found(observed.server, org, type="com.*")[0]

    assert (event.get_id(), event.get_extension("erased"), event.get_data()) == (event_id, True, {})


def test_limits_and_access_are_the_doors(keyed: Keyed, org: str) -> None:
    message = to_structured_event(made({"a": 1}))
    _, reader = keyed.key("events:read", user="reader", workspaces=(org,))
    large = to_structured_event(made({"text": "x" * 1_100_000}))

    answer = sent(keyed.server, org, message)
    assert int(answer.headers["x-ratelimit-remaining"]) < int(answer.headers["x-ratelimit-limit"])
    assert error_of(sent(reader, org, message), 403)["code"] == "forbidden"
    assert error_of(sent(reader, "default", message), 403)["field"] == "X-Workspace-Id"
    assert error_of(sent(keyed.server, org, message, authorization="Bearer wrong"), 401)["code"] == "unauthorized"
    assert error_of(sent(keyed.server, org, large), 413)["code"] == "payload_too_large"
    large_one = json.dumps([json.loads(message.body), json.loads(large.body)]).encode()
    assert error_of(sent_json(keyed.server, org, large_one, BATCH), 413)["field"] == "1"
