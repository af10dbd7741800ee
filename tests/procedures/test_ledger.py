"""The ledger's procedures over tRPC: the same answers as the ledger's own door, with the procedures' names."""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.ledger import checkpoint
from app.ledger.merkle import Frontier, verify_consistency, verify_inclusion
from procedures.registry import registry
from tests.kit import web
from tests.kit.checks import check_log, ledger_events
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered, failed

EARLY, LATE = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"


@pytest.fixture
def org(keyed: Keyed) -> str:
    """A workspace of the test's own."""
    return keyed.workspace()


@pytest.fixture
def holder(keyed: Keyed, org: str) -> Server:
    """A caller that may read the ledger of `org` and write its log."""
    _, holder = keyed.key("ledger:read", "events:write", workspaces=(org,))
    return holder


def log(server: Server, *types: str) -> list[dict[str, Any]]:
    """Log one event of each type in one batch, and return them."""
    events = [{"type": type_, "data": {"place": place}} for place, type_ in enumerate(types)]
    came: list[dict[str, Any]] = answered(server.mutate("events.logBatch", {"events": events}))
    return came


def root_of(keyed: Keyed, org: str, size: int | None = None) -> bytes:
    """The Merkle root of the hashes in the database."""
    frontier = Frontier()
    for event in ledger_events(keyed.database_url, org)[:size]:
        frontier.push(bytes.fromhex(event["hash"].removeprefix("sha256:")))
    return frontier.root()


@contextmanager
def streaming(server: Server, **query: Any) -> Iterator[Iterator[tuple[str, Any]]]:
    """Yield the messages of a stream after `connected`: the name or id and the data of each."""
    with web.stream(
        "GET",
        f"{server.url}/trpc/ledger.stream",
        params={"input": json.dumps(query)},
        headers=server.headers,
        timeout=60,
    ) as answer:
        events = _events(answer.iter_lines())
        assert next(events)[0] == "connected"
        yield (event for event in events if event[0] != "ping")


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    told: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            told[name] = value
        elif told:
            yield told.get("event") or told.get("id", ""), json.loads(told["data"] or "null")
            told = {}


def test_all_of_them_are_queries_but_the_stream() -> None:
    kinds = {name: str(procedure.kind) for name, procedure in registry().items() if name.startswith("ledger.")}

    assert kinds == {
        "ledger.checkpoint": "query",
        "ledger.consistency": "query",
        "ledger.entries": "query",
        "ledger.node": "query",
        "ledger.proof": "query",
        "ledger.receipt": "query",
        "ledger.stream": "subscription",
    }


def test_entries_are_the_log_as_anyone_verifies_it(keyed: Keyed, holder: Server, org: str) -> None:
    came = log(holder, "a.b", "a.c", "b.c")

    page = answered(holder.query("ledger.entries"))

    assert page == {"events": check_log(keyed.database_url, org), "total": 3}
    found = answered(holder.query("ledger.entries", {"since": came[0]["timestamp"], "type": "*.c", "limit": 1}))
    assert found == {"events": page["events"][1:2], "total": 2}
    assert answered(holder.query("ledger.entries", {"limit": None, "since": None, "type": None})) == page
    assert answered(holder.query("ledger.entries", {"since": EARLY})) == page
    assert answered(holder.query("ledger.entries", {"since": LATE})) == {"events": [], "total": 0}


def test_a_proof_and_a_checkpoint_say_the_same_tree(keyed: Keyed, holder: Server, org: str) -> None:
    came = log(holder, *["a.b"] * 20)
    node = answered(holder.query("ledger.node"))

    signed = answered(holder.query("ledger.checkpoint"))
    proof = answered(holder.query("ledger.proof", {"eventId": came[7]["id"]}))

    assert proof["checkpoint"] == signed
    note = checkpoint.parse(signed["note"])
    assert checkpoint.is_signed_by(note, node["kid"])
    assert (note.checkpoint.size, note.checkpoint.root) == (20, root_of(keyed, org))
    leaf = bytes.fromhex(came[7]["hash"].removeprefix("sha256:"))
    assert verify_inclusion(leaf, 7, 20, [b64decode(each) for each in proof["proof"]], note.checkpoint.root)
    assert proof["event"] == ledger_events(keyed.database_url, org)[7]


def test_consistency_has_the_checkpoint_of_the_log_now_and_of_no_other(keyed: Keyed, holder: Server, org: str) -> None:
    log(holder, *["a.b"] * 20)

    now = answered(holder.query("ledger.consistency", {"fromSize": 5}))
    past = answered(holder.query("ledger.consistency", {"fromSize": 5, "toSize": 12}))

    for answer, size in ((now, 20), (past, 12)):
        proof = [b64decode(each) for each in answer["proof"]]
        assert verify_consistency(5, size, root_of(keyed, org, 5), root_of(keyed, org, size), proof)
    assert now["checkpoint"] == answered(holder.query("ledger.checkpoint"))
    assert "checkpoint" not in past


REFUSED: dict[str, tuple[str, Any, str]] = {
    "a limit of none": ("entries", {"limit": 0}, "limit"),
    "a limit of too many": ("entries", {"limit": 1001}, "limit"),
    "a naive time": ("entries", {"since": "2024-11-01T00:00:00"}, "since"),
    "a name in snake case": ("consistency", {"fromSize": 1, "to_size": 2}, "to_size"),
    "a tree larger than the log": ("consistency", {"fromSize": 4}, "fromSize"),
    "a later tree larger than the log": ("consistency", {"fromSize": 1, "toSize": 4}, "toSize"),
    "trees in the wrong order": ("consistency", {"fromSize": 3, "toSize": 2}, "fromSize"),
    "no tree": ("consistency", {}, "fromSize"),
    "no event": ("proof", {}, "eventId"),
    "the node of something": ("node", {"limit": 1}, "limit"),
}


@pytest.mark.parametrize(("name", "asked", "field"), REFUSED.values(), ids=list(REFUSED))
def test_what_does_not_fit_is_rejected_by_its_name(holder: Server, name: str, asked: Any, field: str) -> None:
    log(holder, "a.b", "a.b", "a.b")

    data = failed(holder.query(f"ledger.{name}", asked), 400)

    assert [issue["path"] for issue in data["issues"]] == [field]


def test_what_is_not_there_is_not_found(keyed: Keyed, holder: Server) -> None:
    [elsewhere] = log(keyed.key("events:write")[1], "a.b")

    for reference in ("x", elsewhere["id"], elsewhere["hash"].replace("sha256:", "evt_")):
        assert failed(holder.query("ledger.proof", {"eventId": reference}), 404)["code"] == "NOT_FOUND"


def test_exports_are_not_served_here(keyed: Keyed) -> None:
    assert failed(keyed.server.query("ledger.export"), 404)["code"] == "NOT_FOUND"


@pytest.mark.parametrize("name", [name for name in registry() if name.startswith("ledger.")])
def test_every_one_needs_the_scope(keyed: Keyed, name: str) -> None:
    _, holder = keyed.key("events:read", "events:write", "audit:read")

    if name == "ledger.stream":
        with streaming(holder) as events:
            told, error = next(events)
        assert (told, error["data"]["code"]) == ("serialized-error", "FORBIDDEN")
    else:
        one = {"eventId": "x"}
        asked = {"ledger.proof": one, "ledger.receipt": one, "ledger.consistency": {"fromSize": 0}}.get(name)
        assert failed(holder.query(name, asked), 403)["code"] == "FORBIDDEN"


def test_the_servers_own_log_is_read_by_a_key_for_everything(keyed: Keyed) -> None:
    _, holder = keyed.key("ledger:read", workspaces=("*",))
    named = {"x-workspace-id": "_node"}

    page = answered(keyed.server.query("ledger.entries", **named))

    assert page["total"] == len(page["events"])
    assert answered(keyed.server.query("ledger.checkpoint", **named))["origin"].endswith("/_node")
    assert failed(holder.query("ledger.entries", **named), 404)["code"] == "NOT_FOUND"
    assert failed(keyed.server.query("events.list", **named), 404)["code"] == "NOT_FOUND"


def test_a_key_that_reads_its_own_sees_and_proves_its_own(keyed: Keyed, holder: Server, org: str) -> None:
    _, ann = keyed.key("ledger:read", "events:read-own", "events:write", user="ann", workspaces=(org,))
    [others] = log(holder, "a.others")
    [own] = log(ann, "a.own")

    page = answered(ann.query("ledger.entries"))

    assert ([event["seq"] for event in page["events"]], page["total"]) == ([1], 1)
    assert answered(ann.query("ledger.proof", {"eventId": own["id"]}))["event"]["seq"] == 1
    assert failed(ann.query("ledger.proof", {"eventId": others["id"]}), 404)["code"] == "NOT_FOUND"
    with streaming(ann, after=-1) as events:
        assert next(events)[1]["seq"] == 1
        log(holder, "a.others")
        log(ann, "a.own")
        assert next(events)[1]["seq"] == 3


def test_the_stream_resumes_behind_the_last_id(keyed: Keyed, holder: Server, org: str) -> None:
    log(holder, *["a.b", "a.c"] * 5)
    expected = ledger_events(keyed.database_url, org)

    with streaming(holder, after=3, type="a.c") as events:
        first = [next(events) for _ in range(2)]
    with streaming(holder, after=3, type="a.c", lastEventId=first[-1][0]) as events:
        second = [next(events)]
        log(holder, "a.c")
        second.append(next(events))

    assert [data for _, data in first + second[:1]] == [expected[seq] for seq in (5, 7, 9)]
    assert second[1][1]["seq"] == 10


def test_the_stream_marks_the_end_of_the_backlog(holder: Server) -> None:
    log(holder, "a.b", "a.b")

    with streaming(holder, after=-1, markers=True) as events:
        found = [next(events)[1] for _ in range(3)]

    assert [event.get("seq") for event in found] == [0, 1, None]
    assert found[2]["caughtUp"] is True


@pytest.mark.parametrize("after", [-2, 1, 2**53 - 1, 1.5, "now"])
def test_a_place_that_the_log_has_not_reached_is_rejected_by_its_name(holder: Server, after: object) -> None:
    log(holder, "a.b")

    with streaming(holder, after=after) as events:
        told, error = next(events)

    assert (told, error["data"]["code"]) == ("serialized-error", "BAD_REQUEST")
    assert [issue["path"] for issue in error["data"]["issues"]] == ["after"]
