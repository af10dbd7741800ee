"""Browsing in any order, forward and backward, compared with the events sorted in one list."""

import base64
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from app.ledger.draft import Draft
from app.sealing.cursors import Cursor, Cursors
from app.store.events.browser import Browser
from schemas.browse import BrowseEvents
from schemas.errors import InvalidInput
from schemas.event import SynapEvent
from tests.store.opened import SECRET, Store, draft
from tests.store.test_erasure import erase

DIRECTIONS = ["asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"]

Event = dict[str, Any]


def browse(store: Store, only_user: str | None = None, /, workspace: str | None = None, **query: Any) -> Event:
    """Read one page, as a caller does."""
    browser = Browser(store.database, Cursors(SECRET))
    wanted = msgspec.convert(query, BrowseEvents)
    page: Event = json.loads(store.run(browser.page(workspace or store.workspace, wanted, only_user)).json)
    return page


def forward(store: Store, **query: Any) -> Iterator[Event]:
    """Yield every page, from the first to the last."""
    page = browse(store, **query)
    yield page
    while page["pageInfo"]["hasNextPage"]:
        page = browse(store, **query, after=page["pageInfo"]["endCursor"])
        yield page


def backward(store: Store, page: Event, **query: Any) -> Iterator[Event]:
    """Yield every page before this one, the nearest first."""
    while page["pageInfo"]["hasPreviousPage"]:
        page = browse(store, **query, before=page["pageInfo"]["startCursor"])
        yield page


def ids(*pages: Event) -> list[str]:
    """The ids in the order of the pages."""
    return [event["id"] for page in pages for event in page["data"]]


def flags(page: Event) -> tuple[bool, bool]:
    """Whether there is a previous page, and whether there is a next one."""
    return page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"]


def _names(events: Sequence[SynapEvent]) -> list[str]:
    return [str(event.id) for event in events]


def _refused(store: Store, **query: Any) -> list[tuple[str, str | None]]:
    with pytest.raises(InvalidInput) as refused:
        browse(store, **query)
    return [(issue.path, issue.code) for issue in refused.value.issues]


def test_pages_are_newest_first_with_all_that_the_document_shows(store: Store) -> None:
    (first,) = store.append(draft("note.created", {"title": "Hé\u2028"}, subject_id='s "1"\\', causation_id="p"))
    (second,) = store.append(draft("note.deleted", user_id="u2"))

    page = browse(store)

    assert page["data"] == [
        {
            "id": str(second.id),
            "type": "note.deleted",
            "subjectId": None,
            "userId": "u2",
            "workspaceId": store.workspace,
            "parentId": None,
            "data": {},
            "createdAt": second.timestamp,
        },
        {
            "id": str(first.id),
            "type": "note.created",
            "subjectId": 's "1"\\',
            "userId": "u1",
            "workspaceId": store.workspace,
            "parentId": "p",
            "data": {"title": "Hé\u2028"},
            "createdAt": first.timestamp,
        },
    ]
    info = page["pageInfo"]
    assert list(info) == ["total", "hasNextPage", "hasPreviousPage", "startCursor", "endCursor"]
    assert (info["total"], *flags(page)) == (2, False, False)
    assert ids(browse(store, after=info["startCursor"])) == [str(first.id)]
    assert ids(browse(store, before=info["endCursor"])) == [str(second.id)]


def test_an_empty_log_has_an_empty_page(store: Store) -> None:
    queries: list[dict[str, Any]] = [
        {},
        {"orderBy": [{"subjectId": "desc"}, {"type": "asc"}]},
        {"ids": []},
        {"type": "no.such"},
    ]
    for query in queries:
        assert browse(store, **query) == {
            "data": [],
            "pageInfo": {
                "total": 0,
                "hasNextPage": False,
                "hasPreviousPage": False,
                "startCursor": None,
                "endCursor": None,
            },
        }


def test_pages_behind_and_before_a_row_have_the_same_order(store: Store) -> None:
    names = _names(store.append(*(draft() for _ in range(7))))[::-1]

    first, second, third = forward(store, limit=3)

    assert [ids(page) for page in (first, second, third)] == [names[:3], names[3:6], names[6:]]
    assert [flags(page) for page in (first, second, third)] == [(False, True), (True, True), (True, False)]
    nearer, farther = backward(store, third, limit=3)
    assert [ids(page) for page in (nearer, farther)] == [names[3:6], names[:3]]
    assert [flags(page) for page in (nearer, farther)] == [(True, True), (False, True)]
    part = browse(store, before=second["pageInfo"]["startCursor"], limit=2)
    assert (ids(part), flags(part)) == (names[1:3], (True, True))


def test_a_page_beyond_an_end_is_empty_and_knows_its_neighbour(store: Store) -> None:
    store.append(draft(), draft())
    info = browse(store)["pageInfo"]

    behind = browse(store, after=info["endCursor"])
    before = browse(store, before=info["startCursor"])

    assert (behind["data"], flags(behind)) == ([], (True, False))
    assert (before["data"], flags(before)) == ([], (False, True))
    assert (behind["pageInfo"]["startCursor"], before["pageInfo"]["endCursor"]) == (None, None)


VALUES: dict[str, list[Any]] = {
    "subjectId": [None, "a", "B", "é", "a", None, "\U0001f600", "\uffff", "b'%"],
    "parentId": ["x", None, "x", None],
    "correlationId": [None, None, "c"],
    "occurredAt": [
        None,
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        None,
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
    "type": ["a.b", "a.B", "a-b.c", "a.b", "a.c"],
    "userId": ["u2", "u1", "U3", "u1"],
    "source": ["sync", "api", "system", "api"],
}

MEMBERS = {
    "subjectId": "subject_id",
    "parentId": "causation_id",
    "correlationId": "correlation_id",
    "occurredAt": "occurred_at",
    "userId": "user_id",
    "source": "source",
}


def _with(field: str, value: Any) -> Draft:
    return draft(value) if field == "type" else draft(**{MEMBERS[field]: value})


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("field", VALUES)
def test_every_direction_sorts_nulls_where_it_says(store: Store, field: str, direction: str) -> None:
    logged = store.append(*(_with(field, value) for value in VALUES[field]))
    descending = direction.startswith("desc")
    nulls_first = direction in {"desc", "asc_nulls_first", "desc_nulls_first"}
    rows = [(value, place, event) for place, (value, event) in enumerate(zip(VALUES[field], logged, strict=True))]
    some = sorted((row for row in rows if row[0] is not None), key=lambda row: row[:2], reverse=descending)
    none = [row for row in rows if row[0] is None][:: -1 if descending else 1]
    expected = _names([row[2] for row in (none + some if nulls_first else some + none)])

    for limit in (1, 2, 4, 100):
        query = {"orderBy": [{field: direction}], "limit": limit}
        pages = list(forward(store, **query))
        assert ids(*pages) == expected
        assert ids(*reversed([pages[-1], *backward(store, pages[-1], **query)])) == expected


def test_the_order_of_times_is_that_of_the_log(store: Store) -> None:
    names = []
    for step in (5, -10, 0, 1):
        store.clock.at += timedelta(seconds=step)
        names += _names(store.append(draft("a.b"), draft("a.a")))

    for field in ("createdAt", "seq"):
        assert ids(*forward(store, orderBy=[{field: "asc"}], limit=3)) == names
        assert ids(*forward(store, orderBy=[{field: "desc"}, {"type": "asc"}], limit=3)) == names[::-1]
    by_type = [*names[1::2], *names[::2]]
    assert ids(*forward(store, orderBy=[{"type": "asc"}, {"createdAt": "asc"}], limit=3)) == by_type


def test_several_keys_are_compared_in_turn_each_in_its_direction(store: Store) -> None:
    rows = [
        (type_, subject, user) for type_ in ("a.b", "a.c") for subject in (None, "s", "t") for user in ("u1", "u2")
    ] * 2
    logged = store.append(*(draft(type_, subject_id=subject, user_id=user) for type_, subject, user in rows))
    numbered = list(enumerate(rows))
    numbered.sort(key=lambda row: row[0])
    numbered.sort(key=lambda row: row[1][2])
    numbered.sort(key=lambda row: (row[1][1] is not None, row[1][1] or ""))
    numbered.sort(key=lambda row: row[1][0], reverse=True)
    expected = _names([logged[place] for place, _ in numbered])

    query: dict[str, Any] = {
        "orderBy": [{"type": "desc"}, {"subjectId": "asc_nulls_first"}, {"userId": "asc"}, {"seq": "asc"}]
    }

    assert ids(*forward(store, **query, limit=5)) == expected
    last = list(forward(store, **query, limit=5))[-1]
    assert ids(*reversed(list(backward(store, last, **query, limit=7)))) == expected[: -len(last["data"])]


@pytest.mark.parametrize(("first", "second"), [("asc", "desc"), ("desc", "asc")])
def test_keys_that_are_never_null_may_differ_in_direction(store: Store, first: str, second: str) -> None:
    rows = [(type_, user) for type_ in ("a.b", "a.c") for user in ("u1", "u2", "u3")] * 2
    logged = store.append(*(draft(type_, user_id=user) for type_, user in rows))
    numbered = list(enumerate(rows))
    numbered.sort(key=lambda row: (row[1][1], row[0]), reverse=second == "desc")
    numbered.sort(key=lambda row: row[1][0], reverse=first == "desc")

    pages = forward(store, orderBy=[{"type": first}, {"userId": second}], limit=2)

    assert ids(*pages) == _names([logged[place] for place, _ in numbered])


def test_events_that_are_appended_meanwhile_move_no_place(store: Store) -> None:
    names = _names(store.append(*(draft() for _ in range(6))))[::-1]
    first = browse(store, limit=2)
    newer = _names(store.append(draft(), draft(), draft()))[::-1]

    second = browse(store, limit=2, after=first["pageInfo"]["endCursor"])
    before = browse(store, limit=2, before=first["pageInfo"]["startCursor"])

    assert (ids(second), flags(second)) == (names[2:4], (True, True))
    assert (ids(before), flags(before)) == (newer[1:], (True, True))
    assert ids(browse(store, limit=2, before=before["pageInfo"]["startCursor"])) == newer[:1]


def test_the_total_is_counted_on_the_first_page_and_travels(store: Store) -> None:
    store.append(*(draft("a.b" if n % 2 else "a.c", {"n": n}) for n in range(8)))
    queries: dict[int, dict[str, Any]] = {
        8: {},
        4: {"type": "a.b"},
        3: {"filter": {"data.n": {"lt": 3}}, "orderBy": [{"type": "asc"}]},
    }
    for total, query in queries.items():
        first = browse(store, **query, limit=1)
        assert first["pageInfo"]["total"] == total

    cursor = browse(store, limit=3)["pageInfo"]["endCursor"]
    store.append(draft(), draft())
    second = browse(store, limit=3, after=cursor)
    assert second["pageInfo"]["total"] == 8
    assert browse(store, limit=3, before=second["pageInfo"]["startCursor"])["pageInfo"]["total"] == 8
    assert browse(store)["pageInfo"]["total"] == 10


def test_a_place_stays_when_its_row_is_erased(store: Store) -> None:
    """The row's values are gone then, but the cursor still has them."""
    logged = store.append(*(draft(subject_id=subject, user_id="gone") for subject in "abcdef"))
    query: dict[str, Any] = {"orderBy": [{"subjectId": "asc_nulls_last"}], "limit": 2}
    pages = list(forward(store, **query))

    erased = erase(store, "ids", [logged[1].id, logged[2].id])

    assert erased.erased == 2
    after = browse(store, **query, after=pages[0]["pageInfo"]["endCursor"])
    before = browse(store, **query, before=pages[1]["pageInfo"]["startCursor"])
    assert (ids(after), flags(after)) == ([str(logged[3].id), str(logged[4].id)], (True, True))
    assert (ids(before), flags(before)) == ([str(logged[0].id)], (False, True))
    rest = browse(store, **query, after=after["pageInfo"]["endCursor"])
    assert ids(rest) == [str(logged[5].id), str(logged[1].id)]
    [erased] = [event for event in rest["data"] if event["id"] == str(logged[1].id)]
    assert (erased["data"], erased["userId"], erased["subjectId"]) == ({}, "", None)


def test_neighbours_are_those_that_match_whatever_became_of_the_row_at_the_place(store: Store) -> None:
    logged = store.append(*(draft(user_id="gone") for _ in range(5)))
    query: dict[str, Any] = {"userId": "gone", "orderBy": [{"seq": "asc"}], "limit": 2}
    pages = list(forward(store, **query))

    erase(store, "ids", [logged[1].id, logged[2].id])
    after, before = (
        browse(store, **query, after=pages[0]["pageInfo"]["endCursor"]),
        browse(store, **query, before=pages[1]["pageInfo"]["startCursor"]),
    )
    erase(store, "ids", [logged[0].id])
    alone = browse(store, **query, after=pages[0]["pageInfo"]["endCursor"])
    nothing = browse(store, **query, before=pages[1]["pageInfo"]["startCursor"])

    assert (ids(after), flags(after)) == (_names(logged[3:]), (True, False))
    assert (ids(before), flags(before)) == (_names(logged[:1]), (False, True))
    assert (ids(alone), flags(alone)) == (_names(logged[3:]), (False, False))
    assert (ids(nothing), flags(nothing)) == ([], (False, True))


def test_ids_restrict_and_show_nothing_more(store: Store) -> None:
    mine = store.append(draft("a.b"), draft("a.c"), draft("a.b", user_id="u2"))
    theirs = store.append(draft("a.b"), workspace=store.other)
    asked = [str(event.id) for event in (*theirs, *mine[1:])] + [str(UUID(int=5))]

    page = browse(store, ids=asked)

    assert (ids(page), page["pageInfo"]["total"]) == (_names(mine[1:])[::-1], 2)
    assert ids(browse(store, ids=asked, type="a.b")) == _names(mine[2:])
    assert ids(browse(store, "u1", ids=asked)) == _names(mine[1:2])
    assert ids(browse(store, ids=_names(theirs))) == []
    assert ids(browse(store, ids=_names(theirs), workspace=store.other)) == _names(theirs)


def test_bounds_of_time_are_both_included(store: Store) -> None:
    logged = store.append(*(draft() for _ in range(5)))
    first, last = logged[1].timestamp, logged[3].timestamp

    page = browse(store, createdAtAfter=first, createdAtBefore=last)

    assert (ids(page), page["pageInfo"]["total"]) == (_names(logged[1:4])[::-1], 3)
    assert len(ids(browse(store, createdAtAfter="0001-01-01T00:00:00+14:00"))) == 5
    assert len(ids(browse(store, createdAtBefore="9999-12-31T23:59:59.999999Z"))) == 5
    assert ids(browse(store, createdAtAfter=last, createdAtBefore=first)) == []


SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a type": ({"type": "a.b"}, {"type": "a.b"}),
    "a user": ({"userId": "u2"}, {"userId": {"eq": "u2"}}),
    "a subject and a parent": (
        {"subjectId": "s", "parentId": "p"},
        {"AND": [{"subjectId": "s"}, {"causationId": "p"}]},
    ),
    "times": ({"createdAtAfter": "{1}", "createdAtBefore": "{3}"}, {"createdAt": {"gte": "{1}", "lte": "{3}"}}),
    "times in between": (
        {"createdAtAfter": "{2}", "createdAtBefore": "{3}"},
        {"createdAt": {"gt": "{1}"}, "timestamp": {"lt": "{4}"}},
    ),
    "a time and a type": (
        {"type": "a.*", "createdAtAfter": "{1}"},
        {"type": {"startsWith": "a."}, "createdAt": {"gte": "{1}"}},
    ),
    "a type that is no pattern": ({"ids": []}, {"type": "a.*"}),
    "two types": ({"ids": []}, {"AND": [{"type": "a.b"}, {"type": "a.c"}]}),
}


@pytest.mark.parametrize(("shorthands", "filter"), SAME.values(), ids=list(SAME))
def test_a_filter_and_the_shorthands_say_the_same(
    store: Store, shorthands: dict[str, Any], filter: dict[str, Any]
) -> None:
    logged = store.append(
        draft("a.b", user_id="u2"),
        draft("a.c", subject_id="s", causation_id="p"),
        draft("a.b", subject_id="s", user_id="u2"),
        draft("b.c", subject_id="s", causation_id="p"),
        draft("a.b"),
    )

    def timed(query: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(query)
        for place, event in enumerate(logged):
            text = text.replace(f"{{{place}}}", event.timestamp)
        timed_query: dict[str, Any] = json.loads(text)
        return timed_query

    said, asked = browse(store, **timed(shorthands)), browse(store, filter=timed(filter))

    assert ids(said) == ids(asked)
    assert said["pageInfo"]["total"] == asked["pageInfo"]["total"] == len(ids(said))
    both = browse(store, **timed(shorthands), filter=timed(filter), orderBy=[{"seq": "asc"}])
    assert (ids(both), both["pageInfo"]["total"]) == (ids(said)[::-1], len(ids(said)))


def test_pages_end_early_at_32_mib_in_both_ways(store: Store) -> None:
    names = []
    for n in range(40):
        names += _names(store.append(draft("large.text", {"n": n, "text": "x" * 1_000_000})))
    names.reverse()

    first, second = forward(store)

    assert [len(page["data"]) for page in (first, second)] == [33, 7]
    assert ids(first, second) == names
    assert [flags(page) for page in (first, second)] == [(False, True), (True, False)]
    (last,) = store.append(draft())
    behind = browse(store, before=second["pageInfo"]["endCursor"])
    assert (ids(behind), flags(behind)) == (names[6:39], (True, True))
    assert ids(browse(store, before=behind["pageInfo"]["startCursor"])) == [str(last.id), *names[:6]]


@pytest.fixture
def paged(store: Store) -> Store:
    """A store with a few events in both workspaces."""
    for workspace in (store.workspace, store.other):
        store.append(*(draft(subject_id="s", data={"n": n}) for n in range(5)), workspace=workspace)
    return store


OTHERS: dict[str, dict[str, Any]] = {
    "another order": {"orderBy": [{"seq": "asc"}]},
    "more keys": {"orderBy": [{"type": "asc"}]},
    "a type": {"type": "note.*"},
    "a filter": {"filter": {"data.n": {"gte": 0}}},
    "ids": {"ids": [str(UUID(int=1))]},
    "a subject": {"subjectId": "s"},
    "a time": {"createdAtAfter": "2020-01-01T00:00:00Z"},
}


@pytest.mark.parametrize("way", ["after", "before"])
@pytest.mark.parametrize("query", OTHERS.values(), ids=list(OTHERS))
def test_a_cursor_belongs_to_its_order_and_its_filter(paged: Store, query: dict[str, Any], way: str) -> None:
    cursor = browse(paged, limit=2)["pageInfo"]["endCursor"]
    other = browse(paged, **query | {"limit": 2})["pageInfo"]["endCursor"]

    assert _refused(paged, **query, **{way: cursor}) == [(way, "invalid_cursor")]
    if other is not None:
        assert _refused(paged, **{way: other}) == [(way, "invalid_cursor")]
        assert browse(paged, **query, **{way: other})["pageInfo"]["total"] == 5
    assert browse(paged, **{way: cursor}, limit=1)["pageInfo"]["total"] == 5


def test_a_cursor_belongs_to_its_workspace_and_its_reader(paged: Store) -> None:
    cursor = browse(paged, limit=2)["pageInfo"]["endCursor"]
    own = browse(paged, "u1", limit=2)["pageInfo"]["endCursor"]

    assert _refused(paged, workspace=paged.other, after=cursor) == [("after", "invalid_cursor")]
    assert _refused(paged, after=own) == [("after", "invalid_cursor")]
    with pytest.raises(InvalidInput):
        browse(paged, "u1", after=cursor)
    assert len(ids(browse(paged, "u1", after=own))) == 3


def test_the_same_filter_in_other_words_keeps_its_cursors(paged: Store) -> None:
    cursor = browse(paged, limit=2, filter={"subjectId": "s", "type": "note.created"})["pageInfo"]["endCursor"]

    page = browse(paged, filter={"subjectId": {"eq": "s"}, "type": {"eq": "note.created"}}, after=cursor)

    assert (len(page["data"]), page["pageInfo"]["total"]) == (3, 5)


def _forged(store: Store, cursor: str) -> Iterator[tuple[str, str]]:
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    yield from (("cut", cursor[:length]) for length in range(0, len(cursor), 3))
    for place in range(0, len(raw), 5):
        flipped = bytearray(raw)
        flipped[place] ^= 1
        yield "flipped", base64.urlsafe_b64encode(flipped).decode().rstrip("=")
    yield "another secret", Cursors(b"t" * 32).seal(Cursor("browse", store.workspace, 1, b"", 1, ("x",)))
    yield "another list's", store.page(limit=1)["nextCursor"]
    yield "text", "not a cursor \x00 é"
    yield "long", "A" * 100_000


def test_forged_and_cut_cursors_are_rejected(paged: Store) -> None:
    query: dict[str, Any] = {"orderBy": [{"subjectId": "asc"}], "limit": 2}
    cursor = browse(paged, **query)["pageInfo"]["endCursor"]

    for kind, forged in _forged(paged, cursor):
        for way in ("after", "before"):
            assert _refused(paged, **query, **{way: forged}) == [(way, "invalid_cursor")], kind


def test_a_page_is_after_a_row_or_before_one(paged: Store) -> None:
    info = browse(paged)["pageInfo"]

    assert _refused(paged, after=info["startCursor"], before=info["endCursor"]) == [("before", None)]
