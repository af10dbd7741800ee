"""An event's id is found at every door in any spelling. A text that names no event matches nothing."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from schemas.reference import named_event
from tests.kit.servers import Server
from tests.kit.web import get, post

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as printed": str,
    "upper case": str.upper,
    "without dashes": lambda id_: id_.replace("-", ""),
    "upper case without dashes": lambda id_: id_.replace("-", "").upper(),
}

NO_IDS: dict[str, Callable[[str], str]] = {
    "a URN": lambda id_: f"urn:uuid:{id_}",
    "braces": lambda id_: f"{{{id_}}}",
    "a space": lambda id_: f" {id_}",
    "one dash": lambda id_: id_.replace("-", "", 3),
    "nonsense": lambda _: "nope",
    "nothing": lambda _: "",
}


def _get(server: Server, name: str) -> list[str]:
    return _one(server.query("events.get", {"eventId": name}))


def _trace(server: Server, name: str) -> list[str]:
    response = server.query("events.trace", {"eventId": name})
    return [response.json()["result"]["data"]["event"]["id"]] if response.status_code == 200 else _none(response)


def _proof(server: Server, name: str) -> list[str]:
    response = server.query("ledger.proof", {"eventId": name})
    return [response.json()["result"]["data"]["event"]["event_id"]] if response.status_code == 200 else _none(response)


def _receipt(server: Server, name: str) -> list[str]:
    response = server.query("ledger.receipt", {"eventId": name})
    return [response.json()["result"]["data"]["event_id"]] if response.status_code == 200 else _none(response)


def _shown(server: Server, name: str) -> list[str]:
    response = get(
        httpx.URL(f"{server.url}/api/events/x").copy_with(path=f"/api/events/{name}"), headers=server.headers
    )
    return [response.json()["id"]] if response.status_code == 200 else _none(response)


def _browsed(server: Server, name: str) -> list[str]:
    response = get(f"{server.url}/api/events", params={"ids": f"nope,{name}"}, headers=server.headers)
    return [event["id"] for event in response.json()["data"]]


def _browsed_by_procedure(server: Server, name: str) -> list[str]:
    response = server.query("events.browse", {"ids": [name, "nope"]})
    return [event["id"] for event in response.json()["result"]["data"]["data"]]


def _filtered(server: Server, name: str) -> list[str]:
    response = server.query("events.list", {"filter": {"id": name}})
    return [event["id"] for event in response.json()["result"]["data"]]


def _filtered_among(server: Server, name: str) -> list[str]:
    response = server.query("events.list", {"filter": {"id": {"in": ["nope", name]}}})
    return [event["id"] for event in response.json()["result"]["data"]]


def _one(response: httpx.Response) -> list[str]:
    return [response.json()["result"]["data"]["id"]] if response.status_code == 200 else _none(response)


def _none(response: httpx.Response) -> list[str]:
    assert response.status_code == 404, response.text
    return []


DOORS: dict[str, Callable[[Server, str], list[str]]] = {
    "events.get": _get,
    "events.trace": _trace,
    "ledger.proof": _proof,
    "ledger.receipt": _receipt,
    "GET /api/events/{id}": _shown,
    "GET /api/events?ids=": _browsed,
    "events.browse": _browsed_by_procedure,
    "a filter": _filtered,
    "a filter with in": _filtered_among,
}


def _logged(server: Server, id_: str) -> dict[str, Any]:
    response = server.mutate("events.log", {"id": id_, "type": "case.id", "data": {}})
    assert response.status_code == 200, response.text
    event: dict[str, Any] = response.json()["result"]["data"]
    return event


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=list(SPELLINGS))
def test_an_id_is_found_as_it_was_logged(server: Server, spell: Callable[[str], str]) -> None:
    id_ = str(uuid4())
    event = _logged(server, spell(id_))

    found = {door: ask(server, spell(id_)) for door, ask in DOORS.items()}

    assert event["id"] == id_
    assert found == {door: [id_] for door in DOORS}


def test_a_ledger_id_is_an_id_at_every_door(server: Server) -> None:
    event = _logged(server, str(uuid4()))
    name = f"evt_{event['hash'].removeprefix('sha256:')}"

    found = {door: ask(server, name) for door, ask in DOORS.items()}

    assert found == {door: [event["id"]] for door in DOORS}


@pytest.mark.parametrize("spell", NO_IDS.values(), ids=list(NO_IDS))
def test_what_is_no_id_names_nothing_at_every_door(server: Server, spell: Callable[[str], str]) -> None:
    name = spell(_logged(server, str(uuid4()))["id"])

    found = {door: ask(server, name) for door, ask in DOORS.items() if name or "{id}" not in door}

    assert set(map(tuple, found.values())) == {()}


def test_what_is_no_id_excludes_nothing(server: Server) -> None:
    event = _logged(server, str(uuid4()))

    found = server.query("events.list", {"filter": {"AND": [{"id": event["id"]}, {"id": {"nin": ["nope", "evt_0"]}}]}})

    assert [each["id"] for each in found.json()["result"]["data"]] == [event["id"]]


@pytest.mark.parametrize("spell", [*SPELLINGS, "its ledger id"])
def test_webhooks_and_streams_begin_after_an_id_in_any_spelling(server: Server, spell: str) -> None:
    event = _logged(server, str(uuid4()))
    name = _spelled(event, spell)
    wanted = {"eventTypes": ["case.*"], "webhookUrl": "https://93.184.216.34/hook", "startFrom": name}

    made = server.mutate("subscriptions.create", wanted)
    id_ = made.json()["result"]["data"]["subscriptionId"]
    replayed = server.mutate("subscriptions.replay", {"subscriptionId": id_, "eventId": name})
    server.mutate("subscriptions.delete", {"subscriptionId": id_})

    assert replayed.json()["result"]["data"]["deliveries"] == 1


@pytest.mark.parametrize("spell", [*SPELLINGS, "its ledger id"])
def test_an_event_is_erased_by_its_id_in_any_spelling(server: Server, spell: str) -> None:
    event = _logged(server, str(uuid4()))

    erased = server.mutate("events.erase", {"ids": [_spelled(event, spell)]})

    assert erased.json()["result"]["data"]["erased"] == 1
    assert server.query("events.get", {"eventId": event["id"]}).json()["result"]["data"]["erased"]


def test_what_names_nothing_is_not_erased(server: Server) -> None:
    event = _logged(server, str(uuid4()))

    refused = server.mutate("events.erase", {"ids": [event["id"], "nope", f"evt_{'0' * 64}"]})

    assert [issue["path"] for issue in refused.json()["error"]["data"]["issues"]] == ["ids.1", "ids.2"]
    assert "erased" not in server.query("events.get", {"eventId": event["id"]}).json()["result"]["data"]


def test_a_cloudevent_is_found_by_its_id_without_dashes(server: Server) -> None:
    id_ = uuid4()
    sent = {"specversion": "1.0", "id": id_.hex, "source": "s", "type": "case.id"}
    kind = {"content-type": "application/cloudevents+json"}

    stored = post(f"{server.url}/v1/events", content=msgspec.json.encode(sent), headers=server.headers | kind)

    assert stored.json()["eventId"] == str(id_)


def test_one_grammar_says_what_an_id_is() -> None:
    id_ = uuid4()

    assert all(named_event(spell(str(id_))) == id_ for spell in SPELLINGS.values())
    assert all(named_event(spell(str(id_))) is None for spell in NO_IDS.values())


def _spelled(event: dict[str, Any], spelling: str) -> str:
    if spelling in SPELLINGS:
        return SPELLINGS[spelling](event["id"])
    return f"evt_{event['hash'].removeprefix('sha256:')}"
