"""Events that their authors sign: what every door stores, and what it refuses."""

import copy
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from msgspec import Struct

from app.ledger.verify import verify_bundle
from tests.kit import authors, web
from tests.kit.authors import AUTHOR, OTHER, RIGHT, changed
from tests.kit.bundles import Record
from tests.kit.hostile import NEUTRAL, kid_of, written
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered, failed

PATH = "context.metadata.synap.author"

get, post = (partial(each, timeout=60) for each in (web.get, web.post))


class Agents(Struct, frozen=True):
    """An agent that logs what it has signed, in a workspace of its own."""

    keyed: Keyed
    node: str
    workspace: str
    agent: Server

    def event(self, name: str = "an intent", **header: str) -> Record:
        """One of the events of the vectors, for this log, with an id of its own."""
        return (
            copy.deepcopy(RIGHT[name]) | {"node": self.node, "log": self.workspace, "event_id": str(uuid4())} | header
        )

    def signed(self, name: str = "an intent", author: Any = AUTHOR, **header: str) -> Record:
        """The same, signed."""
        return authors.signed(self.event(name, **header), author)

    @property
    def manager(self) -> Server:
        """The server as a key calls it that may make every key of the workspace."""
        return self.keyed.key("*", "intents:decide-own", user="manager", workspaces=(self.workspace,))[1]

    def export(self) -> bytes:
        """The export of the log."""
        reader = self.keyed.key("ledger:read", "events:read", workspaces=(self.workspace,))[1]
        return get(f"{reader.url}/ledger/v1/events/export", headers=reader.headers).content


@pytest.fixture
def agents(keyed: Keyed) -> Agents:
    """An agent whose key may write."""
    slug = keyed.workspace()
    node = answered(keyed.key("ledger:read", workspaces=(slug,))[1].query("ledger.node"))["node_did"]
    agent = keyed.key("events:write", "events:read-own", user="agent", workspaces=(slug,))[1]
    return Agents(keyed, node, slug, agent)


def log(server: Server, event: Record) -> Any:
    """Log an event."""
    return server.mutate("events.log", authors.sent(event))


def test_what_authors_sign_is_stored_and_verifies(agents: Agents) -> None:
    events = [agents.signed(name, OTHER if name == "the least" else AUTHOR) for name in RIGHT]

    stored = answered(agents.agent.mutate("events.logBatch", {"events": [authors.sent(each) for each in events]}))
    verdict = verify_bundle(agents.export())

    assert [each["id"] for each in stored] == [each["event_id"] for each in events]
    assert (verdict.broken, verdict.count) == (None, len(RIGHT))
    assert verdict.authors == {AUTHOR.did: len(RIGHT) - 1, OTHER.did: 1}


def test_the_server_prints_what_the_author_signed(agents: Agents) -> None:
    offsets, nulls = authors.sent(agents.signed("offsets")), authors.sent(agents.signed("an intent"))
    offsets["occurredAt"] = "2026-01-02T05:04:05+02:00"
    nulls["metadata"]["synap"]["intent"]["summary"] = None
    nulls["subjectId"] = None

    answered(agents.agent.mutate("events.logBatch", {"events": [offsets, nulls | {"id": nulls["id"].upper()}]}))

    assert verify_bundle(agents.export()).authors == {AUTHOR.did: 2}


WRONG: dict[str, tuple[str, Any, str]] = {
    "a changed digit": ("payload.parameters.amount", 820000, "signature"),
    "another type": ("type", "payment.refund.made.requested", "signature"),
    "another id": ("event_id", "01938c1e-0000-7000-8000-000000000002", "signature"),
    "another author": (f"{PATH}.did", OTHER.did, "signature"),
    "other base64": (f"{PATH}.signature", "AA==", "signature"),
    "a did of another method": (f"{PATH}.did", f"did:web:{AUTHOR.kid}", "did"),
    "a did with a fragment": (f"{PATH}.did", f"{AUTHOR.did}#{AUTHOR.kid}", "did"),
}


@pytest.mark.parametrize(("path", "value", "member"), WRONG.values(), ids=WRONG)
def test_a_false_author_is_refused_at_every_door(agents: Agents, path: str, value: Any, member: str) -> None:
    false = authors.sent(changed(agents.signed(), path, value))
    tool = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "events_log", "arguments": false}}
    accept = {"accept": "application/json, text/event-stream"}
    right = authors.sent(agents.signed())

    logged = failed(agents.agent.mutate("events.log", false), 400)
    batch = failed(agents.agent.mutate("events.logBatch", {"events": [right, false]}), 400)
    checked = answered(agents.agent.mutate("events.validate", false))
    by_tool = post(f"{agents.agent.url}/mcp", json=tool, headers=agents.agent.headers | accept)

    place = f"metadata.synap.author.{member}"
    assert (logged["code"], logged["reason"]) == ("BAD_REQUEST", "invalid_signature")
    assert [issue["path"] for issue in logged["issues"]] == [place]
    assert [issue["path"] for issue in batch["issues"]] == [f"events.1.{place}"]
    assert [(issue["path"], issue["code"]) for issue in checked["issues"]] == [(place, "invalid_signature")]
    assert "invalid_signature" in by_tool.text
    assert verify_bundle(agents.export()).count == 0


@pytest.mark.parametrize("header", ["log", "node"])
def test_a_copy_of_another_log_or_node_is_refused(agents: Agents, header: str) -> None:
    copied = agents.signed(**{header: "default" if header == "log" else AUTHOR.did})

    assert failed(log(agents.agent, copied), 400)["reason"] == "invalid_signature"


def test_an_event_with_an_author_needs_an_id(agents: Agents) -> None:
    unnamed = authors.sent(agents.signed())
    del unnamed["id"]

    refused = failed(agents.agent.mutate("events.log", unnamed), 400)

    assert (refused["reason"], [issue["path"] for issue in refused["issues"]]) == ("missing_required_field", ["id"])


def test_a_signature_is_of_the_user_that_is_stored(agents: Agents) -> None:
    writer = agents.keyed.key("events:write", "events:write-as", user="relay", workspaces=(agents.workspace,))[1]
    event = agents.signed("the least")
    unnamed = authors.sent(event)
    del unnamed["userId"]

    refused = failed(writer.mutate("events.log", unnamed), 400)
    relayed = answered(log(writer, event))

    assert refused["reason"] == "invalid_signature"
    assert relayed["userId"] == "agent"


def test_a_stored_id_is_answered_whatever_the_signature_says(agents: Agents) -> None:
    event = agents.signed()
    eraser = agents.keyed.key(
        "events:erase", "events:read", "events:write", user="agent", workspaces=(agents.workspace,)
    )[1]

    first = answered(log(agents.agent, event))
    again = answered(log(agents.agent, event))
    false = failed(log(agents.agent, changed(event, "payload.parameters.amount", 1)), 409)
    answered(eraser.mutate("events.erase", {"ids": [event["event_id"]]}))
    erased = answered(log(eraser, changed(event, "payload.parameters.amount", 1)))

    assert again == first
    assert (false["code"], false["hash"]) == ("CONFLICT", first["hash"])
    assert erased["erased"] is True


def test_events_are_filtered_by_their_author(agents: Agents) -> None:
    for author in (AUTHOR, OTHER, AUTHOR):
        answered(log(agents.agent, agents.signed(author=author)))

    found = answered(agents.agent.query("events.page", {"filter": {"metadata.synap.author.did": OTHER.did}}))

    assert [event["metadata"]["synap"]["author"]["did"] for event in found["events"]] == [OTHER.did]


BOUND = {"scopes": ["events:write", "events:read-own", "keys:manage"], "userId": "agent", "authors": [AUTHOR.did]}


def bound(agents: Agents, **members: Any) -> Any:
    """The server as called with a key that only one author may use, and that key."""
    made = answered(agents.manager.mutate("keys.create", BOUND | {"workspaces": [agents.workspace]} | members))
    return msgspec.structs.replace(agents.agent, token=made["token"]), made


def test_a_key_logs_only_what_its_authors_sign(agents: Agents) -> None:
    server, _ = bound(agents, authorRequired=False)
    required, made = bound(agents)
    plain = {"type": "note.created", "data": {}}
    shown = {"type": "note.created", "source": "bot", "data": {}}

    answered(log(server, agents.signed()))
    answered(log(required, agents.signed()))
    answered(server.mutate("events.log", plain))
    others = [failed(log(each, agents.signed(author=OTHER)), 400) for each in (server, required)]
    unsigned = failed(required.mutate("events.log", plain), 400)
    published = post(f"{required.url}/v1/events", json=shown, headers=required.headers)
    cloud = {"specversion": "1.0", "id": "1", "type": "note.created", "source": "/bot"}
    delivered = post(
        f"{required.url}/v1/events",
        json=cloud,
        headers=required.headers | {"content-type": "application/cloudevents+json"},
    )

    assert made["authorRequired"] is True
    assert [each["reason"] for each in others] == ["invalid_signature"] * 2
    assert [issue["path"] for each in others for issue in each["issues"]] == ["metadata.synap.author.did"] * 2
    assert (unsigned["reason"], unsigned["issues"][0]["path"]) == ("invalid_signature", "metadata.synap.author")
    for refused in (published, delivered):
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_signature")
    assert verify_bundle(agents.export()).count == 3


def test_a_key_may_need_any_author(agents: Agents) -> None:
    wanted = {"scopes": ["events:write"], "userId": "agent", "workspaces": [agents.workspace], "authorRequired": True}
    made = answered(agents.manager.mutate("keys.create", wanted))
    server = msgspec.structs.replace(agents.agent, token=made["token"])

    refused = failed(server.mutate("events.log", {"type": "note.created", "data": {}}), 400)

    assert (refused["reason"], made.get("authors")) == ("invalid_signature", None)
    answered(log(server, agents.signed(author=OTHER)))


def test_what_follows_an_intent_needs_no_author(agents: Agents) -> None:
    server, _ = bound(agents)
    intent = answered(log(server, agents.signed()))

    withdrawn = answered(server.mutate("intents.withdraw", {"eventId": intent["id"]}))

    assert withdrawn["type"] == "payment.refund.withdrawn"


def test_keys_say_which_authors_they_have_and_a_rotation_copies_them(agents: Agents) -> None:
    server, made = bound(agents, authorRequired=True)

    rotated = answered(agents.manager.mutate("keys.rotate", {"keyId": made["id"]}))
    listed = answered(agents.manager.query("keys.list"))["keys"]
    successor = msgspec.structs.replace(server, token=rotated["token"])
    current = answered(successor.query("keys.current"))
    unbound = answered(agents.agent.query("keys.current"))

    for key in (made, rotated, current, *(each for each in listed if each["id"] == rotated["id"])):
        assert (key["authors"], key["authorRequired"]) == ([AUTHOR.did], True)
    assert not {"authors", "authorRequired"} & unbound.keys()
    failed(successor.mutate("events.log", {"type": "note.created", "data": {}}), 400)


WIDER: dict[str, tuple[dict[str, Any], str]] = {
    "another author": ({"authors": [OTHER.did]}, "authors"),
    "an author more": ({"authors": [AUTHOR.did, OTHER.did]}, "authors"),
    "without a signature": ({"authorRequired": False}, "authorRequired"),
}


@pytest.mark.parametrize(("wanted", "place"), WIDER.values(), ids=WIDER)
def test_a_bound_key_grants_no_wider(agents: Agents, wanted: dict[str, Any], place: str) -> None:
    server, _ = bound(agents, authorRequired=True)

    refused = server.mutate("keys.create", {"scopes": ["events:write"], **wanted})
    same = answered(server.mutate("keys.create", {"scopes": ["events:write"]}))

    failed(refused, 403)
    assert f"A key grants at most what it has. {place}: " in refused.json()["error"]["message"]
    assert (same["authors"], same["authorRequired"]) == ([AUTHOR.did], True)


@pytest.mark.parametrize("procedure", ["keys.rotate", "keys.revoke"])
def test_a_bound_key_does_not_take_over_one_that_is_not(agents: Agents, procedure: str) -> None:
    server, _ = bound(agents)
    made = {"scopes": ["events:write"], "userId": "agent", "workspaces": [agents.workspace]}
    free = answered(agents.manager.mutate("keys.create", made))

    failed(server.mutate(procedure, {"keyId": free["id"]}), 403)
    answered(agents.manager.mutate(procedure, {"keyId": free["id"]}))


NOBODY: dict[str, tuple[list[str], str]] = {
    "a did of another method": ([AUTHOR.did, "did:web:example.com"], "authors.1"),
    "a key of small order": ([f"did:key:{kid_of(written(NEUTRAL))}"], "authors.0"),
    "twice the same": ([AUTHOR.did, AUTHOR.did], "authors.1"),
    "nobody": ([], "authors"),
}


@pytest.mark.parametrize(("dids", "place"), NOBODY.values(), ids=NOBODY)
def test_an_author_that_nobody_can_be_is_refused(agents: Agents, dids: list[str], place: str) -> None:
    refused = failed(agents.manager.mutate("keys.create", BOUND | {"authors": dids}), 400)

    assert [issue["path"] for issue in refused["issues"]] == [place]


def test_the_audit_counts_the_authors_of_a_key(agents: Agents) -> None:
    _, made = bound(agents, authorRequired=True)
    auditor = agents.keyed.key("audit:read", workspaces=(agents.workspace,))[1]

    entries = answered(auditor.query("audit.list", {"action": "key.created"}))["entries"]

    [detail] = [each["detail"] for each in entries if each["detail"]["keyId"] == made["id"]]
    assert (detail["authors"], detail["authorRequired"]) == (1, True)
    assert AUTHOR.did not in str(entries)


def test_a_signed_intent_is_approved_and_runs(agents: Agents) -> None:
    boss = agents.keyed.key("intents:decide", "events:read", user="boss", workspaces=(agents.workspace,))[1]
    intent = answered(log(agents.agent, agents.signed()))
    named = {"eventId": intent["id"], "hash": intent["hash"]}

    answered(boss.mutate("intents.decide", named | {"decision": "approved"}))
    parameters = {"orderId": "order-7", "amount": 82000}
    answered(agents.agent.mutate("intents.start", named | {"parameters": parameters, "requestId": "r"}))

    verdict = verify_bundle(agents.export())
    assert (verdict.broken, verdict.count, verdict.authors) == (None, 3, {AUTHOR.did: 1})
