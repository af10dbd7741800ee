"""Erasing, as callers see it: who may erase what, and what every door shows afterwards."""

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.kit import web
from tests.kit.checks import check_log
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered, failed

FULL = {
    "type": "note.created",
    "data": {"title": "Hello"},
    "metadata": {"custom": {"tags": ["a"]}},
    "userId": "ann",
    "subjectId": "s1",
    "source": "sync",
    "producer": "p1",
    "correlationId": "c1",
    "causationId": "d1",
    "occurredAt": "2024-12-09T01:00:00.000000Z",
}


@pytest.fixture
def workspace(keyed: Keyed) -> str:
    """A workspace of the test's own."""
    return keyed.workspace()


@pytest.fixture
def caller(keyed: Keyed, workspace: str) -> Server:
    """A caller that may write, read and erase in it."""
    scopes = ("events:read", "events:write", "events:write-as", "events:erase")
    return keyed.key(*scopes, workspaces=(workspace,))[1]


def _log(caller: Server, count: int = 1, **members: object) -> list[dict[str, Any]]:
    events = [FULL | members | {"data": {"n": n}} for n in range(count)]
    logged: list[dict[str, Any]] = answered(caller.mutate("events.logBatch", {"events": events}))
    return logged


def _erase(caller: Server, **wanted: object) -> dict[str, Any]:
    answer: dict[str, Any] = answered(caller.mutate("events.erase", wanted))
    return answer


def _list(caller: Server, **query: object) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = answered(caller.query("events.list", query))
    return events


@pytest.mark.parametrize("way", ["ids", "userId", "subjectId"])
def test_events_are_erased_in_each_way(keyed: Keyed, workspace: str, caller: Server, way: str) -> None:
    events = _log(caller, 3)
    _log(caller, 2, userId="bob", subjectId="s2")
    wanted: dict[str, object] = {"ids": [event["id"] for event in events], "userId": "ann", "subjectId": "s1"}

    answer = _erase(caller, **{way: wanted[way]})
    again = _erase(caller, **{way: wanted[way]})

    said = _list(caller, type="synap.*")
    assert answer == {"erased": 3, "events": [said[0]["id"]]}
    assert again == {"erased": 0, "events": []}
    assert [name["id"] for name in said[0]["data"]["erased"]] == wanted["ids"]
    assert {event["userId"] for event in _list(caller, type="note.*")} == {"", "bob"}
    check_log(keyed.database_url, workspace)


def test_every_door_shows_the_tombstone(caller: Server) -> None:
    [event] = _log(caller)
    kept = ("id", "version", "type", "source", "occurredAt", "timestamp", "seq", "hash")
    tombstone = {name: event[name] for name in kept} | {"data": {}, "userId": "", "erased": True}

    [said] = _erase(caller, userId="ann")["events"]

    for reference in (event["id"], event["hash"].replace("sha256:", "evt_")):
        assert answered(caller.query("events.get", {"eventId": reference})) == tombstone
    assert _list(caller, type="note.*") == [tombstone]
    assert [each["id"] for each in _list(caller)] == [said, event["id"]]
    assert answered(caller.query("events.page", {"producer": "sync"})) == {"events": [tombstone], "total": 1}
    for gone in ({"userId": "ann"}, {"subjectId": "s1"}, {"producer": "p1"}, {"hasMetadata": True}):
        assert answered(caller.query("events.page", gone)) == {"events": [], "total": 0}
    [streamed, *_] = _streamed(caller, type="note.*")
    assert streamed == tombstone
    found = web.get(f"{caller.url}/v1/events", params={"type": "note.*"}, headers=caller.headers, timeout=30).json()
    assert (found["total"], found["events"]) == (
        1,
        [
            {
                "eventId": event["id"],
                "type": "note.created",
                "source": "sync",
                "orgId": found["events"][0]["orgId"],
                "timestamp": event["timestamp"],
                "data": {},
                "metadata": {"userId": ""},
                "erased": True,
            }
        ],
    )


def _streamed(caller: Server, **query: object) -> list[dict[str, Any]]:
    """The first messages of a stream from the beginning."""
    asked = {"input": json.dumps({"start": "beginning", **query})}
    url = f"{caller.url}/trpc/events.stream"
    with web.stream("GET", url, params=asked, headers=caller.headers, timeout=30) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: {") and '"seq"' in line:
                return [json.loads(line.removeprefix("data: "))]
    return []


def test_an_erased_id_returns_its_tombstone(caller: Server) -> None:
    id_ = str(uuid4())
    [event] = _log(caller, id=id_)
    _erase(caller, ids=[id_])
    [tombstone] = _list(caller, type="note.*")

    again = answered(caller.mutate("events.log", FULL | {"id": id_}))
    other = answered(caller.mutate("events.log", FULL | {"id": id_, "data": {"other": "content"}}))

    assert again == other == tombstone
    assert tombstone["hash"] == event["hash"]
    assert _erase(caller, ids=[id_]) == {"erased": 0, "events": []}
    assert len(_list(caller)) == 2


@pytest.mark.parametrize("scopes", [(), ("events:read-own",)], ids=["write-only", "own events only"])
def test_without_read_an_erased_event_shows_only_that_its_id_is_taken(
    keyed: Keyed, workspace: str, caller: Server, scopes: tuple[str, ...]
) -> None:
    id_ = str(uuid4())
    writer = keyed.key("events:write", *scopes, user="ann", workspaces=(workspace,))[1]
    sent = {"id": id_, "type": "note.created", "data": {"n": 1}}
    published = {"type": "note.created", "source": "p1", "data": {}}
    key = writer.headers | {"idempotency-key": "run-1"}
    answered(writer.mutate("events.log", sent))
    assert web.post(f"{writer.url}/v1/events", json=published, headers=key, timeout=30).status_code == 201
    _erase(caller, userId="ann")

    single = failed(writer.mutate("events.log", sent), 409)
    batch = writer.mutate("events.logBatch", {"events": [{**sent, "id": str(uuid4())}, sent]})
    [issue] = answered(writer.mutate("events.validate", sent))["issues"]
    retried = web.post(f"{writer.url}/v1/events", json=published, headers=key, timeout=30)

    assert single.keys() == {"code", "httpStatus", "path", "reason"}
    assert batch.json()["error"]["message"] == f"The id {id_} is taken"
    assert issue == {"path": "id", "message": f"The id {id_} is taken", "code": "conflict"}
    assert (retried.status_code, retried.json()["error"]["code"]) == (409, "conflict")
    assert len(_list(caller)) == 3, "no event of the batch is stored"


def test_an_idempotency_key_of_an_erased_event_returns_it(caller: Server) -> None:
    def publish() -> dict[str, Any]:
        event = {"type": "note.created", "source": "p1", "data": {"n": 1}, "metadata": {"userId": "ann"}}
        headers = caller.headers | {"idempotency-key": "run-1"}
        answer = web.post(f"{caller.url}/v1/events", json=event, headers=headers, timeout=30)
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body

    first = publish()
    _erase(caller, userId="ann")

    assert publish() == first
    assert [event["data"] for event in _list(caller, type="note.*")] == [{}]


INVALID: dict[str, tuple[object, str]] = {
    "nothing": ({}, ""),
    "nulls": ({"ids": None, "userId": None}, ""),
    "two ways": ({"userId": "ann", "subjectId": "s1"}, ""),
    "three ways": ({"userId": "ann", "subjectId": "s1", "ids": [str(uuid4())]}, ""),
    "no ids": ({"ids": []}, "ids"),
    "too many ids": ({"ids": [str(uuid4())] * 1001}, "ids"),
    "no UUID": ({"ids": [str(uuid4()), "evt_x"]}, "ids.1"),
    "no user": ({"userId": ""}, "userId"),
    "a long subject": ({"subjectId": "x" * 257}, "subjectId"),
    "an unknown field": ({"userId": "ann", "type": "note.*"}, "type"),
    "no object": ([], ""),
}


@pytest.mark.parametrize(("wanted", "path"), INVALID.values(), ids=list(INVALID))
def test_an_input_that_selects_no_events_is_rejected(caller: Server, wanted: object, path: str) -> None:
    events = _log(caller)

    data = failed(caller.mutate("events.erase", wanted), 400)

    assert [issue["path"] for issue in data["issues"]] == [path]
    assert _list(caller) == events


def test_the_error_says_how_to_select_events(caller: Server) -> None:
    response = caller.mutate("events.erase", {"userId": "ann", "subjectId": "s1"})

    assert response.json()["error"]["message"] == "needs exactly one of ids, userId and subjectId; call once for each"


def test_ids_that_are_not_to_be_erased_are_named_and_nothing_is(keyed: Keyed, caller: Server) -> None:
    events = _log(caller, 2)
    [own] = _erase(caller, ids=[events[0]["id"]])["events"]
    _, elsewhere = keyed.key("*", workspaces=(keyed.workspace(),))
    [foreign] = _log(elsewhere)
    before = _list(caller)

    data = failed(caller.mutate("events.erase", {"ids": [events[1]["id"], own, foreign["id"], str(uuid4())]}), 400)

    assert [issue["path"] for issue in data["issues"]] == ["ids.1", "ids.2", "ids.3"]
    assert "that the server wrote" in data["issues"][0]["message"]
    assert data["issues"][1]["message"] == data["issues"][2]["message"]
    assert _list(caller) == before


def test_a_key_of_its_users_events_erases_only_those(keyed: Keyed, workspace: str, caller: Server) -> None:
    _, confined = keyed.key("events:read-own", "events:erase", user="ann", workspaces=(workspace,))
    [mine] = _log(caller)
    [theirs] = _log(caller, userId="bob")
    before = _list(caller)

    named = failed(confined.mutate("events.erase", {"ids": [mine["id"], theirs["id"]]}), 400)
    unknown = failed(confined.mutate("events.erase", {"ids": [mine["id"], str(uuid4())]}), 400)

    assert named["issues"] == unknown["issues"]
    assert [issue["path"] for issue in named["issues"]] == ["ids.1"]
    assert _erase(confined, userId="bob") == {"erased": 0, "events": []}
    assert _list(caller) == before
    assert _erase(confined, subjectId="s1")["erased"] == 1
    assert _erase(confined, ids=[mine["id"]])["erased"] == 0
    assert [event["userId"] for event in _list(caller, type="note.*")] == ["bob", ""]


def test_a_key_that_erases_and_reads_nothing_erases_all(keyed: Keyed, workspace: str, caller: Server) -> None:
    _, eraser = keyed.key("events:erase", user="nobody", workspaces=(workspace,))
    _log(caller, 2)

    assert _erase(eraser, userId="ann")["erased"] == 2


def test_thousands_are_erased_in_one_call(keyed: Keyed, workspace: str, caller: Server) -> None:
    for _ in range(3):
        _log(caller, 1000)

    answer = _erase(caller, userId="ann")

    assert answer["erased"] == 3000
    assert [event["id"] for event in _list(caller, type="synap.*")] == answer["events"][::-1]
    check_log(keyed.database_url, workspace)


def test_the_audit_has_who_erased_and_how_much_but_not_whom(keyed: Keyed, workspace: str, caller: Server) -> None:
    key_id, eraser = keyed.key("events:erase", workspaces=(workspace,))
    _log(caller, 2, userId="someone-secret")

    _erase(eraser, userId="someone-secret")

    with psycopg.connect(keyed.database_url) as connection:
        entries = connection.execute(
            "SELECT actor, detail FROM audit_entry WHERE workspace_id = %s AND action = 'events.erased'", [workspace]
        ).fetchall()
    assert entries == [(key_id, '{"by":"userId","events":2,"seq":2}')]


def test_the_servers_log_does_not_say_whom_it_was_about(keyed: Keyed, caller: Server) -> None:
    _log(caller, userId="someone-unnamed")

    _erase(caller, userId="someone-unnamed")
    failed(caller.mutate("events.erase", {"userId": "someone-unnamed", "subjectId": "s"}), 400)

    assert "someone-unnamed" not in keyed.server.log.read_text()
