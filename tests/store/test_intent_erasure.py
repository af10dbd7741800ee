"""Erasures of any part of a chain: what counts stays, and what nobody can tell any more is refused."""

import msgspec
import pytest

from app.store.intents.rebuild import Rebuilt
from schemas.errors import (
    Conflict,
    IntentEnded,
    UsedUp,
)
from schemas.synap import Synap
from tests.kit.checks import check_log
from tests.store.asking import Asking, asking, said
from tests.store.opened import Store


@pytest.fixture
def asked(store: Store) -> Asking:
    """Those who ask and decide in a workspace of the test's own."""
    return asking(store)


def test_an_erasure_withdraws_what_has_not_started(asked: Asking) -> None:
    open_, approved = asked.ask(subject="s"), asked.ask(subject="s", uses=2)
    asked.decide(approved)
    running = asked.ask(subject="t", uses=2)
    asked.decide(running)
    asked.start(running)

    asked.erase(open_.id, approved.id, running.id)

    assert asked.types()[-3:] == ["erased", "withdrawn", "withdrawn"]
    for event in asked.store.list(limit=2):
        assert (event["userId"], event["source"], event["data"]) == (asked.store.node, "system", {})
        assert not {"subjectId", "correlationId"} & event.keys()
        assert event["causationId"] in {str(open_.id), str(approved.id)}
        [said] = msgspec.convert(event["metadata"], dict[str, Synap]).values()
        assert said.decision is not None
        assert (said.decision.decision, str(said.decision.intent_id)) == ("withdrawn", event["causationId"])
    assert [asked.state(each) for each in (open_, approved, running)] == ["withdrawn", "withdrawn", "used_up"]
    assert asked.rebuilt() == Rebuilt(3, 0)
    check_log(asked.store.url)


def test_an_erasure_forgets_whose_an_intent_was(asked: Asking) -> None:
    kept, erased = asked.ask(approvers=["ann", "u1"]), asked.ask(approvers=["ann", "bob"])
    assert asked.parties() == {(kept.id, "ann"), (kept.id, "u1"), *((erased.id, user) for user in ("ann", "bob", "u1"))}

    asked.erase(erased.id)

    assert asked.parties() == {(kept.id, "ann"), (kept.id, "u1")}
    assert asked.rebuilt() == Rebuilt(2, 0)


def test_an_erasure_by_subject_reaches_the_whole_chain(asked: Asking) -> None:
    intent = asked.ask(subject="s")
    asked.decide(intent, reason="Ann is ill")
    start = asked.start(intent).event
    asked.finish(start)

    asked.erase(subjectId="s")

    assert all(event.get("erased") for event in asked.store.list() if event["type"].startswith("payment."))
    assert asked.rebuilt() == Rebuilt(1, 0)


def test_what_has_started_may_be_finished_after_an_erasure(asked: Asking) -> None:
    intent = asked.approved(timeoutSeconds=5)
    start = asked.start(intent).event
    asked.erase(intent.id)

    asked.pass_time(minutes=59)
    before = asked.types()
    finished = asked.finish(start, data={"parameters": {"amount": 1}})

    assert "unknown" not in before, "without its terms the default applies: an hour"
    assert "differs" not in said(finished)["outcome"]
    assert (finished.subject_id, finished.user_id) == (None, "u1")
    assert asked.rebuilt() == Rebuilt(1, 0)


def test_nobody_finishes_what_nobody_can_be_shown_to_have_started(asked: Asking) -> None:
    intent = asked.approved()
    start = asked.start(intent).event
    asked.erase(intent.id, start.id)

    with pytest.raises(IntentEnded):
        asked.finish(start)
    asked.pass_time(minutes=61)

    assert asked.types()[-1] == "unknown"
    assert asked.rebuilt() == Rebuilt(1, 0)


def test_an_erased_start_counts_and_nothing_more_starts(asked: Asking) -> None:
    once, twice = asked.approved(), asked.approved(uses=2)
    starts = [asked.start(intent).event for intent in (once, twice)]
    asked.erase(*(start.id for start in starts))

    with pytest.raises(UsedUp):
        asked.start(once)
    with pytest.raises(IntentEnded, match="whether this request"):
        asked.start(twice)
    asked.finish(starts[1])  # the intent still says who asked

    assert asked.rebuilt() == Rebuilt(2, 0)


def test_an_erased_decision_counts(asked: Asking) -> None:
    intent = asked.ask()
    asked.erase(asked.decide(intent, reason="Ann is ill").id)

    assert asked.start(intent).use == 1
    with pytest.raises(Conflict):
        asked.decide(intent, "rejected")
    assert asked.rebuilt() == Rebuilt(1, 0)
