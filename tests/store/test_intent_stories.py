"""Whatever happens, and in whatever order: the log keeps the rules, and the state is what the log says."""

import itertools
from collections import Counter
from contextlib import suppress
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.store.install.install import connect
from app.store.install.workspaces import create_workspace
from schemas.errors import ProcedureError
from schemas.event import SynapEvent
from tests.kit.checks import check_log
from tests.store.asking import Asking, asking
from tests.store.opened import START, Store

_numbers = itertools.count()

_users = st.sampled_from(["u1", "boss", "ann"])
_place = st.integers(0, 3)

STEPS = st.one_of(
    st.tuples(
        st.just("ask"),
        st.fixed_dictionaries(
            {},
            optional={
                "uses": st.integers(1, 3),
                "timeoutSeconds": st.sampled_from([1, 60, 604_800]),
                "approvers": st.just(["ann"]),
            },
        ),
        st.sampled_from([None, "s1", "s2"]),
    ),
    st.tuples(st.just("decide"), _place, st.sampled_from(["approved", "approved", "rejected"]), _users, st.booleans()),
    st.tuples(st.just("withdraw"), _place, _users),
    st.tuples(st.just("start"), _place, st.sampled_from(["r1", "r2", "r3"]), _users, st.sampled_from([82000, 820000])),
    st.tuples(st.just("finish"), _place, st.sampled_from(["executed", "failed"]), _users),
    st.tuples(st.just("pass"), st.sampled_from([0, 2, 3700, 86_400])),
    st.tuples(st.just("erase"), st.integers(0, 11)),
    st.tuples(st.just("erase subject"), st.sampled_from(["s1", "s2"])),
    st.tuples(st.just("erase user"), st.sampled_from(["u1", "boss"])),
)


class _Story:
    """One log, and what was asked and started in it."""

    def __init__(self, asked: Asking) -> None:
        self.asked = asked
        self.intents = [asked.ask(uses=2, timeoutSeconds=60)]
        self.starts: list[SynapEvent] = []
        asked.decide(self.intents[0])

    def step(self, name: str, *what: Any) -> None:
        """One thing that happens, if it may."""
        match name, what:
            case "ask", (terms, subject):
                self.intents.append(self.asked.ask(subject=subject, **terms))
            case "decide", (place, decision, user, own):
                self.asked.decide(self._intent(place), decision, by=user, own=own)
            case "withdraw", (place, user):
                self.asked.withdraw(self._intent(place), by=user)
            case "start", (place, request, user, amount):
                parameters = {"amount": amount}
                begun = self.asked.start(self._intent(place), request, by=user, parameters=parameters)
                self.starts.append(begun.event)
            case "finish", (place, outcome, user) if self.starts:
                self.asked.finish(self.starts[place % len(self.starts)], outcome, by=user)
            case "pass", (seconds,):
                self.asked.pass_time(seconds=seconds)
            case "erase", (place,):
                events = self.asked.store.list(limit=1000)
                of_callers = [event for event in events if not event["type"].startswith("synap.")]
                self.asked.erase(UUID(of_callers[place % len(of_callers)]["id"]))
            case "erase subject", (subject,):
                self.asked.erase(subjectId=subject)
            case "erase user", (user,):
                self.asked.erase(userId=user)

    def _intent(self, place: int) -> SynapEvent:
        return self.intents[place % len(self.intents)]


def _words(events: list[dict[str, Any]], intent: SynapEvent) -> list[tuple[str, str]]:
    """What followed an intent by the word of its type and its user, in order, as far as no cause is erased."""
    return [
        (event["type"].rpartition(".")[2], event["userId"])
        for event in events
        if event.get("causationId") == str(intent.id)
    ]


def _keeps_the_rules(asked: Asking, intents: list[SynapEvent]) -> None:
    events = asked.store.list(limit=1000)[::-1]
    erased = any(event.get("erased") for event in events)
    for intent in intents:
        words = _words(events, intent)
        counted = Counter(word for word, _ in words)
        assert counted["approved"] + counted["rejected"] <= 1
        assert counted["expired"] + counted["withdrawn"] <= 1
        assert counted["unknown"] <= counted["started"] or erased
        ends = [place for place, (word, _) in enumerate(words) if word in {"rejected", "expired", "withdrawn"}]
        for place, (word, user) in enumerate(words):
            if word == "started":
                assert user == "u1"
                assert erased or ("approved" in [each for each, _ in words[:place]])
                assert not any(end < place for end in ends)
    decided = {event["id"] for event in events if event["type"].endswith((".approved", ".rejected"))}
    assert len(decided) <= len(intents)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=3, max_size=14))
def test_every_story_keeps_the_rules_and_the_state_follows_from_the_log(store: Store, steps: list[Any]) -> None:
    own = replace(store, workspace=f"story{next(_numbers)}")
    own.clock.at = START
    with connect(own.url) as connection:
        create_workspace(connection, own.workspace)
    story = _Story(asking(own))

    for step in steps:
        with suppress(ProcedureError):
            story.step(*step)

    assert story.asked.rebuilt().differed == 0
    _keeps_the_rules(story.asked, story.intents)
    check_log(own.url, own.workspace)
