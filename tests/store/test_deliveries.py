"""Deliveries: one for every match, numbered without gaps, and claimed by one process at a time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.filters.parse import kept_filter
from app.filters.type_patterns import type_pattern
from app.store.audit.log import Act
from app.store.webhooks.claims import AttemptRecord, Claim, Claims
from app.store.webhooks.deliveries import Deliveries
from app.store.webhooks.dispatch import (
    MAX_JUDGED,
    MAX_JUDGED_BYTES,
    MAX_JUDGED_COST,
    MAX_UNTRIED,
    Dispatch,
    UnreadableFilterError,
)
from app.store.webhooks.purge import purge
from app.store.webhooks.subscribers import Subscriber, Subscribers
from app.store.webhooks.subscriptions import Subscriptions
from schemas.errors import InvalidInput
from tests.store.opened import Store, draft, opened

EVERYTHING = 2**30


class Owed:
    """The deliveries of a store, without a server that posts them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.workspace = store.workspace
        self.subscriptions = Subscriptions(store.database)
        self.deliveries = Deliveries(store.database)
        self.dispatching = Dispatch(store.database, first_seconds=0)
        self.claims = Claims(store.database, claim_seconds=30)

    def create(
        self,
        id: str,
        *types: str,
        filter: dict[str, Any] | None = None,
        ordered: bool = False,
        only_user: str | None = None,
        cursor: int | None = None,
    ) -> None:
        """Create a subscription that has caught up."""
        created = self.store.run(
            self.subscriptions.create(
                self.workspace,
                id,
                event_types=types,
                filter=None if filter is None else kept_filter(filter),
                url="https://receiver.example/",
                description=None,
                ordered=ordered,
                only_user=only_user,
                secret=b"sealed",
                weak_secret=False,
                cursor=cursor,
                max_active=0,
                act=self.act("subscription.created"),
            )
        )
        assert created is not None

    def act(self, action: str) -> Act:
        """The audit's act of a change."""
        return Act.of(action, "k", {}, [self.workspace])

    def log(self, count: int, type: str = "note.created") -> None:
        """Log events."""
        for start in range(0, count, 1000):
            many = range(min(1000, count - start))
            self.store.append(*(draft(type) for _ in many))

    def dispatch(self) -> None:
        """Dispatch the whole log."""
        end = self.store.run(self.store.feed.follower.tip(self.workspace))
        while True:
            step = self.store.run(self.dispatching.step(self.workspace))
            assert step is not None
            if step.seq == end:
                return

    def replay(self, id: str, first: int, last: int) -> int:
        """Replay a part of the log. Returns how many deliveries that writes."""
        subscriber = self.store.run(self.deliveries.subscriber(self.workspace, id, None))
        act = self.act("subscription.replayed")
        made, _ = self.store.run(self.deliveries.replay(self.workspace, subscriber, first, last, act))
        count: int = made
        return count

    def place(self) -> int:
        """The seq up to which the log is dispatched."""
        [(seq,)] = self.rows("SELECT seq FROM dispatch")
        place: int = seq
        return place

    def catch_up(self, id: str) -> None:
        """Bring a subscription that is behind forward as far as possible."""
        while self.store.run(self.dispatching.catch_up(self.workspace, id)):
            pass

    def claim(self, id: str, room: int = 64, max_bytes: int = EVERYTHING) -> list[Claim]:
        """Claim what is due now."""
        _, claims = self.store.run(self.claims.exchange(self.workspace, [], {id: room}, max_bytes))
        found: list[Claim] = claims
        return found

    def record(self, *claims: Claim, error: str | None = None, wait: float | None = None) -> None:
        """Record attempts."""
        at = datetime.now(UTC)
        made = [
            AttemptRecord(
                subscription_id=claim.subscription,
                delivery_seq=claim.delivery_seq,
                attempts=claim.attempts,
                at=at,
                elapsed_ms=1,
                status=500 if error else 200,
                error=error,
                body="",
                wait_seconds=wait,
            )
            for claim in claims
        ]
        self.store.run(self.claims.exchange(self.workspace, made, {}, 0))

    def rows(self, statement: str, *values: object) -> list[Any]:
        """Run a statement, and return its rows."""
        with psycopg.connect(self.store.url, autocommit=True) as connection:
            ran = connection.execute(statement, values)
            return ran.fetchall() if ran.description else []

    def owed(self, id: str) -> list[tuple[int, int]]:
        """The number and the seq of each delivery of a subscription."""
        return self.rows("SELECT delivery_seq, seq FROM delivery WHERE subscription_id = %s ORDER BY 1", id)


@pytest.fixture
def owed(database_url: str, tmp_path: Path) -> Iterator[Owed]:
    """The deliveries of a database of the test's own."""
    with opened(database_url, tmp_path) as store:
        yield Owed(store)


def test_every_match_is_owed_once_and_numbered(owed: Owed) -> None:
    owed.create("sub_a", "note.*")
    owed.create("sub_b", "*")
    for _ in range(3):
        owed.log(4)
        owed.log(1, "other.type")
        owed.dispatch()
        owed.catch_up("sub_a")
        owed.catch_up("sub_b")

    assert owed.owed("sub_a") == [(n + 1, seq) for n, seq in enumerate([0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13])]
    assert owed.owed("sub_b") == [(n + 1, n) for n in range(15)]


def test_a_subscription_with_too_much_falls_behind_and_catches_up(owed: Owed) -> None:
    owed.create("sub_a", "note.*")
    owed.catch_up("sub_a")
    owed.log(MAX_UNTRIED + 3000)

    owed.dispatch()
    written = len(owed.owed("sub_a"))
    owed.catch_up("sub_a")
    [(cursor,)] = owed.rows("SELECT cursor FROM subscription")

    assert MAX_UNTRIED < written <= MAX_UNTRIED + 1000
    assert len(owed.owed("sub_a")) == written
    assert cursor == written - 1
    owed.rows("UPDATE subscription SET attempted = delivery_seq")
    owed.catch_up("sub_a")
    assert owed.owed("sub_a") == [(n + 1, n) for n in range(MAX_UNTRIED + 3000)]
    assert owed.rows("SELECT cursor FROM subscription") == [(None,)]


def test_a_claimed_delivery_is_claimed_by_no_other(owed: Owed) -> None:
    owed.create("sub_a", "*", cursor=-1)
    owed.log(3)
    owed.dispatch()
    owed.catch_up("sub_a")

    first, rest = owed.claim("sub_a", 2), owed.claim("sub_a")
    none = owed.claim("sub_a")
    owed.rows("UPDATE delivery SET due_at = now() WHERE delivery_seq = 1")

    assert ([claim.delivery_seq for claim in first], [claim.delivery_seq for claim in rest]) == ([1, 2], [3])
    assert none == []
    assert [claim.delivery_seq for claim in owed.claim("sub_a")] == [1]


def test_of_two_that_attempted_one_decides(owed: Owed) -> None:
    owed.create("sub_a", "*", cursor=-1)
    owed.log(1)
    owed.dispatch()
    owed.catch_up("sub_a")
    [frozen] = owed.claim("sub_a")
    owed.rows("UPDATE delivery SET due_at = now()")
    [other] = owed.claim("sub_a")

    owed.record(other)
    owed.record(frozen, error="Answered 500", wait=5)

    assert owed.rows("SELECT state, attempts, due_at FROM delivery") == [("delivered", 1, None)]
    assert owed.rows("SELECT attempted, failing_since FROM subscription") == [(1, None)]
    assert owed.rows("SELECT number, status FROM attempt") == [(1, 200)]


def test_an_ordered_subscription_is_claimed_one_by_one(owed: Owed) -> None:
    owed.create("sub_a", "*", ordered=True, cursor=-1)
    owed.log(3)
    owed.dispatch()
    owed.catch_up("sub_a")

    [first] = owed.claim("sub_a")
    assert owed.claim("sub_a") == []
    owed.record(first, error="Answered 500", wait=3600)
    assert owed.claim("sub_a") == []
    owed.rows("UPDATE delivery SET due_at = now() WHERE delivery_seq = 1")
    [again] = owed.claim("sub_a")
    owed.record(again)
    [second] = owed.claim("sub_a")

    assert (first.delivery_seq, again.delivery_seq, again.attempts, second.delivery_seq) == (1, 1, 1, 2)


def test_claims_are_bounded_by_size_but_for_the_first(owed: Owed) -> None:
    owed.create("sub_a", "*", cursor=-1)
    owed.store.append(*(draft("a.b", {"x": "x" * 1000}) for _ in range(3)))
    owed.dispatch()
    owed.catch_up("sub_a")

    assert [claim.delivery_seq for claim in owed.claim("sub_a", max_bytes=1)] == [1]
    assert [claim.delivery_seq for claim in owed.claim("sub_a", max_bytes=5000)] == [2, 3]


def test_what_ended_long_ago_and_what_was_deleted_goes(owed: Owed) -> None:
    owed.create("sub_a", "*", cursor=-1)
    owed.create("sub_b", "*", cursor=-1)
    owed.log(3)
    owed.dispatch()
    for id_ in ("sub_a", "sub_b"):
        owed.catch_up(id_)
        owed.record(*owed.claim(id_, 2))
    owed.rows("UPDATE delivery SET ended_at = now() - interval '31 days' WHERE delivery_seq = 1")

    owed.store.run(owed.subscriptions.delete(owed.workspace, "sub_b", None, owed.act("subscription.deleted")))
    owed.store.run(purge(owed.store.database))
    owed.store.run(purge(owed.store.database))

    assert owed.owed("sub_a") == [(2, 1), (3, 2)]
    assert owed.owed("sub_b") == []
    assert owed.rows("SELECT id FROM subscription") == [("sub_a",)]
    assert owed.rows("SELECT subscription_id, delivery_seq FROM attempt") == [("sub_a", 2)]


def test_subscribers_are_those_whose_patterns_fit() -> None:
    patterns = {"sub_a": ["*"], "sub_b": ["code.*", "lead.*"], "sub_c": ["code.*.done"], "sub_d": ["code.a"]}
    subscribers = Subscribers([Subscriber(id_, each, None) for id_, each in patterns.items()], "default")

    for type_ in ("code.a", "code.a.done", "code.a.b.done", "lead.b", "other.x", "code.ab", "xcode.a"):
        expected = [
            id_ for id_, each in patterns.items() if any(type_pattern(pattern).fullmatch(type_) for pattern in each)
        ]
        assert subscribers.of(0, type_, "u1", {}) == expected, type_


def _notes(owed: Owed) -> None:
    """Log eight events in one batch."""
    owed.store.append(
        draft("note.created", {"title": "Call Ann", "n": 1}),
        draft("note.created", {"title": "Call Bob", "n": 2.5}, metadata={"ai": {"agent": "planner"}}),
        draft("note.created", {"n": "2"}, user_id="ann", metadata={"custom": {"at": "2024-01-01T00:00:00Z"}}),
        draft("note.created", {"deep": {"list": [1], "flag": True}}, user_id="ann", producer="desk"),
        draft("other.type", {"title": "Call Ann", "n": 1}),
        draft("note.created", {"title": "Bye\x00", "n": 10}, correlation_id="c1", metadata={"ai": {"agent": "writer"}}),
        draft("note.created", {}, source="sync", metadata={"custom": {"at": 1}}),
        draft("note.created", {"title": None, "n": 2}, user_id="ann", metadata={"ai": {"agent": "planner"}}),
    )


FILTERS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "of data": ({"data.n": {"gte": 2, "lt": 10}}, [1, 7]),
    "of a text of data": ({"data.title": {"startsWith": "Call"}}, [0, 1]),
    "of U+0000": ({"data.title": "Bye\x00"}, [5]),
    "of metadata": ({"metadata.ai.agent": "planner"}, [1, 7]),
    "of free metadata": ({"metadata.custom.at": {"gte": "2023"}}, [2]),
    "of columns": ({"userId": "ann", "producer": {"ne": "desk"}}, [2, 7]),
    "of the place": ({"seq": {"gt": 5}, "workspaceId": "default"}, [6, 7]),
    "nested": (
        {
            "OR": [
                {"AND": [{"metadata.ai.agent": {"in": ["planner", "writer"]}}, {"NOT": {"data.n": {"gt": 2}}}]},
                {"data.deep.flag": True},
            ],
            "NOT": {"type": "other.type"},
        },
        [3, 7],
    ),
    "of what is missing": ({"data.n": None}, [3, 6]),
    "all": ({}, [0, 1, 2, 3, 5, 6, 7]),
    "none": ({"OR": []}, []),
}


@pytest.mark.parametrize(("wanted", "seqs"), FILTERS.values(), ids=list(FILTERS))
def test_a_filter_matches_alike_live_when_behind_and_in_a_replay(
    owed: Owed, wanted: dict[str, Any], seqs: list[int]
) -> None:
    owed.create("sub_live", "note.*", filter=wanted)
    owed.create("sub_all", "note.*")
    for id_ in ("sub_live", "sub_all"):
        owed.catch_up(id_)
    _notes(owed)

    owed.dispatch()
    owed.create("sub_late", "note.*", filter=wanted, cursor=-1)
    owed.catch_up("sub_late")
    owed.create("sub_again", "note.*", filter=wanted)

    numbered = [(number + 1, seq) for number, seq in enumerate(seqs)]
    assert owed.owed("sub_live") == numbered
    assert owed.owed("sub_late") == numbered
    assert owed.replay("sub_again", 0, 99) == len(seqs)
    assert owed.owed("sub_again") == numbered
    assert [seq for _, seq in owed.owed("sub_all")] == [0, 1, 2, 3, 5, 6, 7]
    assert owed.place() == 7
    assert owed.rows("SELECT id FROM subscription WHERE cursor IS NOT NULL") == [("sub_again",)]


def test_a_filter_and_a_user_both_confine(owed: Owed) -> None:
    wanted = {"metadata.ai.agent": "planner"}
    owed.create("sub_live", "*", filter=wanted, only_user="ann")
    owed.catch_up("sub_live")
    _notes(owed)

    owed.dispatch()
    owed.create("sub_late", "*", filter=wanted, only_user="ann", cursor=-1)
    owed.catch_up("sub_late")

    assert owed.owed("sub_live") == owed.owed("sub_late") == [(1, 7)]
    assert owed.replay("sub_live", 0, 99) == 1


def test_a_filter_that_seldom_matches_makes_progress(owed: Owed) -> None:
    last = 3 * MAX_JUDGED
    wanted = {"data.n": {"in": [0, MAX_JUDGED - 1, MAX_JUDGED, last]}}
    owed.create("sub_live", "*", filter=wanted)
    owed.create("sub_all", "*")
    for id_ in ("sub_live", "sub_all"):
        owed.catch_up(id_)
    owed.store.append(*(draft("a.b", {"n": number}) for number in range(last + 1)))

    steps = [owed.store.run(owed.dispatching.step(owed.workspace)).seq for _ in range(4)]
    owed.create("sub_late", "*", filter=wanted, cursor=-1)
    owed.catch_up("sub_late")

    assert steps == [MAX_JUDGED - 1, 2 * MAX_JUDGED - 1, last - 1, last]
    assert owed.owed("sub_live") == owed.owed("sub_late") == [(1, 0), (2, MAX_JUDGED - 1), (3, MAX_JUDGED), (4, last)]
    assert owed.owed("sub_all") == [(number + 1, number) for number in range(last + 1)]


def test_what_a_step_judges_is_bounded_by_size(owed: Owed) -> None:
    owed.create("sub_live", "a.*", filter={"data.n": {"gte": 1}})
    owed.catch_up("sub_live")
    text = "x" * (MAX_JUDGED_BYTES // 2 - 100)
    owed.store.append(*(draft("a.b", {"n": number, "text": text}) for number in range(3)), draft("c.d"))

    steps = [owed.store.run(owed.dispatching.step(owed.workspace)).seq for _ in range(2)]
    owed.create("sub_late", "a.*", filter={"data.n": {"gte": 1}}, cursor=-1)
    owed.catch_up("sub_late")

    assert steps == [1, 3]
    assert owed.owed("sub_live") == owed.owed("sub_late") == [(1, 1), (2, 2)]


def test_what_a_step_judges_is_bounded_by_what_the_filters_compare(owed: Owed) -> None:
    wanted = {"OR": [{"data.text": {"contains": f"no{number}"}} for number in range(98)]}
    for number in range(5):
        owed.create(f"sub_{number}", "a.*", filter=wanted)
        owed.catch_up(f"sub_{number}")
    size = MAX_JUDGED_COST // (5 * 99) // 2 - 1000
    owed.store.append(*(draft("a.b", {"text": "x" * size}) for _ in range(4)))

    steps = [owed.store.run(owed.dispatching.step(owed.workspace)).seq for _ in range(2)]

    assert steps == [1, 3]
    assert 4 * size < MAX_JUDGED_BYTES


def test_what_was_erased_is_judged_by_what_is_left_of_it(owed: Owed) -> None:
    owed.store.append(draft("a.b", {"n": 1}), draft("a.b", {"n": 1}), draft("a.b", {"n": 2}))
    owed.rows(
        "UPDATE event SET erased = true, salt = '', user_id = '', data = '{}', subject_id = NULL, producer = NULL, "
        "metadata = NULL, correlation_id = NULL, causation_id = NULL WHERE seq = 0"
    )

    for id_, wanted in (("sub_a", {"data.n": 1}), ("sub_b", {"NOT": {"data.n": 2}})):
        owed.create(id_, "a.b", filter=wanted, cursor=-1)
        owed.catch_up(id_)

    assert owed.owed("sub_a") == [(1, 1)]
    assert owed.owed("sub_b") == [(1, 0), (2, 1)]


def test_a_filter_that_became_invalid_stops_its_subscription(owed: Owed) -> None:
    owed.create("sub_a", "*", filter={"data.n": {"gte": 0}})
    owed.create("sub_b", "*")
    for id_ in ("sub_a", "sub_b"):
        owed.catch_up(id_)
    owed.store.append(draft("a.b", {"n": 0}))
    owed.dispatch()
    gone = "UPDATE subscription SET filter = %s WHERE id = 'sub_a'"
    owed.rows(gone, '{"metadata.review.stars":5}')
    owed.rows("UPDATE dispatch SET version = version + 1")
    owed.store.append(draft("a.b", {"n": 1}))

    with pytest.raises(UnreadableFilterError) as unreadable:
        owed.store.run(owed.dispatching.step(owed.workspace))
    assert (unreadable.value.subscriptions, owed.place()) == (["sub_a"], 0)
    act = owed.act("subscription.disabled")
    owed.store.run(owed.subscriptions.disable(owed.workspace, "sub_a", "gone", None, act))
    owed.dispatch()
    assert (owed.owed("sub_a"), owed.owed("sub_b"), owed.place()) == ([(1, 0)], [(1, 0), (2, 1)], 1)
    owed.store.run(owed.subscriptions.resume(owed.workspace, "sub_a", None, 0, owed.act("subscription.resumed")))
    with pytest.raises(UnreadableFilterError):
        owed.catch_up("sub_a")
    with pytest.raises(InvalidInput, match=r"^filter\.metadata\.review\.stars: is not a known field"):
        owed.replay("sub_a", 0, 9)

    owed.rows(gone, '{"data.n":{"gte":0}}')
    owed.catch_up("sub_a")
    assert owed.owed("sub_a") == [(1, 0), (2, 1)]


def test_events_are_read_whole_only_for_the_filters_that_they_may_meet() -> None:
    plain = [Subscriber("sub_a", ["*"], None)]
    some = [*plain, Subscriber("sub_b", ["note.*"], None, '{"data.n":1}'), Subscriber("sub_c", ["a.b"], "ann", "{}")]
    events = [(0, "note.created", "bob"), (1, "other.type", "bob"), (2, "a.b", "bob"), (3, "a.b", "ann")]

    assert Subscribers(plain, "default").judged(events) == []
    assert Subscribers(some, "default").judged(events) == [0, 3]
