"""Walks: SELECTs over the table `event` that go through one index, from one place to another.

PostgreSQL chooses an index by its statistics, which are wrong for a table that is new, restored or seldom analyzed. So
every statement here asks for an order that only one index has, and connections do not sort (`SESSION` in
`session.py`): only one plan is possible. A condition on one value is written as a range for the same reason: if a
column equals a value, PostgreSQL drops the column from the order. See `docs/decisions/0010`.

Bounds are SQL expressions of seqs, and both are included.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

MAX_KINDS = 100
"""How many types with the prefix of a pattern the index looks up. If a workspace has more, the pattern is compared with
one event after the other."""

FIRST_PLACE, LAST_PLACE = "0::bigint", f"{2**63 - 1}::bigint"

IN_WORKSPACE = "workspace_id = %(workspace)s"


class Entry(Struct, frozen=True, kw_only=True):
    """An index on (workspace, `column`, seq), and the value to find in it (`value`), or several values (`asked`).

    `asked` is SQL for a WITH RECURSIVE clause, whose last part is `asked` with the column `value`. `where` is the
    condition of a partial index. `too_many` is true if `asked` is empty because there are too many values. `rest` is a
    condition that the events found by the index must also meet, if the index finds others as well. `is_costly` says
    that `column` is an expression that takes long to evaluate.
    """

    column: str
    value: str | None = None
    asked: str | None = None
    where: str | None = None
    too_many: str | None = None
    rest: str | None = None
    is_costly: bool = False


class Walk(Struct, frozen=True, kw_only=True):
    """Which events to read: by the index of `entry`, else by seq, from the seq `low` to `high`, those that meet `rest`.

    `plain` is the condition on one event that is equivalent to the entry.
    """

    entry: Entry | None = None
    plain: str = "true"
    rest: Sequence[str] = ()
    low: Sequence[str] = ()
    high: Sequence[str] = ()

    def between(self, *, low: Sequence[str] = (), high: Sequence[str] = ()) -> "Walk":
        """This walk within narrower bounds."""
        return replace(self, low=[*self.low, *low], high=[*self.high, *high])

    def rows(self, *, descending: bool, limit: str | int, offset: int = 0) -> str:
        """A SELECT of the first events of the walk, in its order.

        It returns all columns of `event`, and maybe a `value`.
        """
        if self.entry is not None and self.entry.asked is not None:
            return self._merged(self.entry, self.entry.asked, descending=descending, limit=limit, offset=offset)
        end = f" LIMIT {limit}" + (f" OFFSET {offset}" if offset else "")
        far = self.low if descending else self.high
        if self.entry is None or self.rest or not far:
            return self.all("*", descending=descending) + end
        # Before PostgreSQL 18 a row comparison finds the start of an index scan, but not its end. So the scan reads
        # events beyond the bound, up to the limit, and the outer SELECT leaves them out.
        open_end = replace(self, low=()) if descending else replace(self, high=())
        within = " AND ".join([f"seq {'>=' if descending else '<='} {bound}" for bound in far])
        return f"SELECT * FROM ({open_end.all('*', descending=descending)}{end}) AS met WHERE {within}"

    def every(self, columns: str) -> str:
        """A SELECT of all events of the walk, in any order."""
        entry = self.entry
        if entry is None:
            return self.all(columns, descending=not self.low)
        if entry.asked is None:
            return self._in_any_order(columns, entry) if entry.is_costly else self.all(columns, descending=not self.low)
        each = self._of("asked.value").every(columns)
        found = f"SELECT one.* FROM asked CROSS JOIN LATERAL ({each}) AS one"
        if entry.too_many is not None:
            found += f" UNION ALL ({self._one_after_other(columns, entry.column, entry.too_many)})"
        return f"WITH RECURSIVE {entry.asked} {found}"

    def count(self) -> str:
        """A SELECT of the number of events of the walk."""
        return f"SELECT count(*) FROM ({self.every('event.seq')}) AS counted"

    def _in_any_order(self, columns: str, entry: Entry) -> str:
        """A SELECT of all events of the walk, for one value of a costly expression.

        It asks for no order: PostgreSQL evaluates what a result is ordered by for each event, even if an index has that
        order. No other index serves its conditions. Bounds of `seq` alone would lead to the primary key. OFFSET keeps
        PostgreSQL from reading all events before it looks at the value, and from starting processes for a short count.
        """
        conditions = " AND ".join([IN_WORKSPACE, *self._from_to(entry), *self.rest])
        return f"SELECT {columns} FROM event WHERE {conditions} OFFSET 0"

    def _one_after_other(self, columns: str, column: str, condition: str) -> str:
        """A SELECT of the events of the walk if the condition is true, without a lookup for each value.

        It scans the index on `column`, which has what is compared. If every event matches, it scans the range of seqs.
        """
        if self.plain == "true":
            return replace(self, entry=None, rest=[condition, *self.rest]).all(columns, descending=not self.low)
        conditions = " AND ".join([condition, IN_WORKSPACE, self.plain, *self.rest, *self._bounds])
        return f"SELECT {columns} FROM event WHERE {conditions} ORDER BY {column}, event.seq"

    @property
    def _bounds(self) -> list[str]:
        return [f"event.seq >= {bound}" for bound in self.low] + [f"event.seq <= {bound}" for bound in self.high]

    @property
    def _one_by_one(self) -> "Walk":
        """This walk without the entry's index."""
        return replace(self, entry=None, plain="true", rest=[self.plain, *self.rest])

    def _of(self, value: str) -> "Walk":
        """This walk for one of the entry's values."""
        return self if self.entry is None else replace(self, entry=replace(self.entry, value=value, asked=None))

    def all(self, columns: str, *, descending: bool) -> str:
        """A SELECT of all events of the walk, if it looks for at most one value."""
        direction = "DESC" if descending else "ASC"
        conditions = [IN_WORKSPACE]
        order = f"event.seq {direction}"
        if self.entry is None:
            conditions += self._bounds
        else:
            conditions += self._from_to(self.entry)
            order = f"{self.entry.column} {direction}, {order}"
        return f"SELECT {columns} FROM event WHERE {' AND '.join([*conditions, *self.rest])} ORDER BY {order}"

    def _from_to(self, entry: Entry) -> list[str]:
        """The conditions on the index of an entry with one value."""
        low = f"greatest({', '.join([FIRST_PLACE, *self.low])})"
        high = f"least({', '.join([LAST_PLACE, *self.high])})"
        # Compared as rows, so that the index scan begins at exactly that place.
        bounds = [f"({entry.column}, event.seq) >= ({entry.value}, {low})"]
        bounds += [f"({entry.column}, event.seq) <= ({entry.value}, {high})"]
        return bounds if entry.where is None else [*bounds, entry.where]

    def _merged(self, entry: Entry, asked: str, *, descending: bool, limit: str | int, offset: int) -> str:
        """A SELECT that merges the walks of all values, without reading the whole limit for each value.

        First it reads twice the fair share of each value. The last place that is needed among those rows is the edge.
        Then it reads further only the values whose rows ended before the edge.
        """
        order, least, before = ("ORDER BY seq DESC", "min", ">") if descending else ("ORDER BY seq", "max", "<")
        needed = f"({limit} + {offset})"
        share = f"(SELECT least({needed}, 2 * {needed} / greatest(count(*), 1) + 1) FROM asked)"
        edge = f"(SELECT seq FROM early {order} OFFSET {needed} - 1 LIMIT 1)"
        early = self._of("asked.value").rows(descending=descending, limit=share)
        behind = {"high": ["ended.seq - 1"]} if descending else {"low": ["ended.seq + 1"]}
        late = self._of("ended.value").between(**behind).rows(descending=descending, limit=needed)
        unless = ""
        if entry.too_many is not None:
            every = replace(self._one_by_one, rest=[entry.too_many, *self._one_by_one.rest])
            unless = f"UNION ALL SELECT NULL, one.* FROM ({every.rows(descending=descending, limit=needed)}) AS one"
        return f"""
            WITH RECURSIVE {asked}, early AS MATERIALIZED (
                SELECT asked.value, one.* FROM asked CROSS JOIN LATERAL ({early}) AS one
            ), ended AS (
                SELECT value, {least}(seq) AS seq FROM early GROUP BY value
                HAVING count(*) = {share} AND ({least}(seq) {before} {edge}) IS NOT FALSE
            )
            SELECT * FROM (
                SELECT * FROM early UNION ALL
                SELECT ended.value, one.* FROM ended CROSS JOIN LATERAL ({late}) AS one {unless}
            ) AS event {order} LIMIT {limit} OFFSET {offset}"""


def one_sql(key: str, value: str, *, columns: str = "*", table: str = "event") -> str:
    """A SELECT of the row of a workspace whose `key` has this value. The index on (workspace, key) must be unique."""
    return (
        f"SELECT {columns} FROM {table} WHERE {IN_WORKSPACE} AND {key} >= {value} AND {key} <= {value} "
        f"ORDER BY {key} LIMIT 1"
    )


def each_sql(key: str, values: str, *, columns: str = "*", name: str = "event") -> str:
    """A FROM item called `name`: the event for each of `values`, which is an SQL array of a unique `key`.

    A value that the array contains twice returns its event twice.
    """
    row = one_sql(key, "asked.value", columns=columns)
    return f"unnest({values}) AS asked (value) CROSS JOIN LATERAL ({row}) AS {name}"


def existing(column: str, where: str, wanted: str, *, rest: str | None = None, is_costly: bool = False) -> Entry:
    """An entry for the values of an index on (workspace, `column`, seq) that a workspace has and that are `wanted`.

    The index finds the next value after each one, so there should be few distinct values. `rest` and `is_costly` are
    those of `Entry`.
    """
    first = f"SELECT {column} AS value FROM event WHERE {IN_WORKSPACE} AND {where}"
    order = f"ORDER BY {column}, seq LIMIT 1"
    asked = f"""
        found AS (
            SELECT value FROM ({first} {order}) AS first
            UNION ALL
            SELECT next.value FROM found CROSS JOIN LATERAL ({first} AND {column} > found.value {order}) AS next
        ), asked AS MATERIALIZED (SELECT value FROM found WHERE {wanted})"""
    return Entry(column=column, asked=asked, where=where, rest=rest, is_costly=is_costly)


def fitting_types(pattern: str | None, *, start: str | None = None, end: str | None = None) -> Entry:
    """An entry for the types of a workspace that match a regular expression, from the type `start` on and before `end`.

    The types are those that have events: the index finds the next type after each one.
    """
    before = "" if end is None else f" AND type < {end}"
    first = f"SELECT type FROM event WHERE {IN_WORKSPACE}{'' if start is None else f' AND type >= {start}'}{before}"
    next_ = f"SELECT type FROM event WHERE {IN_WORKSPACE} AND type > kind.type{before}"
    too_many = f"(SELECT count(*) FROM kind) > {MAX_KINDS}"
    fits = "" if pattern is None else f"type ~ {pattern} AND "
    asked = f"""
        kind AS (
            (SELECT type, 1 AS number FROM ({first} ORDER BY type, seq LIMIT 1) AS first)
            UNION ALL
            SELECT next.type, number + 1
            FROM kind CROSS JOIN LATERAL ({next_} ORDER BY type, seq LIMIT 1) AS next WHERE number <= {MAX_KINDS}
        ), asked AS MATERIALIZED (
            SELECT type AS value FROM kind WHERE {fits}NOT {too_many}
        )"""
    return Entry(column="type", asked=asked, too_many=too_many)
