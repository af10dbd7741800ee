"""The life of an intent: what follows what, once, and when; and its state, which follows from the log."""

import asyncio
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace

from app.store.events.event_log import EventLog
from app.store.intents.rebuild import Rebuilt
from schemas.errors import (
    Conflict,
    IntentEnded,
    UsedUp,
)
from schemas.event import SynapEvent
from tests.kit.checks import check_log
from tests.store.asking import REFUND, Asking, asking, said, synap
from tests.store.opened import ANY_SKEW_SECONDS, INTENT_IDS, START, Clock, Store, draft


@pytest.fixture
def asked(store: Store) -> Asking:
    """Those who ask and decide in a workspace of the test's own."""
    return asking(store)


def test_ids_follow_from_the_secret_and_the_intent() -> None:
    id_ = UUID("01938c1e-0000-7000-8000-000000000001")

    # HMAC-SHA256 of "synap/intent/v1\n" and ["default","01938c1e-…","start",2], as `openssl dgst` computes it.
    assert str(INTENT_IDS.id("default", id_, "start", 2)) == "36ed11df-d948-8a89-a698-114d13e6bd90"


def _act(asked: Asking, name: str) -> SynapEvent:
    """Do it, with the same content each time."""
    intent = asked.ask_once(uses=2)
    if name == "decide":
        return asked.decide(intent, reason="r")
    if name == "withdraw":
        return asked.withdraw(intent)
    asked.decide(intent)
    if name == "withdraw after an approval":
        return asked.withdraw(intent, "r")
    start = asked.start(intent).event
    return start if name == "start" else asked.finish(start, data={"a": 1})


@pytest.mark.parametrize("name", ["decide", "withdraw", "withdraw after an approval", "start", "finish"])
def test_an_act_that_is_sent_again_returns_the_first_event(asked: Asking, name: str) -> None:
    first, again = _act(asked, name), _act(asked, name)

    assert first == again
    assert asked.types().count(first.type.rpartition(".")[2]) == 1
    assert asked.rebuilt() == Rebuilt(1, 0)


def test_the_chain_says_who_decided_what_and_how_it_ended(asked: Asking) -> None:
    intent = asked.ask(subject="order-7")

    approved = asked.decide(intent, reason="Agreed")
    started = asked.start(intent).event
    executed = asked.finish(started, data={"receipt": "R-1"})

    names = {"intentId": str(intent.id), "intentHash": intent.hash}
    assert said(approved) == {"decision": {**names, "decision": "approved", "reason": "Agreed"}}
    assert said(started) == {"start": {**names, "decisionId": str(approved.id), "use": 1, "requestId": "r1"}}
    outcome = {"startId": str(started.id), "intentId": str(intent.id), "outcome": "executed"}
    assert said(executed) == {"outcome": outcome}
    assert asked.types() == ["requested", "approved", "started", "executed"]
    for event, user in ((approved, "boss"), (started, "u1"), (executed, "u1")):
        assert (event.user_id, event.source, event.subject_id) == (user, "api", "order-7")
        assert (event.causation_id, event.producer, event.occurred_at) == (str(intent.id), None, None)
        assert event.id.version == 8
    assert [bytes(event.data) for event in (approved, started)] == [b"{}", b"{}"]
    check_log(asked.store.url)


def test_a_retry_is_answered_by_the_first_event_whatever_became_of_the_intent(asked: Asking) -> None:
    intent = asked.ask(uses=2, expiresAt="2024-12-09T02:00:00Z")
    approved, started = asked.decide(intent), asked.start(intent)
    executed = asked.finish(started.event)

    asked.pass_time(hours=2)

    assert asked.types()[-1] == "expired"
    assert asked.decide(intent) == approved
    assert asked.start(intent) == replace(started, replayed=True)
    assert asked.finish(started.event) == executed
    asked.erase(intent.id)
    assert asked.decide(intent) == approved
    assert asked.start(intent) == replace(started, replayed=True)
    assert asked.finish(started.event) == executed


def test_the_same_intent_logged_again_is_one(asked: Asking) -> None:
    same = draft(REFUND, {"a": 1}, id="01938c1e-0000-7000-8000-000000000009", metadata=synap(uses=2))

    first, second = asked.store.append(same)[0], asked.store.append(same)[0]
    [[third], [fourth]] = asked.store.append_at_once([same], [same])

    assert first == second == third == fourth
    assert asked.rebuilt() == Rebuilt(1, 0)


def test_each_use_has_a_start_and_an_outcome_of_its_own(asked: Asking) -> None:
    intent = asked.approved(uses=3)

    begun = [asked.start(intent, request) for request in ("a", "b", "a", "c")]
    outcomes = [asked.finish(begun[place].event, outcome) for place, outcome in ((3, "failed"), (0, "executed"))]

    assert [(each.use, each.replayed) for each in begun] == [(1, False), (2, False), (1, True), (3, False)]
    assert [outcome.type.rpartition(".")[2] for outcome in outcomes] == ["failed", "executed"]
    with pytest.raises(UsedUp):
        asked.start(intent, "d")
    assert asked.state(intent) == "used_up"
    assert asked.rebuilt() == Rebuilt(1, 0)


def test_an_intent_expires_once_and_not_before_its_time(asked: Asking) -> None:
    open_, approved = asked.ask(), asked.approved(uses=2)
    asked.start(approved)
    used_up = asked.approved()
    asked.start(used_up)

    asked.pass_time(hours=23, minutes=59)
    before = asked.types()
    asked.pass_time(minutes=2)
    asked.pass_time(minutes=2)

    assert "expired" not in before
    assert asked.types().count("expired") == 2
    assert [asked.state(each) for each in (open_, approved, used_up)] == ["expired", "expired", "used_up"]
    [last] = asked.store.list(limit=1)
    assert (last["userId"], last["source"], last["data"]) == (asked.store.node, "system", {})
    assert last["timestamp"] >= "2024-12-10T01:00:00"
    assert asked.rebuilt() == Rebuilt(3, 0)


def test_an_outcome_becomes_unknown_and_one_late_report_is_accepted(asked: Asking) -> None:
    intent = asked.approved(timeoutSeconds=60)
    start = asked.start(intent).event

    asked.pass_time(seconds=59)
    before = asked.types()
    asked.pass_time(seconds=2)
    asked.pass_time(seconds=2)
    late = asked.finish(start)

    assert "unknown" not in before
    assert asked.types()[-2:] == ["unknown", "executed"]
    assert said(late)["outcome"]["late"] is True
    assert asked.finish(start) == late
    with pytest.raises(Conflict):
        asked.finish(start, "failed")
    assert asked.rebuilt() == Rebuilt(1, 0)


def test_a_report_in_time_leaves_nothing_unknown(asked: Asking) -> None:
    intent = asked.approved(timeoutSeconds=60)
    asked.finish(asked.start(intent).event, "failed")

    asked.pass_time(seconds=100)

    assert asked.types()[-1] == "failed"


def _log(asked: Asking, clock: Clock) -> EventLog:
    """The log in another process, with a clock of its own."""
    store = asked.store
    return EventLog(store.database, store.keys, store.node, clock, max_skew_seconds=ANY_SKEW_SECONDS)


def test_the_clock_is_that_of_the_log_whatever_a_process_believes(asked: Asking) -> None:
    """A process whose clock is behind decides by the log's time, which another has moved."""
    intent = asked.ask(expiresAt="2024-12-09T02:00:00Z")
    late = Clock(START + timedelta(hours=1))
    ahead = replace(asked, log=_log(asked, late))

    with pytest.raises(IntentEnded, match="expired"):
        ahead.decide(intent)
    late.at = START + timedelta(minutes=59)
    ahead.store.run(ahead.log.append(asked.store.workspace, [draft()]))
    approved = asked.decide(intent)

    assert approved.timestamp >= "2024-12-09T01:59:00"
    late.at = START + timedelta(hours=2)
    ahead.store.run(ahead.log.append(asked.store.workspace, [draft()]))
    with pytest.raises(IntentEnded, match="expired"):
        asked.start(intent)


def test_what_is_due_is_written_once_by_however_many_look(asked: Asking) -> None:
    for _ in range(5):
        asked.ask()
    asked.start(asked.approved(timeoutSeconds=1))
    asked.store.clock.at += timedelta(days=2)
    others = [replace(asked, log=_log(asked, asked.store.clock)) for _ in range(4)]

    async def look() -> None:
        await asyncio.gather(*(each.deadlines.write_due() for each in others))

    asked.store.run(look())

    assert asked.types().count("expired") == 5
    assert asked.types().count("unknown") == 1
    check_log(asked.store.url)


def test_a_state_that_is_wrong_is_made_again(asked: Asking) -> None:
    intent, lost = asked.approved(uses=2), asked.ask()
    asked.start(intent)
    with psycopg.connect(asked.store.url, autocommit=True) as connection:
        own = (asked.store.workspace,)
        connection.execute("UPDATE intent SET started = 0, state = 'open' WHERE workspace_id = %s", own)
        connection.execute("DELETE FROM intent_start WHERE workspace_id = %s", own)
        connection.execute("UPDATE intent_party SET user_id = 'x' WHERE intent_id = %s", [lost.id])
        connection.execute(
            "INSERT INTO intent (workspace_id, id, seq, user_id, timeout_seconds, uses, started, state) "
            "VALUES (%s, gen_random_uuid(), 99, 'x', 1, 1, 0, 'open')",
            own,
        )

    assert [asked.rebuilt(), asked.rebuilt()] == [Rebuilt(2, 3), Rebuilt(2, 0)]
    assert asked.start(intent).replayed
