"""Filters as SQL: always parameters, never a caller's text in a statement."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import msgspec

from app.filter import filter_of, type_pattern
from app.store.filter_sql import condition
from app.store.linker import MICROSECOND
from app.store.pipe import uuid_array
from schemas.event import EventQuery
from schemas.filter import And, Node, Test

IN_LOG_ORDER = {"seq", "createdAt", "timestamp"}
"""Fields in whose order the log stands: times strictly increase with seq, so that the primary key serves both."""

FIRST_SEQ = """
event.seq >= (
    SELECT seq FROM event WHERE workspace_id = %(workspace)s AND recorded_at >= %(from)s ORDER BY recorded_at LIMIT 1)
"""
"""Where the events from a time on begin; true of none where there are none. The times themselves are not compared: an
index that sorts by seq knows only seqs, and a plan for times that it does not know would sort all that lie between."""

LAST_SEQ = """
event.seq <= (
    SELECT seq FROM event WHERE workspace_id = %(workspace)s AND recorded_at < %(to)s ORDER BY recorded_at DESC LIMIT 1)
"""
"""Where they end."""

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


class Filter:
    """The conditions of a list: `sql` over the table `event`, with `parameters`."""

    def __init__(
        self, query: EventQuery, workspace: str, only_user: str | None, *, ids: Sequence[UUID] | None = None
    ) -> None:
        """`only_user` restricts to that user's rows whatever the query asks for, `ids` to these events.

        Raises InvalidInput for its filter.
        """
        query, node = _folded(query, filter_of(query))
        self.parameters: dict[str, object] = {"workspace": workspace}
        self._counted: list[str] = ["workspace_id = %(workspace)s"]
        self._others: list[str] = []
        for name in ("subject_id", "correlation_id", "causation_id", "user_id"):
            self._add(self._others, name, "=", getattr(query, name))
        self._add(self._others, "user_id", "=", only_user, key="only_user")
        self._span: list[str] = []
        for key, value, bound in (("from", query.from_, FIRST_SEQ), ("to", query.to, LAST_SEQ)):
            if value is not None:
                self._span.append(bound)
                self.parameters[key] = value
        self._add(self._counted, "source", "=", query.source)
        self._producer = query.producer
        if query.producer is not None:
            self._others.append("coalesce(producer, source) = %(producer)s")
            self.parameters["producer"] = query.producer
        self._type(query.type)
        if ids is not None:
            self._others.append("id = ANY(%(ids)s::uuid[])")
            self.parameters["ids"] = uuid_array(ids)
        self.is_free = node is not None
        """Whether it asks for what no index may serve: such a read holds up others."""
        if node is not None:
            self._others.append(f"({condition(node, self.parameters, only_user=only_user)})")
        self._has_metadata = query.has_metadata

    @property
    def sql(self) -> str:
        """For a WHERE clause over `event`."""
        conditions = [*self._counted, *self._others, *self._span]
        if self._has_metadata is not None:
            conditions.append(f"metadata IS {'NOT ' if self._has_metadata else ''}NULL")
        return " AND ".join(conditions)

    @property
    def total_sql(self) -> str:
        """A query for the number of matches: from the counters or from seqs where they know it, else by counting.

        No filter is the tip's seq; a time range alone is a difference of seqs, since times strictly increase with seq;
        type, source, having metadata and producer are counted as they are appended.
        """
        by_counting = f"SELECT count(*) FROM event WHERE {self.sql}"
        if self._producer is not None and len(self.parameters) == 2 and self._has_metadata is None:
            return _counted_by(
                "producer_count", "workspace_id = %(workspace)s AND producer = %(producer)s", by_counting
            )
        if self._others or (self._span and (len(self._counted) > 1 or self._has_metadata is not None)):
            return by_counting
        if self._span:
            before = (
                "coalesce((SELECT seq FROM event WHERE workspace_id = %(workspace)s AND recorded_at < {} "
                "ORDER BY recorded_at DESC LIMIT 1), -1)"
            )
            start = before.format("%(from)s") if "from" in self.parameters else "-1"
            end = before.format("%(to)s") if "to" in self.parameters else "seq"
            return f"SELECT greatest({end} - {start}, 0) FROM event_tip WHERE workspace_id = %(workspace)s"
        if len(self._counted) == 1 and self._has_metadata is None:
            return "SELECT seq + 1 FROM event_tip WHERE workspace_id = %(workspace)s"
        counted = list(self._counted)
        if self._has_metadata is not None:
            counted.append(f"{'' if self._has_metadata else 'NOT '}has_metadata")
        return _counted_by("event_count", " AND ".join(counted), by_counting)

    @property
    def digest(self) -> bytes:
        """Stands for the filter in a cursor that carries its total: the same for whatever says the same."""
        return sha256(msgspec.json.encode([self.sql, self.parameters], order="sorted")).digest()[:8]

    def _add(self, conditions: list[str], column: str, operator: str, value: object, *, key: str | None = None) -> None:
        if value is not None:
            key = key or column
            conditions.append(f"{column} {operator} %({key})s")
            self.parameters[key] = value

    def _type(self, pattern: str | None) -> None:
        if pattern is None or pattern == "*":
            return
        segments = pattern.split(".")
        if "*" not in segments:
            self._add(self._counted, "type", "=", pattern)
            return
        # Types that match begin with the segments before the first `*`: a prefix that the index finds.
        prefix = ".".join(segments[: segments.index("*")])
        if prefix:
            self._add(self._counted, "type", ">=", f"{prefix}.", key="type_from")
            self._add(self._counted, "type", "<", f"{prefix}/", key="type_to")
        if segments.index("*") < len(segments) - 1:
            self._add(self._counted, "type", "~", f"^{type_pattern(pattern).pattern}$", key="type_like")


def _counted_by(counters: str, conditions: str, by_counting: str) -> str:
    """The sum of counters, where this workspace's are kept."""
    return (
        f"SELECT CASE WHEN counted THEN (SELECT coalesce(sum(events), 0)::bigint FROM {counters} WHERE {conditions}) "
        f"ELSE ({by_counting}) END FROM event_tip WHERE workspace_id = %(workspace)s"
    )


def behind(at: datetime | None) -> datetime | None:
    """The first moment after `at`, where there is one."""
    try:
        return at and at + MICROSECOND
    except OverflowError:  # nothing is recorded later
        return None


def _folded(query: EventQuery, node: Node | None) -> tuple[EventQuery, Node | None]:
    """What of a filter a list's query can say, said by that: its totals are counters, and its times bound the seqs."""
    rest: list[Node] = []
    for each in _conjuncts(node):
        name, value = _shorthand(each)
        if value is None or getattr(query, name) is not None:
            rest.append(each)
        else:
            query = msgspec.structs.replace(query, **{name: value})
    return query, And(tuple(rest)) if rest else None


def _conjuncts(node: Node | None) -> Iterator[Node]:
    """What all has to hold."""
    if isinstance(node, And):
        for each in node.nodes:
            yield from _conjuncts(each)
    elif node is not None:
        yield node


def _shorthand(node: Node) -> tuple[str, object]:
    """What a list's query calls what a node asks for, and the value; None for what it cannot say."""
    match node:
        case Test(field, "eq", str(value)) if field.name in SHORTHANDS and (field.name != "type" or "*" not in value):
            return SHORTHANDS[field.name], value
        case Test(field, operator, datetime() as value) if field.name in IN_LOG_ORDER and operator in {"gt", "gte"}:
            return "from_", value if operator == "gte" else behind(value)
        case Test(field, operator, datetime() as value) if field.name in IN_LOG_ORDER and operator in {"lt", "lte"}:
            return "to", value if operator == "lt" else behind(value)
    return "", None
