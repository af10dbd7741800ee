"""Traces compared with a naive reading of the same events, and their cost in the database."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from app.store.audit.log import Act
from app.store.events.erasure import ErasureRequest
from app.store.events.trace import CausalTree
from app.store.install.install import connect
from app.store.install.workspaces import create_workspace
from schemas.event import SynapEvent
from tests.kit.examples import examples
from tests.kit.servers import cloned
from tests.store.opened import Store, draft, opened
from tests.store.plans import Recording

LISTS = ("ancestors", "descendants", "correlated")


def uuid(number: int) -> str:
    """The id of event `number` of a test."""
    return f"00000000-0000-4000-8000-{number:012x}"


class Tree(Struct, frozen=True):
    """A log whose events are numbered, and its causal tree."""

    store: Store

    def log(self, *events: tuple[int, int | str | None], **members: Any) -> list[SynapEvent]:
        """Append events, each given by its number and its cause, which is a number or any text."""
        drafts = [
            draft(id=uuid(number), causation_id=uuid(cause) if isinstance(cause, int) else cause, **members)
            for number, cause in events
        ]
        return self.store.append(*drafts)

    def trace(
        self,
        reference: int | bytes,
        *,
        workspace: str | None = None,
        only_user: str | None = None,
        limit: int = 200,
        depth: int = 64,
    ) -> Any:
        """Read a trace, as a caller does; None if there is no such event."""
        named = UUID(uuid(reference)) if isinstance(reference, int) else reference
        found = self.store.run(
            CausalTree(self.store.database).trace(
                workspace or self.store.workspace, named, only_user, limit=limit, depth=depth
            )
        )
        return None if found is None else json.loads(found.json)

    def numbers(self, reference: int, **options: Any) -> tuple[list[int], list[int], list[int]]:
        """The numbers of the ancestors, descendants and correlated events."""
        trace = self.trace(reference, **options)
        ancestors, descendants, correlated = ([int(each["id"][-12:], 16) for each in trace[name]] for name in LISTS)
        return ancestors, descendants, correlated


@pytest.fixture
def tree(store: Store) -> Tree:
    """An empty log."""
    return Tree(store)


def test_a_trace_leads_to_causes_and_effects(tree: Tree) -> None:
    tree.log((1, None), (2, 1), (3, 2), (4, 3), (5, 3), (6, 4), (7, 1), (8, None))

    trace = tree.trace(3)

    assert tree.numbers(3) == ([2, 1], [4, 5, 6], [])
    assert trace["event"]["id"] == uuid(3)
    assert [trace["event"]["depth"], *(each["depth"] for name in LISTS for each in trace[name])] == [0, -1, -2, 1, 1, 2]
    assert "truncated" not in trace


def test_a_node_says_who_what_and_how_sure(tree: Tree) -> None:
    [first] = tree.log((1, "run-gh-001"), metadata={"ai": {"agent": 'a"\u2028', "confidence": {"score": 1e-7}}})
    [second] = tree.log(
        (2, 1),
        subject_id="s",
        correlation_id="c",
        metadata={"ai": {"agent": "b", "confidence": {"score": 1}}, "custom": {"\0": "\0\\u0000"}},
    )
    tree.log((3, 2), metadata={"custom": {"ai": {"agent": "nobody"}}})

    trace = tree.trace(2)

    assert trace["event"] == {
        "id": uuid(2),
        "seq": 1,
        "type": "note.created",
        "timestamp": second.timestamp,
        "userId": "u1",
        "subjectId": "s",
        "causationId": uuid(1),
        "correlationId": "c",
        "agent": "b",
        "confidence": 1,
        "depth": 0,
    }
    assert trace["ancestors"] == [
        {
            "id": uuid(1),
            "seq": 0,
            "type": "note.created",
            "timestamp": first.timestamp,
            "userId": "u1",
            "causationId": "run-gh-001",
            "agent": 'a"\u2028',
            "confidence": 1e-7,
            "depth": -1,
        }
    ]
    assert {"agent", "confidence"}.isdisjoint(trace["descendants"][0])


def test_an_event_is_found_by_its_hash_too(tree: Tree) -> None:
    events = tree.log((1, None), (2, 1))

    assert tree.trace(bytes.fromhex(events[1].hash.removeprefix("sha256:"))) == tree.trace(2)
    assert tree.trace(bytes(32)) is None
    assert tree.trace(9) is None


@pytest.mark.parametrize(
    ("events", "asked", "expected"),
    [
        ([(1, 1)], 1, ([], [])),
        ([(1, 2), (2, 1)], 1, ([2], [])),
        ([(1, 2), (2, 3), (3, 1)], 1, ([2, 3], [])),
        ([(1, 2), (2, 3), (3, 2)], 1, ([2, 3], [])),
        ([(1, 2), (2, 3), (3, 2)], 3, ([2], [1])),
        ([(1, 2), (2, 1), (3, 2), (4, 3)], 1, ([2], [3, 4])),
        ([(2, 1), (1, None)], 1, ([], [2])),
        ([(1, 1), (2, 1)], 2, ([1], [])),
    ],
    ids=[
        "itself",
        "each other",
        "three in a circle",
        "a circle of causes",
        "inside the circle of causes",
        "what hangs on a circle",
        "a cause logged later",
        "a cause of itself",
    ],
)
def test_a_cycle_ends_and_shows_each_event_once(
    tree: Tree, events: list[tuple[int, int]], asked: int, expected: tuple[list[int], list[int]]
) -> None:
    tree.log(*events)

    assert tree.numbers(asked)[:2] == expected


@pytest.mark.parametrize(
    "cause",
    [
        "run-gh-001",
        "x",
        uuid(0xAB).upper(),
        uuid(0xAB).replace("-", ""),
        f"{{{uuid(0xAB)}}}",
        f" {uuid(0xAB)}",
        "\U0001f600",
    ],
)
def test_a_text_that_is_no_uuid_in_lower_case_names_no_event(tree: Tree, cause: str) -> None:
    tree.log((0xAB, None), (2, cause))

    assert tree.numbers(2) == ([], [], [])
    assert tree.numbers(0xAB) == ([], [], [])
    assert tree.store.list(filter={"parent": {"some": {}}}) == []


def test_a_filters_parents_and_children_are_those_of_the_trace(tree: Tree) -> None:
    tree.log((0xAB, None), (2, 0xAB), (3, 0xAB), (4, uuid(0xAB).upper()), (5, "x"))

    assert [each["id"] for each in tree.store.list(filter={"parent": {"some": {"id": uuid(0xAB)}}})] == [
        uuid(3),
        uuid(2),
    ]
    assert tree.numbers(0xAB)[1] == [2, 3]


def test_no_cause_or_effect_or_correlation_is_followed_into_another_workspace(tree: Tree) -> None:
    tree.log((1, None), (2, 1), (3, 2), correlation_id="c")
    tree.store.append(
        draft(id=uuid(2), causation_id=uuid(1), correlation_id="c"),
        draft(id=uuid(4), causation_id=uuid(2), correlation_id="c"),
        draft(id=uuid(5), causation_id=uuid(3), correlation_id="c"),
        workspace=tree.store.other,
    )

    assert tree.numbers(2) == ([1], [3], [])
    assert tree.numbers(2, workspace=tree.store.other) == ([], [4], [5])
    assert tree.trace(4) is None


def test_what_is_correlated_comes_oldest_first_and_not_twice(tree: Tree) -> None:
    tree.log((7, None), (1, None), (2, 1), (3, 2), (9, None), correlation_id="c")
    tree.log((4, 3), (5, None))

    assert tree.numbers(2) == ([1], [3, 4], [7, 9])
    assert "depth" not in tree.trace(2)["correlated"][0]
    assert tree.numbers(5) == ([], [], [])


def test_a_key_that_reads_its_own_traces_no_others(tree: Tree) -> None:
    mine = {"user_id": "ann", "correlation_id": "c"}
    theirs = {"user_id": "bob", "correlation_id": "c"}
    tree.log((1, None), **mine)
    tree.log((2, 1), **theirs)
    tree.log((3, 2), (4, 3), **mine)
    tree.log((5, 4), **theirs)
    tree.log((6, 5), (7, 4), **mine)

    alone = tree.trace(4, only_user="ann")

    assert tree.numbers(4, only_user="ann") == ([3], [7], [1, 6])
    assert tree.numbers(4) == ([3, 2, 1], [5, 7, 6], [])
    assert "truncated" not in alone
    assert "truncated" not in tree.trace(4, only_user="ann", depth=1, limit=4)
    assert "bob" not in json.dumps(alone)
    assert tree.trace(5, only_user="ann") is None


def test_an_erased_event_keeps_its_effects_and_no_more(tree: Tree) -> None:
    tree.log((1, None), (2, 1), (3, 2), correlation_id="c", metadata={"ai": {"agent": "a"}})
    erasure = tree.store.erasure()
    tree.store.run(erasure.erase(tree.store.workspace, ErasureRequest("ids", ids=[UUID(uuid(2))]), _no_act))

    trace = tree.trace(2)

    assert tree.numbers(2) == ([], [3], [])
    assert trace["event"].keys() == {"id", "seq", "type", "timestamp", "userId", "erased", "depth"}
    assert (trace["event"]["erased"], trace["event"]["userId"]) == (True, "")
    assert tree.numbers(3) == ([2], [], [1])
    assert tree.trace(3)["ancestors"][0]["erased"] is True
    assert tree.trace(2, only_user="u1") is None
    assert tree.numbers(3, only_user="u1") == ([], [], [1])


def test_the_depth_bounds_both_ways(tree: Tree) -> None:
    tree.log(*((number, number - 1) for number in range(1, 12)))

    trace = tree.trace(6, depth=2)

    assert tree.numbers(6, depth=2) == ([5, 4], [7, 8], [])
    assert trace["truncated"] == {"ancestors": "depth", "descendants": "depth"}
    assert tree.trace(6, depth=4)["truncated"] == {"ancestors": "depth", "descendants": "depth"}
    assert "truncated" not in tree.trace(6, depth=5)


def test_the_limit_serves_causes_then_effects_then_the_others(tree: Tree) -> None:
    tree.log((1, None), (2, 1), (3, 2), (4, 3), (5, 3), (6, 4), (7, None), (8, None), correlation_id="c")

    for limit, expected, ends in [
        (1, ([2], [], [1]), {"ancestors": "limit", "descendants": "limit", "correlated": "limit"}),
        (2, ([2, 1], [], []), {"descendants": "limit", "correlated": "limit"}),
        (3, ([2, 1], [4], []), {"descendants": "limit", "correlated": "limit"}),
        (5, ([2, 1], [4, 5, 6], []), {"correlated": "limit"}),
        (6, ([2, 1], [4, 5, 6], [7]), {"correlated": "limit"}),
        (7, ([2, 1], [4, 5, 6], [7, 8]), None),
    ]:
        ancestors, descendants, correlated = expected
        assert tree.numbers(3, limit=limit) == (
            ancestors,
            descendants,
            correlated[: limit - len(ancestors) - len(descendants)],
        ), limit
        assert tree.trace(3, limit=limit).get("truncated") == ends, limit


USERS = ["u1", "u2"]


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, int | None, str | None, str]]:
    """Events in the order of the log: number, cause, correlation, user."""
    numbers = draw(st.permutations(range(draw(st.integers(1, 14)))))
    causes = st.one_of(st.none(), st.integers(0, 15), st.integers(0, 3))
    return [
        (number, draw(causes), draw(st.sampled_from([None, None, "c", "d"])), draw(st.sampled_from(USERS)))
        for number in numbers
    ]


def naive(
    events: list[tuple[int, int | None, str | None, str]], asked: int, *, limit: int, depth: int
) -> tuple[list[list[int]], dict[str, str]]:
    """The three lists and what cut them, computed from all events."""
    cause_of = {number: cause for number, cause, _, _ in events}
    ends: dict[str, str] = {}

    causes: list[int] = []
    cause = cause_of[asked]
    while cause in cause_of and cause not in {asked, *causes}:
        causes.append(cause)
        cause = cause_of[cause]
    ancestors = causes[: min(limit, depth)]
    if len(causes) > len(ancestors):
        ends["ancestors"] = "limit" if limit < depth else "depth"

    level, levels, seen = [asked], [], {asked}
    while level:
        level = [number for parent in level for number in cause_of if cause_of[number] == parent and number not in seen]
        seen |= set(level)
        levels.append([number for number in level if number not in ancestors])
    within = [number for level in levels[:depth] for number in level]
    room = limit - len(ancestors)
    descendants = within[:room]
    if len(within) > room:
        ends["descendants"] = "limit"
    elif any(levels[depth:]):
        ends["descendants"] = "depth"

    correlation_of = {number: correlation for number, _, correlation, _ in events}
    others = [
        number
        for number, _, correlation, _ in events
        if correlation is not None
        and correlation == correlation_of[asked]
        and number not in {asked, *ancestors, *descendants}
    ]
    correlated = others[: room - len(descendants)]
    if len(others) > len(correlated):
        ends["correlated"] = "limit"
    return [ancestors, descendants, correlated], ends


@settings(
    max_examples=examples(80),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=graphs(), data=st.data())
def test_a_trace_is_what_a_plain_reading_finds(
    open_store: Store,
    counter: Iterator[int],
    events: list[tuple[int, int | None, str | None, str]],
    data: st.DataObject,
) -> None:
    workspace = f"graph{next(counter)}"
    with connect(open_store.url) as connection:
        create_workspace(connection, workspace)
    open_store.append(
        *[
            draft(
                id=uuid(number),
                causation_id=None if cause is None else uuid(cause),
                correlation_id=correlation,
                user_id=user,
            )
            for number, cause, correlation, user in events
        ],
        workspace=workspace,
    )

    for number, _, _, user in events:
        for only_user in (None, user):
            limit, depth = data.draw(st.integers(1, 16)), data.draw(st.integers(1, 16))
            visible = [event for event in events if only_user in {None, event[3]}]
            options: dict[str, Any] = {"workspace": workspace, "only_user": only_user, "limit": limit, "depth": depth}

            trace = Tree(open_store).trace(number, **options)

            lists, ends = naive(visible, number, limit=limit, depth=depth)
            assert [list(each) for each in Tree(open_store).numbers(number, **options)] == lists
            assert trace.get("truncated", {}) == ends


@pytest.fixture(scope="module")
def counter() -> Iterator[int]:
    """A counter for the names of workspaces."""
    return iter(range(10**6))


FILL = """
INSERT INTO event (workspace_id, seq, id, type, kid, recorded_at, prev_hash, body_hash, hash, signature, salt, user_id,
    source, data, metadata, correlation_id, causation_id)
SELECT 'default', n, uuid(n)::uuid, 'note.created', 'z', timestamptz '2024-01-01Z' + n * interval '1 second', '', '',
    sha256(n::text::bytea), '', '', 'u' || n % 2, 'api', '{}', '{"ai":{"agent":"a","confidence":{"score":0.5}}}',
    CASE WHEN n >= 10000 THEN 'run' END, CASE WHEN n BETWEEN 1 AND 9999 THEN uuid(n - 1)
        WHEN n BETWEEN 10001 AND 25000 THEN uuid(10000) WHEN n > 25000 THEN 'run-' || n END
FROM generate_series(0, 39999) AS n
"""
"""Fills a log with a chain of 10,000 events, a hub with 15,000 effects, and 15,000 more with the hub's correlation."""

NAME = """
CREATE FUNCTION uuid(n int) RETURNS text LANGUAGE sql
RETURN '00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0')
"""

HUB = 10_000


@pytest.fixture(scope="module")
def large(
    postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Tree, Recording]]:
    """A large log, and the database that records its reads."""
    with (
        cloned(postgres_url, template, "test_trace") as url,
        opened(url, tmp_path_factory.mktemp("trace"), connected=Recording) as store,
    ):
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in (NAME, FILL, "ANALYZE event"):
                connection.execute(statement)
        assert isinstance(store.database, Recording)
        yield Tree(store), store.database


@pytest.mark.parametrize(
    ("asked", "options", "found"),
    [
        (5000, {}, (64, 64, 0)),
        (9999, {"limit": 1000, "depth": 1000}, (1000, 0, 0)),
        (0, {"limit": 1000, "depth": 1000}, (0, 1000, 0)),
        (HUB, {}, (0, 200, 0)),
        (HUB, {"limit": 1000, "depth": 1}, (0, 1000, 0)),
        (HUB + 1, {}, (1, 0, 199)),
        (39_999, {"limit": 1000}, (0, 0, 1000)),
        (39_999, {"limit": 1}, (0, 0, 1)),
    ],
    ids=str,
)
def test_a_trace_costs_what_it_shows(
    large: tuple[Tree, Recording], asked: int, options: dict[str, int], found: tuple[int, int, int]
) -> None:
    tree, database = large
    database.seen.clear()

    lists = tree.numbers(asked, **options)

    assert tuple(map(len, lists)) == found
    [read] = database.seen
    cost = read.cost
    assert {scan.removeprefix("Index Only Scan ").removeprefix("Index Scan ") for scan in cost.scans} <= INDEXES, cost
    # Each shown event is read as a step and for its data, and one more event in each direction.
    assert cost.visited <= 3 * (sum(found) + 6), cost
    assert cost.blocks <= 12 * (sum(found) + 6), cost


INDEXES = {
    "event_pkey",
    "event_workspace_id_id_ix",
    "event_workspace_id_hash_ix",
    "event_workspace_id_causation_id_seq_ix",
    "event_workspace_id_correlation_id_seq_ix",
}


def _no_act(_events: int, _seq: int) -> Act:
    return Act.of("events.erased", "k", {}, ["default"])
