"""How much room tables and indexes take, and how fast the logs grow."""

from collections.abc import Sequence

import psycopg
from msgspec import Struct

from app.filters.sql import place_of
from app.store.install.parts import is_distributed
from app.store.postgres.nodes import WHOLE, Part, spanning
from app.store.postgres.pipe import Row

LIST_SIZES = """
SELECT coalesce(of.relname, c.relname), CASE WHEN of.oid IS NULL THEN '' ELSE c.relname END,
    CASE WHEN of.oid IS NULL THEN pg_table_size(c.oid) ELSE pg_relation_size(c.oid) END
FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid LEFT JOIN pg_class AS of ON of.oid = i.indrelid
WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'event'::regclass) AND c.relkind IN ('r', 'i')
ORDER BY 3 DESC, 1, 2
"""
"""The bytes of each table with its large values, and of each index; the largest comes first."""

LIST_SIZES_OF_NODES = f"""
SELECT regexp_replace(size ->> 0, '_[0-9]+$', ''), regexp_replace(size ->> 1, '_[0-9]+$', ''),
    sum((size ->> 2)::bigint)::bigint
FROM run_command_on_all_nodes($$
    SELECT json_agg(json_build_array(table_name, index_name, bytes))
    FROM ({LIST_SIZES}) AS listed (table_name, index_name, bytes)
$$), json_array_elements(result::json) AS size
WHERE success GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
"""
"""The same of a distributed database: the bytes on all nodes that answer. A part of a table has the table's name and a
number."""

GET_DATABASE_BYTES = "SELECT pg_database_size(current_database())"
"""The bytes of the database."""

GET_BYTES_OF_NODES = f"""
SELECT sum(result::bigint)::bigint FROM run_command_on_all_nodes('{GET_DATABASE_BYTES}') WHERE success
"""
"""The bytes of a distributed database, on all nodes that answer."""

MEASURES = {False: (GET_DATABASE_BYTES, LIST_SIZES), True: (GET_BYTES_OF_NODES, LIST_SIZES_OF_NODES)}
"""The statements about the size of the whole and of its tables, by whether the database is distributed."""

LIST_MEASURED_LOGS = spanning("SELECT workspace_id FROM event_tip WHERE {part} ORDER BY workspace_id")
"""All logs of a part."""

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
    """The size of every table and index of the schema, on all nodes that answer; the largest comes first."""
    _, list_sizes = MEASURES[is_distributed(connection)]
    return to_sizes(connection.execute(list_sizes).fetchall())


def growth(connection: psycopg.Connection, part: Part = WHOLE) -> Growth:
    """How many events there are in a part, and how many of the last 24 hours."""
    logs = [log for (log,) in connection.execute(*part.call(LIST_MEASURED_LOGS))]
    counted = [connection.execute(COUNT_GROWTH, {"workspace": log}).fetchone() or (0, 0) for log in logs]
    return Growth(sum(events for events, _ in counted), sum(last_day for _, last_day in counted))
