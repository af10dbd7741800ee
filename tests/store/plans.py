"""What a read costs the database: the rows and blocks that its plan went through."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from psycopg import sql

from app.store.database import Database
from app.store.pipe import Call, PipedConnection, Row

RUNS = 10
"""After five runs PostgreSQL may settle for a plan that knows no parameter."""

_PARAMETER = re.compile(r"%\((\w+)\)[sb]")

EXPLAIN = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE {}{}")

NEWEST = "SELECT name FROM pg_prepared_statements ORDER BY prepare_time DESC LIMIT 1"


class Recording(Database):
    """A database that remembers what was read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.reads: list[Call] = []

    async def rows(self, query: str, parameters: Mapping[str, object]) -> list[Row]:
        """All rows of one read."""
        self.reads.append((query, parameters))
        return await super().rows(query, parameters)

    async def rows_alone(self, query: str, parameters: Mapping[str, object]) -> list[Row]:
        """The same."""
        self.reads.append((query, parameters))
        return await super().rows_alone(query, parameters)


class Cost(Struct, frozen=True):
    """What one run of a statement went through.

    `visited` are the rows that its scans met, `blocks` those that it looked into, and `scans` what scanned `event`.
    """

    visited: int
    blocks: int
    scans: list[str]


async def costs(url: str, read: Call, *, runs: int = RUNS) -> tuple[Cost, Cost, Any]:
    """What a read costs when it is first run, and when it was run `runs` times on one connection; and its first value.

    It is prepared and run as the server does; what is explained is that same prepared statement.
    """
    query, parameters = read
    values = [parameters[name] for name in dict.fromkeys(_PARAMETER.findall(query))]
    async with await PipedConnection.connect(url, autocommit=True) as connection:
        [rows] = await connection.trip([read])
        [[name]] = await (await connection.execute(NEWEST, prepare=False)).fetchall()
        arguments = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, values))) if values else sql.SQL("")
        explain = EXPLAIN.format(sql.Identifier(name), arguments)
        first = _cost(await (await connection.execute(explain, prepare=False)).fetchall())
        for _ in range(runs):
            await connection.trip([read])
        later = _cost(await (await connection.execute(explain, prepare=False)).fetchall())
    return first, later, rows[0][0]


def _cost(explained: list[Row]) -> Cost:
    plan: dict[str, Any] = explained[0][0][0]["Plan"]
    nodes = list(_nodes(plan))
    visited = 0.0
    scans = []
    for node in nodes:
        met = node["Actual Rows"] if node["Node Type"] in SCANS else 0
        lost = sum(value for name, value in node.items() if name.startswith("Rows Removed by"))
        visited += (met + lost) * node["Actual Loops"]
        if node["Node Type"] in SCANS and node["Actual Loops"]:
            scans.append(f"{node['Node Type']} {node.get('Index Name', node.get('Relation Name'))}")
    return Cost(round(visited), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], scans)


SCANS = {"Seq Scan", "Sample Scan", "Tid Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"}
"""A bitmap's rows are met in its indexes."""


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
