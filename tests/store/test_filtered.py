"""All readers apply the same filter: lists, pages, streams (outside and inside the window), and the ledger."""

import json
from typing import Any

import msgspec
import pytest

from schemas.errors import InvalidInput
from schemas.event import EventQuery, StreamEvents
from tests.store.opened import Store, draft

SURE = {"metadata.ai.confidence.score": {"gte": 0.9}}

FILTERS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "an agent that was sure": (SURE, [0, 3]),
    "by title": ({"data.title": {"startsWith": "Call"}}, [0, 1]),
    "not by title": ({"NOT": {"data.title": {"startsWith": "Call"}}}, [2, 3]),
    "any of two": ({"OR": [{"type": "note.deleted"}, {"subjectId": {"isNull": False}}]}, [1, 2]),
    "all of two": ({"AND": [SURE, {"data.n": {"lt": 3}}]}, [0]),
    "nothing": ({"data.nosuch": 1}, []),
    "everything": ({}, [0, 1, 2, 3]),
}


def _fill(store: Store) -> None:
    ai = [{"ai": {"agent": "orchestrator", "confidence": {"score": score}}} for score in (0.95, 0.2, 0.9)]
    store.append(
        draft(data={"title": "Call John", "n": 0}, metadata=ai[0]),
        draft(data={"title": "Call Ann", "n": 1}, metadata=ai[1], subject_id="s"),
        draft("note.deleted", data={"n": 2}),
        draft(data={"title": "Write", "n": 3}, metadata=ai[2]),
    )


@pytest.mark.parametrize(("asked", "seqs"), FILTERS.values(), ids=list(FILTERS))
def test_lists_pages_streams_and_the_ledger_take_one_filter(
    store: Store, asked: dict[str, Any], seqs: list[int]
) -> None:
    _fill(store)
    newest_first = seqs[::-1]
    assert [event["seq"] for event in store.list(filter=asked)] == newest_first
    pages = list(store.walk(filter=asked, limit=1))
    assert [event["seq"] for page in pages for event in page["events"]] == newest_first
    assert {page["total"] for page in pages} == {len(seqs)}

    shown = json.loads(store.run(store.ledger().entries(store.workspace, EventQuery(filter=asked), 100, None)).json)
    assert ([event["seq"] for event in shown["events"]], shown["total"]) == (seqs, len(seqs))

    assert _streamed(store, asked, "beginning", len(seqs)) == seqs


@pytest.mark.parametrize(("asked", "seqs"), FILTERS.values(), ids=list(FILTERS))
def test_a_stream_judges_what_comes_while_it_is_open(store: Store, asked: dict[str, Any], seqs: list[int]) -> None:
    or_the_last = {"filter": {"OR": [asked, {"type": "last.one"}]}}
    reader = store.run(store.feed.follow(store.workspace, msgspec.convert(or_the_last, StreamEvents), None))
    _fill(store)
    store.append(draft("last.one"))

    found: list[int] = []
    while found[-1:] != [4]:
        found += [_seq(event) for event in store.run(anext(reader))]
    store.run(reader.aclose())

    assert found == [*seqs, 4]


def test_an_invalid_filter_is_rejected_by_path(store: Store) -> None:
    for read in (store.list, store.page):
        with pytest.raises(InvalidInput) as refused:
            read(filter={"AND": [{"nosuch": 1}]})
        assert refused.value.issues[0].path == "filter.AND.0.nosuch"


def test_a_stream_cannot_ask_for_other_events(store: Store) -> None:
    asked = msgspec.convert({"filter": {"parent": {"some": {}}}}, StreamEvents)

    with pytest.raises(InvalidInput, match="one event at a time"):
        store.run(store.feed.follow(store.workspace, asked, None))

    assert store.list(filter={"parent": {"some": {}}}) == []


def test_a_cursor_carries_the_total_of_its_own_filter(store: Store) -> None:
    _fill(store)
    first = store.page(filter={"data.n": {"lt": 3}}, limit=1)

    other = store.page(filter={"data.n": {"lt": 2}}, limit=1, cursor=first["nextCursor"])

    assert (first["total"], other["total"]) == (3, 2)


def _streamed(store: Store, asked: dict[str, Any], start: str, count: int) -> list[int]:
    query = msgspec.convert({"filter": asked, "start": start, "markers": True}, StreamEvents)
    reader = store.run(store.feed.follow(store.workspace, query, None))
    found: list[int] = []
    while True:
        batch = store.run(anext(reader))
        found += [_seq(event) for event in batch if hasattr(event, "json")]
        if not all(hasattr(event, "json") for event in batch):
            break
    store.run(reader.aclose())
    assert len(found) == count
    return found


def _seq(event: Any) -> int:
    seq: int = json.loads(event.json)["seq"]
    return seq
