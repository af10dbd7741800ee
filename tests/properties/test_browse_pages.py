"""Walking pages in any order, while events are appended, meets every existing event once and in order."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.ledger.draft import Draft
from app.sealing.cursors import Cursors
from app.store.events.browser import Browser
from app.store.install.install import connect
from app.store.install.workspaces import create_workspace
from schemas.browse import BrowseEvents
from schemas.event import SynapEvent
from tests.kit.examples import examples
from tests.kit.servers import cloned
from tests.store.opened import SECRET, Store, draft, opened

Event = dict[str, Any]
Order = list[dict[str, str]]

_numbers = itertools.count()

TEXTS = [None, "a", "B", "é", "\uffff", "\U0001f600"]

DRAFTS = st.fixed_dictionaries(
    {
        "type_": st.sampled_from(["a.b", "a.B", "a-b.c"]),
        "user_id": st.sampled_from(["u1", "u2"]),
        "source": st.sampled_from([None, "sync", "system"]),
        "subject_id": st.sampled_from(TEXTS),
        "causation_id": st.sampled_from(TEXTS),
        "correlation_id": st.sampled_from(TEXTS),
        "producer": st.sampled_from([None, "p", "sync"]),
        "occurred_at": st.sampled_from([None, datetime(2024, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)]),
        "metadata": st.sampled_from(
            [
                None,
                {"ai": {"agent": "a"}},
                {"ai": {"agent": "b", "confidence": {"score": 0.5}}},
                {"ai": {"agent": "a", "confidence": {"score": 1}}},
                {"ai": {"agent": "b" * 256, "confidence": {"score": 1e-7}}},
            ]
        ),
    }
).map(lambda members: draft(**members))  # type: ignore[arg-type] # each member is of its own type

FIELDS = [
    "id",
    "type",
    "subjectId",
    "userId",
    "parentId",
    "correlationId",
    "source",
    "producer",
    "createdAt",
    "occurredAt",
    "seq",
    "metadata.ai.agent",
    "metadata.ai.confidence.score",
]

ORDERS = st.lists(
    st.tuples(
        st.sampled_from(FIELDS),
        st.sampled_from(["asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"]),
    ),
    max_size=4,
    unique_by=lambda term: term[0],
).map(lambda terms: [dict([term]) for term in terms])

MATCHES: dict[str, Any] = {
    "everything": ({}, lambda _: True),
    "a type": ({"type": "a.b"}, lambda event: event["type"] == "a.b"),
    "a pattern": ({"type": "a.*"}, lambda event: event["type"].startswith("a.")),
    "a user": ({"userId": "u2"}, lambda event: event["userId"] == "u2"),
    "a filter": ({"filter": {"NOT": {"subjectId": "a"}}}, lambda event: event.get("subjectId") != "a"),
}


@pytest.fixture(scope="module")
def open_store(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store, in which each example has its own log."""
    with cloned(postgres_url, template, "test_browse_pages") as url, opened(url, tmp_path_factory.mktemp("b")) as store:
        yield store


class Walk:
    """The pages of one list."""

    def __init__(self, store: Store, query: dict[str, Any]) -> None:
        self._store = store
        self._browser = Browser(store.database, Cursors(SECRET))
        self._query = query

    def page(self, **place: object) -> Event:
        """Read one page as a caller does."""
        wanted = msgspec.convert(self._query | place, BrowseEvents)
        page: Event = json.loads(self._store.run(self._browser.page(self._store.workspace, wanted, None)).json)
        return page


@settings(max_examples=examples(500), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    first=st.lists(DRAFTS, min_size=1, max_size=25),
    later=st.lists(DRAFTS, max_size=10),
    order=ORDERS,
    matching=st.sampled_from(list(MATCHES)),
    limits=st.lists(st.integers(1, 9), min_size=1, max_size=3),
)
def test_walking_forward_and_backward_meets_each_event_once_in_order(
    open_store: Store,
    data: st.DataObject,
    first: list[Draft],
    later: list[Draft],
    order: Order,
    matching: str,
    limits: list[int],
) -> None:
    store = _emptied(open_store)
    filtered, matches = MATCHES[matching]
    walk = Walk(store, filtered | {"orderBy": order})
    start = [_plain(event) for event in store.append(*first)]
    waiting, every = iter(later), list(start)

    def appended() -> None:
        for _ in range(data.draw(st.integers(0, 2))):
            every.extend(_plain(event) for each in itertools.islice(waiting, 1) for event in store.append(each))

    def in_order(events: list[Event]) -> list[str]:
        return [event["id"] for event in sorted(filter(matches, events), key=cmp_to_key(_comparison(order)))]

    sizes = itertools.cycle(limits)
    pages = [walk.page(limit=next(sizes))]
    while pages[-1]["pageInfo"]["hasNextPage"]:
        appended()
        pages.append(walk.page(limit=next(sizes), after=pages[-1]["pageInfo"]["endCursor"]))
    forward = _ids(pages)
    _check(forward, in_order(start), in_order(every))
    assert {page["pageInfo"]["total"] for page in pages} == {len(in_order(start))}

    back = [pages[-1]]
    while back[0]["pageInfo"]["hasPreviousPage"]:
        appended()
        back.insert(0, walk.page(limit=next(sizes), before=back[0]["pageInfo"]["startCursor"]))
    _check(_ids(back), in_order(start), in_order(every))


def _check(walked: list[str], start: list[str], every: list[str]) -> None:
    """Check that the existing events were met once, and some of the new ones, all in order."""
    assert [id_ for id_ in walked if id_ in start] == start
    assert [id_ for id_ in every if id_ in walked] == walked


def _ids(pages: list[Event]) -> list[str]:
    return [event["id"] for page in pages for event in page["data"]]


def _emptied(store: Store) -> Store:
    """The store with a new workspace."""
    own = msgspec.structs.replace(store, workspace=f"w{next(_numbers)}")
    with connect(own.url) as connection:
        create_workspace(connection, own.workspace)
    return own


def _plain(event: SynapEvent) -> Event:
    plain: Event = json.loads(msgspec.json.encode(event))
    plain["parentId"] = plain.get("causationId")
    plain["producer"] = plain.get("producer", plain["source"])
    plain["createdAt"] = plain["timestamp"]
    return plain


def _value(event: Event, field: str) -> Any:
    value: Any = event
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _comparison(order: Order) -> Any:
    """A comparison of two events by the order. Equal events are compared by seq, in the direction of the last key."""
    terms = [term for each in order for term in each.items()]
    terms.append(("seq", terms[-1][1] if terms else "desc"))

    def compare(one: Event, other: Event) -> int:
        for field, direction in terms:
            a, b = _value(one, field), _value(other, field)
            if a == b:
                continue
            if a is None or b is None:
                is_first = (a is None) == (direction in {"desc", "asc_nulls_first", "desc_nulls_first"})
                return -1 if is_first else 1
            return -1 if (a < b) == direction.startswith("asc") else 1
        return 0

    return compare
