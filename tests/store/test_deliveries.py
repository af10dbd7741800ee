"""What subscriptions are owed: every match once, numbered without gaps, and claimed by one process at a time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.filter import Subscriber, Subscribers, type_pattern
from app.store.audit import Act
from app.store.deliveries import MAX_UNTRIED, Claim, Deliveries, Made
from app.store.subscriptions import Subscriptions
from tests.store.opened import Store, draft, opened

EVERYTHING = 2**30


class Owed:
    """The deliveries of a store, without a server that posts them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.workspace = store.workspace
        self.subscriptions = Subscriptions(store.database)
        self.deliveries = Deliveries(store.database, first_seconds=0, claim_seconds=30)

    def create(self, id: str, *types: str, ordered: bool = False, cursor: int | None = None) -> None:
        """A subscription that has caught up."""
        created = self.store.run(
            self.subscriptions.create(
                self.workspace,
                id,
                event_types=types,
                url="https://receiver.example/",
                description=None,
                ordered=ordered,
                only_user=None,
                secret=b"sealed",
                weak_secret=False,
                cursor=cursor,
                max_active=0,
                act=self.act("subscription.created"),
            )
        )
        assert created is not None

    def act(self, action: str) -> Act:
        """What the audit has of a change."""
        return Act.of(action, "k", {}, [self.workspace])

    def log(self, count: int, type: str = "note.created") -> None:
        """Events."""
        for start in range(0, count, 1000):
            many = range(min(1000, count - start))
            self.store.append(*(draft(type) for _ in many))

    def dispatch(self) -> None:
        """Look through all of the log."""
        end = self.store.run(self.store.feed.follower.tip(self.workspace))
        while True:
            step = self.store.run(self.deliveries.dispatch(self.workspace))
            assert step is not None
            if step.seq == end:
                return

    def catch_up(self, id: str) -> None:
        """Bring one forward as far as it may be."""
        while self.store.run(self.deliveries.catch_up(self.workspace, id)):
            pass

    def claim(self, id: str, room: int = 64, max_bytes: int = EVERYTHING) -> list[Claim]:
        """What is due now."""
        _, claims = self.store.run(self.deliveries.exchange(self.workspace, [], {id: room}, max_bytes))
        found: list[Claim] = claims
        return found

    def record(self, *claims: Claim, error: str | None = None, wait: float | None = None) -> None:
        """What came of attempts."""
        at = datetime.now(UTC)
        made = [
            Made(
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
        self.store.run(self.deliveries.exchange(self.workspace, made, {}, 0))

    def rows(self, statement: str, *values: object) -> list[Any]:
        """What the database has."""
        with psycopg.connect(self.store.url, autocommit=True) as connection:
            ran = connection.execute(statement, values)
            return ran.fetchall() if ran.description else []

    def owed(self, id: str) -> list[tuple[int, int]]:
        """Number and place of each of its deliveries."""
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


def test_whoever_gets_too_far_falls_behind_and_catches_up(owed: Owed) -> None:
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


def test_what_is_claimed_is_nobody_elses_until_the_claim_ends(owed: Owed) -> None:
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


def test_an_ordered_one_is_claimed_one_by_one(owed: Owed) -> None:
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
    owed.store.run(owed.deliveries.purge())
    owed.store.run(owed.deliveries.purge())

    assert owed.owed("sub_a") == [(2, 1), (3, 2)]
    assert owed.owed("sub_b") == []
    assert owed.rows("SELECT id FROM subscription") == [("sub_a",)]
    assert owed.rows("SELECT subscription_id, delivery_seq FROM attempt") == [("sub_a", 2)]


def test_subscribers_are_those_whose_patterns_fit() -> None:
    patterns = {"sub_a": ["*"], "sub_b": ["code.*", "lead.*"], "sub_c": ["code.*.done"], "sub_d": ["code.a"]}
    subscribers = Subscribers([Subscriber(id_, each, None) for id_, each in patterns.items()])

    for type_ in ("code.a", "code.a.done", "code.a.b.done", "lead.b", "other.x", "code.ab", "xcode.a"):
        expected = [
            id_ for id_, each in patterns.items() if any(type_pattern(pattern).fullmatch(type_) for pattern in each)
        ]
        assert subscribers.of(type_, "u1") == expected, type_
