"""Histograms compared with a naive count: edges, ranges, groups, and any filter."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.store.audit.log import Act
from app.store.events.erasure import ErasureRequest
from app.store.events.histogram import Histograms
from app.store.postgres.walk import MAX_KINDS
from schemas.errors import InvalidInput
from schemas.histogram import DEFAULT_BUCKETS, MAX_BUCKETS, MAX_GROUPS, CountEvents, Histogram
from tests.kit.examples import examples
from tests.store.corpus import USERS, WORKSPACES, Corpus, queries
from tests.store.opened import START, Store, draft

HOUR = timedelta(hours=1)

FILTERS: dict[str, Any] = {
    "a user": {"userId": "u1"},
    "users": {"userId": {"in": ["u1", "u2"]}},
    "not a source": {"NOT": {"source": "sync"}},
    "metadata": {"metadata.custom": {"isNull": False}},
}


def histogram(store: Store, workspace: str = "", user: str | None = None, /, **query: Any) -> Histogram:
    """Count the events that match."""
    wanted = msgspec.convert(query, CountEvents)
    found: Histogram = store.run(Histograms(store.database).count(workspace or store.workspace, wanted, user))
    return found


def counts(found: Histogram) -> list[int]:
    """The counts of a histogram's buckets."""
    return [bucket.count for bucket in found.buckets]


def at(text: str) -> datetime:
    """The time that a text names."""
    return datetime.fromisoformat(text)


def is_wanted(event: dict[str, Any], name: str | None) -> bool:
    """Whether an event meets a filter of `FILTERS`, in Python."""
    found = {
        "a user": event["userId"] == "u1",
        "not a source": event["source"] != "sync",
        "metadata": event["hasMetadata"],
    }
    return bool(found.get(name or "", True))


@settings(max_examples=examples(120), deadline=None)
@given(data=st.data())
def test_histograms_equal_a_plain_count(corpus: Corpus, data: st.DataObject) -> None:
    workspace = data.draw(st.sampled_from(WORKSPACES))
    query = data.draw(queries(corpus, workspace))
    name = data.draw(st.sampled_from([None, None, *FILTERS]))
    user = data.draw(st.sampled_from([None, None, *USERS]))
    by = data.draw(st.sampled_from([None, "type", "source"]))
    width = data.draw(st.sampled_from([{"bucketSeconds": 1}, {"bucketSeconds": 3600}, {"buckets": 1}, {"buckets": 7}]))

    found = histogram(corpus.store, workspace, user, **query, **width, by=by, filter=FILTERS.get(name or ""))

    events = [event for event in corpus.matching(workspace, query, user) if is_wanted(event, name)]
    assert (found.total, sum(counts(found))) == (len(events), len(events))
    for bucket in found.buckets:
        within = [event for event in events if at(bucket.from_) <= event["at"] < at(bucket.to)]
        assert bucket.count == len(within)
        if by is not None:
            groups = Counter(event[by] for event in within)
            assert bucket.counts == [groups[group] for group in found.groups or []]
    if by is not None:
        ordered = sorted(Counter(event[by] for event in events).items(), key=lambda each: (-each[1], each[0]))
        assert found.groups == [group for group, _ in ordered[:MAX_GROUPS]]
    for bucket, next_ in zip(found.buckets, found.buckets[1:], strict=False):
        assert bucket.to == next_.from_


@pytest.fixture
def hourly(store: Store) -> Store:
    """A log with an event at each of six hours, one right before the last, and one right after it."""
    for moment in (*range(5), 5 - 1 / HOUR.total_seconds() / 10**6, 5, 5 + 1 / HOUR.total_seconds() / 10**6):
        store.clock.at = START + timedelta(microseconds=round(moment * HOUR.total_seconds() * 10**6))
        store.append(draft("a.b"))
    return store


def hour(number: float) -> str:
    """A time of `hourly`."""
    return (START + number * HOUR).isoformat()


RANGES: dict[str, tuple[dict[str, Any], list[int]]] = {
    "the whole log in one bucket": ({"buckets": 1}, [8]),
    "hours": ({"bucketSeconds": 3600}, [1, 1, 1, 1, 2, 2]),
    "hours from and to an event": ({"from": hour(1), "to": hour(3), "bucketSeconds": 3600}, [1, 1]),
    "to includes no event at it": ({"from": hour(4), "to": hour(5), "buckets": 1}, [2]),
    "from includes the event at it": ({"from": hour(5), "buckets": 1}, [2]),
    "an edge at an event": ({"from": hour(0), "to": hour(4), "buckets": 2}, [2, 2]),
    "parts of hours at both ends": ({"from": hour(0.5), "to": hour(2.5), "bucketSeconds": 3600}, [0, 1, 1]),
    "empty buckets": ({"from": hour(-2), "to": hour(1), "buckets": 3}, [0, 0, 1]),
    "after the log": ({"from": hour(90), "to": hour(92), "buckets": 2}, [0, 0]),
    "from after the newest event without to": ({"from": hour(90)}, []),
    "an empty range": ({"from": hour(1), "to": hour(1)}, []),
    "a range that ends before it begins": ({"from": hour(3), "to": hour(1)}, []),
    "times in the filter": ({"filter": {"timestamp": {"gte": hour(1), "lt": hour(3)}}, "buckets": 2}, [1, 1]),
    "one microsecond": ({"from": hour(5), "to": (START + 5 * HOUR + timedelta(microseconds=1)).isoformat()}, [1]),
    "another offset": ({"from": "2024-12-09T03:00:00+01:00", "to": "2024-12-09T05:00:00+01:00", "buckets": 2}, [1, 1]),
}


@pytest.mark.parametrize(("query", "expected"), RANGES.values(), ids=list(RANGES))
@pytest.mark.parametrize("by", [None, "type", "source"])
def test_the_edges_of_buckets(hourly: Store, query: dict[str, Any], expected: list[int], by: str | None) -> None:
    found = histogram(hourly, **query, by=by)

    assert (counts(found), found.total) == (expected, sum(expected))
    if by is not None and found.total:
        assert found.groups == ["a.b" if by == "type" else "api"]
        assert [bucket.counts for bucket in found.buckets] == [[count] for count in expected]


def test_buckets_of_seconds_begin_at_their_multiples(hourly: Store) -> None:
    found = histogram(hourly, **{"from": hour(0.5), "to": hour(2.5), "bucketSeconds": 3600})

    assert [(bucket.from_, bucket.to) for bucket in found.buckets] == [
        ("2024-12-09T01:30:00.000000Z", "2024-12-09T02:00:00.000000Z"),
        ("2024-12-09T02:00:00.000000Z", "2024-12-09T03:00:00.000000Z"),
        ("2024-12-09T03:00:00.000000Z", "2024-12-09T03:30:00.000000Z"),
    ]


def test_a_range_has_at_most_500_buckets(hourly: Store) -> None:
    whole: dict[str, Any] = {"from": hour(0), "to": hour(5)}

    assert len(histogram(hourly, **whole, bucketSeconds=36).buckets) == MAX_BUCKETS
    assert len(histogram(hourly, **whole, buckets=500).buckets) == MAX_BUCKETS
    assert len(histogram(hourly, **whole).buckets) == DEFAULT_BUCKETS
    with pytest.raises(InvalidInput) as refused:
        histogram(hourly, **{"from": hour(0), "to": hour(5 + 1 / 3600)}, bucketSeconds=36)
    [issue] = refused.value.issues
    assert (issue.path, issue.message) == (
        "bucketSeconds",
        "makes 501 buckets of this range, and 500 are allowed; send 37 or more, or a shorter range",
    )
    assert len(histogram(hourly, **{"from": hour(0.001), "to": hour(5.001)}, bucketSeconds=37).buckets) <= MAX_BUCKETS


def test_all_of_time_is_a_range(hourly: Store) -> None:
    whole: dict[str, Any] = {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59.999999Z"}

    assert histogram(hourly, **whole, buckets=500, by="source").total == 8
    assert histogram(hourly, **whole, bucketSeconds=2**31 - 1).total == 8


def test_an_empty_log_has_no_buckets(store: Store) -> None:
    assert histogram(store) == Histogram(buckets=[], total=0)
    assert histogram(store, by="type") == Histogram(buckets=[], total=0, groups=[])
    assert counts(histogram(store, **{"from": hour(0), "to": hour(1), "buckets": 2, "by": "type"})) == [0, 0]


def test_only_the_most_frequent_groups_are_counted_apart(store: Store) -> None:
    types = [f"a.t{n:03}" for n in range(MAX_KINDS + 1)]
    for type_ in (*types, *types[-MAX_GROUPS:]):
        store.append(draft(type_))

    whole = histogram(store, buckets=1, by="type")
    within = histogram(store, **{"from": START.isoformat(), "type": "a.*", "buckets": 1, "by": "type"})

    assert whole == within
    [bucket] = whole.buckets
    assert whole.groups == types[-MAX_GROUPS:]
    assert (bucket.count, bucket.counts) == (MAX_KINDS + 1 + MAX_GROUPS, [2] * MAX_GROUPS)


def test_erased_events_count_but_for_what_is_erased(store: Store) -> None:
    store.clock.at = datetime.now(UTC)
    events = store.append(draft("a.b", user_id="ann"), draft("a.b", user_id="ann"))

    def act(_events: int, _seq: int) -> Act:
        return Act.of("events.erased", "k", {}, [store.workspace])

    erase = ErasureRequest("ids", ids=[UUID(str(events[0].id))])
    store.run(store.erasure().erase(store.workspace, erase, act))

    assert counts(histogram(store, buckets=1)) == [3]
    assert counts(histogram(store, buckets=1, type="a.*", by="source")) == [2]
    assert counts(histogram(store, buckets=1, userId="ann")) == [1]
    assert counts(histogram(store, "", "ann", buckets=1)) == [1]
