"""The log's read side. Nothing here holds a copy of an event; lookups that arrive together share a query."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from app.cursor import Cursor, Cursors
from app.store.database import Database
from app.store.pipe import Row, uuid_array
from app.store.query import Filter
from app.store.rows import EVENT_BYTES, EVENT_JSON
from app.store.walk import each_sql
from schemas.errors import PayloadTooLarge
from schemas.event import DEFAULT_LIMIT, EventPage, ListEvents, SynapEvent
from schemas.written import Written

MAX_PAGE_BYTES = 32 * 2**20
"""Of data and metadata in one answer."""

MAX_SKIPPED = 1000
"""Events that a list skips by its `offset` without becoming a search."""

MAX_SHARED = 200
"""Ids in one lookup."""

NEWEST_FIRST = "newest"
"""The order that the cursors of lists are bound to."""

FIND_BY_ID = f"""
SELECT id, user_id, convert_to({EVENT_JSON}, 'UTF8') FROM {each_sql("id", "%(ids)s::uuid[]")}
"""

FIND_BY_HASH = f"""
SELECT hash, user_id, convert_to({EVENT_JSON}, 'UTF8') FROM {each_sql("hash", "%(hashes)b::bytea[]")}
"""


def list_sql(rows: str, limit: int) -> str:
    """`rows` as one value: the JSON of the events, their number, the last seq, and whether none was left out.

    Left out is what takes more than its share of the weight that an answer may have; then `large_list_sql` measures.
    The numbers stand in the text, where the planner sees them; they were checked.
    """
    fits = f"{EVENT_BYTES} <= {MAX_PAGE_BYTES // limit}"
    return f"""
        SELECT convert_to(string_agg(CASE WHEN {fits} THEN {EVENT_JSON} END, ','), 'UTF8'),
            count(*), min(seq), coalesce(bool_and({fits}), true)
        FROM ({rows}) AS page"""


def large_list_sql(rows: str) -> str:
    """The same, ended before it grows too large, but never before its first event."""
    return f"""
        SELECT convert_to(string_agg({EVENT_JSON}, ','), 'UTF8'), count(*), min(seq)
        FROM (
            SELECT *, sum({EVENT_BYTES}) OVER newest AS bytes, row_number() OVER newest AS place
            FROM ({rows}) AS page WINDOW newest AS (ORDER BY seq DESC)
        ) AS measured WHERE bytes <= {MAX_PAGE_BYTES} OR place = 1"""


async def total_of(database: Database, matching: Filter) -> int:
    """How many events match."""
    [(total,)] = await database.search(
        matching.total_sql, matching.parameters, is_planned=matching.is_planned, is_metered=not matching.knows_total
    )
    return int(total)


class Found(Struct, frozen=True):
    """An event, and whose it is."""

    user_id: str
    event: Written[SynapEvent]


class _Page(Struct, frozen=True):
    """Events, how many they are, the last one's seq, and whether the size of the answer ended them."""

    events: Written[list[SynapEvent]]
    count: int
    last: int | None
    cut: bool


class EventReader:
    """Reads the logs, for one process. For any number of tasks at once."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors
        self._waiting: dict[str, dict[UUID | bytes, list[asyncio.Future[Found | None]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, workspace: str, reference: UUID | bytes) -> Found | None:
        """The event with this id, or with this hash (32 bytes), or None. Raises Unavailable."""
        waiting = self._waiting.get(workspace)
        if waiting is None:
            waiting = self._waiting[workspace] = {}
            task = asyncio.create_task(self._look_up(workspace, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        found: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        waiting.setdefault(reference, []).append(found)
        return await found

    async def events(self, workspace: str, query: ListEvents, only_user: str | None) -> Written[list[SynapEvent]]:
        """The events that match, newest first; with `only_user`, of that user alone.

        Raises PayloadTooLarge beyond 32 MiB, InvalidInput for a cursor that is not of this list, Unavailable.
        """
        page, _ = await self._at(Filter(query, workspace, only_user), query, self._place(workspace, query))
        if page.cut:
            raise PayloadTooLarge(
                "These events exceed 32 MiB; read them with events.page, or set a lower limit", field="limit"
            )
        return page.events

    async def page(self, workspace: str, query: ListEvents, only_user: str | None) -> Written[EventPage]:
        """One page, newest first, and how many match. It ends early at 32 MiB. Raises as `events` does.

        The matches are counted on the first page; the cursor carries the number to the others.
        """
        matching = Filter(query, workspace, only_user)
        place = self._place(workspace, query)
        if place is not None and place.filter == matching.digest:
            total = place.total
        else:
            total = await total_of(self._database, matching)
        page, before = await self._at(matching, query, place)
        fields = [b'"events":', page.events.json, b',"total":%d' % total]

        def add(name: bytes, seq: int) -> None:
            cursor = self._cursors.seal(Cursor(NEWEST_FIRST, workspace, seq, matching.digest, total))
            fields.append(b',"%b":%b' % (name, msgspec.json.encode(cursor)))

        if page.last is not None and await self._more(matching, page):
            add(b"nextCursor", page.last)
        if before is not None:
            add(b"previousCursor", before)
        return Written(b"{%b}" % b"".join(fields))

    async def _at(self, matching: Filter, query: ListEvents, place: Cursor | None) -> tuple[_Page, int | None]:
        """The page at `place`, and the seq that the page before it lies before (all of it is newer); None for none."""
        if place is None:
            return await self._read(matching, query, None), None
        if query.direction != "backward":
            return await self._read(matching, query, place), place.seq - 1
        limit = query.limit or DEFAULT_LIMIT
        parameters = matching.parameters | {"behind": place.seq}
        rows = matching.rows(descending=False, limit=limit + 1, low=["%(behind)s::bigint + 1"])
        found = await self._rows(matching, f"SELECT seq FROM ({rows}) AS newer", parameters)
        newer = [seq for (seq,) in found]
        has_more, newer = len(newer) > limit, newer[:limit]
        while newer:
            top = structs.replace(place, seq=newer[-1] + 1)
            page = await self._read(matching, structs.replace(query, limit=len(newer)), top)
            if not page.cut:
                return page, newer[-1] if has_more else None
            has_more, newer = True, newer[: max(page.count // 2, 1)]  # it must reach the place, and begins later
        return _Page(Written(b"[]"), 0, None, cut=False), None

    def _place(self, workspace: str, query: ListEvents) -> Cursor | None:
        if query.cursor is None:
            return None
        return self._cursors.open(query.cursor, order=NEWEST_FIRST, workspace=workspace)

    async def _read(self, matching: Filter, query: ListEvents, place: Cursor | None) -> _Page:
        """The page behind `place`."""
        limit = query.limit or DEFAULT_LIMIT
        before = {} if place is None else {"before": place.seq}
        skipped = 0 if place else query.offset or 0
        rows = matching.rows(
            descending=True,
            limit=limit,
            offset=skipped,
            high=["%(before)s::bigint - 1"] if place else [],
        )
        parameters = matching.parameters | before
        [(events, count, last, whole)] = await self._rows(
            matching, list_sql(rows, limit), parameters, is_long=skipped > MAX_SKIPPED
        )
        full = count
        if not whole:
            [(events, count, last)] = await self._database.search(
                large_list_sql(rows),
                parameters,
                is_planned=matching.is_planned,
                is_metered=matching.meets_others,
            )
        return _Page(Written(b"[%b]" % (events or b"")), count, last, cut=count < full)

    async def _more(self, matching: Filter, page: _Page) -> bool:
        """Whether any match follows a page."""
        rows = matching.rows(descending=True, limit=1, high=["%(last)s::bigint - 1"])
        parameters = matching.parameters | {"last": page.last}
        return bool(await self._rows(matching, f"SELECT FROM ({rows}) AS next", parameters))

    async def _rows(
        self, matching: Filter, sql: str, parameters: Mapping[str, object], *, is_long: bool = False
    ) -> list[Row]:
        """What a statement over the matches returns: a search, unless an index leads from match to match."""
        if is_long or matching.meets_others:
            return await self._database.search(sql, parameters, is_planned=matching.is_planned)
        return await self._database.rows(sql, parameters)

    async def _look_up(self, workspace: str, waiting: dict[UUID | bytes, list[asyncio.Future[Found | None]]]) -> None:
        """Answer what waits, then what gathered meanwhile, until nothing does."""
        while waiting:
            await asyncio.sleep(0)  # the other calls of this turn of the loop join
            batch = {reference: waiting.pop(reference) for reference in list(waiting)[:MAX_SHARED]}
            outcome: dict[UUID | bytes, Found] | Exception
            try:
                outcome = await self._find(workspace, list(batch))
            except Exception as error:  # noqa: BLE001 - the lookups behind go on, and each caller gets the error as its own
                outcome = error
                for reference, futures in waiting.items():  # told now, rather than when they have failed as well
                    batch.setdefault(reference, []).extend(futures)
                waiting.clear()
            for reference, futures in batch.items():
                for future in futures:
                    if future.cancelled():
                        continue
                    if isinstance(outcome, Exception):
                        future.set_exception(outcome)
                    else:
                        future.set_result(outcome.get(reference))
        # No await since it was seen empty: nothing can have been put into it.
        del self._waiting[workspace]

    async def _find(self, workspace: str, references: list[UUID | bytes]) -> dict[UUID | bytes, Found]:
        rows = []
        ids = [reference for reference in references if isinstance(reference, UUID)]
        hashes = [reference for reference in references if isinstance(reference, bytes)]
        if ids:
            rows += await self._database.rows(FIND_BY_ID, {"workspace": workspace, "ids": uuid_array(ids)})
        if hashes:
            rows += await self._database.rows(FIND_BY_HASH, {"workspace": workspace, "hashes": hashes})
        return {reference: Found(user_id, Written(json)) for reference, user_id, json in rows}
