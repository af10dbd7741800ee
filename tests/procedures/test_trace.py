"""Tracing, as callers see it over tRPC. `tests/store/test_trace.py` tests the contents of traces."""

from typing import Any
from uuid import uuid4

import pytest

from procedures.reference import NAMES_NO_EVENT
from tests.kit import web
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered, failed

NOBODY = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def caller(keyed: Keyed) -> Server:
    """A caller with its own workspace."""
    return keyed.key("events:read", "events:write", "events:write-as", workspaces=(keyed.workspace(),))[1]


def chain(caller: Server, *users: str) -> list[dict[str, Any]]:
    """Log events of these users, each the cause of the next."""
    ids = [str(uuid4()) for _ in users]
    events: list[dict[str, Any]] = [
        {"id": id_, "type": "agent.step", "data": {}, "userId": user, "causationId": cause, "correlationId": "run"}
        for id_, cause, user in zip(ids, [None, *ids], users, strict=False)
    ]
    logged: list[dict[str, Any]] = answered(caller.mutate("events.logBatch", {"events": events}))
    return logged


def ids(events: list[dict[str, Any]]) -> list[str]:
    """The ids of events."""
    return [event["id"] for event in events]


def test_a_trace_is_found_by_every_name_of_its_event(caller: Server) -> None:
    events = chain(caller, "a", "a", "a")
    middle = events[1]

    traces = [
        answered(caller.query("events.trace", {"eventId": reference}))
        for reference in (middle["id"], middle["id"].upper(), middle["hash"].replace("sha256:", "evt_"))
    ]

    assert traces[0] == traces[1] == traces[2]
    trace = traces[0]
    assert trace.keys() == {"event", "ancestors", "descendants", "correlated"}
    shown = {"id", "seq", "type", "timestamp", "userId", "causationId", "correlationId"}
    assert trace["event"] == {name: middle[name] for name in shown} | {"depth": 0}
    assert (ids(trace["ancestors"]), ids(trace["descendants"])) == ([events[0]["id"]], [events[2]["id"]])


def test_bounds_may_be_given(caller: Server) -> None:
    events = chain(caller, *["a"] * 80)

    whole = answered(caller.query("events.trace", {"eventId": events[0]["id"], "limit": None, "depth": None}))
    near = answered(caller.query("events.trace", {"eventId": events[40]["id"], "depth": 1, "limit": 5}))

    assert ids(whole["descendants"]) == ids(events[1:65])
    assert whole["truncated"] == {"descendants": "depth"}
    assert ids(whole["correlated"]) == ids(events[65:])
    assert ids(near["ancestors"] + near["descendants"]) == [events[39]["id"], events[41]["id"]]
    assert ids(near["correlated"]) == ids(events[:3])
    assert near["truncated"] == {"ancestors": "depth", "descendants": "depth", "correlated": "limit"}


@pytest.mark.parametrize("name", ["limit", "depth"])
@pytest.mark.parametrize("value", [0, -1, 1001, 1.5, "1", 2**63])
def test_other_bounds_are_rejected(caller: Server, name: str, value: object) -> None:
    data = failed(caller.query("events.trace", {"eventId": str(uuid4()), name: value}), 400)

    assert [issue["path"] for issue in data["issues"]] == [name]


@pytest.mark.parametrize(
    "reference",
    ["", "x", NOBODY, NOBODY.replace("-", ""), "evt_" + "0" * 64, "sha256:" + "0" * 64, "\0", "x" * 100_000],
)
def test_an_unknown_id_is_not_found(caller: Server, reference: str) -> None:
    response = web.post(f"{caller.url}/trpc/events.trace", json={"eventId": reference}, headers=caller.headers)

    assert failed(response, 404)["reason"] == "not_found"
    assert response.json()["error"]["message"] in {"Event not found", NAMES_NO_EVENT}


def test_another_workspaces_event_is_not_found(keyed: Keyed, caller: Server) -> None:
    [theirs] = chain(keyed.key("events:write", workspaces=(keyed.workspace(),))[1], "u1")

    assert failed(caller.query("events.trace", {"eventId": theirs["id"]}), 404)["code"] == "NOT_FOUND"


def test_a_key_that_reads_its_own_sees_nothing_of_others(keyed: Keyed) -> None:
    workspace = keyed.workspace()
    _, writer = keyed.key("events:write", "events:write-as", workspaces=(workspace,))
    _, ann = keyed.key("events:read-own", user="ann", workspaces=(workspace,))
    first, theirs, second, third = chain(writer, "ann", "bob", "ann", "ann")

    trace = answered(ann.query("events.trace", {"eventId": second["id"]}))

    assert [ids(trace[name]) for name in ("ancestors", "descendants", "correlated")] == [
        [],
        [third["id"]],
        [first["id"]],
    ]
    refused = ann.query("events.trace", {"eventId": theirs["id"]})
    unknown = ann.query("events.trace", {"eventId": str(uuid4())})
    assert failed(refused, 404)
    assert refused.json() == unknown.json()
