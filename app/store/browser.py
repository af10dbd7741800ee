"""Pages of events in any order, with any filter. A page and what is said of its neighbours come from one statement."""

from datetime import datetime
from hashlib import sha256

import msgspec
from msgspec import Struct

from app.cursor import Cursor, Cursors
from app.filter import Fields, known_fields, parse_filter, parse_order
from app.store.database import Database
from app.store.event_reader import MAX_PAGE_BYTES
from app.store.filter_sql import condition, order_type, order_value
from app.store.keyset import Key, Order, behind_sql, order_sql, place_sql, reversed_order, seq_key
from app.store.linker import MICROSECOND
from app.store.pipe import uuid_array
from app.store.query import Filter
from app.store.rows import BROWSE_JSON, EVENT_BYTES
from schemas.browse import DEFAULT_LIMIT, BrowsedPage, BrowseEvents, PageInfo
from schemas.errors import InvalidInput, Issue
from schemas.event import EventQuery
from schemas.filter import And, Node, OrderTerm, Test
from schemas.written import Written

IN_LOG_ORDER = {"seq", "createdAt", "timestamp"}
"""Fields in whose order the log stands: times strictly increase with seq, so that the primary key serves both."""

NEVER_NULL = {"id", "type", "source", "producer", "userId"}

SHORTHANDS = {
    "type": "type",
    "source": "source",
    "producer": "producer",
    "subjectId": "subject_id",
    "correlationId": "correlation_id",
    "causationId": "causation_id",
    "parentId": "causation_id",
    "userId": "user_id",
}
"""What a filter may ask for that a list's query can ask for too."""

EVERYTHING = And(())
"""What the empty filter says."""

MAX_COMPARED = 256
"""Characters of a text in metadata that an order compares: a cursor carries them."""


FIRST_SEQ = """
event.seq >= (
    SELECT seq FROM event WHERE workspace_id = %(workspace)s AND recorded_at >= %(from)s ORDER BY recorded_at LIMIT 1)
"""
"""Where the events from a time on begin. Times order the log as seqs do, but an index that sorts by seq knows only
those."""

LAST_SEQ = """
event.seq <= (
    SELECT seq FROM event WHERE workspace_id = %(workspace)s AND recorded_at < %(to)s ORDER BY recorded_at DESC LIMIT 1)
"""
"""Where they end."""


class _Matching:
    """What is looked for: `sql` over the table `event` with `parameters`, and how to count it."""

    def __init__(self, wanted: BrowseEvents, fields: Fields, workspace: str, only_user: str | None) -> None:
        """Raises InvalidInput for a filter that is none."""
        node = EVERYTHING if wanted.filter is None else parse_filter(wanted.filter, "filter", fields)
        shorthands = EventQuery(
            type=wanted.type,
            subject_id=wanted.subject_id,
            causation_id=wanted.parent_id,
            user_id=wanted.user_id,
            from_=wanted.created_at_after,
            to=_behind(wanted.created_at_before),
        )
        shorthands, node = _folded(shorthands, node)
        matching = Filter(shorthands, workspace, only_user)
        self.parameters = dict(matching.parameters)
        others = []
        if wanted.ids is not None:
            others.append("event.id = ANY(%(ids)s::uuid[])")
            self.parameters["ids"] = uuid_array(wanted.ids)
        if node != EVERYTHING:
            others.append(f"({condition(node, self.parameters, only_user=only_user)})")
        self.sql = " AND ".join([matching.sql, *_span(shorthands), *others])
        self.total_sql = f"SELECT count(*) FROM event WHERE {self.sql}" if others else matching.total_sql
        self.is_indexed = not others
        content = msgspec.json.encode([self.sql, self.parameters], order="sorted")
        self.digest = sha256(content).digest()[:8]


class _Page(Struct, frozen=True):
    """Events as JSON, their places in the order, and whether there are others on either side."""

    events: bytes | None
    places: list[list[str | None]] | None
    has_more: bool
    has_others: bool


class Browser:
    """Reads pages, for one process. For any number of tasks at once."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors
        self._fields = known_fields()

    async def page(self, workspace: str, wanted: BrowseEvents, only_user: str | None) -> Written[BrowsedPage]:
        """One page; with `only_user`, of that user's events alone. It ends early at 32 MiB, never before its first.

        Raises InvalidInput for a filter or an order that is none, or a cursor that is not of this list; Unavailable.
        """
        matching = _Matching(wanted, self._fields, workspace, only_user)
        order = _order([] if wanted.order_by is None else parse_order(wanted.order_by, "orderBy", self._fields))
        name = f"browse {sha256(order_sql(order).encode()).hexdigest()[:16]}"
        if wanted.after is not None and wanted.before is not None:
            raise InvalidInput([Issue("before", "cannot stand beside after: a page is behind one or before the other")])
        field, text = ("after", wanted.after) if wanted.before is None else ("before", wanted.before)
        place = None
        if text is not None:
            place = self._cursors.open(text, order=name, workspace=workspace, filter=matching.digest, field=field)
        page = await self._read(matching, order, place, wanted.limit or DEFAULT_LIMIT, backwards=field == "before")
        if place is None:
            # Behind the page, which may grow meanwhile: a total is never less than what it counts.
            [(total,)] = await self._database.rows_alone(matching.total_sql, matching.parameters)
        else:
            total = place.total

        def sealed(values: list[str | None]) -> str:
            *values, seq = values
            return self._cursors.seal(Cursor(name, workspace, int(seq or 0), matching.digest, total, tuple(values)))

        info = PageInfo(
            total=total,
            has_next_page=page.has_others if field == "before" else page.has_more,
            has_previous_page=page.has_more if field == "before" else page.has_others,
            start_cursor=sealed(page.places[0]) if page.places else None,
            end_cursor=sealed(page.places[-1]) if page.places else None,
        )
        return Written(b'{"data":[%b],"pageInfo":%b}' % (page.events or b"", msgspec.json.encode(info)))

    async def _read(
        self, matching: _Matching, order: Order, place: Cursor | None, limit: int, *, backwards: bool
    ) -> _Page:
        """The page behind `place`, or right before it."""
        parameters = dict(matching.parameters)
        way = reversed_order(order) if backwards else order
        conditions, others = matching.sql, "false"
        if place is not None:
            values = [*place.values, str(place.seq)]
            conditions += f" AND {behind_sql(way, values, parameters)}"
            # The row at the place is looked for first: mostly it is still there, and found at once.
            parameters["at"] = place.seq
            others = " OR ".join(
                f"EXISTS (SELECT FROM event WHERE {matching.sql} AND {beyond})"
                for beyond in ("event.seq = %(at)s", behind_sql(reversed_order(way), values, parameters))
            )
        sql = page_sql(conditions, way, limit, others, backwards=backwards)
        read = self._database.rows if matching.is_indexed and len(order) == 1 else self._database.rows_alone
        [row] = await read(sql, parameters)
        return _Page(*row)


def page_sql(conditions: str, way: Order, limit: int, others: str, *, backwards: bool) -> str:
    """A page as one row: the JSON of its events, their places, whether more match, and whether `others` do.

    The first `limit` rows on the `way`; `backwards` they are answered in the opposite order. The limit stands in the
    text, where the planner sees it; it was checked.
    """
    answered = f"ORDER BY line {'DESC' if backwards else 'ASC'}) FILTER (WHERE fits)"
    return f"""
        SELECT convert_to(string_agg({BROWSE_JSON}, ',' {answered}, 'UTF8'), array_agg(place {answered},
            count(*) > count(*) FILTER (WHERE fits), {others}
        FROM (
            SELECT *, line <= {limit} AND (line = 1 OR sum({EVENT_BYTES}) OVER lines <= {MAX_PAGE_BYTES}) AS fits
            FROM (
                SELECT *, {place_sql(way)} AS place, row_number() OVER () AS line
                FROM (SELECT * FROM event WHERE {conditions} ORDER BY {order_sql(way)} LIMIT {limit + 1}) AS event
            ) AS numbered WINDOW lines AS (ORDER BY line)
        ) AS page"""


def _order(terms: list[OrderTerm]) -> Order:
    """The keys of an order: what is asked for, then the seq. Its direction is the last one's, as in the indexes."""
    order: list[Key] = []
    for term in terms:
        if term.field.name in IN_LOG_ORDER:
            return [*order, seq_key(descending=term.descending)]
        order.append(_key(term))
    return [*order, seq_key(descending=order[-1].descending if order else True)]


def _key(term: OrderTerm) -> Key:
    value, type_ = order_value(term), order_type(term)
    return Key(
        sql=f"left({value}, {MAX_COMPARED})" if type_ == "text" and term.field.path else value,
        type=type_,
        nullable=term.field.name not in NEVER_NULL,
        descending=term.descending,
        nulls_first=term.nulls_first,
    )


def _folded(query: EventQuery, node: Node) -> tuple[EventQuery, Node]:
    """What of a filter a list's query can say, said by that: its totals are counters, and its times bound the seqs."""
    rest = []
    for each in node.nodes if isinstance(node, And) else (node,):
        name, value = _shorthand(each)
        if value is None or getattr(query, name) is not None:
            rest.append(each)
        else:
            query = msgspec.structs.replace(query, **{name: value})
    return query, And(tuple(rest))


def _shorthand(node: Node) -> tuple[str, object]:
    """What a list's query calls what a node asks for, and the value; None for what it cannot say."""
    match node:
        case Test(field, "eq", str(value)) if field.name in SHORTHANDS and (field.name != "type" or "*" not in value):
            return SHORTHANDS[field.name], value
        case Test(field, operator, datetime() as value) if field.name in IN_LOG_ORDER and operator in {"gt", "gte"}:
            return "from_", value if operator == "gte" else _behind(value)
        case Test(field, operator, datetime() as value) if field.name in IN_LOG_ORDER and operator in {"lt", "lte"}:
            return "to", value if operator == "lt" else _behind(value)
    return "", None


def _span(query: EventQuery) -> list[str]:
    """The seqs between which the times of a query lie."""
    return [sql for bound, sql in ((query.from_, FIRST_SEQ), (query.to, LAST_SEQ)) if bound is not None]


def _behind(before: datetime | None) -> datetime | None:
    """The first moment after `before`, where there is one."""
    try:
        return before and before + MICROSECOND
    except OverflowError:  # nothing is recorded later
        return None
