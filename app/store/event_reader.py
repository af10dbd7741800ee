"""The log's read side. Nothing here holds a copy of an event; lookups that arrive together share a query."""

import asyncio
from uuid import UUID

from app.cursor import Cursor, Cursors
from app.store.database import Database
from app.store.query import Filter
from app.store.rows import COLUMNS, to_event
from schemas.errors import PayloadTooLarge
from schemas.event import DEFAULT_LIMIT, EventPage, ListEvents, SynapEvent

MAX_PAGE_BYTES = 32 * 2**20
"""Of data and metadata in one answer."""

MAX_SHARED = 200
"""Ids in one lookup."""

NEWEST_FIRST = "newest"
"""The order that the cursors of lists are bound to."""

LIST = """
SELECT {columns}, found FROM (
    SELECT *, count(*) OVER () AS found,
        sum(octet_length(data) + coalesce(octet_length(metadata), 0)) OVER (ORDER BY seq DESC) AS bytes
    FROM (
        SELECT {columns} FROM event WHERE {conditions} ORDER BY seq DESC LIMIT %(rows)s OFFSET %(offset)s
    ) AS page
) AS measured WHERE bytes <= %(max_bytes)s ORDER BY seq DESC
"""
"""A page and one row more, cut where it grows too large before that is read; `found` counts the uncut rows."""

FIND_BY_ID = f"SELECT {COLUMNS} FROM event WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)b::uuid[])"

FIND_BY_HASH = f"SELECT {COLUMNS} FROM event WHERE workspace_id = %(workspace)s AND hash = ANY(%(hashes)b::bytea[])"


class EventReader:
    """Reads the logs, for one process. Its methods may be called by any number of tasks at once."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors
        self._waiting: dict[str, dict[UUID | bytes, asyncio.Future[SynapEvent | None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, workspace: str, reference: UUID | bytes) -> SynapEvent | None:
        """The event with this id, or with this hash (32 bytes), or None. Raises Unavailable."""
        waiting = self._waiting.get(workspace)
        if waiting is None:
            waiting = self._waiting[workspace] = {}
            task = asyncio.create_task(self._look_up(workspace, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        found = waiting.get(reference)
        if found is None:
            found = waiting[reference] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(found)

    async def events(self, workspace: str, query: ListEvents, only_user: str | None) -> list[SynapEvent]:
        """The events that match, newest first; with `only_user`, of that user alone.

        Raises PayloadTooLarge beyond 32 MiB, InvalidInput for a cursor that is not of this list, Unavailable.
        """
        events, more = await self._read(Filter(query, workspace, only_user), query, self._place(workspace, query))
        if more and len(events) < (query.limit or DEFAULT_LIMIT):
            raise PayloadTooLarge(
                "These events exceed 32 MiB; read them with events.page, or set a lower limit", field="limit"
            )
        return events

    async def page(self, workspace: str, query: ListEvents, only_user: str | None) -> EventPage:
        """One page, newest first, and how many match. It ends early at 32 MiB. Raises as `events` does.

        The matches are counted on the first page; the cursor carries the number to the others.
        """
        filter_ = Filter(query, workspace, only_user)
        place = self._place(workspace, query)
        if place is not None and place.filter == filter_.digest:
            total = place.total
        else:
            total = (await self._database.rows(filter_.total_sql, filter_.parameters))[0][0]
        events, more = await self._read(filter_, query, place)
        cursor = Cursor(NEWEST_FIRST, workspace, events[-1].seq, filter_.digest, total) if more and events else None
        return EventPage(events=events, total=total, next_cursor=None if cursor is None else self._cursors.seal(cursor))

    def _place(self, workspace: str, query: ListEvents) -> Cursor | None:
        if query.cursor is None:
            return None
        return self._cursors.open(query.cursor, order=NEWEST_FIRST, workspace=workspace)

    async def _read(self, filter_: Filter, query: ListEvents, place: Cursor | None) -> tuple[list[SynapEvent], bool]:
        """The page behind `place`, and whether more follow it."""
        limit = query.limit or DEFAULT_LIMIT
        conditions = filter_.sql
        parameters = filter_.parameters | {"rows": limit + 1, "offset": query.offset or 0, "max_bytes": MAX_PAGE_BYTES}
        if place is not None:
            conditions += " AND seq < %(before)s"
            parameters["before"] = place.seq
        rows = await self._database.rows(LIST.format(columns=COLUMNS, conditions=conditions), parameters)
        events = [to_event(row) for row in rows[:limit]]
        return events, bool(rows) and rows[0][-1] > len(events)

    async def _look_up(self, workspace: str, waiting: dict[UUID | bytes, asyncio.Future[SynapEvent | None]]) -> None:
        """Answer what waits, then what gathered meanwhile, until nothing does."""
        while waiting:
            await asyncio.sleep(0)  # the other calls of this turn of the loop join
            batch = {reference: waiting.pop(reference) for reference in list(waiting)[:MAX_SHARED]}
            try:
                events = await self._find(workspace, list(batch))
            except Exception as error:  # noqa: BLE001 - the lookups behind go on, and each caller gets the error as its own
                for future in batch.values():
                    if not future.cancelled():
                        future.set_exception(error)
                continue
            for reference, future in batch.items():
                if not future.cancelled():
                    future.set_result(events.get(reference))
        # No await since it was seen empty: nothing can have been put into it.
        del self._waiting[workspace]

    async def _find(self, workspace: str, references: list[UUID | bytes]) -> dict[UUID | bytes, SynapEvent]:
        found: dict[UUID | bytes, SynapEvent] = {}
        ids = [reference for reference in references if isinstance(reference, UUID)]
        hashes = [reference for reference in references if isinstance(reference, bytes)]
        if ids:
            rows = await self._database.rows(FIND_BY_ID, {"workspace": workspace, "ids": ids})
            found |= {row[0]: to_event(row) for row in rows}
        if hashes:
            rows = await self._database.rows(FIND_BY_HASH, {"workspace": workspace, "hashes": hashes})
            found |= {row[4]: to_event(row) for row in rows}
        return found
