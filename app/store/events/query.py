"""Filters as SQL. A caller's text is always a parameter, and never part of a statement.

A filter that one index serves becomes a walk (`app/store/postgres/walk.py`), which has the same plan whatever the
database's statistics say. For a filter that no index or several serve, the planner chooses the plan.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import msgspec
from msgspec.structs import replace

from app.filters.parse import filter_of
from app.filters.sql import KINDS, condition, has_kind, kinds, may_have, place_of, projection
from app.filters.type_patterns import type_pattern
from app.store.events.linker import MICROSECOND
from app.store.postgres.pipe import uuid_array
from app.store.postgres.walk import IN_WORKSPACE, Entry, Walk, each_sql, existing, fitting_types
from schemas.event import EventQuery
from schemas.filter import And, Node, Test
from schemas.histogram import Grouping

IN_LOG_ORDER = {"seq", "createdAt", "timestamp"}
"""Fields that have the order of the log. Times strictly increase with seq, so the primary key serves all of them."""

_FROM, _TO = "(SELECT first FROM span)", "(SELECT beyond FROM span)"

PLACES = {"from": ("first", place_of("%(from)s::timestamptz")), "to": ("beyond", place_of("%(to)s::timestamptz"))}
"""The places of a time range, which `EventConditions.statement` puts into `span`. A place takes many reads to find, so
a statement finds each only once."""

FIRST_SEQ = f"event.seq >= {_FROM}"
"""A bound for events from a time on. It compares seqs, not times, because an index in the order of seq does not contain
times."""

LAST_SEQ = f"event.seq < {_TO}"
"""A bound for events before a time."""

KIND_BITS = {(kind,): 2**place for place, kind in enumerate(KINDS)}
"""The kinds of metadata that the index of kinds contains, and the bit of each."""

AGENT = ("ai", "agent")

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
"""Filter fields that `EventQuery` can express too, and the names that it has for them."""


NULLABLE = {"subject_id", "correlation_id", "causation_id"}
"""Columns whose indexes do not contain nulls."""

PRODUCER = "coalesce(producer, source)"

HAS_METADATA = "metadata IS NOT NULL"

BY_ID = "id = ANY(%(ids)s::uuid[])"


class EventConditions:
    """The conditions of a list: `sql` over the table `event`, with `parameters`."""

    def __init__(
        self, query: EventQuery, workspace: str, only_user: str | None, *, ids: Sequence[UUID] | None = None
    ) -> None:
        """`only_user` restricts to that user's events, whatever the query asks for, and `ids` to these events.

        Raises InvalidInput for an invalid filter.
        """
        query, node = _folded(query, filter_of(query))
        self.range = query.from_, query.to
        """The time from which events match, and the time before which they do, as far as there are such bounds."""
        self.parameters: dict[str, object] = {"workspace": workspace}
        self._counted: list[str] = [IN_WORKSPACE]
        self._others: list[str] = []
        self._indexed: dict[str, Entry] = {}
        """The conditions that an index serves, and the entry of each."""
        for name in ("subject_id", "correlation_id", "causation_id", "user_id"):
            self._add(self._others, name, getattr(query, name))
        if only_user != query.user_id:
            self._add(self._others, "user_id", only_user, key="only_user")
        self._span: list[str] = []
        for key, value, bound in (("from", query.from_, FIRST_SEQ), ("to", query.to, LAST_SEQ)):
            if value is not None:
                self._span.append(bound)
                self.parameters[key] = value
        self._add(self._counted, "source", query.source)
        self._producer = query.producer
        self._add(self._others, PRODUCER, query.producer, key="producer")
        self._type(query.type)
        self.names_ids = ids is not None
        """Whether only events with given ids match."""
        if ids is not None:
            self._others.append(BY_ID)
            self.parameters["ids"] = uuid_array(dict.fromkeys(ids))
        self._is_free = node is not None and not self._add_node(node, only_user)
        self._has_metadata = query.has_metadata
        if query.has_metadata:
            self._indexed[HAS_METADATA] = existing(kinds(), HAS_METADATA, "true", is_costly=True)

    @property
    def is_planned(self) -> bool:
        """Whether the planner chooses the plan, because no index or several serve the conditions.

        Such a read may be slow.
        """
        return self._is_free or (len(self._indexed) > 1 and not self.names_ids)

    @property
    def meets_others(self) -> bool:
        """Whether a read may look at events that do not match.

        Then a page may take as long as reading the whole log.
        """
        entry = self._walk.entry
        return self.is_planned or bool(self._walk.rest) or (entry is not None and entry.too_many is not None)

    @property
    def knows_total(self) -> bool:
        """Whether the total follows from the ends of the log, or of a time range."""
        return not self._others and len(self._counted) == 1 and self._has_metadata is None

    @property
    def is_bare(self) -> bool:
        """Whether all events of the workspace match."""
        return len(self._conditions) == 1

    def statement(self, sql: str) -> str:
        """`sql`, which contains parts of these conditions, as a whole statement. It must not begin with WITH."""
        places = [f"{place} AS {name}" for key, (name, place) in PLACES.items() if key in self.parameters]
        return f"WITH span AS MATERIALIZED (SELECT {', '.join(places)}) {sql}" if places else sql

    @property
    def sql(self) -> str:
        """The conditions for a WHERE clause over `event`."""
        return " AND ".join(self._conditions)

    @property
    def found(self) -> str:
        """`event` for a FROM clause, with the WHERE clause."""
        if not self.names_ids:
            return f"event WHERE {self.sql}"
        others = [each for each in self._conditions if each != BY_ID]
        return f"{each_sql('id', '%(ids)s::uuid[]')} WHERE {' AND '.join(others)}"

    def rows(
        self,
        *,
        descending: bool,
        limit: str | int,
        offset: int = 0,
        low: Sequence[str] = (),
        high: Sequence[str] = (),
    ) -> str:
        """A SELECT of the first events that match, in the order of the log, from the seq `low` to `high`."""
        if not self.is_planned and not self.names_ids:
            return self._walk.between(low=low, high=high).rows(descending=descending, limit=limit, offset=offset)
        bounds = [*[f"event.seq >= {bound}" for bound in low], *[f"event.seq <= {bound}" for bound in high]]
        order = f"event.seq {'DESC' if descending else 'ASC'}"
        return (
            f"SELECT event.* FROM {' AND '.join([self.found, *bounds])} ORDER BY {order} LIMIT {limit} OFFSET {offset}"
        )

    def seqs(self, by: Grouping | None, *, low: str, high: str) -> str:
        """A SELECT of the seqs of all events that match, in any order, from the seq `low` to `high`; and of `by`."""
        columns = "event.seq" if by is None else f"event.seq, event.{by}"
        if self.is_planned or self.names_ids:
            return f"SELECT {columns} FROM {self.found} AND event.seq BETWEEN {low} AND {high}"
        walk = self._walk
        if by is not None and self.knows_total:  # an index has both columns
            walk = replace(walk, entry=fitting_types(None) if by == "type" else existing(by, "true", "true"))
        return walk.between(low=[low], high=[high]).every(columns)

    @property
    def known_total_sql(self) -> str | None:
        """A query for the number of matches that counts no event; None if the total must be counted (`count_sql`).

        Its result is null if the workspace has stopped to keep the counters that it needs.

        Without a filter it is the tip's seq + 1. With only a time range it is a difference of seqs, since times
        strictly increase with seq. Events are counted by type, source, producer and whether they have metadata as they
        are appended.
        """
        if self._producer is not None and len(self.parameters) == 2 and self._has_metadata is None:
            return _counted_by("producer_count", f"{IN_WORKSPACE} AND producer = %(producer)s")
        if self._others or (self._span and (len(self._counted) > 1 or self._has_metadata is not None)):
            return None
        if self._span:
            start = _FROM if "from" in self.parameters else "0"
            end = _TO if "to" in self.parameters else "seq + 1"
            return f"SELECT greatest({end} - {start}, 0) FROM event_tip WHERE workspace_id = %(workspace)s"
        if self.is_bare:
            return "SELECT seq + 1 FROM event_tip WHERE workspace_id = %(workspace)s"
        counted = list(self._counted)
        if self._has_metadata is not None:
            counted.append(f"{'' if self._has_metadata else 'NOT '}has_metadata")
        return _counted_by("event_count", " AND ".join(counted))

    def beside_total(self, sql: str) -> str:
        """`sql`, which returns one row, with the known total as one more column; null if the total must be counted."""
        return f"SELECT page.*, ({self.known_total_sql or 'NULL::bigint'}) FROM ({sql}) AS page"

    @property
    def count_sql(self) -> str:
        """A query for the number of matches that counts them."""
        if self.is_planned or self.names_ids:
            return f"SELECT count(*) FROM {self.found}"
        return self._walk.count()

    @property
    def digest(self) -> bytes:
        """A hash of the conditions, by which a cursor tells whether its total is that of this filter.

        Equal conditions have equal hashes.
        """
        return sha256(msgspec.json.encode([self.sql, self.parameters], order="sorted")).digest()[:8]

    @property
    def _conditions(self) -> list[str]:
        metadata = [] if self._has_metadata is None else [HAS_METADATA if self._has_metadata else "metadata IS NULL"]
        return [*self._counted, *self._others, *self._span, *metadata]

    @property
    def _walk(self) -> Walk:
        plain, entry = next(iter(self._indexed.items()), ("true", None))
        rest = [each for each in self._conditions if each not in {IN_WORKSPACE, plain, *self._span}]
        if entry is not None and entry.rest is not None:
            rest.append(entry.rest)
        return Walk(
            entry=entry,
            plain=plain,
            rest=rest,
            low=[_FROM] if "from" in self.parameters else [],
            high=[f"{_TO} - 1"] if "to" in self.parameters else [],
        )

    def _add(self, conditions: list[str], column: str, value: object, *, key: str | None = None) -> None:
        if value is None:
            return
        key = key or column
        conditions.append(f"{column} = %({key})s")
        where = f"{column} IS NOT NULL" if column in NULLABLE else None
        self._indexed[conditions[-1]] = Entry(column=column, value=f"%({key})s", where=where)
        self.parameters[key] = value

    def _type(self, pattern: str | None) -> None:
        if pattern is None or pattern == "*":
            return
        segments = pattern.split(".")
        if "*" not in segments:
            self._add(self._counted, "type", pattern)
            return
        conditions = []
        # The types that match begin with the segments before the first `*`, a prefix that the index finds.
        prefix = ".".join(segments[: segments.index("*")])
        if prefix:
            conditions += ["type >= %(type_from)s", "type < %(type_to)s"]
            self.parameters |= {"type_from": f"{prefix}.", "type_to": f"{prefix}/"}
        if segments.index("*") < len(segments) - 1:
            conditions.append("type ~ %(type_like)s")
            self.parameters["type_like"] = f"^{type_pattern(pattern).pattern}$"
        self._counted.append(" AND ".join(conditions))
        self._indexed[self._counted[-1]] = fitting_types(
            "%(type_like)s" if "type_like" in self.parameters else None,
            start="%(type_from)s" if prefix else None,
            end="%(type_to)s" if prefix else None,
        )

    def _add_node(self, node: Node, only_user: str | None) -> bool:
        """Add the conditions of a filter to those of the query. Returns whether an index serves them."""
        before = set(self.parameters)
        sql = f"({condition(node, self.parameters, only_user=only_user)})"
        self._others.append(sql)
        added = [f"%({name})s" for name in self.parameters if name not in before]
        match list(_conjuncts(node)):
            case [Test(field, "isNull", False)] if field.name == "metadata" and field.path in KIND_BITS:
                # The walk reads one set of kinds after the other. A list of sets would lead to another plan.
                rest = sql.replace(may_have(*field.path, "event.metadata"), has_kind(*field.path, "event.metadata"))
                wanted = f"value & {KIND_BITS[field.path]} > 0"
                self._indexed[sql] = existing(kinds(), HAS_METADATA, wanted, rest=rest, is_costly=True)
            case [Test(field, "eq", str())] if field.name == "metadata" and field.path == AGENT:
                agent = f"({projection('event.metadata')} -> 'ai' -> 'agent')"
                has_ai = has_kind("ai", "event.metadata")
                self._indexed[sql] = Entry(column=agent, value=f"{added[0]}::jsonb", where=has_ai, is_costly=True)
            case [Test(field, "in")] if field.name in SHORTHANDS:
                self._indexed[sql] = _one_of(SHORTHANDS[field.name], added[0])
            case _:
                return False
        return True


def _one_of(column: str, values: str) -> Entry:
    """An entry of an index for several values."""
    return Entry(
        column=PRODUCER if column == "producer" else column,
        asked=f"asked AS MATERIALIZED (SELECT DISTINCT unnest({values}::text[]) AS value)",
        where=f"{column} IS NOT NULL" if column in NULLABLE else None,
    )


def _counted_by(counters: str, conditions: str) -> str:
    """A query for the sum of counters; null if counting has stopped in this workspace."""
    return (
        f"SELECT CASE WHEN counted THEN (SELECT coalesce(sum(events), 0)::bigint FROM {counters} WHERE {conditions}) "
        "END FROM event_tip WHERE workspace_id = %(workspace)s"
    )


def behind(at: datetime | None) -> datetime | None:
    """The first instant after `at`; None if there is none."""
    try:
        return at and at + MICROSECOND
    except OverflowError:  # nothing is recorded later
        return None


def _folded(query: EventQuery, node: Node | None) -> tuple[EventQuery, Node | None]:
    """Move the conditions that `EventQuery` can express from the filter to the query.

    The totals of a query come from counters, and its times become bounds of seqs.
    """
    rest: list[Node] = []
    for each in _conjuncts(node):
        name, value = _shorthand(each)
        if value is None or getattr(query, name) is not None:
            rest.append(each)
        else:
            query = replace(query, **{name: value})
    return query, And(tuple(rest)) if rest else None


def _conjuncts(node: Node | None) -> Iterator[Node]:
    """The conditions that must all be true."""
    if isinstance(node, And):
        for each in node.nodes:
            yield from _conjuncts(each)
    elif node is not None:
        yield node


def _shorthand(node: Node) -> tuple[str, object]:
    """The field of `EventQuery` that expresses a node, and its value; the value is None if no field does."""
    match node:
        case Test(field, "eq", str(value)) if field.name in SHORTHANDS and (field.name != "type" or "*" not in value):
            return SHORTHANDS[field.name], value
        case Test(field, operator, datetime() as value) if field.name in IN_LOG_ORDER and operator in {"gt", "gte"}:
            return "from_", value if operator == "gte" else behind(value)
        case Test(field, operator, datetime() as value) if field.name in IN_LOG_ORDER and operator in {"lt", "lte"}:
            return "to", value if operator == "lt" else behind(value)
    return "", None
