"""Receipts as callers fetch them: what belongs to an event, who sees it, and that it verifies offline."""

import json
from typing import Any

import httpx
import pytest
from msgspec import Struct

from app.ledger.verify import Verdict, verify_receipt
from tests.kit import web
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered, failed

REFUND = {"parameters": {"amount": 82000}}


class Desk(Struct, frozen=True):
    """An agent that asks, somebody who decides, and an auditor, in a workspace of their own."""

    keyed: Keyed
    workspace: str
    agent: Server
    boss: Server
    auditor: Server

    def of(self, user: str, *scopes: str) -> Server:
        """The server as the holder of another key calls it."""
        return self.keyed.key(*scopes, user=user, workspaces=(self.workspace,))[1]

    def log(self, data: object = None, *, by: Server | None = None, **more: Any) -> dict[str, Any]:
        """Log an event that is no intent."""
        event: dict[str, Any] = answered(
            (by or self.agent).mutate("events.log", {"type": "note.made", "data": data or {}, **more})
        )
        return event

    def refunded(self, **more: Any) -> list[dict[str, Any]]:
        """The events of a refund that was asked for, approved, started and executed."""
        wanted = {"type": "pay.refund.requested", "data": REFUND, "metadata": {"synap": {"intent": {}}}, **more}
        intent = answered(self.agent.mutate("events.log", wanted))
        named = {"eventId": intent["id"], "hash": intent["hash"]}
        approved = answered(self.boss.mutate("intents.decide", {**named, "decision": "approved"}))
        use = {**named, "parameters": REFUND["parameters"], "requestId": "r"}
        started = answered(self.agent.mutate("intents.start", use))["event"]
        report = {"startId": started["id"], "outcome": "executed", "data": {"receipt": "R-1"}}
        return [intent, approved, started, answered(self.agent.mutate("intents.finish", report))]

    def erase(self, *events: dict[str, Any]) -> None:
        """Erase events."""
        eraser = self.of("admin", "events:erase")
        answered(eraser.mutate("events.erase", {"ids": [event["id"] for event in events]}))


@pytest.fixture
def desk(keyed: Keyed) -> Desk:
    """Those who take part."""
    slug = keyed.workspace()

    def key(user: str, *scopes: str) -> Server:
        return keyed.key(*scopes, "ledger:read", user=user, workspaces=(slug,))[1]

    return Desk(
        keyed,
        slug,
        agent=key("agent", "events:write", "events:read-own"),
        boss=key("boss", "intents:decide", "events:read-own", "events:write"),
        auditor=key("auditor", "events:read"),
    )


def asked(server: Server, event: dict[str, Any]) -> httpx.Response:
    """Ask for a receipt."""
    return server.query("ledger.receipt", {"eventId": event["id"]})


def receipt_of(server: Server, event: dict[str, Any]) -> tuple[dict[str, Any], Verdict]:
    """The receipt of an event, and the verdict on it. It is not broken."""
    receipt: dict[str, Any] = answered(asked(server, event))
    verdict = verify_receipt(json.dumps(receipt).encode())
    assert verdict.broken is None
    assert receipt["event_id"] == event["id"]
    return receipt, verdict


def ids(entries: list[dict[str, Any]]) -> list[str]:
    """The ids of the events in a list of a receipt."""
    return [entry["event"]["event_id"] for entry in entries]


def test_any_event_of_an_intent_brings_the_whole_chain(desk: Desk) -> None:
    cause = desk.log({"complaint": 7})
    chain = desk.refunded(causationId=cause["id"])
    desk.log()

    found = [receipt_of(desk.auditor, event) for event in chain]

    for receipt, verdict in found:
        assert (ids(receipt["chain"]), ids(receipt["causes"])) == ([event["id"] for event in chain], [cause["id"]])
        assert (verdict.unconfirmed, verdict.withheld) == ([], [])
        assert verdict.checkpoint is not None
        assert verdict.checkpoint.size == 6
        labels = [sentence.partition(":")[0] for sentence in verdict.sentences]
        assert [each for each in labels if each.istitle()] == ["Asked", "Approved", "Started", "Executed", "Cause"] + [
            "Proved"
        ] * 4
        assert 'Exactly this was asked for: {"amount":82000}' in verdict.sentences


def test_the_ledger_door_returns_the_same(desk: Desk) -> None:
    [intent, *_] = desk.refunded()
    path = f"{desk.auditor.url}/ledger/v1/events/evt_{intent['hash'].removeprefix('sha256:')}/receipt"

    shown = web.get(path, headers=desk.auditor.headers)

    assert shown.status_code == 200
    assert shown.json() == receipt_of(desk.auditor, intent)[0]


def test_an_ordinary_event_brings_its_causes(desk: Desk) -> None:
    first = desk.log(causationId="order 7")
    second = desk.log(causationId=first["id"])
    third = desk.log({"text": "n"}, causationId=second["id"])

    receipt, verdict = receipt_of(desk.auditor, third)

    assert (ids(receipt["chain"]), ids(receipt["causes"])) == ([third["id"]], [second["id"], first["id"]])
    assert f"Cause: seq {first['seq']} names a cause that is not in this receipt." in verdict.sentences
    assert verdict.sentences[1] == 'Its content: {"text":"n"}'


def test_causes_end_after_64_and_in_a_circle(desk: Desk) -> None:
    named = [f"01938c1e-0000-7000-8000-{number:012}" for number in range(70)]
    events = [{"type": "a.b", "data": {}, "id": id_, "causationId": named[at - 1]} for at, id_ in enumerate(named)]
    [first, *_] = answered(desk.agent.mutate("events.logBatch", {"events": events}))

    receipt, _ = receipt_of(desk.auditor, first)

    assert ids(receipt["causes"]) == named[69:5:-1]


def test_an_event_that_caused_itself_has_no_causes(desk: Desk) -> None:
    id_ = "01938c1e-0000-7000-8000-0000000000aa"
    alone = desk.log(id=id_, causationId=id_)

    assert receipt_of(desk.auditor, alone)[0]["causes"] == []


def test_who_asked_sees_the_chain_and_of_causes_of_others_the_header(desk: Desk) -> None:
    theirs = desk.log({"secret": 1}, by=desk.boss, causationId="c")
    chain = desk.refunded(causationId=theirs["id"])

    receipt, verdict = receipt_of(desk.agent, chain[1])

    assert ids(receipt["chain"]) == [event["id"] for event in chain]
    [cause] = receipt["causes"]
    assert (cause["withheld"], cause["event"]["payload"], cause["event"]["context"]) == (True, {}, {})
    assert (verdict.withheld, verdict.unconfirmed) == ([theirs["seq"]], [])


def test_causes_end_with_the_first_that_is_withheld(desk: Desk) -> None:
    mine = desk.log()
    theirs = desk.log(by=desk.boss, causationId=mine["id"])
    last = desk.log(causationId=theirs["id"])

    assert ids(receipt_of(desk.agent, last)[0]["causes"]) == [theirs["id"]]
    assert ids(receipt_of(desk.auditor, last)[0]["causes"]) == [theirs["id"], mine["id"]]


def test_what_a_key_may_not_see_is_not_found(desk: Desk) -> None:
    chain = desk.refunded()
    other = desk.of("eve", "ledger:read", "events:read-own")

    for event in (*chain, {"id": "x"}):
        assert failed(asked(other, event), 404)["code"] == "NOT_FOUND"
    assert failed(asked(desk.boss, chain[0]), 404)["code"] == "NOT_FOUND"
    assert failed(asked(desk.of("eve", "events:read"), chain[0]), 403)["code"] == "FORBIDDEN"


def test_who_decided_without_being_named_sees_the_decision_only(desk: Desk) -> None:
    chain = desk.refunded()

    receipt, verdict = receipt_of(desk.boss, chain[1])

    assert (ids(receipt["chain"]), ids(receipt["causes"])) == ([chain[1]["id"]], [chain[0]["id"]])
    assert verdict.withheld == [chain[0]["seq"]]


def test_an_erased_event_still_proves_its_place(desk: Desk) -> None:
    note = desk.log({"text": "secret"})
    desk.erase(note)

    receipt, verdict = receipt_of(desk.auditor, note)

    assert "secret" not in json.dumps(receipt)
    assert verdict.unconfirmed == [note["seq"]]
    assert verdict.sentences[0].endswith("Its content is erased.")
    assert failed(asked(desk.agent, note), 404)["code"] == "NOT_FOUND"


@pytest.mark.parametrize("gone", [(0,), (1,), (2,), (3,), (0, 1, 2, 3)], ids=str)
def test_a_chain_of_which_something_is_erased_is_whole(desk: Desk, gone: tuple[int, ...]) -> None:
    chain = desk.refunded()
    desk.erase(*(chain[place] for place in gone))

    receipt, verdict = receipt_of(desk.auditor, chain[0])

    assert ids(receipt["chain"]) == [event["id"] for event in chain]
    assert verdict.unconfirmed == [chain[place]["seq"] for place in gone]
    assert ids(receipt_of(desk.auditor, chain[2])[0]["chain"]) == ids(receipt["chain"])


def test_an_open_intent_that_is_erased_was_withdrawn_by_the_node(desk: Desk) -> None:
    wanted = {"type": "pay.refund.requested", "data": REFUND, "metadata": {"synap": {"intent": {}}}}
    intent = answered(desk.agent.mutate("events.log", wanted))
    desk.erase(intent)

    receipt, verdict = receipt_of(desk.auditor, intent)

    assert len(receipt["chain"]) == 2
    assert verdict.unconfirmed == [intent["seq"]]
    assert verdict.sentences[1].startswith("Withdrawn: the node withdrew this request on ")


def test_nothing_says_of_what_an_erased_decision_was(desk: Desk) -> None:
    chain = desk.refunded()
    desk.erase(chain[1])

    assert ids(receipt_of(desk.auditor, chain[1])[0]["chain"]) == [chain[1]["id"]]


def test_a_receipt_that_would_be_too_large_is_refused(desk: Desk) -> None:
    event = desk.log({"text": "x" * 1_000_000})
    for _ in range(8):
        event = desk.log({"text": "x" * 1_000_000}, causationId=event["id"])

    error = failed(asked(desk.auditor, event), 413)

    assert error["code"] == "PAYLOAD_TOO_LARGE"
