"""Every documented parameter, and every filter that names a column or a kind of metadata, is served by an index.

What counts are rows and blocks, never time: a page costs what it shows, wherever in the log it stands.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest
from msgspec import Struct

from app.cursor import Cursors
from app.store.browser import Browser
from app.store.event_reader import EventReader
from app.store.filter_sql import has_kind
from schemas.browse import BrowseEvents
from schemas.event import ListEvents
from tests.servers import cloned
from tests.store.opened import SECRET, Store, opened
from tests.store.plans import Cost, Recording, costs

EVENTS = 40_000

LIMIT = 20

FILL = """
INSERT INTO event (workspace_id, seq, id, type, kid, recorded_at, prev_hash, body_hash, hash, signature, salt, user_id,
    source, data, subject_id, producer, metadata, correlation_id, causation_id, occurred_at)
SELECT workspace, n, md5(workspace || n)::uuid, CASE WHEN rare THEN 'rare.done' ELSE 'common.type' END, 'z',
    timestamptz '2024-01-01Z' + n * interval '1 second', '', '', sha256((workspace || n)::bytea), '', '',
    CASE WHEN rare THEN 'rare' ELSE 'common' END, CASE WHEN rare THEN 'sync' ELSE 'api' END, '{"title":"Call John"}',
    CASE WHEN rare THEN 'rare' WHEN n %% 3 > 0 THEN 'common' END, CASE WHEN rare THEN 'rare' END,
    CASE WHEN NOT rare AND n %% 10 < 6 THEN '{"ai":{"agent":"common","confidence":{"score":0.' || n %% 9 || '}}}'
        WHEN rare THEN (ARRAY[
            '{"ai":{"agent":"rare"}}',
            '{"automation":{"ruleId":"r","ruleName":"n","trigger":{"type":"t"}}}',
            '{"custom":{"tags":["a"]}}',
            '{"import":{"importedAt":"2024-01-01T00:00:00Z","source":"notion"}}',
            '{"sync":{"deviceId":"d","platform":"ios","syncedAt":"2024-01-01T00:00:00Z"}}'])[n / 500 %% 5 + 1] END,
    CASE WHEN rare AND n / 500 %% 2 = 0 THEN 'rare' WHEN rare OR n %% 3 > 0 THEN 'common' END,
    CASE WHEN rare THEN 'rare' WHEN n %% 3 > 0 THEN 'common' END, timestamptz '2023-01-01Z' + n %% 97 * interval '1 day'
FROM (SELECT workspace, n, n %% 500 = 7 AND n < 30000 AS rare
    FROM generate_series(0, %(events)s - 1) AS n, unnest(%(workspaces)s::text[]) AS workspace) AS numbered
"""
"""What is rare is old as well: an index that only sorts would go through all that is newer."""

END = "UPDATE event_tip SET seq = %(events)s - 1, counted = false WHERE workspace_id = ANY(%(workspaces)s)"
"""Without counters, so that totals are counted by index too."""

SOME = "SELECT id FROM event WHERE workspace_id = 'default' AND seq % 9999 = 5"

ERASE = """
UPDATE event SET erased = true, salt = '', user_id = '', data = '{}', subject_id = NULL, producer = NULL,
    metadata = NULL, correlation_id = NULL, causation_id = NULL
WHERE workspace_id = 'default' AND id = %(id)s::uuid
"""


class Table(Struct, frozen=True, kw_only=True):
    """A store with many events, whose reads can be looked at."""

    store: Store
    database: Recording
    ids: list[str]

    def browse(self, **query: Any) -> Any:
        """A page at the browse door."""
        reader = Browser(self.database, Cursors(SECRET))
        wanted = msgspec.convert({"limit": LIMIT} | query, BrowseEvents)
        return json.loads(self.store.run(reader.page("default", wanted, None)).json)

    def page(self, **query: Any) -> Any:
        """A page of `events.page`."""
        reader = EventReader(self.database, Cursors(SECRET))
        return json.loads(
            self.store.run(reader.page("default", msgspec.convert({"limit": LIMIT} | query, ListEvents), None)).json
        )

    def held(self, shown: int) -> list[Cost]:
        """See that all that was read since, by which `shown` events were found, is served by indexes.

        Answers what the page cost: on the first run, and when it was prepared for long.
        """
        reads, self.database.reads[:] = list(self.database.reads), []
        cost: list[Cost] = []
        for read in reads:
            *both, value = self.store.run(costs(self.store.url, read))
            is_total = isinstance(value, int) and not isinstance(value, bool)
            counted = value if is_total else shown
            if counted > EVENTS // 10:
                continue  # what counts much of the table may go through it
            for one in both:
                assert not any(scan.startswith("Seq Scan") for scan in one.scans), (read, one)
                assert one.visited <= 3 * counted + LIMIT, (read, one)
                assert one.blocks <= 8 * (one.visited + 5), (read, one)
            if not is_total:
                cost += both
        return cost


@pytest.fixture(scope="module")
def filled(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """The table."""
    workspaces = ["default", "other"]
    with (
        cloned(postgres_url, template, "test_plans") as url,
        opened(url, tmp_path_factory.mktemp("plans"), workspaces=["other"]) as store,
    ):
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in (FILL, END):
                connection.execute(statement, {"events": EVENTS, "workspaces": workspaces})
            connection.execute("ANALYZE event")
            ids = [str(row[0]) for row in connection.execute(SOME)]
        database = store.run(_opened(url))
        yield Table(store=store, database=database, ids=ids)
        store.run(database.close())


async def _opened(url: str) -> Recording:
    database = Recording(url)
    await database.open()
    return database


@pytest.fixture
def table(filled: Table) -> Table:
    """The table, of which nothing has been read."""
    filled.database.reads.clear()
    return filled


EARLY, LATE = "2024-01-01T00:30:00Z", "2024-01-01T10:00:00Z"

QUERIES: dict[str, dict[str, Any]] = {
    "workspace_id alone": {},
    "type": {"type": "rare.done"},
    "common type": {"type": "common.type"},
    "types": {"type": "rare.*"},
    "subject_id": {"subjectId": "rare"},
    "common subject_id": {"subjectId": "common"},
    "parent_id": {"parentId": "rare"},
    "user_id": {"userId": "rare"},
    "created_at_after": {"createdAtAfter": LATE},
    "created_at_before": {"createdAtBefore": EARLY},
    "both times": {"createdAtAfter": EARLY, "createdAtBefore": LATE},
    "a type and times": {"type": "common.type", "createdAtBefore": EARLY},
    "orderBy type": {"orderBy": [{"type": "asc"}]},
    "orderBy createdAt": {"orderBy": [{"createdAt": "asc"}]},
    "orderBy userId": {"orderBy": [{"userId": "desc"}]},
    "orderBy source": {"orderBy": [{"source": "asc"}]},
    "orderBy id": {"orderBy": [{"id": "asc"}]},
}

FILTERS: dict[str, dict[str, Any]] = {
    "type": {"type": "rare.done"},
    "source": {"source": "sync"},
    "subject": {"subjectId": "rare"},
    "user": {"userId": "rare"},
    "correlation": {"correlationId": "rare"},
    "causation": {"causationId": "rare"},
    "parent": {"parentId": "rare"},
    "producer": {"producer": "rare"},
    "no longer": {"createdAt": {"lt": EARLY}},
    "since": {"timestamp": {"gte": LATE}},
    "between": {"createdAt": {"gte": EARLY, "lt": LATE}, "type": "common.type"},
    "seqs": {"seq": {"gte": 100, "lt": 10_000}},
    **{
        f"metadata.{kind}": {f"metadata.{kind}": {"isNull": False}}
        for kind in ("ai", "automation", "custom", "import", "sync")
    },
    "metadata.import of what is common": {"correlationId": "common", "metadata.import": {"isNull": False}},
    "agent": {"metadata.ai.agent": "rare"},
    "agent of what is common": {"correlationId": "common", "metadata.ai.agent": "rare"},
    "common agent": {"metadata.ai.agent": "common"},
    "deviceId": {"metadata.sync.deviceId": "d"},
}


@pytest.mark.parametrize(
    "query",
    [*QUERIES.values(), *({"filter": asked} for asked in FILTERS.values())],
    ids=[*QUERIES, *(f"filter {name}" for name in FILTERS)],
)
def test_what_is_asked_of_browse_is_served_by_an_index(table: Table, query: dict[str, Any]) -> None:
    first = table.browse(**query)
    table.held(len(first["data"]))

    assert first["data"]
    behind = table.browse(**query, after=first["pageInfo"]["startCursor"])
    table.held(len(behind["data"]))
    before = table.browse(**query, before=first["pageInfo"]["endCursor"])
    table.held(len(before["data"]))


def test_ids_are_served_by_an_index(table: Table) -> None:
    page = table.browse(ids=table.ids)

    assert len(page["data"]) == len(table.ids)
    table.held(len(table.ids))


LISTS: dict[str, dict[str, Any]] = {
    "everything": {},
    "type": {"type": "rare.done"},
    "common type": {"type": "common.type"},
    "source": {"source": "sync"},
    "producer": {"producer": "rare"},
    "subjectId": {"subjectId": "rare"},
    "correlationId": {"correlationId": "rare"},
    "causationId": {"causationId": "rare"},
    "userId": {"userId": "rare"},
    "hasMetadata": {"hasMetadata": True},
    "to": {"to": EARLY},
    "from": {"from": LATE},
    "from and to": {"from": EARLY, "to": LATE},
    "a type and to": {"type": "common.type", "to": EARLY},
}


@pytest.mark.parametrize(
    "query",
    [*LISTS.values(), *({"filter": asked} for asked in FILTERS.values())],
    ids=[*LISTS, *(f"filter {name}" for name in FILTERS)],
)
def test_what_is_asked_of_lists_is_served_by_an_index(table: Table, query: dict[str, Any]) -> None:
    first = table.page(**query)
    table.held(len(first["events"]))

    assert first["events"]
    if "nextCursor" in first:
        second = table.page(**query, cursor=first["nextCursor"])
        table.held(len(second["events"]))


WALKS: dict[str, dict[str, Any]] = {
    "everything": {},
    "oldest first": {"orderBy": [{"seq": "asc"}]},
    "type": {"type": "common.type"},
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
    for _ in range(1000 * LIMIT // 100 - 1):
        page = table.browse(**query, limit=100, after=page["pageInfo"]["endCursor"])
    table.database.reads.clear()

    page = table.browse(**query, after=page["pageInfo"]["endCursor"])

    assert len(page["data"]) == LIMIT
    thousandth = table.held(LIMIT)
    for early, late in zip(first, thousandth, strict=True):
        assert late.visited <= early.visited + 2
        assert late.blocks <= early.blocks + 8


def test_a_neighbour_is_looked_for_by_index_where_the_row_at_the_place_is_erased(table: Table) -> None:
    query = {"userId": "common"}
    page = table.browse(**query)
    with psycopg.connect(table.store.url, autocommit=True) as connection:
        erased = connection.execute(ERASE, {"id": page["data"][0]["id"]})
        assert erased.rowcount == 1
    table.database.reads.clear()

    page = table.browse(**query, after=page["pageInfo"]["startCursor"])

    assert (page["pageInfo"]["hasPreviousPage"], len(page["data"])) == (False, LIMIT)
    table.held(LIMIT)


@pytest.mark.parametrize(("kind", "events"), [("import", 12), ("ai", 24_000)])
def test_the_planner_knows_how_many_events_have_a_kind(table: Table, kind: str, events: int) -> None:
    """Else it takes a third of them for it, and starts workers to count a few."""
    explain = f"EXPLAIN (FORMAT JSON) SELECT FROM event WHERE workspace_id = 'default' AND {has_kind(kind)}"

    [(plan,)] = table.store.run(table.store.database.rows_alone(explain, {}))

    assert events / 4 <= plan[0]["Plan"]["Plan Rows"] <= events * 4
