"""Logging and reading events, as callers see it."""

import json
from typing import Any

import httpx
import pytest

from procedures.reference import NAMES_NO_EVENT
from tests.kit import web
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered, failed

EVENT = {"type": "note.created", "data": {"title": "Hello"}}

MIB = 2**20


@pytest.fixture
def caller(keyed: Keyed) -> Server:
    """A caller with its own workspace."""
    return keyed.key("events:read", "events:write", "events:write-as", workspaces=(keyed.workspace(),))[1]


def test_an_event_is_read_as_it_was_answered(caller: Server) -> None:
    event = answered(caller.mutate("events.log", EVENT))

    assert event["seq"] == 0
    references = [event["id"], event["id"].upper(), event["hash"].replace("sha256:", "evt_")]
    for reference in references:
        assert answered(caller.query("events.get", {"eventId": reference})) == event
    assert answered(caller.query("events.list")) == [event]
    assert answered(caller.query("events.page")) == {"events": [event], "total": 1}


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "event-123",
        "00000000-0000-4000-8000-000000000000",
        "00000000000040008000000000000000",
        "{00000000-0000-4000-8000-000000000000}",
        "urn:uuid:00000000-0000-4000-8000-000000000000",
        "evt_" + "0" * 64,
        "evt_" + "A" * 64,
        "evt_" + "0" * 63,
        "sha256:" + "0" * 64,
        "\x00",
        "\U0001f600",
        "x" * 100_000,
    ],
    ids=lambda text: repr(text[:40]),
)
def test_an_unknown_id_is_not_found(caller: Server, reference: str) -> None:
    response = web.post(
        f"{caller.url}/trpc/events.get", json={"eventId": reference}, headers=caller.headers, timeout=60
    )

    data = failed(response, 404)
    assert (data["code"], data["path"]) == ("NOT_FOUND", "events.get")
    assert response.json()["error"]["message"] in {"Event not found", NAMES_NO_EVENT}


@pytest.mark.parametrize("name", ["events.get", "events.trace", "intents.get"])
def test_a_text_that_names_no_event_is_told_what_does(caller: Server, name: str) -> None:
    hash_ = "sha256:" + "0" * 64

    answers = [caller.query(name, {"eventId": each}) for each in (hash_, hash_.replace("sha256:", "evt_"))]

    assert [each.json()["error"]["message"] for each in answers] == [NAMES_NO_EVENT, "Event not found"]


def test_a_retry_returns_the_first_event(caller: Server) -> None:
    sent = {**EVENT, "id": "01938c1e-0000-7000-8000-000000000001"}

    first = answered(caller.mutate("events.log", sent))
    again = answered(caller.mutate("events.log", sent))

    assert again == first
    assert answered(caller.query("events.page"))["total"] == 1


def test_other_content_is_a_conflict_that_names_the_stored_hash(caller: Server) -> None:
    sent = {**EVENT, "id": "01938c1e-0000-7000-8000-000000000001"}
    first = answered(caller.mutate("events.log", sent))

    data = failed(caller.mutate("events.log", {**sent, "data": {"secret": "s3cr3t"}}), 409)

    assert (data["code"], data["reason"], data["hash"]) == ("CONFLICT", "conflict", first["hash"])


def test_a_batch_keeps_its_order(caller: Server) -> None:
    events = [{"type": "batch.logged", "data": {"n": n}} for n in range(1000)]

    logged = answered(caller.mutate("events.logBatch", {"events": events}))

    assert [event["seq"] for event in logged] == list(range(1000))
    assert [event["data"] for event in logged] == [event["data"] for event in events]
    assert answered(caller.query("events.list", {"limit": 1000})) == logged[::-1]


def test_a_batch_names_every_wrong_place(caller: Server) -> None:
    events = [EVENT, {"type": "x", "data": {}}, EVENT, {**EVENT, "metadata": {"ai": {}}}]

    data = failed(caller.mutate("events.logBatch", {"events": events}), 400)

    assert [issue["path"] for issue in data["issues"]] == ["events.1.type", "events.3.metadata.ai.agent"]
    assert data["reason"] == "invalid_event_type"
    assert answered(caller.query("events.list")) == []


def test_a_batch_names_what_later_checks_find(caller: Server) -> None:
    events = [EVENT, {**EVENT, "type": "synap.x"}, {**EVENT, "data": {"n": 1e16}}, {**EVENT, "metadata": {"ai": {}}}]

    data = failed(caller.mutate("events.logBatch", {"events": events}), 400)

    assert [issue["path"] for issue in data["issues"]] == [
        "events.1.type",
        "events.2.data.n",
        "events.3.metadata.ai.agent",
    ]
    assert answered(caller.query("events.list")) == []


def _event_of(size: int, padding: str = "x") -> bytes:
    """An event whose JSON has this many bytes."""
    before, after = b'{"type":"note.created","data":{"text":"', b'"}}'
    missing = size - len(before) - len(after)
    return before + padding.encode() * (missing // len(padding.encode())) + after


def _post(caller: Server, name: str, content: bytes) -> httpx.Response:
    headers = {**caller.headers, "content-type": "application/json"}
    return web.post(f"{caller.url}/trpc/{name}", content=content, headers=headers, timeout=30)


@pytest.mark.parametrize("padding", ["x", "\x7f", "é"], ids=["ASCII", "DEL", "two bytes"])
def test_an_event_of_one_mib_as_sent_is_taken(caller: Server, padding: str) -> None:
    content = _event_of(MIB - 1 if padding == "é" else MIB, padding)

    logged = answered(_post(caller, "events.log", content))

    assert logged["data"] == json.loads(content)["data"]


def test_an_event_of_one_byte_more_is_too_large(caller: Server) -> None:
    data = failed(_post(caller, "events.log", _event_of(MIB + 1)), 413)

    assert (data["code"], data["reason"]) == ("PAYLOAD_TOO_LARGE", "payload_too_large")


def test_white_space_counts_as_sent(caller: Server) -> None:
    content = json.dumps(EVENT).encode()

    data = failed(_post(caller, "events.log", content[:-1] + b" " * 2 * MIB + b"}"), 413)

    assert data["code"] == "PAYLOAD_TOO_LARGE"


def test_numbers_that_are_stored_longer_count_as_sent(caller: Server) -> None:
    many = ",".join(["1e-6"] * 200_000)
    content = f'{{"type":"note.created","data":{{"n":[{many}]}}}}'.encode()
    assert len(content) < MIB

    logged = answered(_post(caller, "events.log", content))

    assert len(logged["data"]["n"]) == 200_000


def test_a_large_event_in_a_batch_rejects_the_batch(caller: Server) -> None:
    content = b'{"events":[%b,%b]}' % (json.dumps(EVENT).encode(), _event_of(MIB + 200))

    data = failed(_post(caller, "events.logBatch", content), 413)

    assert data["code"] == "PAYLOAD_TOO_LARGE"
    assert answered(caller.query("events.list")) == []


def test_a_list_that_is_too_large_says_to_page(caller: Server) -> None:
    for _ in range(5):
        content = b'{"events":[%b]}' % b",".join([_event_of(1_000_000)] * 7)
        assert _post(caller, "events.logBatch", content).status_code == 200

    response = caller.query("events.list")

    assert failed(response, 413)["reason"] == "payload_too_large"
    assert "events.page" in response.json()["error"]["message"]
    page: dict[str, Any] = answered(caller.query("events.page"))
    assert 30 < len(page["events"]) < 35
    assert page["total"] == 35
