"""Intents as callers use them: who asks, who decides, who sees what, and what every door refuses."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Struct

from app.ledger.verify import verify_receipt
from tests.kit import web
from tests.kit.servers import Server, until
from tests.procedures.conftest import Keyed, answered, failed

ZEROS = f"sha256:{'0' * 64}"


class People(Struct, frozen=True):
    """An agent that asks, and somebody who decides, in a workspace of their own."""

    keyed: Keyed
    workspace: str
    agent: Server
    boss: Server

    def of(self, user: str, *scopes: str) -> Server:
        """The server as the holder of another key calls it."""
        return self.keyed.key(*scopes, user=user, workspaces=(self.workspace,))[1]

    def ask(self, type_: str = "payment.refund.requested", **intent: object) -> dict[str, Any]:
        """Ask for a refund."""
        wanted = {"type": type_, "data": {"parameters": {"amount": 82000}}, "metadata": {"synap": {"intent": intent}}}
        event: dict[str, Any] = answered(self.agent.mutate("events.log", wanted))
        return event

    def events(self) -> list[str]:
        """The types of the log, oldest first."""
        listed = answered(self.of("admin", "events:read").query("events.list"))
        return [event["type"] for event in reversed(listed)]


def decide(server: Server, intent: dict[str, Any], decision: str = "approved", **more: Any) -> Any:
    """Decide on an intent."""
    wanted = {"eventId": intent["id"], "hash": intent["hash"], "decision": decision}
    return server.mutate("intents.decide", wanted | more)


def start(server: Server, intent: dict[str, Any], amount: int = 82000, request: str = "r1") -> Any:
    """Start an intent."""
    wanted = {"eventId": intent["id"], "hash": intent["hash"], "parameters": {"amount": amount}, "requestId": request}
    return server.mutate("intents.start", wanted)


@pytest.fixture
def people(keyed: Keyed) -> People:
    """An agent and a person."""
    slug = keyed.workspace()
    agent = keyed.key("events:write", "events:read-own", user="agent", workspaces=(slug,))[1]
    boss = keyed.key("intents:decide", "events:read", user="boss", workspaces=(slug,))[1]
    return People(keyed, slug, agent, boss)


def test_an_agent_asks_a_person_approves_and_exactly_that_runs(people: People) -> None:
    intent = people.ask(risk="high", summary="Refund order 7", approvers=["boss"])
    assert failed(start(people.agent, intent), 409)["reason"] == "not_approved"

    [waiting] = answered(people.boss.query("intents.list", {"waiting": True}))["intents"]
    approved = answered(
        decide(people.boss, {"id": waiting["eventId"], "hash": waiting["hash"]}, reason="Agreed by phone")
    )
    wrong = failed(start(people.agent, intent, amount=820000), 409)
    begun = answered(start(people.agent, intent))
    again = answered(start(people.agent, intent))
    report = {"startId": begun["event"]["id"], "outcome": "executed", "data": {"receipt": "R-1"}}
    executed = answered(people.agent.mutate("intents.finish", report))
    chain = answered(people.agent.query("intents.get", {"eventId": intent["id"]}))

    assert (waiting["risk"], waiting["summary"], waiting["approvers"]) == ("high", "Refund order 7", ["boss"])
    assert (wrong["code"], wrong["reason"]) == ("CONFLICT", "parameters_differ")
    assert (begun["use"], begun["replayed"]) == (1, False)
    assert again == begun | {"replayed": True}
    assert failed(start(people.agent, intent, request="r2"), 409)["reason"] == "used_up"
    assert people.events() == [f"payment.refund.{word}" for word in ("requested", "approved", "started", "executed")]
    assert chain["event"] == intent
    assert (chain["state"], chain["decisionId"], chain["decidedBy"]) == ("used_up", approved["id"], "boss")
    assert chain["reason"] == "Agreed by phone"
    [run] = chain["runs"]
    assert (run["startId"], run["outcome"], run["outcomeId"]) == (begun["event"]["id"], "executed", executed["id"])


@pytest.mark.parametrize(
    ("decided", "reason", "shown"),
    [
        pytest.param(False, "Paid in cash", "Paid in cash", id="withdrawn before a decision"),
        pytest.param(True, "Paid in cash", "Paid in cash", id="withdrawn after an approval"),
        pytest.param(True, None, None, id="withdrawn without a reason"),
    ],
)
def test_the_asker_sees_the_last_reason(
    people: People, reason: str | None, shown: str | None, *, decided: bool
) -> None:
    intent = people.ask()
    if decided:
        answered(decide(people.boss, intent, reason="Agreed by phone"))
    answered(people.agent.mutate("intents.withdraw", {"eventId": intent["id"], "reason": reason}))

    assert answered(people.agent.query("intents.get", {"eventId": intent["id"]})).get("reason") == shown


def test_a_wait_is_not_logged_as_slow(people: People) -> None:
    intent, name = people.ask(), str(uuid4())
    wanted = {"eventId": intent["id"], "timeoutSeconds": 2}

    waited = answered(people.agent.query("intents.wait", wanted, **{"x-request-id": name}))

    assert waited["state"] == "open"
    failed(people.agent.query("events.get", {"eventId": name}, **{"x-request-id": f"{name}-2"}), 404)
    log = until(lambda: name in (text := people.agent.log.read_text()) and text)
    assert re.findall(rf'"request_id": ?"({name}[^"]*)"', log) == [f"{name}-2"]


def test_an_event_is_named_by_its_ledger_id_too(people: People) -> None:
    intent = people.ask()

    named = intent | {"id": f"evt_{intent['hash'].removeprefix('sha256:')}"}

    assert answered(decide(people.boss, named))["causationId"] == intent["id"]


FORGED: dict[str, Any] = {
    "decision": {"intentId": str(uuid4()), "intentHash": ZEROS, "decision": "approved"},
    "start": {"intentId": str(uuid4()), "intentHash": ZEROS, "decisionId": str(uuid4()), "use": 1, "requestId": "r"},
    "outcome": {"startId": str(uuid4()), "intentId": str(uuid4()), "outcome": "executed"},
}


@pytest.mark.parametrize("member", FORGED)
def test_no_door_takes_what_only_the_server_writes(people: People, member: str) -> None:
    anybody = people.of("mallory", "*")
    event = {"type": "payment.refund.approved", "data": {}, "metadata": {"synap": {member: FORGED[member]}}}
    tool = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "events_log", "arguments": event}}
    accept = {"accept": "application/json, text/event-stream"}

    logged = failed(anybody.mutate("events.log", event), 400)
    batch = failed(anybody.mutate("events.logBatch", {"events": [{"type": "a.b", "data": {}}, event]}), 400)
    checked = answered(anybody.mutate("events.validate", event))
    by_tool = web.post(f"{anybody.url}/mcp", json=tool, headers=anybody.headers | accept)

    assert [issue["path"] for issue in logged["issues"]] == [f"metadata.synap.{member}"]
    assert [issue["path"] for issue in batch["issues"]] == [f"events.1.metadata.synap.{member}"]
    assert [issue["path"] for issue in checked["issues"]] == [f"metadata.synap.{member}"]
    assert '"isError":true' in by_tool.text.replace(" ", "")
    assert people.events() == []


def test_nobody_asks_in_the_name_of_another(people: People) -> None:
    writer = people.of("mallory", "events:write", "events:write-as")
    event = {"type": "a.b.requested", "data": {}, "userId": "agent", "metadata": {"synap": {"intent": {}}}}

    refused = failed(writer.mutate("events.log", event), 400)

    assert [issue["path"] for issue in refused["issues"]] == ["userId"]
    answered(writer.mutate("events.log", event | {"metadata": {}}))  # an ordinary event is theirs to log


def test_four_eyes_are_two_users_whatever_keys_they_have(people: People) -> None:
    intent = people.ask()
    every = people.of("agent", "*")
    key_id, second = people.keyed.key("intents:decide", "keys:manage", user="agent", workspaces=(people.workspace,))
    rotated = answered(second.mutate("keys.rotate", {"keyId": key_id, "graceSeconds": 60}))["token"]
    third = people.of("agent", "intents:decide", "events:write-as")

    for caller in (every, second, third):
        assert failed(decide(caller, intent), 403)["reason"] == "forbidden"
    by_rotated = web.post(
        f"{every.url}/trpc/intents.decide",
        json={"eventId": intent["id"], "hash": intent["hash"], "decision": "approved"},
        headers={"authorization": f"Bearer {rotated}"},
    )
    assert by_rotated.status_code == 403
    assert people.events() == ["payment.refund.requested"]
    assert decide(people.of("agent", "intents:decide-own"), intent).status_code == 403, "it only lifts the rule"
    answered(decide(people.of("agent", "intents:decide", "intents:decide-own"), intent))


GRANTS: dict[str, tuple[tuple[str, ...], list[str], str | None, int]] = {
    "to another user": (("*",), ["intents:decide"], "bob", 403),
    "everything to another user": (("*",), ["*"], "bob", 403),
    "to the own user": (("*",), ["intents:decide", "intents:decide-own"], None, 200),
    "to another user, by who may decide on their own": (
        ("*", "intents:decide-own"),
        ["intents:decide"],
        "bob",
        200,
    ),
    "what is not there": (("keys:manage", "events:read"), ["intents:decide-own"], None, 403),
}


@pytest.mark.parametrize(("scopes", "granted", "user", "status"), GRANTS.values(), ids=list(GRANTS))
def test_who_may_let_others_decide(
    people: People, scopes: tuple[str, ...], granted: list[str], user: str | None, status: int
) -> None:
    caller, auditor = people.of("admin", *scopes), people.of("auditor", "audit:read")
    wanted = {"scopes": granted} | ({} if user is None else {"userId": user})

    response = caller.mutate("keys.create", wanted)

    assert response.status_code == status, response.text
    if status == 200:
        audit = answered(auditor.query("audit.list", {"action": "key.created"}))
        assert audit["entries"][-1]["detail"]["scopes"] == granted


def test_who_may_not_let_others_decide_learns_which_key_may(people: People) -> None:
    every, reader = people.of("admin", "*"), people.of("reader", "keys:manage", "intents:decide", "events:read")
    key_id, _ = people.keyed.key("intents:decide", user="bob", workspaces=(people.workspace,))
    wanted = {"scopes": ["intents:decide"], "userId": "bob"}

    by_every = [
        every.mutate(*call).json()["error"]["message"]
        for call in (("keys.create", wanted), ("keys.rotate", {"keyId": key_id}))
    ]
    by_reader = reader.mutate("keys.create", wanted).json()["error"]["message"]

    remedy = "create a key of your own with * and intents:decide-own, and call with that key"
    assert [message.endswith(f"intents:decide-own; {remedy}") for message in by_every] == [True, True], by_every
    assert by_reader.endswith("intents:decide-own; call with a key that has it")
    own = answered(every.mutate("keys.create", {"scopes": ["*", "intents:decide-own"]}))["token"]
    obeyed = web.post(
        f"{every.url}/trpc/keys.create",
        json=wanted,
        headers={"authorization": f"Bearer {own}", "x-workspace-id": people.workspace},
    )
    assert obeyed.status_code == 200, obeyed.text


def test_everybody_sees_their_own_intents_and_those_that_they_are_to_decide(people: People) -> None:
    mine, named = people.ask(), people.ask(approvers=["ann"])
    other = People(people.keyed, people.workspace, people.of("other", "events:write", "events:read-own"), people.boss)
    theirs = other.ask()
    ann = people.of("ann", "events:read-own", "intents:decide")

    def seen(caller: Server, **query: object) -> list[str]:
        return [each["eventId"] for each in answered(caller.query("intents.list", query))["intents"]]

    assert seen(people.boss) == [theirs["id"], named["id"], mine["id"]]
    assert seen(people.boss, waiting=True) == [theirs["id"], mine["id"]]
    assert seen(people.agent) == [named["id"], mine["id"]]
    assert seen(people.agent, waiting=True) == []
    assert seen(other.agent) == [theirs["id"]]
    assert seen(ann) == seen(ann, waiting=True) == [named["id"]]
    failed(ann.query("intents.get", {"eventId": mine["id"]}), 404)
    failed(people.agent.query("intents.wait", {"eventId": theirs["id"], "timeoutSeconds": 0}), 404)
    answered(decide(ann, named))
    assert seen(people.boss, state="approved") == [named["id"]]
    assert seen(people.agent, state="approved") == seen(ann) == seen(ann, state="approved") == [named["id"]]
    assert seen(people.agent) == [named["id"], mine["id"]], "of all states, newest first"
    page = answered(people.agent.query("intents.list", {"limit": 1}))
    assert [each["eventId"] for each in page["intents"]] == [named["id"]]
    assert seen(people.agent, limit=1, cursor=page["nextCursor"]) == [mine["id"]]
    assert seen(people.boss, state="open") == [theirs["id"], mine["id"]]
    issues = failed(people.boss.query("intents.list", {"waiting": True, "state": "expired"}), 400)["issues"]
    assert [issue["path"] for issue in issues] == ["state"]


def test_pages_of_intents_lead_on_and_back(people: People) -> None:
    ids = [people.ask()["id"] for _ in range(5)][::-1]

    def page(**query: object) -> dict[str, Any]:
        found: dict[str, Any] = answered(people.boss.query("intents.list", {"limit": 2, **query}))
        return found

    first = page()
    second = page(cursor=first["nextCursor"])
    third = page(cursor=second["nextCursor"])
    back = page(cursor=third["previousCursor"], direction="backward")

    assert [[each["eventId"] for each in part["intents"]] for part in (first, second, third, back)] == [
        ids[:2],
        ids[2:4],
        ids[4:],
        ids[2:4],
    ]
    assert "nextCursor" not in third
    assert "previousCursor" not in first
    other = answered(people.keyed.server.query("keys.list", {"limit": 1})).get("nextCursor", "x")
    assert failed(people.boss.query("intents.list", {"cursor": other}), 400)["reason"] == "invalid_cursor"


def test_an_intent_in_a_trace_shows_its_chain(people: People) -> None:
    intent = people.ask()
    answered(decide(people.boss, intent))
    answered(start(people.agent, intent))

    trace = answered(people.boss.query("events.trace", {"eventId": intent["id"]}))

    assert [each["type"].rpartition(".")[2] for each in trace["descendants"]] == ["approved", "started"]


LIMITS: dict[str, tuple[dict[str, Any], bool]] = {
    "nothing": ({}, True),
    "everything": (
        {
            "expiresAt": "2001-01-01T00:00:00+02:00",
            "timeoutSeconds": 604800,
            "uses": 1000,
            "approvers": ["a" * 256] * 50,
            "risk": "medium",
            "reversible": False,
            "summary": "s" * 1024,
        },
        True,
    ),
    "the least": ({"timeoutSeconds": 1, "uses": 1}, True),
    "a number as 5.0": ({"uses": 5.0}, True),
    "null is absent": ({"uses": None, "risk": None}, True),
    "no timeout": ({"timeoutSeconds": 0}, False),
    "a long timeout": ({"timeoutSeconds": 604801}, False),
    "no use": ({"uses": 0}, False),
    "many uses": ({"uses": 1001}, False),
    "many approvers": ({"approvers": ["a"] * 51}, False),
    "nobody who may approve": ({"approvers": []}, False),
    "an approver with a long name": ({"approvers": ["a" * 257]}, False),
    "another risk": ({"risk": "none"}, False),
    "a long summary": ({"summary": "s" * 1025}, False),
    "a time without an offset": ({"expiresAt": "2001-01-01T00:00:00"}, False),
    "a far time": ({"expiresAt": "2999-01-01T00:00:00Z"}, False),
    "another member": ({"author": "me"}, False),
}


@pytest.mark.parametrize(("terms", "fits"), LIMITS.values(), ids=list(LIMITS))
def test_terms_have_limits(people: People, terms: dict[str, Any], *, fits: bool) -> None:
    event = {"type": "a.b.requested", "data": {}, "metadata": {"synap": {"intent": terms}}}

    response = people.agent.mutate("events.log", event)
    checked = answered(people.agent.mutate("events.validate", event))

    assert (response.status_code == 200, checked["valid"]) == (fits, fits), response.text


def test_defaults_are_applied_and_not_stored(people: People) -> None:
    intent = people.ask()

    chain = answered(people.agent.query("intents.get", {"eventId": intent["id"]}))

    assert intent["metadata"] == {"synap": {"intent": {}}}
    assert chain["uses"] == 1
    assert chain["expiresAt"][:10] > intent["timestamp"][:10]
    assert chain["expiresAt"][10:] == intent["timestamp"][10:]


def test_what_follows_is_filtered_like_all_other_events(people: People) -> None:
    intent = people.ask(risk="high")
    answered(decide(people.boss, intent, "rejected", reason="no"))

    asked = {"filter": {"metadata.synap.decision.decision": "rejected"}}
    [found] = answered(people.boss.query("events.list", asked))

    assert found["metadata"]["synap"]["decision"]["reason"] == "no"
    assert len(answered(people.boss.query("events.list", {"filter": {"metadata.synap.intent.risk": "high"}}))) == 1


def test_large_parameters_are_compared_whole(people: People) -> None:
    rows = [{"n": number, "text": "x" * 50} for number in range(8000)]
    wanted = {"type": "a.b.requested", "data": {"rows": rows}, "metadata": {"synap": {"intent": {}}}}
    intent = answered(people.agent.mutate("events.log", wanted))
    answered(decide(people.boss, intent))
    named = {"eventId": intent["id"], "hash": intent["hash"], "requestId": "r"}

    other = people.agent.mutate("intents.start", named | {"parameters": {"rows": rows[:-1]}})
    same = people.agent.mutate("intents.start", named | {"parameters": json.loads(json.dumps({"rows": rows}))})

    assert failed(other, 409)["reason"] == "parameters_differ"
    answered(same)


def test_an_intent_that_an_erasure_withdrew_is_read_with_its_withdrawal(people: People) -> None:
    intent = people.ask()
    assert people.of("admin", "events:erase").mutate("events.erase", {"ids": [intent["id"]]}).status_code == 200

    chain = answered(people.boss.query("intents.get", {"eventId": intent["id"]}))
    receipt = answered(
        people.of("auditor", "events:read", "ledger:read").query("ledger.receipt", {"eventId": intent["id"]})
    )

    assert (chain["state"], chain["event"]["erased"]) == ("withdrawn", True)
    assert not verify_receipt(json.dumps(receipt).encode()).broken
    [withdrawal] = answered(people.boss.query("events.list", {"filter": {"id": chain["decisionId"]}}))
    said = {"intentId": intent["id"], "intentHash": intent["hash"], "decision": "withdrawn"}
    assert withdrawal["metadata"] == {"synap": {"decision": said}}
