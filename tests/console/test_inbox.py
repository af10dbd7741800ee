"""Intents in the console: what waits for whom, exactly what is approved, and what became of it."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from tests.console.conftest import Console
from tests.kit.servers import Server, until

HIDDEN = "order-7\u202e\u200b"
"""A name that ends in two characters that nobody sees."""


def person(server: Server, user: str, *scopes: str) -> Server:
    """The server as the holder of a key of this user calls it."""
    created = server.mutate("keys.create", {"scopes": scopes, "workspaces": ["default"], "userId": user})
    assert created.status_code == 200, created.text
    return msgspec.structs.replace(server, token=created.json()["result"]["data"]["token"])


@pytest.fixture(scope="module")
def granter(console_server: Server) -> Server:
    """A key that may grant `intents:decide` to other users: one with `*` alone may not."""
    user = console_server.query("keys.current").json()["result"]["data"]["userId"]
    scopes = ("intents:decide", "intents:decide-own", "keys:manage", "events:read", "ledger:read")
    return person(console_server, user, *scopes)


@pytest.fixture(scope="module")
def boss(granter: Server) -> Server:
    """Somebody who decides."""
    return person(granter, "boss", "events:read", "intents:decide", "ledger:read")


@pytest.fixture(scope="module")
def agent(console_server: Server) -> Server:
    """An agent that may ask."""
    return person(console_server, f"agent-{uuid4()}", "events:write", "events:read-own")


def parameters(amount: int) -> dict[str, object]:
    """What the refund runs with."""
    return {"orderId": HIDDEN, "amount": amount, "__proto__": {"x": 1}}


def ask(agent: Server, amount: int = 82_000, **intent: object) -> dict[str, Any]:
    """Ask for a refund."""
    data = {"parameters": parameters(amount), "note": "not part of it"}
    asked = {"type": "payment.refund.requested", "data": data, "metadata": {"synap": {"intent": intent}}}
    answer = agent.mutate("events.log", asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["result"]["data"])


def start(agent: Server, intent: dict[str, Any], amount: int = 82_000, *, request: str = "refund-1") -> Any:
    """Start it with an amount."""
    named = {"eventId": intent["id"], "hash": intent["hash"]}
    wanted = {**named, "parameters": parameters(amount), "requestId": request}
    return agent.mutate("intents.start", wanted)


def test_an_agent_asks_a_person_approves_and_exactly_that_runs(console: Console, agent: Server, boss: Server) -> None:
    summary = f"Refund order 7 ({uuid4()})"
    intent = ask(agent, summary=summary, risk="high", reversible=False)
    console.open("/default/inbox", token=boss.token, width=1280, height=900)
    console.whole.role("row", summary).wait()
    console.looks_fine("inbox")
    console.looks_fine("inbox-narrow", width=360)

    console.whole.role("link", summary).click()
    exact = console.whole.role("region", "Exactly what would be approved")
    exact.text("U+202E", exact=True).wait()
    assert '{"__proto__":{"x":1},"amount":82000,"orderId":"order-7U+202EU+200B"}' in exact.content()
    assert "2 characters that you would not see" in exact.content()
    console.whole.role("button", "verified", exact=True).wait()
    console.looks_fine("intent", height=1000)
    console.looks_fine("intent-narrow", width=360)
    console.whole.label("Reason").fill("Agreed by phone")
    console.whole.role("button", "Approve").click()
    chain = console.whole.role("region", "What became of it")
    chain.text("Agreed by phone").wait()

    assert console.whole.role("button", "Approve").count() == 0
    assert console.whole.role("region", "Exactly what was approved").count() == 1
    refused = start(agent, intent, 820_000)
    assert (refused.status_code, refused.json()["error"]["data"]["reason"]) == (409, "parameters_differ")
    begun = start(agent, intent).json()["result"]["data"]["event"]
    report = {"startId": begun["id"], "outcome": "executed", "data": {"receipt": "R-1"}}
    assert agent.mutate("intents.finish", report).status_code == 200
    chain.role("link", "Executed").wait()
    assert chain.role("listitem").role("link").contents() == ["Asked", "Approved", "Started", "Executed"]
    assert "No use is left." in chain.content()


def test_a_receipt_is_saved_on_the_page_of_an_event_and_explained(
    console: Console, agent: Server, boss: Server, tmp_path: Path
) -> None:
    intent = ask(agent, summary="Refund order 7")
    decision = {"eventId": intent["id"], "hash": intent["hash"], "decision": "approved"}
    assert boss.mutate("intents.decide", decision).status_code == 200
    console.open(f"/default/events/{intent['id']}", token=boss.token)
    file = console.whole.role("button", "Receipt").download()
    receipt = tmp_path / file["name"]
    receipt.write_text(file["text"])
    console.go("/default/ledger")
    console.whole.label("File").choose(receipt)
    verdict = console.whole.role("region", "Verify a file").role("status")
    verdict.text(f"{file['name']}: verified").wait()

    assert '"boss" approved exactly this request' in verdict.content()
    console.looks_fine("receipt", height=1400)


def test_the_page_of_each_event_of_a_chain_shows_the_chain(console: Console, agent: Server, boss: Server) -> None:
    intent = ask(agent, uses=2)
    decision = {"eventId": intent["id"], "hash": intent["hash"], "decision": "approved"}
    assert boss.mutate("intents.decide", decision).status_code == 200
    begun = start(agent, intent).json()["result"]["data"]["event"]
    report = {"startId": begun["id"], "outcome": "failed", "data": {"parameters": {"amount": 1}}}
    outcome = agent.mutate("intents.finish", report).json()["result"]["data"]

    for event in (intent, begun, outcome):
        console.open(f"/default/events/{event['id']}", token=boss.token)
        chain = console.whole.role("region", "What became of it")
        chain.text("1 of 2 uses is left.").wait()
        assert "The parameters that were reported are not those that were approved." in chain.content()
    console.looks_fine("event-of-intent", height=1200)
    console.whole.role("link", "The intent").click()
    console.whole.role("region", "Exactly what was approved").wait()


def test_a_rejection_has_a_reason_and_a_second_decision_is_a_conflict(
    console: Console, agent: Server, boss: Server
) -> None:
    intent = ask(agent)
    console.open(f"/default/inbox/{intent['id']}", token=boss.token)
    console.whole.label("Reason").fill("Too much")
    decision = {"eventId": intent["id"], "hash": intent["hash"], "decision": "approved"}
    console.page.offline(is_offline=True)
    console.whole.role("button", "Reject").click()
    console.whole.role("alert").nth(0).wait()
    assert boss.mutate("intents.decide", decision).status_code == 200
    console.page.offline(is_offline=False)

    console.whole.role("region", "What became of it").role("link", "Approved").wait()
    assert console.whole.role("button", "Reject").count() == 0
    console.page.problems()  # the browser writes down that it was offline


@pytest.mark.parametrize(
    ("of_own", "named", "said"),
    [(True, None, "somebody else has to decide"), (False, ["somebody"], "Only the users that it names may decide")],
    ids=["own", "not named"],
)
def test_who_may_not_decide_sees_no_button_and_why(
    console: Console, console_server: Server, agent: Server, *, of_own: bool, named: list[str] | None, said: str
) -> None:
    asker = console_server if of_own else agent
    intent = ask(asker, approvers=named)
    console.open(f"/default/inbox/{intent['id']}")
    console.whole.text(said).wait()

    assert console.whole.role("button", "Approve").count() == 0
    assert console.whole.role("button", "Withdraw").count() == of_own
    if of_own:
        console.whole.role("button", "Withdraw").click()
        console.whole.role("dialog", "Withdraw this intent?").role("button", "Withdraw").click()
        console.whole.role("region", "What became of it").role("link", "Withdrawn").wait()


def test_an_approver_who_reads_only_own_events_decides_by_a_link(
    console: Console, agent: Server, boss: Server, granter: Server
) -> None:
    approver = person(granter, "carla", "events:read-own", "intents:decide")
    intent = ask(agent, approvers=["carla", "boss"])
    unseen = ask(agent)
    console.open("/default/inbox", token=approver.token)
    rows = console.whole.role("table", "Inbox").role("row")
    rows.nth(1).wait()

    assert rows.count() == 2  # with the head
    console.go(f"/default/inbox/{intent['id']}")
    console.whole.role("button", "Reject").click()
    console.whole.role("region", "What became of it").role("link", "Rejected").wait()
    assert console.page.problems() == []
    assert [each["state"] for each in listed(boss) if each["eventId"] == intent["id"]] == ["rejected"]
    console.go(f"/default/inbox/{unseen['id']}")
    console.whole.text("Intent not found").wait()
    console.page.problems()  # the browser writes down that a call was refused


def listed(server: Server) -> list[dict[str, Any]]:
    """The intents, newest first."""
    return list(server.query("intents.list", {}).json()["result"]["data"]["intents"])


def test_who_asks_follows_a_link_and_has_no_inbox(console: Console, agent: Server) -> None:
    intent = ask(agent)
    console.open(f"/default/inbox/{intent['id']}", token=agent.token)
    console.whole.role("region", "What is asked").wait()

    assert console.whole.role("navigation", "Screens").role("link").contents() == ["Events", "Compose", "API"]
    assert console.whole.role("button", "Approve").count() == 0
    assert console.whole.role("button", "Withdraw").count() == 1
    console.go("/default/inbox")
    console.whole.text("There is no such page.").wait()


def test_an_erased_intent_says_so(console: Console, console_server: Server, agent: Server, boss: Server) -> None:
    intent = ask(agent)
    assert console_server.mutate("events.erase", {"ids": [intent["id"]]}).status_code == 200
    console.open(f"/default/inbox/{intent['id']}", token=boss.token)
    console.whole.text("This intent was erased.").wait()

    assert console.whole.role("button", "Approve").count() == 0
    console.go(f"/default/events/{intent['id']}")
    until(
        lambda: console.whole.role("region", "What became of it").role("link").contents()[:2] == ["Asked", "Withdrawn"]
    )


def test_a_key_that_decides_is_rotated_only_with_one_that_may_grant_that(console: Console, boss: Server) -> None:
    console.open("/default/keys")
    row = console.whole.role("row", boss.token.split("_")[1])
    row.wait()

    assert row.role("button").contents() == ["Revoke"]
