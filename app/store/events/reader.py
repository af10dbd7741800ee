"""The log's read side. Nothing here caches events. Lookups that arrive together share a query."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from app.sealing.cursors import Cursor, Cursors
from app.store.events import pieces
from app.store.events.counting import counted, total_of
from app.store.events.pieces import ANSWERED, SMALL_PAGE_BYTES, fitting, measured
from app.store.events.query import EventConditions
from app.store.events.rows import EVENT_BYTES, EVENT_JSON
from app.store.postgres.database import Database
from app.store.postgres.pipe import Row, uuid_array
from app.store.postgres.walk import each_sql
from schemas.errors import PayloadTooLarge
from schemas.event import DEFAULT_LIMIT, EventPage, ListEvents, SynapEvent
from schemas.written import Written

MAX_SKIPPED = 1000
"""How many events a list may skip by its `offset` without becoming a search."""

MAX_SHARED = 200
"""The maximum of ids in one lookup."""

NEWEST_FIRST = "newest"
"""The name of the order in the cursors of lists."""

_FOUND_COLUMNS = (
    f"user_id, seq, {EVENT_BYTES}, CASE WHEN {EVENT_BYTES} <= %(fits)s::int THEN convert_to({EVENT_JSON}, 'UTF8') END"
)
"""The user, seq, size and JSON of an event; no JSON if the event is too large for the lookup."""

FIND_EVENTS_BY_ID = f"SELECT id, {_FOUND_COLUMNS} FROM {each_sql('id', '%(ids)s::uuid[]')}"
"""The events with these ids."""

FIND_EVENTS_BY_HASH = f"SELECT hash, {_FOUND_COLUMNS} FROM {each_sql('hash', '%(hashes)b::bytea[]')}"
"""The events with these hashes."""


def list_sql(rows: str, limit: int, *, more: str | None = None) -> str:
    """SQL of `rows` as one row: their JSON or their sizes, their number, the last seq, and whether `more` has a row.

    `more` is a SELECT that may name the last seq, `measured.last`. Without it the last column is null. The limit is
    part of the text, so that the planner sees it. That is safe, because it was validated.
    """
    has_more = "NULL" if more is None else f"EXISTS ({more})"
    return f"""
        SELECT {ANSWERED}, count, last, {has_more}
        FROM (
            SELECT {measured(EVENT_JSON, limit)}, count(*) AS count, min(seq) AS last FROM ({rows}) AS page
        ) AS measured"""


class Found(Struct, frozen=True):
    """An event, and its user."""

    user_id: str
    event: Written[SynapEvent]


class _Lookup(Struct, frozen=True):
    """What a lookup found of one event.

    It includes the JSON if that is small enough for the event's share of the lookup.
    """

    user_id: str
    seq: int
    size: int
    json: bytes | None


class _Page(Struct, frozen=True):
    """A page of events, newest first.

    `count` is their number, and `last` the seq of the last one. A small page has their JSON, a large one their seqs and
    sizes.
    """

    json: bytes | None
    seqs: list[int]
    sizes: list[int]
    count: int
    last: int | None
    has_more: bool | None = None
    """Whether any match follows, if the statement that read the page looked for one."""
    total: int | None = None
    """How many events match, if the statement that read the page knew it."""
    cut: bool = False
    """Whether the page ended early because of its size."""

    def until(self, count: int) -> "_Page":
        """The page with only its first `count` events."""
        if count == self.count:
            return self
        seqs, sizes = self.seqs[:count], self.sizes[:count]
        return _Page(None, seqs, sizes, count, seqs[-1], has_more=True, total=self.total, cut=True)

    def behind(self, count: int) -> "_Page":
        """The page with only its last `count` events."""
        return _Page(None, self.seqs[-count:], self.sizes[-count:], count, self.last, has_more=self.has_more, cut=True)


_EMPTY = _Page(b"", [], [], 0, None)


class EventReader:
    """Reads the logs, for one process. Any number of tasks may use it at once."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors
        self._waiting: dict[str, dict[UUID | bytes, list[asyncio.Future[_Lookup | None]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, workspace: str, reference: UUID | bytes) -> Found | None:
        """The event with this id, or with this hash (32 bytes), or None. Raises Unavailable, PayloadTooLarge."""
        waiting = self._waiting.get(workspace)
        if waiting is None:
            waiting = self._waiting[workspace] = {}
            task = asyncio.create_task(self._look_up(workspace, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lookup: asyncio.Future[_Lookup | None] = asyncio.get_running_loop().create_future()
        waiting.setdefault(reference, []).append(lookup)
        found = await lookup
        if found is None:
            return None
        parts = await pieces.page(self._database, workspace, EVENT_JSON, found.json, [found.seq], [found.size])
        return Found(found.user_id, Written(*parts))

    async def events(self, workspace: str, query: ListEvents, only_user: str | None) -> Written[list[SynapEvent]]:
        """The events that match, newest first; with `only_user`, only that user's.

        Raises PayloadTooLarge beyond 32 MiB, InvalidInput for a cursor of another list, and Unavailable.
        """
        page, _ = await self._at(EventConditions(query, workspace, only_user), query, self._place(workspace, query))
        if page.cut:
            raise PayloadTooLarge(
                "These events exceed 32 MiB; read them with events.page, or set a lower limit", field="limit"
            )
        parts = await pieces.page(self._database, workspace, EVENT_JSON, page.json, page.seqs, page.sizes)
        return Written(b"[", *parts, b"]")

    async def page(self, workspace: str, query: ListEvents, only_user: str | None) -> Written[EventPage]:
        """One page, newest first, and the number of all matches.

        It ends early at 32 MiB, and raises what `events` raises.

        The matches are counted on the first page; the cursor carries the number to the others.
        """
        matching = EventConditions(query, workspace, only_user)
        place = self._place(workspace, query)
        page, before = await self._at(matching, query, place, is_page=True)
        if place is None:  # counted after the page is read, so that no event of the page is missing in the total
            total = await counted(self._database, matching) if page.total is None else page.total
        elif place.filter == matching.digest:
            total = place.total
        else:
            total = await total_of(self._database, matching)
        parts = await pieces.page(self._database, workspace, EVENT_JSON, page.json, page.seqs, page.sizes)
        fields = [b'],"total":%d' % total]

        def add(name: bytes, seq: int) -> None:
            cursor = self._cursors.seal(Cursor(NEWEST_FIRST, workspace, seq, matching.digest, total))
            fields.append(b',"%b":%b' % (name, msgspec.json.encode(cursor)))

        if page.last is not None and await self._has_more(matching, page):
            add(b"nextCursor", page.last)
        if before is not None:
            add(b"previousCursor", before)
        return Written(b'{"events":[', *parts, *fields, b"}")

    async def _at(
        self, matching: EventConditions, query: ListEvents, place: Cursor | None, *, is_page: bool = False
    ) -> tuple[_Page, int | None]:
        """The page at `place`, and the seq for the cursor of the previous, newer page; None if there is none.

        If it `is_page` of `events.page`, the statement that reads it also looks for what the answer says besides.
        """
        if place is None or query.direction != "backward":
            page = await self._read(matching, query, place, is_page=is_page)
            count = fitting(page.sizes) if page.sizes else page.count
            return page.until(count), None if place is None else place.seq - 1
        limit = query.limit or DEFAULT_LIMIT
        parameters = matching.parameters | {"behind": place.seq}
        rows = matching.rows(descending=False, limit=limit + 1, low=["%(behind)s::bigint + 1"])
        found = await self._rows(matching, f"SELECT seq FROM ({rows}) AS newer", parameters)
        newer = [seq for (seq,) in found]
        if not newer:
            return _EMPTY, None
        has_more, newer = len(newer) > limit, newer[:limit]
        top = structs.replace(place, seq=newer[-1] + 1)
        page = await self._read(matching, structs.replace(query, limit=len(newer)), top, is_page=is_page)
        count = fitting(page.sizes[::-1]) if page.sizes else page.count
        if count == page.count:
            return page, newer[-1] if has_more else None
        page = page.behind(count)  # the page must end next to the place, so it begins later
        return page, page.seqs[0]

    def _place(self, workspace: str, query: ListEvents) -> Cursor | None:
        if query.cursor is None:
            return None
        return self._cursors.open(query.cursor, order=NEWEST_FIRST, workspace=workspace)

    async def _read(
        self, matching: EventConditions, query: ListEvents, place: Cursor | None, *, is_page: bool
    ) -> _Page:
        """Read the page behind `place`. A large page is only measured."""
        limit = query.limit or DEFAULT_LIMIT
        before = {} if place is None else {"before": place.seq}
        skipped = 0 if place else query.offset or 0
        rows = matching.rows(
            descending=True,
            limit=limit,
            offset=skipped,
            high=["%(before)s::bigint - 1"] if place else [],
        )
        more = None
        if is_page and not matching.meets_others:  # else it may be slow, and has a statement of its own
            more = f"SELECT FROM ({matching.rows(descending=True, limit=1, high=['measured.last - 1'])}) AS next"
        sql = list_sql(rows, limit, more=more)
        if is_page and place is None:
            sql = matching.beside_total(sql)
        [(json, large, *rest)] = await self._rows(
            matching, sql, matching.parameters | before, is_long=skipped > MAX_SKIPPED
        )
        return _Page(json, *pieces.measures(large), *rest)

    async def _has_more(self, matching: EventConditions, page: _Page) -> bool:
        """Whether any match follows a page."""
        if page.has_more is not None:
            return page.has_more
        rows = matching.rows(descending=True, limit=1, high=["%(last)s::bigint - 1"])
        parameters = matching.parameters | {"last": page.last}
        return bool(await self._rows(matching, f"SELECT FROM ({rows}) AS next", parameters))

    async def _rows(
        self, matching: EventConditions, sql: str, parameters: Mapping[str, object], *, is_long: bool = False
    ) -> list[Row]:
        """Run a statement over the matches. It is a search, unless an index finds only matches."""
        sql = matching.statement(sql)
        if is_long or matching.meets_others:
            return await self._database.search(sql, parameters, is_planned=matching.is_planned)
        return await self._database.rows(sql, parameters)

    async def _look_up(self, workspace: str, waiting: dict[UUID | bytes, list[asyncio.Future[_Lookup | None]]]) -> None:
        """Look up what waits, then what gathered meanwhile, until nothing waits."""
        while waiting:
            await asyncio.sleep(0)  # lets the other calls of this turn of the event loop join
            batch = {reference: waiting.pop(reference) for reference in list(waiting)[:MAX_SHARED]}
            outcome: dict[UUID | bytes, _Lookup] | Exception
            try:
                outcome = await self._find(workspace, list(batch))
            except Exception as error:  # noqa: BLE001 - later lookups go on, and each caller gets the error as its own
                outcome = error
                for reference, futures in waiting.items():  # they fail now, without a query that would fail as well
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
        # There was no await since it was empty, so nothing can have been put into it.
        del self._waiting[workspace]

    async def _find(self, workspace: str, references: list[UUID | bytes]) -> dict[UUID | bytes, _Lookup]:
        rows = []
        fits = SMALL_PAGE_BYTES // len(references)
        ids = [reference for reference in references if isinstance(reference, UUID)]
        hashes = [reference for reference in references if isinstance(reference, bytes)]
        if ids:
            wanted = {"workspace": workspace, "ids": uuid_array(ids), "fits": fits}
            rows += await self._database.rows(FIND_EVENTS_BY_ID, wanted)
        if hashes:
            wanted = {"workspace": workspace, "hashes": hashes, "fits": fits}
            rows += await self._database.rows(FIND_EVENTS_BY_HASH, wanted)
        return {reference: _Lookup(*found) for reference, *found in rows}
