"""The examples of `docs/api/trpc.md` work over tRPC."""

import json
import re
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from tests.kit import web
from tests.kit.paths import VECTORS
from tests.kit.servers import Server

EXAMPLES = json.loads((VECTORS / "api" / "trpc.json").read_text())
USER_CREATED, AI_CREATED, LIST_OF_A_TYPE, LIST_CREATED_BY_AI, GET, RETURNED = (
    json.dumps(EXAMPLES[name], indent=1)
    for name in ("user_created", "ai_created", "list_of_a_type", "list_created_by_ai", "get", "returned")
)
"""The examples as people write them, over several lines."""

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

METADATA = {
    "ai": {"agent": "orchestrator", "confidence": {"score": 1}},
    "import": {"source": "notion", "externalId": "page-1", "importedAt": "2024-12-09T01:00:00Z"},
    "sync": {"deviceId": "phone-1", "platform": "ios", "syncedAt": "2024-12-09T01:00:00Z", "offline": True},
    "automation": {"ruleId": "r-1", "ruleName": "Tag", "trigger": {"type": "event"}, "executionId": "x-1"},
    "custom": {"anything": [1, None, "\x00"]},
}
"""The rows of the table "Metadata Types", with the table's examples."""


def test_event_structure(server: Server) -> None:
    sent = {
        "id": str(uuid4()),
        "type": "entity.created",
        "subjectId": "entity-456",
        "data": {"title": "Call John"},
        "metadata": {"custom": {"from": "a test"}},
        "userId": "user-1",
        "source": "sync",
        "correlationId": "run-gh-001",
        "causationId": "cause-1",
    }

    event = _log(server, msgspec.json.encode(sent).decode())

    timestamp, seq, link = event.pop("timestamp"), event.pop("seq"), event.pop("hash")
    assert event == sent | {"version": "v1"}
    assert TIMESTAMP.fullmatch(timestamp)
    assert seq >= 0
    assert re.fullmatch("sha256:[0-9a-f]{64}", link)


@pytest.mark.parametrize("source", ["api", "automation", "sync", "migration", "system", "intelligence"])
def test_every_source_of_the_document_is_accepted(server: Server, source: str) -> None:
    event = _log(server, f'{{"type": "entity.created", "data": {{}}, "source": "{source}"}}')

    assert event["source"] == source


def test_log_a_user_created_event(server: Server) -> None:
    event = _log(server, USER_CREATED)

    assert event["type"] == "recipe.import.requested"
    assert event["data"] == {"title": "Soup", "url": "https://kitchen.example/soup"}
    assert (event["version"], event["source"], event["userId"]) == ("v1", "api", "control")
    assert str(UUID(event["id"])) == event["id"]
    assert not {"subjectId", "metadata", "correlationId", "causationId"} & event.keys()


def test_log_an_ai_created_event(server: Server) -> None:
    event = _log(server, AI_CREATED)

    assert msgspec.json.decode(AI_CREATED).items() <= event.items()


def test_list_events_of_a_type(server: Server) -> None:
    of_the_type, other = _log(server, AI_CREATED), _log(server, USER_CREATED)

    events = _read(server, "events.list", LIST_OF_A_TYPE)

    assert events[0] == of_the_type
    assert other not in events
    assert {event["type"] for event in events} == {"invoice.read"}
    assert [event["seq"] for event in events] == sorted((event["seq"] for event in events), reverse=True)


def test_list_filtered_by_ai_created(server: Server) -> None:
    by_ai, by_user = _log(server, AI_CREATED), _log(server, USER_CREATED)
    bare = _log(server, '{"type": "entity.created", "source": "intelligence", "data": {}}')

    events = _read(server, "events.list", LIST_CREATED_BY_AI)

    assert events[0] == by_ai
    assert by_user not in events
    assert bare not in events
    assert all(event["source"] == "intelligence" and event["metadata"] for event in events)


def test_get_event_returns_what_the_document_prints(server: Server) -> None:
    printed = msgspec.json.decode(RETURNED)
    del printed["id"], printed["timestamp"]
    logged = _log(server, msgspec.json.encode(printed).decode())

    event = _read(server, "events.get", GET.replace("invoice-event", logged["id"]))

    assert event == logged
    assert printed.items() <= event.items()
    assert UUID(event["id"])
    assert TIMESTAMP.fullmatch(event["timestamp"])


def test_get_event_with_the_id_of_the_document_finds_nothing(server: Server) -> None:
    answer = _get(server, "events.get", GET)

    assert answer.status_code == 404
    assert answer.json()["error"]["data"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("kind", METADATA)
def test_every_kind_of_metadata_comes_back_as_sent(server: Server, kind: str) -> None:
    metadata = {kind: METADATA[kind]}
    sent = msgspec.json.encode({"type": "entity.created", "data": {}, "metadata": metadata}).decode()

    event = _log(server, sent)

    assert event["metadata"] == metadata
    assert _read(server, "events.get", msgspec.json.encode({"eventId": event["id"]}).decode()) == event


def _log(server: Server, body: str) -> dict[str, Any]:
    """POST `/trpc/events.log` with exactly this body."""
    headers = server.headers | {"content-type": "application/json"}
    answer = web.post(f"{server.url}/trpc/events.log", content=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    event: dict[str, Any] = answer.json()["result"]["data"]
    return event


def _read(server: Server, name: str, given: str) -> Any:
    answer = _get(server, name, given)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]["data"]


def _get(server: Server, name: str, given: str) -> httpx.Response:
    """GET with exactly this input, as `httpLink` sends queries."""
    return web.get(f"{server.url}/trpc/{name}", params={"input": given}, headers=server.headers, timeout=30)
