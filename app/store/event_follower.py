"""The log read oldest first, in pieces: for streams, and whatever else follows it with a cursor."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID
from weakref import WeakKeyDictionary

from msgspec import Struct

from app.filter import FoundEvent
from app.store.database import Database, SlowReadError
from app.store.pipe import Row, uuid_array
from app.store.query import Filter
from app.store.rows import EVENT_BYTES, EVENT_JSON, FOUND, to_found
from schemas.errors import NotFound

MAX_EVENTS = 250
MAX_BYTES = 2**17
"""A piece ends before it has more, but has one event at least. A reader that is slow holds one."""

SPAN = 20_000
"""A filtered piece looks at this many places at most: a filter that seldom matches makes progress all the same."""

SHRINKING = 8
"""By how much fewer it looks at, from then on, where that took the database too long."""

TIP = "SELECT seq FROM event_tip WHERE workspace_id = %(workspace)s"

TIPS = "SELECT workspace_id, seq FROM event_tip WHERE workspace_id = ANY(%(workspaces)s::text[])"

PLACE = "SELECT seq, user_id FROM event WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s::uuid[])"

PLACE_BY_HASH = "SELECT seq, user_id FROM event WHERE workspace_id = %(workspace)s AND hash = ANY(%(hashes)b::bytea[])"

BEFORE = """
SELECT coalesce((SELECT seq FROM event WHERE workspace_id = %(workspace)s AND recorded_at < %(at)s
    ORDER BY recorded_at DESC LIMIT 1), -1)
"""


def piece_sql(conditions: str, shape: str) -> str:
    """The next events behind a place that meet `conditions`, and how many there were before size ended the piece."""
    return f"""
        SELECT {FOUND}, convert_to({shape}, 'UTF8'), found
        FROM (
            SELECT *, sum({EVENT_BYTES}) OVER oldest AS bytes, row_number() OVER oldest AS place,
                count(*) OVER () AS found
            FROM (
                SELECT * FROM event WHERE {conditions} AND seq > %(after)s AND seq <= %(until)s
                ORDER BY seq LIMIT {MAX_EVENTS}
            ) AS piece WINDOW oldest AS (ORDER BY seq)
        ) AS measured WHERE bytes <= {MAX_BYTES} OR place = 1 ORDER BY seq"""


class Piece(Struct, frozen=True):
    """Events in the order of seq, and the place up to which nothing else matches."""

    events: list[FoundEvent]
    seq: int


class EventFollower:
    """Reads logs from a place on. For any number of tasks of one event loop. Everything may raise Unavailable."""

    def __init__(self, database: Database, shape: str = EVENT_JSON) -> None:
        """`shape` is what an event is shown as, in SQL over its row."""
        self._database = database
        self._shape = shape
        self._whole = piece_sql("workspace_id = %(workspace)s", shape)
        self._spans: WeakKeyDictionary[Filter, int] = WeakKeyDictionary()

    async def tip(self, workspace: str) -> int:
        """The last seq of a log; -1 where it is empty. Raises NotFound."""
        rows = await self._database.rows(TIP, {"workspace": workspace})
        if not rows:
            raise NotFound("There is no such workspace", field="workspace")
        seq: int = rows[0][0]
        return seq

    async def tips(self, workspaces: Sequence[str]) -> dict[str, int]:
        """The last seq of each log."""
        return dict(await self._database.rows(TIPS, {"workspaces": list(workspaces)}))

    async def place(self, workspace: str, reference: UUID | bytes) -> tuple[int, str] | None:
        """The seq and the user of the event with this id, or with this hash (32 bytes), or None."""
        if isinstance(reference, UUID):
            rows = await self._database.rows(PLACE, {"workspace": workspace, "ids": uuid_array([reference])})
        else:
            rows = await self._database.rows(PLACE_BY_HASH, {"workspace": workspace, "hashes": [reference]})
        return (rows[0][0], rows[0][1]) if rows else None

    async def before(self, workspace: str, at: datetime) -> int:
        """The seq of the last event from before a time; -1 where there is none."""
        seq: int = (await self._database.rows(BEFORE, {"workspace": workspace, "at": at}))[0][0]
        return seq

    async def next(self, workspace: str, after: int, until: int) -> Piece:
        """The events of a log behind `after`, up to `until`."""
        parameters = {"workspace": workspace, "after": after, "until": until}
        return _piece(await self._database.rows(self._whole, parameters), until)

    async def matching(self, matches: Filter, after: int, until: int) -> Piece:
        """The same of those that match."""
        sql = piece_sql(matches.sql, self._shape)
        while True:
            end = min(until, after + self._spans.get(matches, SPAN))
            parameters = matches.parameters | {"after": after, "until": end}
            try:
                return _piece(await self._database.search(sql, parameters), end)
            except SlowReadError:
                if end - after <= 1:
                    raise
                self._spans[matches] = (end - after + SHRINKING - 1) // SHRINKING


def _piece(rows: Sequence[Row], until: int) -> Piece:
    events = [to_found(row) for row in rows]
    is_whole = not rows or rows[0][-1] == len(rows) < MAX_EVENTS
    return Piece(events, until if is_whole else events[-1].seq)
