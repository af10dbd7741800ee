"""Events with several values are merged in the order of the log, however many events have each value."""

import json
from typing import Any

import msgspec
import pytest

from app.store.install.install import connect
from app.store.install.workspaces import create_workspace
from app.store.postgres.walk import MAX_KINDS
from schemas.event import EventQuery
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


def _oldest_first(store: Store, query: dict[str, Any], limit: int) -> list[int]:
    ledger = store.ledger()
    wanted = msgspec.convert(query, EventQuery)
    shown = json.loads(store.run(ledger.entries(store.workspace, wanted, limit, None)).json)
    return [event["seq"] for event in shown["events"]]
