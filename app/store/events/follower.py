"""Reads a log from the oldest event on, in pieces, for streams and everything else that follows a log with a cursor."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID
from weakref import WeakKeyDictionary

from msgspec import Struct

from app.filters.event import FoundEvent
from app.filters.sql import place_of
from app.store.events.query import EventConditions
from app.store.events.rows import EVENT_BYTES, EVENT_JSON, FOUND, to_found
from app.store.postgres.database import Database, SlowReadError
from app.store.postgres.nodes import Part, each
from app.store.postgres.pipe import Row
from app.store.postgres.walk import Walk, one_sql
from schemas.errors import NotFound

MAX_EVENTS = 250
MAX_BYTES = 2**17
"""The maximum size of a piece, which has at least one event. A slow reader holds one piece in memory."""

SPAN = 20_000
"""How many seqs one piece looks at, if events may not match. So a reader makes progress even if its filter seldom
matches."""

SHRINKING = 8
"""By what a reader's span is divided, from then on, if a piece took the database too long."""

GET_LAST_SEQ = "SELECT seq FROM event_tip WHERE workspace_id = %(workspace)s"
"""The last seq of a log."""

LIST_LAST_SEQS = "SELECT workspace_id, seq FROM event_tip WHERE workspace_id = ANY(%(workspaces)s::text[])"
"""The last seqs of these logs."""

FIND_PLACE_BY_ID = one_sql("id", "%(named)s::uuid", columns="seq, user_id")
"""The seq and the user of the event with this id."""

FIND_PLACE_BY_HASH = one_sql("hash", "%(named)b::bytea", columns="seq, user_id")
"""The seq and the user of the event with this hash."""

GET_SEQ_BEFORE = f"SELECT coalesce({place_of('%(at)s::timestamptz')} - 1, -1)"
"""The last seq before a time; -1 if there is none."""


LOW, HIGH = ["%(after)s::bigint + 1"], ["%(until)s::bigint"]
"""The first and the last seq that a piece may contain."""


def piece_sql(rows: str, shape: str) -> str:
    """SQL of a piece: the first of `rows`, up to a size, and how many rows there were."""
    return f"""
        SELECT {FOUND}, convert_to({shape}, 'UTF8'), found
        FROM (
            SELECT *, sum({EVENT_BYTES}) OVER oldest AS bytes, row_number() OVER oldest AS place,
                count(*) OVER () AS found
            FROM ({rows}) AS piece WINDOW oldest AS (ORDER BY seq)
        ) AS measured WHERE bytes <= {MAX_BYTES} OR place = 1 ORDER BY seq"""


class Piece(Struct, frozen=True):
    """Events in the order of seq, and the seq up to which nothing else matches."""

    events: list[FoundEvent]
    seq: int


class EventFollower:
    """Reads logs from a seq on. For any number of tasks of one event loop. Every method may raise Unavailable."""

    def __init__(self, database: Database, shape: str = EVENT_JSON) -> None:
        """`shape` is the SQL expression, over a row of `event`, of the JSON that represents an event."""
        self._database = database
        self._shape = shape
        everything = Walk(low=LOW, high=HIGH)
        self._whole = piece_sql(everything.rows(descending=False, limit=MAX_EVENTS), shape)
        self._spans: WeakKeyDictionary[EventConditions, int] = WeakKeyDictionary()

    async def tip(self, workspace: str) -> int:
        """The last seq of a log; -1 if it is empty. Raises NotFound."""
        rows = await self._database.rows(GET_LAST_SEQ, {"workspace": workspace})
        if not rows:
            raise NotFound("There is no such workspace", field="workspace")
        seq: int = rows[0][0]
        return seq

    async def tips(self, workspaces: Sequence[str]) -> dict[str, int]:
        """The last seq of each log, by workspace, of the logs whose nodes answer."""
        tips = await each(self._database, self._tips, among=workspaces)
        return dict(row for found in tips.found for row in found)

    async def _tips(self, part: Part) -> list[Row]:
        return await self._database.rows(LIST_LAST_SEQS, {"workspaces": list(part.workspaces or ())})

    async def place(self, workspace: str, reference: UUID | bytes) -> tuple[int, str] | None:
        """The seq and the user of the event with this id, or with this hash (32 bytes), or None."""
        sql = FIND_PLACE_BY_ID if isinstance(reference, UUID) else FIND_PLACE_BY_HASH
        rows = await self._database.rows(sql, {"workspace": workspace, "named": reference})
        return (rows[0][0], rows[0][1]) if rows else None

    async def before(self, workspace: str, at: datetime) -> int:
        """The seq of the last event before a time; -1 if there is none."""
        seq: int = (await self._database.rows(GET_SEQ_BEFORE, {"workspace": workspace, "at": at}))[0][0]
        return seq

    async def next(self, workspace: str, after: int, until: int) -> Piece:
        """The next piece of a log behind the seq `after`, up to `until`."""
        parameters = {"workspace": workspace, "after": after, "until": until}
        return _piece(await self._database.rows(self._whole, parameters), until)

    async def matching(self, matches: EventConditions, after: int, until: int) -> Piece:
        """The next piece of the events that match, behind the seq `after`, up to `until`."""
        rows_sql = matches.rows(descending=False, limit=MAX_EVENTS, low=LOW, high=HIGH)
        sql = matches.statement(piece_sql(rows_sql, self._shape))
        while True:
            span = self._spans.get(matches, SPAN if matches.meets_others else until - after)
            end = min(until, after + span)
            parameters = matches.parameters | {"after": after, "until": end}
            try:
                rows = await self._database.search(
                    sql, parameters, is_planned=matches.is_planned, is_metered=matches.meets_others
                )
                return _piece(rows, end)
            except SlowReadError:
                if end - after <= 1:
                    raise
                self._spans[matches] = (end - after + SHRINKING - 1) // SHRINKING


def _piece(rows: Sequence[Row], until: int) -> Piece:
    events = [to_found(row) for row in rows]
    is_whole = not rows or rows[0][-1] == len(rows) < MAX_EVENTS
    return Piece(events, until if is_whole else events[-1].seq)
