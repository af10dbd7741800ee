"""How much room tables and indexes take, and how fast the logs grow."""

from collections.abc import Sequence

import psycopg
from msgspec import Struct

from app.filters.sql import place_of
from app.store.events.linker import LIST_LOGS
from app.store.postgres.pipe import Row

LIST_SIZES = """
SELECT coalesce(of.relname, c.relname), CASE WHEN of.oid IS NULL THEN '' ELSE c.relname END,
    CASE WHEN of.oid IS NULL THEN pg_table_size(c.oid) ELSE pg_relation_size(c.oid) END
FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid LEFT JOIN pg_class AS of ON of.oid = i.indrelid
WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'event'::regclass) AND c.relkind IN ('r', 'i')
ORDER BY 3 DESC, 1, 2
"""
"""The bytes of each table with its large values, and of each index; the largest comes first."""

COUNT_GROWTH = f"""
SELECT seq + 1, seq + 1 - {place_of("now() - interval '1 day'")} FROM event_tip WHERE workspace_id = %(workspace)s
"""
"""How many events a log has, and how many of them are from the last 24 hours. Times increase with seq, so a binary
search finds the first of these."""


class RelationSize(Struct, frozen=True):
    """The bytes of a table, or of one of its indexes."""

    table: str
    index: str
    """Empty for the table itself."""
    bytes: int


class Growth(Struct, frozen=True):
    """The events of all logs, and those of the last 24 hours."""

    events: int
    last_day: int


def to_sizes(rows: Sequence[Row]) -> list[RelationSize]:
    """The rows of `LIST_SIZES`."""
    return [RelationSize(*row) for row in rows]


def relation_sizes(connection: psycopg.Connection) -> list[RelationSize]:
    """The size of every table and index of the schema; the largest comes first."""
    return to_sizes(connection.execute(LIST_SIZES).fetchall())


def growth(connection: psycopg.Connection) -> Growth:
    """How many events there are, and how many of the last 24 hours."""
    logs = [log for (log,) in connection.execute(LIST_LOGS)]
    counted = [connection.execute(COUNT_GROWTH, {"workspace": log}).fetchone() or (0, 0) for log in logs]
    return Growth(sum(events for events, _ in counted), sum(last_day for _, last_day in counted))
