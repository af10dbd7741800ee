"""Events with several values are merged in the order of the log, however many events have each value."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from app.store.events import counting
from app.store.events.histogram import Histograms
from app.store.events.query import EventConditions
from app.store.install.install import connect
from app.store.install.workspaces import create_workspace
from app.store.postgres.database import SlowReadError
from app.store.postgres.walk import MAX_KINDS
from schemas.errors import Unavailable
from schemas.event import EventQuery
from schemas.histogram import CountEvents, Histogram
from tests.store.opened import Store, draft

COUNTS = {"many": MAX_KINDS + 20, "few": 7, "skewed": 3}
"""How many types have each prefix."""


@pytest.fixture(scope="module")
def filled(open_store: Store) -> tuple[Store, list[str]]:
    """A log, and the types of its events in order."""
    types = [f"{name}.type{n * n % count}" for n in range(250) for name, count in COUNTS.items()]
    types += ["skewed.type0"] * 60 + ["few.type1", "skewed.type1"]
    store = msgspec.structs.replace(open_store, workspace="walks")
    with connect(store.url) as connection:
        create_workspace(connection, store.workspace)
    store.append(*(draft(type_, user_id=f"u{n % 4}") for n, type_ in enumerate(types)))
    return store, types


ASKED: dict[str, tuple[dict[str, Any], Any]] = {
    "a few types": ({"type": "few.*"}, lambda type_, _: type_.startswith("few.")),
    "types of which one is most of the newest": ({"type": "skewed.*"}, lambda type_, _: type_.startswith("skewed.")),
    "too many types": ({"type": "many.*"}, lambda type_, _: type_.startswith("many.")),
    "types by their end": ({"type": "*.type1"}, lambda type_, _: type_.endswith(".type1")),
    "types and no metadata": ({"type": "few.*", "hasMetadata": False}, lambda type_, _: type_.startswith("few.")),
    "named types": (
        {"filter": {"type": {"in": ["few.type1", "skewed.type1", "few.type1", "no.such"]}}},
        lambda type_, _: type_ in {"few.type1", "skewed.type1"},
    ),
    "users": ({"filter": {"userId": {"in": ["u1", "u3"]}}}, lambda _, user: user in {"u1", "u3"}),
    "no types": ({"type": "none.*"}, lambda _, __: False),
}


@pytest.mark.parametrize(("query", "matches"), ASKED.values(), ids=list(ASKED))
@pytest.mark.parametrize("limit", [1, 7, 500])
def test_several_values_are_read_in_the_order_of_the_log(
    filled: tuple[Store, list[str]], query: dict[str, Any], matches: Any, limit: int
) -> None:
    store, types = filled
    expected = [n for n, type_ in enumerate(types) if matches(type_, f"u{n % 4}")][::-1]

    pages = [page for page, _ in zip(store.walk(**query, limit=limit), range(12), strict=False)]

    found = [event["seq"] for page in pages for event in page["events"]]
    assert found == expected[: len(found)]
    assert len(found) == min(len(expected), 12 * limit)
    assert {page["total"] for page in pages} == {len(expected)}
    assert [event["seq"] for event in store.list(**query, offset=5, limit=limit)] == expected[5 : 5 + limit]
    assert _oldest_first(store, query, limit) == expected[::-1][:limit]


@pytest.mark.parametrize(
    "asked",
    [{"metadata.ai.agent": "planner"}, {"metadata.ai": {"isNull": False}}, {"metadata.sync": {"isNull": False}}],
    ids=["an agent", "a kind", "another kind"],
)
def test_a_count_evaluates_what_its_index_has_for_no_event(open_store: Store, asked: dict[str, Any]) -> None:
    matching = EventConditions(msgspec.convert({"filter": asked}, EventQuery), open_store.workspace, None)

    with connect(open_store.url) as connection:
        explain = f"EXPLAIN (VERBOSE, FORMAT JSON) {matching.statement(matching.count_sql)}"
        [([tree],)] = connection.execute(explain, matching.parameters).fetchall()

    [scan] = [node for node in _nodes(tree["Plan"]) if node.get("Alias") == "event"]
    assert not any("strpos" in output for output in scan["Output"])


PART = 40
"""The size of the first part. The others are larger, because each takes little time."""

COUNTED: dict[str, dict[str, Any]] = {name: query for name, (query, _) in ASKED.items()} | {
    "one user": {"userId": "u2"},
    "a free filter": {"filter": {"data.title": {"isNull": True}}},
    "everything but a type": {"filter": {"NOT": {"type": "few.type1"}}},
}


@pytest.mark.parametrize("query", COUNTED.values(), ids=list(COUNTED))
def test_a_log_is_counted_in_parts(
    filled: tuple[Store, list[str]], query: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, types = filled
    whole, _ = _counts(store, query)

    monkeypatch.setattr(counting, "FIRST_PART", PART)
    assert len(types) > 7 * PART  # so there are more than three parts
    in_parts, histogram = _counts(store, query)

    assert in_parts == whole
    assert histogram.total == whole
    assert _counts(store, query | {"by": "type"})[1].total == whole


def test_a_part_that_takes_long_is_followed_by_a_smaller_one(
    filled: tuple[Store, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = filled
    whole, _ = _counts(store, query := {"userId": "u2"})
    for name, value in (("FIRST_PART", PART), ("SMALLEST_PART", PART // 4), ("FAST_SECONDS", 0), ("SLOW_SECONDS", 0)):
        monkeypatch.setattr(counting, name, value)

    assert _counts(store, query)[0] == whole
    monkeypatch.setattr(counting, "MAX_SECONDS", -1)
    with pytest.raises(SlowReadError):
        _counts(store, query)


def test_a_count_ends_when_the_server_stops(filled: tuple[Store, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = filled
    monkeypatch.setattr(counting, "FIRST_PART", PART)
    monkeypatch.setattr(store.database, "is_stopping", True)

    with pytest.raises(Unavailable, match="send the call again"):
        _counts(store, {"userId": "u2"})


def _counts(store: Store, query: dict[str, Any]) -> tuple[int, Histogram]:
    """The total and the histogram of a query."""
    asked = {name: value for name, value in query.items() if name != "by"}
    matching = EventConditions(msgspec.convert(asked, EventQuery), store.workspace, None)
    total = store.run(counting.counted(store.database, matching))
    return total, store.run(
        Histograms(store.database).count(store.workspace, msgspec.convert(query, CountEvents), None)
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", []):
        yield from _nodes(each)


def _oldest_first(store: Store, query: dict[str, Any], limit: int) -> list[int]:
    ledger = store.ledger()
    wanted = msgspec.convert(query, EventQuery)
    shown = json.loads(store.run(ledger.entries(store.workspace, wanted, limit, None)).json)
    return [event["seq"] for event in shown["events"]]
