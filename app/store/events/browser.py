"""Pages of events in any order, with any filter.

One statement returns a page, and whether others precede and follow it.
"""

from hashlib import sha256
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app.filters.fields import known_fields
from app.filters.order import parse_order
from app.filters.sql import order_type, order_value
from app.sealing.cursors import Cursor, Cursors
from app.store.events import pieces
from app.store.events.counting import counted
from app.store.events.keyset import Order, OrderKey, behind_sql, order_sql, place_sql, reversed_order, seq_key
from app.store.events.pieces import ANSWERED, fitting, measured
from app.store.events.query import IN_LOG_ORDER, EventConditions, behind
from app.store.events.rows import BROWSE_JSON
from app.store.postgres.database import Database
from schemas.browse import DEFAULT_LIMIT, BrowsedPage, BrowseEvents, PageInfo
from schemas.errors import InvalidInput, Issue
from schemas.event import EventQuery
from schemas.filter import OrderTerm
from schemas.written import Written

NEVER_NULL = {"id", "type", "source", "producer", "userId"}

MAX_COMPARED = 256
"""How many characters of a text in metadata an order compares. They are bounded because a cursor carries them."""


AT, BELOW, ABOVE = ["%(at)s::bigint"], ["%(at)s::bigint - 1"], ["%(at)s::bigint + 1"]
"""The seq at which a page begins, and the seqs before and after it."""


class _Page(Struct, frozen=True):
    """Events, their places in the order, and whether there are others on either side.

    A small page has the JSON of its events, a large one their seqs and sizes, in the order of the page.
    """

    json: bytes | None
    seqs: list[int]
    sizes: list[int]
    places: list[list[str | None]] | None
    has_more: bool
    has_others: bool
    total: int | None = None
    """How many events match, if the statement that read the page knew it."""

    def within(self, *, backwards: bool) -> "_Page":
        """The part of the page that fits one answer, beginning at the end that is next to the cursor."""
        if self.json is not None or self.places is None:
            return self
        count = fitting(self.sizes[::-1] if backwards else self.sizes)
        if count == len(self.sizes):
            return self
        kept = slice(-count, None) if backwards else slice(count)
        return replace(self, seqs=self.seqs[kept], sizes=self.sizes[kept], places=self.places[kept], has_more=True)


class Browser:
    """Reads pages, for one process. Any number of tasks may use it at once."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors
        self._fields = known_fields()

    async def page(self, workspace: str, wanted: BrowseEvents, only_user: str | None) -> Written[BrowsedPage]:
        """Return one page; with `only_user`, only of that user's events.

        It ends early at 32 MiB, but has at least one event.

        Raises InvalidInput for an invalid filter or order, or a cursor of another list; Unavailable.
        """
        matching = _matching(wanted, workspace, only_user)
        order = _order([] if wanted.order_by is None else parse_order(wanted.order_by, "orderBy", self._fields))
        name = f"browse {sha256(order_sql(order).encode()).hexdigest()[:16]}"
        if wanted.after is not None and wanted.before is not None:
            raise InvalidInput([Issue("before", "must not be sent together with after; send only one of them")])
        field, text = ("after", wanted.after) if wanted.before is None else ("before", wanted.before)
        place = None
        if text is not None:
            place = self._cursors.open(text, order=name, workspace=workspace, filter=matching.digest, field=field)
        page = await self._read(matching, order, place, wanted.limit or DEFAULT_LIMIT, backwards=field == "before")
        parts = await pieces.page(self._database, workspace, BROWSE_JSON, page.json, page.seqs, page.sizes)
        if place is None:
            # Counted after the page is read: events appended between would make the total less than the page otherwise.
            total = await counted(self._database, matching) if page.total is None else page.total
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
        return Written(b'{"data":[', *parts, b'],"pageInfo":%b}' % msgspec.json.encode(info))

    async def _read(
        self, matching: EventConditions, order: Order, place: Cursor | None, limit: int, *, backwards: bool
    ) -> _Page:
        """Read the page behind `place`, or right before it."""
        parameters = dict(matching.parameters)
        way = reversed_order(order) if backwards else order
        others = "false"
        if place is not None:
            parameters["at"] = place.seq
            back = reversed_order(way)
            # The row at the place comes first: it usually still matches, and is found at once.
            here = matching.rows(descending=True, limit=1, low=AT, high=AT)
            before = _rows(matching, back, 1, place, parameters)
            others = " OR ".join(f"(SELECT true FROM ({each}) AS other) IS NOT NULL" for each in (here, before))
        sql = page_sql(_rows(matching, way, limit + 1, place, parameters), way, limit, others, backwards=backwards)
        if place is None:
            sql = matching.beside_total(sql)
        sql = matching.statement(sql)
        is_planned = matching.is_planned if len(order) == 1 else not (matching.is_bare and _has_index(order))
        if is_planned or matching.meets_others:
            [row] = await self._database.search(sql, parameters, is_planned=is_planned)
        else:
            [row] = await self._database.rows(sql, parameters)
        json, large, *rest = row
        return _Page(json, *pieces.measures(large), *rest).within(backwards=backwards)


def _rows(
    matching: EventConditions, way: Order, limit: int, place: Cursor | None, parameters: dict[str, object]
) -> str:
    """A SELECT of the first events behind a place in the order `way`.

    It puts the values of the place into `parameters`.
    """
    if len(way) == 1:
        descending = way[0].descending
        low = ABOVE if place is not None and not descending else []
        high = BELOW if place is not None and descending else []
        return matching.rows(descending=descending, limit=limit, low=low, high=high)
    found = matching.found
    if place is not None:
        found += f" AND {behind_sql(way, [*place.values, str(place.seq)], parameters)}"
    return f"SELECT event.* FROM {found} ORDER BY {order_sql(way)} LIMIT {limit}"


def _has_index(order: Order) -> bool:
    """Whether an index has the events of a workspace in this order of one column."""
    return len(order) == 2 and not order[0].nullable and order[0].descending == order[1].descending


def _matching(wanted: BrowseEvents, workspace: str, only_user: str | None) -> EventConditions:
    """The conditions that the events of a page meet. Raises InvalidInput for an invalid filter."""
    query = EventQuery(
        type=wanted.type,
        subject_id=wanted.subject_id,
        causation_id=wanted.parent_id,
        user_id=wanted.user_id,
        from_=wanted.created_at_after,
        to=behind(wanted.created_at_before),
        filter=wanted.filter,
    )
    ids = None if wanted.ids is None else [UUID(each) for each in wanted.ids]
    return EventConditions(query, workspace, only_user, ids=ids)


def page_sql(rows: str, way: Order, limit: int, others: str, *, backwards: bool) -> str:
    """SQL of a page as one row: its events' JSON or sizes, their places, whether more match, and whether `others` do.

    The page has the first `limit` of `rows`, which are in the order `way`. If `backwards`, it returns them in the
    opposite order. The limit is part of the text, so that the planner sees it. That is safe, because it was validated.
    """
    order = f"ORDER BY line {'DESC' if backwards else 'ASC'}"
    return f"""
        SELECT {ANSWERED}, places, has_more, {others}
        FROM (
            SELECT {measured(BROWSE_JSON, limit, order=order, where=f"line <= {limit}")},
                array_agg(place {order}) FILTER (WHERE line <= {limit}) AS places, count(*) > {limit} AS has_more
            FROM (
                SELECT *, {place_sql(way)} AS place, row_number() OVER () AS line
                FROM ({rows}) AS event
            ) AS numbered
        ) AS measured"""


def _order(terms: list[OrderTerm]) -> Order:
    """The keys of an order: the requested terms, then the seq.

    The seq has the direction of the last term, as in the indexes.
    """
    order: list[OrderKey] = []
    for term in terms:
        if term.field.name in IN_LOG_ORDER:
            return [*order, seq_key(descending=term.descending)]
        order.append(_key(term))
    return [*order, seq_key(descending=order[-1].descending if order else True)]


def _key(term: OrderTerm) -> OrderKey:
    value, type_ = order_value(term), order_type(term)
    return OrderKey(
        sql=f"left({value}, {MAX_COMPARED})" if type_ == "text" and term.field.path else value,
        type=type_,
        nullable=term.field.name not in NEVER_NULL,
        descending=term.descending,
        nulls_first=term.nulls_first,
    )
