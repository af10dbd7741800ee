"""The event types of a log, with the number of their events and the time of the newest.

As long as the log counts its types (`linker.py`), the counters have the numbers. Otherwise an index finds one type
after the other, and the events of each are counted up to a limit. No index contains the types of one user's events, so
the user's newest events are looked through, up to a limit.
"""

from collections.abc import Sequence

from msgspec import Struct

from app.ledger.chain import instant
from app.store.postgres.database import Database
from app.store.postgres.pipe import Row
from app.store.postgres.walk import IN_WORKSPACE, Entry, Walk
from schemas.event_types import CountedType, TypePage

MAX_COUNTED_EVENTS = 1_000
"""How many events of a type are counted one by one."""

MAX_WALKED_EVENTS = 10_000
"""How many events of one user are looked through for their types."""

BEYOND = "~"
"""Comes after every character that a type may have."""

_IN_RANGE = "type > %(after)s AND type >= %(prefix)s AND type < %(beyond)s"
"""True of the requested types."""


def _events_of(type_: str) -> Walk:
    """The events of a type."""
    return Walk(entry=Entry(column="type", value=type_))


def _next_type(place: str) -> str:
    """The first requested type of the log at a place."""
    return f"SELECT type FROM event WHERE {IN_WORKSPACE} AND {place} AND type < %(beyond)s ORDER BY type, seq LIMIT 1"


LIST_COUNTED_TYPES = f"""
SELECT counted, listed.type, listed.events, newest.recorded_at
FROM event_tip LEFT JOIN LATERAL (
    SELECT type, sum(events)::bigint AS events FROM event_count
    WHERE {IN_WORKSPACE} AND {_IN_RANGE} AND event_tip.counted GROUP BY type ORDER BY type LIMIT %(limit)s::int
) AS listed ON true LEFT JOIN LATERAL (
    {_events_of("listed.type").rows(descending=True, limit=1)}
) AS newest ON true
WHERE event_tip.{IN_WORKSPACE} ORDER BY listed.type
"""
"""The types of a log with their counters. If the log does not count its types, one row says so."""

LIST_OTHER_TYPES = f"""
WITH RECURSIVE kind AS (
    SELECT type, 1 AS number FROM ({_next_type("type > %(after)s AND type >= %(prefix)s")}) AS first
    UNION ALL
    SELECT next.type, number + 1
    FROM kind CROSS JOIN LATERAL ({_next_type("type > kind.type")}) AS next WHERE number < %(limit)s::int
)
SELECT kind.type, counted.events, newest.recorded_at
FROM kind CROSS JOIN LATERAL (
    SELECT count(*) AS events
    FROM ({_events_of("kind.type").all("", descending=True)} LIMIT {MAX_COUNTED_EVENTS}) AS met
) AS counted CROSS JOIN LATERAL (
    {_events_of("kind.type").rows(descending=True, limit=1)}
) AS newest
ORDER BY number
"""
"""The types of a log that does not count them, each with the number of its events up to a limit."""

LIST_TYPES_OF_USER = f"""
WITH walked AS MATERIALIZED (
    SELECT type, recorded_at FROM (
        {Walk(entry=Entry(column="user_id", value="%(user)s")).rows(descending=True, limit=MAX_WALKED_EVENTS)}
    ) AS event
)
SELECT looked_through, listed.* FROM (SELECT count(*) AS looked_through FROM walked) AS counted LEFT JOIN LATERAL (
    SELECT type, count(*), max(recorded_at) FROM walked WHERE {_IN_RANGE}
    GROUP BY type ORDER BY type LIMIT %(limit)s::int
) AS listed ON true ORDER BY type
"""
"""The types of a user's newest events, with the number of events of each, and how many events were looked through. If
there are no such types, one row has that last number."""


class _Found(Struct, frozen=True):
    """The types that were found, and whether the counts are complete because no limit was reached."""

    rows: list[Row]
    is_exact: bool


class TypeCounts:
    """Lists the types of logs. For any number of tasks at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, workspace: str, prefix: str, after: str, limit: int, only_user: str | None) -> TypePage:
        """The first types that begin with `prefix` and come after `after`; with `only_user`, of that user's events.

        Raises Unavailable, RateLimited.
        """
        asked = {
            "workspace": workspace,
            "prefix": prefix,
            "beyond": prefix + BEYOND,
            "after": after,
            "limit": limit + 1,
        }
        found = await (self._of_log(asked) if only_user is None else self._of_user(asked | {"user": only_user}))
        types = [CountedType(type=type_, count=events, last_at=instant(at)) for type_, events, at in found.rows]
        return TypePage(types=types[:limit], exact=found.is_exact, has_more=len(types) > limit)

    async def _of_log(self, asked: dict[str, object]) -> _Found:
        counted = await self._database.rows(LIST_COUNTED_TYPES, asked)
        if all(is_counted for is_counted, *_ in counted):
            return _Found(_listed(counted), is_exact=True)
        rows = await self._database.search(LIST_OTHER_TYPES, asked, is_planned=False)
        return _Found(rows, is_exact=all(events < MAX_COUNTED_EVENTS for _, events, _ in rows))

    async def _of_user(self, asked: dict[str, object]) -> _Found:
        rows = await self._database.search(LIST_TYPES_OF_USER, asked, is_planned=False)
        return _Found(_listed(rows), is_exact=all(walked < MAX_WALKED_EVENTS for walked, *_ in rows))


def _listed(rows: Sequence[Row]) -> list[Row]:
    """The rows that have a type, without their first column."""
    return [row[1:] for row in rows if row[1] is not None]
