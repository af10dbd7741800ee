"""Reading: filters, totals, pages and cursors, compared with a naive search through all events."""

import base64
import json
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sealing.cursors import Cursors
from app.store.events.linker import MAX_COUNTED
from schemas.errors import InvalidInput, PayloadTooLarge
from tests.kit.examples import examples
from tests.store.corpus import USERS, WORKSPACES, Corpus, queries
from tests.store.opened import Store, draft

ADD_TYPES = """
INSERT INTO event_count SELECT %s, 'counted.t' || n, 'api', false, 0 FROM generate_series(1, %s) AS n
"""

COUNTED = "SELECT counted FROM event_tip WHERE workspace_id = %s"


@settings(max_examples=examples(350), deadline=None)
@given(data=st.data())
def test_lists_and_totals_equal_a_plain_search(corpus: Corpus, data: st.DataObject) -> None:
    workspace = data.draw(st.sampled_from(WORKSPACES))
    query = data.draw(queries(corpus, workspace))
    only_user = data.draw(st.sampled_from([None, None, *USERS, "u3"]))
    limit, offset = data.draw(st.integers(1, 30)), data.draw(st.sampled_from([0, 0, 1, 7, 500]))

    page = corpus.store.page(workspace, only_user, **query, limit=limit, offset=offset)
    events = corpus.store.list(workspace, only_user, **query, limit=limit, offset=offset)

    expected = corpus.matching(workspace, query, only_user)
    ids = [event["id"] for event in expected[offset : offset + limit]]
    assert page["total"] == len(expected)
    assert [event["id"] for event in page["events"]] == ids
    assert ("nextCursor" in page) == (bool(ids) and offset + limit < len(expected))
    assert [event["id"] for event in events] == ids


@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_pages_walk_every_match_once_in_order(corpus: Corpus, data: st.DataObject) -> None:
    workspace = data.draw(st.sampled_from(WORKSPACES))
    query = data.draw(queries(corpus, workspace))
    expected = corpus.matching(workspace, query)
    limit = data.draw(st.integers(max(1, len(expected) // 8), 40))

    pages = list(corpus.store.walk(workspace, **query, limit=limit))

    assert [event["seq"] for page in pages for event in page["events"]] == [event["seq"] for event in expected]
    assert {page["total"] for page in pages} == {len(expected)}
    assert all(len(page["events"]) == limit for page in pages[:-1])


@pytest.mark.parametrize("only_from", [False, True], ids=["from and to", "from"])
def test_a_time_range_includes_its_start_but_not_its_end(corpus: Corpus, only_from: bool) -> None:  # noqa: FBT001
    events = corpus.events["default"]
    newest, oldest = events[10]["at"].isoformat(), events[20]["at"].isoformat()
    query = {"from": oldest} if only_from else {"from": oldest, "to": newest}

    page = corpus.store.page(**query, limit=1000)

    expected = events[:21] if only_from else events[11:21]
    assert [event["seq"] for event in page["events"]] == [event["seq"] for event in expected]
    assert page["total"] == len(expected)


def test_a_range_that_ends_before_it_begins_is_empty(corpus: Corpus) -> None:
    events = corpus.events["default"]

    page = corpus.store.page(**{"from": events[3]["at"].isoformat(), "to": events[9]["at"].isoformat()})

    assert page == {"events": [], "total": 0}


def test_the_total_travels_with_the_cursor(store: Store) -> None:
    store.append(*(draft() for _ in range(5)))
    first = store.page(limit=2)
    store.append(*(draft() for _ in range(3)))

    second = store.page(limit=2, cursor=first["nextCursor"])

    assert (first["total"], second["total"]) == (5, 5)
    assert [event["seq"] for event in second["events"]] == [2, 1]


def test_a_cursor_under_another_filter_counts_again(store: Store) -> None:
    store.append(*(draft("a.b" if n % 2 else "a.c") for n in range(8)))
    cursor = store.page(limit=2)["nextCursor"]

    page = store.page(limit=2, cursor=cursor, type="a.b")

    assert page["total"] == 4
    assert [event["seq"] for event in page["events"]] == [5, 3]


def test_an_offset_is_skipped_once_in_a_walk(corpus: Corpus) -> None:
    """Clients that page by cursor send the rest of their input with each page again."""
    events = corpus.events["default"]

    pages = list(corpus.store.walk("default", limit=20, offset=7))

    assert [event["seq"] for page in pages for event in page["events"]] == [event["seq"] for event in events[7:]]


def _refused_cursor(store: Store, cursor: str) -> None:
    for read in (store.page, store.list):
        with pytest.raises(InvalidInput) as refused:
            read(cursor=cursor)
        assert [(issue.path, issue.code) for issue in refused.value.issues] == [("cursor", "invalid_cursor")]


GARBAGE = {
    "nothing": "",
    "one letter": "x",
    "white space": " ",
    "padding": "====",
    "text": "not a cursor",
    "beyond ASCII": "é\U0001f600",
    "U+0000": "\x00",
    "sixteen zero bytes": base64.urlsafe_b64encode(bytes(16)).decode(),
    "a hundred zero bytes": base64.urlsafe_b64encode(bytes(100)).decode(),
    "long": "A" * 100_000,
    "standard base64": "+/+/" * 20,
}


@pytest.mark.parametrize("cursor", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_is_no_cursor(corpus: Corpus, cursor: str) -> None:
    _refused_cursor(corpus.store, cursor)


def test_a_cursor_of_another_workspace_is_rejected(corpus: Corpus) -> None:
    cursor = corpus.store.page("other", limit=1)["nextCursor"]

    assert corpus.store.page("other", cursor=cursor)["events"]
    _refused_cursor(corpus.store, cursor)


def test_a_cursor_of_another_order_is_rejected(corpus: Corpus) -> None:
    cursors = Cursors(b"s" * 32)
    good = cursors.open(corpus.store.page(limit=1)["nextCursor"], order="newest", workspace="default")

    _refused_cursor(corpus.store, cursors.seal(type(good)("oldest", *_rest(good))))


def test_a_cursor_sealed_with_another_secret_is_rejected(corpus: Corpus) -> None:
    good = Cursors(b"s" * 32).open(corpus.store.page(limit=1)["nextCursor"], order="newest", workspace="default")

    _refused_cursor(corpus.store, Cursors(b"t" * 32).seal(good))


def _rest(cursor: Any) -> list[Any]:
    return [getattr(cursor, name) for name in cursor.__struct_fields__[1:]]


@settings(max_examples=examples(150), deadline=None)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_cursor_with_one_bit_flipped_is_rejected(corpus: Corpus, place: int, bit: int) -> None:
    text = corpus.store.page(limit=3)["nextCursor"]
    raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[place % len(raw)] ^= 1 << bit

    _refused_cursor(corpus.store, base64.urlsafe_b64encode(raw).decode().rstrip("="))


@settings(max_examples=examples(100), deadline=None)
@given(st.text(max_size=80))
def test_no_random_text_is_a_cursor(corpus: Corpus, text: str) -> None:
    _refused_cursor(corpus.store, text.encode(errors="replace").decode())


def test_pages_end_early_at_32_mib(store: Store) -> None:
    for n in range(40):
        store.append(draft("large.text", {"n": n, "text": "x" * 1_000_000}))
    store.append(draft("small.text"))

    pages = list(store.walk(limit=100))

    assert [event["seq"] for page in pages for event in page["events"]] == list(reversed(range(41)))
    assert [len(page["events"]) for page in pages] == [34, 7]
    assert {page["total"] for page in pages} == {41}
    with pytest.raises(PayloadTooLarge) as refused:
        store.list(limit=100)
    assert refused.value.field == "limit"
    assert "events.page" in refused.value.message
    assert len(store.list(limit=34)) == 34
    assert len(store.list(limit=100, type="small.*")) == 1


def _totals(store: Store) -> dict[str, int]:
    filters: dict[str, dict[str, Any]] = {
        "all": {},
        "a type": {"type": "a.b"},
        "a prefix": {"type": "a.*"},
        "any middle": {"type": "a.*.c"},
        "a source": {"source": "api"},
        "metadata": {"hasMetadata": True},
        "no metadata of a type": {"type": "a.b", "hasMetadata": False},
        "types nobody logged": {"type": "counted.*"},
    }
    return {name: store.page(**query, limit=1)["total"] for name, query in filters.items()}


@pytest.mark.parametrize("beyond", [False, True], ids=["at the limit", "beyond it"])
def test_totals_are_exact_whatever_number_of_types(store: Store, beyond: bool) -> None:  # noqa: FBT001
    """Counter rows of types that nobody logged simulate a log with the maximum number of counted types."""
    store.append(draft("a.b"), draft("a.b", metadata={"custom": {}}), draft("a.x.c", source="sync"))
    with psycopg.connect(store.url, autocommit=True) as connection:
        connection.execute(
            ADD_TYPES,
            [store.workspace, MAX_COUNTED - 3 + beyond],
        )

    store.append(draft("a.c"), draft("a.b"))
    store.append(draft("a.b", metadata={"custom": {}}), draft("a.x.c"))

    with psycopg.connect(store.url) as connection:
        (counted,) = connection.execute(COUNTED, [store.workspace]).fetchone() or ()
    assert counted is not beyond
    assert _totals(store) == {
        "all": 7,
        "a type": 4,
        "a prefix": 7,
        "any middle": 2,
        "a source": 6,
        "metadata": 2,
        "no metadata of a type": 2,
        "types nobody logged": 0,
    }


def test_an_empty_log_has_an_empty_page(store: Store) -> None:
    assert store.page() == {"events": [], "total": 0}
    assert store.page(type="a.*", **{"from": "2024-01-01T00:00:00Z"}) == {"events": [], "total": 0}
    assert store.page(**{"from": "0001-01-01T00:00:00+14:00", "to": "9999-12-31T23:59:59-14:00"})["total"] == 0
    assert store.list(offset=2**53 - 1) == []


def test_a_lookup_finds_by_id_and_by_hash_within_its_workspace(store: Store) -> None:
    (event,) = store.append(draft(user_id="u2"))
    hash_ = bytes.fromhex(event.hash.removeprefix("sha256:"))

    for reference in (event.id, hash_):
        found = store.run(store.reader.get(store.workspace, reference))
        assert found.user_id == "u2"
        assert [json.loads(found.event.json)] == store.list()
        assert store.run(store.reader.get(store.other, reference)) is None
    assert store.run(store.reader.get(store.workspace, bytes(32))) is None
