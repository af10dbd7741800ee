"""What is refused of intents, whoever asks, and that nothing changes then."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.store.events.intents import HAS_INTENTS
from app.store.intents.rebuild import Rebuilt
from schemas.errors import (
    Conflict,
    Forbidden,
    IntentEnded,
    InvalidInput,
    NotApproved,
    NotFound,
    ParametersDiffer,
    ProcedureError,
    UsedUp,
)
from schemas.event import SynapEvent
from tests.kit.servers import cloned
from tests.store.asking import REFUND, Asking, asking, said, synap
from tests.store.opened import START, Store, draft, opened


@pytest.fixture
def asked(store: Store) -> Asking:
    """Those who ask and decide in a workspace of the test's own."""
    return asking(store)


def _ended(asked: Asking, how: str) -> SynapEvent:
    """An intent that ended so."""
    intent = asked.ask(uses=2)
    if how.startswith("approved, "):
        asked.decide(intent)
    match how.removeprefix("approved, "):
        case "rejected":
            asked.decide(intent, "rejected")
        case "withdrawn":
            asked.withdraw(intent)
        case "expired":
            asked.pass_time(hours=25)
        case "past its time":
            asked.store.clock.at += timedelta(hours=24, microseconds=1)
        case "erased":
            asked.erase(intent.id)
    return intent


ENDS = [
    *("rejected", "withdrawn", "expired", "past its time", "erased"),
    *("approved, withdrawn", "approved, expired", "approved, past its time", "approved, erased"),
]


@pytest.mark.parametrize("how", ENDS)
def test_nothing_starts_and_nothing_is_decided_after_the_end(asked: Asking, how: str) -> None:
    intent = _ended(asked, how)
    before = asked.types()

    with pytest.raises(IntentEnded):
        asked.start(intent)
    with pytest.raises(Conflict):
        asked.decide(intent, "rejected", reason="another")
    with pytest.raises(Conflict):
        asked.withdraw(intent, "another reason")
    assert asked.types() == before
    assert asked.rebuilt() == Rebuilt(1, 0)


def _start_twice(asked: Asking) -> None:
    intent = asked.approved()
    asked.start(intent, "r1")
    asked.start(intent, "r2")


def _withdraw_what_is_used_up(asked: Asking) -> None:
    intent = asked.approved()
    asked.start(intent)
    asked.withdraw(intent)


def _report_twice(asked: Asking) -> None:
    start = asked.start(asked.approved()).event
    asked.finish(start)
    asked.finish(start, "failed")


REFUSED: dict[str, tuple[type[ProcedureError], Callable[[Asking], object]]] = {
    "a start before an approval": (NotApproved, lambda asked: asked.start(asked.ask())),
    "a second start of one use": (
        UsedUp,
        _start_twice,
    ),
    "a start with other parameters": (
        ParametersDiffer,
        lambda asked: asked.start(asked.approved(), parameters={"amount": 820000}),
    ),
    "a start with more parameters": (
        ParametersDiffer,
        lambda asked: asked.start(asked.approved(), parameters={"amount": 82000, "to": "me"}),
    ),
    "a start by another user": (Forbidden, lambda asked: asked.start(asked.approved(), by="u2")),
    "a start by the approver": (Forbidden, lambda asked: asked.start(asked.approved(), by="boss")),
    "a start with another hash": (
        Conflict,
        lambda asked: asked.start(asked.approved(), hash=f"sha256:{'0' * 64}"),
    ),
    "a decision on another hash": (Conflict, lambda asked: asked.decide(asked.ask(), hash=f"sha256:{'0' * 64}")),
    "a decision by who asked": (Forbidden, lambda asked: asked.decide(asked.ask(), by="u1")),
    "a decision by no approver": (Forbidden, lambda asked: asked.decide(asked.ask(approvers=["ann"]))),
    "a decision by who asked, named but not allowed": (
        Forbidden,
        lambda asked: asked.decide(asked.ask(approvers=["u1"]), by="u1"),
    ),
    "a decision by who asked, allowed but not named": (
        Forbidden,
        lambda asked: asked.decide(asked.ask(approvers=["ann"]), by="u1", own=True),
    ),
    "another decision": (Conflict, lambda asked: asked.decide(asked.approved(), "rejected")),
    "the same decision by another user": (Conflict, lambda asked: asked.decide(asked.approved(), by="ann")),
    "a withdrawal by another user": (Forbidden, lambda asked: asked.withdraw(asked.ask(), by="boss")),
    "a withdrawal with no use left": (
        UsedUp,
        _withdraw_what_is_used_up,
    ),
    "a finish by another user": (
        Forbidden,
        lambda asked: asked.finish(asked.start(asked.approved()).event, by="boss"),
    ),
    "another outcome": (
        Conflict,
        _report_twice,
    ),
    "an act on an ordinary event": (NotFound, lambda asked: asked.decide(asked.store.append(draft(REFUND))[0])),
    "a finish of a decision": (NotFound, lambda asked: asked.finish(asked.decide(asked.ask()))),
}


@pytest.mark.parametrize(("error", "act"), REFUSED.values(), ids=list(REFUSED))
def test_it_is_refused_and_changes_nothing(asked: Asking, error: type[ProcedureError], act: Any) -> None:
    with pytest.raises(ProcedureError) as refused:
        act(asked)

    assert type(refused.value) is error
    assert asked.rebuilt().differed == 0
    assert asked.types().count("started") <= 1


def test_who_may_decide_on_their_own_does(asked: Asking) -> None:
    assert asked.decide(asked.ask(), by="u1", own=True).type == "payment.refund.approved"


def test_a_conflict_names_the_decision_that_stands(asked: Asking) -> None:
    intent = asked.ask()
    approved = asked.decide(intent)

    with pytest.raises(Conflict, match=str(approved.id)) as refused:
        asked.decide(intent, "rejected")

    assert refused.value.hash == approved.hash


@pytest.mark.parametrize(
    ("data", "parameters", "starts"),
    [
        ({"parameters": {"b": 1, "a": 1.0}}, {"a": 1, "b": 1}, True),
        ({"parameters": [1, 2]}, [1, 2], True),
        ({"parameters": [1, 2]}, [2, 1], False),
        ({"parameters": None}, None, True),
        ({"parameters": {"a": 1}, "note": "n"}, {"a": 1}, True),
        ({"amount": 1}, {"amount": 1}, True),
        ({"amount": 1}, {}, False),
        ({"parameters": {"amount": 1}}, {"parameters": {"amount": 1}}, False),
        ({"parameters": {"\U0001f600": 1, "￿": "a\0b"}}, {"￿": "a\0b", "\U0001f600": 1}, True),
        ({"parameters": {"amount": 82000}}, {"amount": "82000"}, False),
    ],
)
def test_parameters_are_compared_as_canonical_json(asked: Asking, data: Any, parameters: Any, *, starts: bool) -> None:
    intent = asked.ask(data)
    asked.decide(intent)

    if starts:
        assert asked.start(intent, parameters=parameters).use == 1
    else:
        with pytest.raises(ParametersDiffer):
            asked.start(intent, parameters=parameters)


@pytest.mark.parametrize(
    ("data", "differs"),
    [
        ({}, None),
        ({"parameters": {"amount": 82000}}, None),
        ({"parameters": {"amount": 1}}, True),
        ({"amount": 1}, None),
    ],
)
def test_a_report_of_other_parameters_is_accepted_and_marked(asked: Asking, data: Any, differs: bool | None) -> None:  # noqa: FBT001
    start = asked.start(asked.approved()).event

    assert said(asked.finish(start, "failed", data))["outcome"].get("differs") == differs


FOREVER = timedelta(days=90)


def test_an_intent_may_last_ninety_days_and_no_longer(asked: Asking) -> None:
    def at(*, beyond: timedelta) -> str:
        return (START + FOREVER + beyond).isoformat()

    asked.ask(expiresAt=at(beyond=timedelta()))

    with pytest.raises(InvalidInput) as refused:
        asked.ask(expiresAt=at(beyond=timedelta(seconds=1)))
    assert [issue.path for issue in refused.value.issues] == ["metadata.synap.intent.expiresAt"]
    past = asked.ask(expiresAt="2001-01-01T00:00:00Z")
    asked.pass_time(seconds=1)
    assert asked.state(past) == "expired"


def test_one_intent_that_is_refused_does_not_hold_up_its_group(asked: Asking) -> None:
    too_long = draft(REFUND, metadata=synap(expiresAt="2099-01-01T00:00:00Z"))

    first, refused, last = asked.store.append_at_once([draft()], [too_long], [draft(REFUND, metadata=synap())])

    assert isinstance(refused, InvalidInput)
    assert [each[0].seq for each in (first, last)] == [0, 1]


FORGED: dict[str, dict[str, Any]] = {
    "decision": {"intentId": str(UUID(int=1)), "intentHash": f"sha256:{'0' * 64}", "decision": "approved"},
    "start": {
        "intentId": str(UUID(int=1)),
        "intentHash": f"sha256:{'0' * 64}",
        "decisionId": str(UUID(int=2)),
        "use": 1,
        "requestId": "r",
    },
    "outcome": {"startId": str(UUID(int=1)), "intentId": str(UUID(int=2)), "outcome": "executed"},
}


@pytest.mark.parametrize("member", FORGED)
def test_nobody_logs_what_only_the_server_writes(asked: Asking, member: str) -> None:
    forged = draft("payment.refund.approved", metadata={"synap": {member: FORGED[member]}})

    with pytest.raises(InvalidInput) as refused:
        asked.store.append(forged)

    assert [issue.path for issue in refused.value.issues] == [f"metadata.synap.{member}"]


def test_an_event_that_is_stored_is_answered_before_any_rule(asked: Asking) -> None:
    """Also one that only the server writes, sent again as it stands."""
    intent = asked.ask()
    approved = asked.decide(intent)
    same = draft(
        approved.type,
        {},
        id=approved.id,
        user_id="boss",
        causation_id=str(intent.id),
        metadata={"synap": said(approved)},
    )

    assert asked.store.append(same) == [approved]


def test_only_a_request_is_an_intent(asked: Asking) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked.store.append(draft("payment.refund.asked", metadata=synap()))

    assert [issue.path for issue in refused.value.issues] == ["metadata.synap.intent"]


def test_an_intent_is_its_keys_own_users(asked: Asking) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked.store.append(draft(REFUND, metadata=synap(), user_id="u2"))

    assert [issue.path for issue in refused.value.issues] == ["userId"]


def test_an_ordinary_approval_counts_for_nothing(asked: Asking) -> None:
    intent = asked.ask()

    asked.store.append(draft("payment.refund.approved", {}, causation_id=str(intent.id), user_id="boss"))

    with pytest.raises(NotApproved):
        asked.start(intent)


def test_a_schema_without_intents_refuses_them_and_nothing_else(
    postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        cloned(postgres_url, template, "test_no_intents") as url,
        opened(url, tmp_path_factory.mktemp("no_intents")) as store,
    ):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP TABLE intent, intent_start, intent_party")
        asked = asking(store)

        ordinary, refused = store.append_at_once([draft()], [draft(REFUND, metadata=synap())])
        asked.erase(ordinary[0].id)
        asked.pass_time(days=1)

        assert store.run(store.database.rows(HAS_INTENTS, {})) == [(False,)]
        assert "synap migrate" in str(refused)
        with pytest.raises(ProcedureError, match="synap migrate"):
            asked.decide(ordinary[0])
        assert asked.types() == ["created", "erased"]
