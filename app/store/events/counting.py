"""Counts of the events that match a filter, if no counter knows their number.

A count looks at every match, or even at every event, so in a large log it would take longer than a statement may. It is
made of statements that each count a part of the log. What a statement has counted only an erasure can change, so the
sum is as exact as a single statement's.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable

from app.store.events.follower import GET_LAST_SEQ
from app.store.events.query import EventConditions
from app.store.postgres.database import Database, SlowReadError
from app.store.postgres.pipe import Row
from schemas.errors import Unavailable

FIRST_PART = 500_000
"""How many events the first statement looks at, at most. The parts become larger while they take less than
`FAST_SECONDS`, and smaller while they take more than `SLOW_SECONDS`."""

SMALLEST_PART = 100_000

FAST_SECONDS, SLOW_SECONDS = 0.5, 2.0

MAX_SECONDS = 20.0
"""After this time no further part is begun. With its last part a call ends within 30 seconds, when clients give up."""

Read = Callable[[int, int], Awaitable[list[Row]]]
"""Reads the part of a log from one seq to another, both included."""


async def total_of(database: Database, matching: EventConditions) -> int:
    """How many events match. Raises what `counted` raises."""
    total = None
    if (known_sql := matching.known_total_sql) is not None:
        [(total,)] = await database.rows(matching.statement(known_sql), matching.parameters)
    return await counted(database, matching) if total is None else int(total)


async def counted(database: Database, matching: EventConditions) -> int:
    """How many events match, by counting them. Raises Unavailable (SlowReadError), RateLimited."""
    tips = await database.rows(GET_LAST_SEQ, matching.parameters)
    end = tips[0][0] + 1 if tips else 0
    if end <= FIRST_PART or matching.names_ids:
        sql = matching.statement(matching.count_sql)
        [(total,)] = await database.search(sql, matching.parameters, is_planned=matching.is_planned)
        return int(total)
    seqs = matching.seqs(None, low="%(low)s::bigint", high="%(high)s::bigint")
    sql = matching.statement(f"SELECT count(*) FROM ({seqs}) AS counted")

    async def read(low: int, high: int) -> list[Row]:
        parameters = matching.parameters | {"low": low, "high": high}
        return await database.search(sql, parameters, is_planned=matching.is_planned)

    return sum([int(rows[0][0]) async for rows in in_parts(database, read, 0, end)])


async def in_parts(database: Database, read: Read, first: int, end: int) -> AsyncIterator[list[Row]]:
    """Read the events from the seq `first` on and before `end`, part by part, the newest part first.

    There is one part at least. Raises what `read` raises, SlowReadError after `MAX_SECONDS`, and Unavailable if the
    server stops.
    """
    began, size = time.monotonic(), FIRST_PART
    while True:
        start, low = time.monotonic(), max(end - size, first)
        yield await read(low, end - 1)
        if low == first:
            return
        ended = time.monotonic()
        if ended - began > MAX_SECONDS:
            raise SlowReadError
        if database.is_stopping:
            raise Unavailable("The server stops; send the call again", retry_after_seconds=1)
        if ended - start < FAST_SECONDS:
            size *= 2
        elif ended - start > SLOW_SECONDS:
            size = max(size // 2, SMALLEST_PART)
        end = low
