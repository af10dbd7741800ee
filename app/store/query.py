"""Filters as SQL: always parameters, never a caller's text in a statement."""

from hashlib import sha256

import msgspec

from app.filter import filter_of, type_pattern
from app.store.filter_sql import condition
from schemas.event import EventQuery


class Filter:
    """The conditions of a list: `sql` over the table `event`, with `parameters`."""

    def __init__(self, query: EventQuery, workspace: str, only_user: str | None) -> None:
        """`only_user` restricts to that user's rows whatever the query asks for. Raises InvalidInput for its filter."""
        self.parameters: dict[str, object] = {"workspace": workspace}
        self._keys: list[str] = []
        self._counted: list[str] = ["workspace_id = %(workspace)s"]
        self._others: list[str] = []
        for name in ("subject_id", "correlation_id", "causation_id", "user_id"):
            self._add(self._others, name, "=", getattr(query, name))
        self._add(self._others, "user_id", "=", only_user, key="only_user")
        self._span: list[str] = []
        self._add(self._span, "recorded_at", ">=", query.from_, key="from")
        self._add(self._span, "recorded_at", "<", query.to, key="to")
        self._add(self._counted, "source", "=", query.source)
        self._producer = query.producer
        if query.producer is not None:
            self._others.append("coalesce(producer, source) = %(producer)s")
            self.parameters["producer"] = query.producer
        self._type(query.type)
        self.is_free = query.filter is not None
        """Whether it asks for what no index may serve: such a read holds up others."""
        if (node := filter_of(query)) is not None:
            self._others.append(f"({condition(node, self.parameters, only_user=only_user)})")
            self._keys.append(f"filter={msgspec.json.encode(query.filter, order='sorted').decode()}")
        if query.has_metadata is not None:
            self._keys.append(f"metadata={query.has_metadata}")
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
        """Stands for the filter in a cursor that carries its total."""
        return sha256(msgspec.json.encode([*self._keys, self.parameters], order="sorted")).digest()[:8]

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
