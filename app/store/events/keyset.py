"""Orders as SQL: how rows are sorted, and which rows come after a place in the order.

A place consists of a row's values for the keys of the order, as text. It stays valid when its row changes or other rows
are added. PostgreSQL's own comparison of rows is not enough: the keys' directions may differ, and values may be null.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

SEQ = "event.seq"


class OrderKey(Struct, frozen=True, kw_only=True):
    """One key of an order: an SQL expression and its type. If it is `nullable`, nulls come first or last."""

    sql: str
    type: str
    nullable: bool
    descending: bool
    nulls_first: bool

    @property
    def direction(self) -> str:
        """The key in an ORDER BY clause.

        It mentions nulls only if the key is nullable: otherwise PostgreSQL would not use the index.
        """
        nulls = f" NULLS {'FIRST' if self.nulls_first else 'LAST'}" if self.nullable else ""
        return f"{self.sql} {'DESC' if self.descending else 'ASC'}{nulls}"

    def reversed(self) -> "OrderKey":
        """The key with the opposite direction."""
        return msgspec.structs.replace(self, descending=not self.descending, nulls_first=not self.nulls_first)


Order = Sequence[OrderKey]
"""The keys of an order, the most significant first. The last key is the seq, which no two events share."""


def seq_key(*, descending: bool) -> OrderKey:
    """The key for the order of the log, which is also the order of the times."""
    return OrderKey(sql=SEQ, type="bigint", nullable=False, descending=descending, nulls_first=descending)


def reversed_order(order: Order) -> Order:
    """The same order with all directions reversed."""
    return [key.reversed() for key in order]


def order_sql(order: Order) -> str:
    """An order as the text of an ORDER BY clause."""
    return ", ".join(key.direction for key in order)


def place_sql(order: Order) -> str:
    """SQL of a row's place, as an array of text."""
    return f"ARRAY[{', '.join(f'({key.sql})::text' for key in order)}]"


def behind_sql(order: Order, place: Sequence[str | None], parameters: dict[str, object]) -> str:
    """SQL that is true of the rows behind `place`, and never null.

    It puts the values of the place into `parameters`.
    """
    values = []
    for number, (key, value) in enumerate(zip(order, place, strict=True)):
        parameters[f"place{number}"] = value
        values.append(f"%(place{number})s::text::{key.type}")
    if not any(key.nullable for key in order) and len({key.descending for key in order}) == 1:
        # PostgreSQL's comparison of rows suffices, and an index scan on these columns begins at the place.
        operator = "<" if order[0].descending else ">"
        return f"({', '.join(key.sql for key in order)}) {operator} ({', '.join(values)})"
    alternatives: list[str] = []
    equal: list[str] = []
    for key, value, text in zip(order, values, place, strict=True):
        alternatives.append(" AND ".join([*equal, _beyond(key, value, text)]))
        equal.append(f"{key.sql} IS NULL" if text is None else f"({key.sql} = {value}) IS TRUE")
    return f"({' OR '.join(f'({alternative})' for alternative in alternatives)})"


def _beyond(key: OrderKey, value: str, text: str | None) -> str:
    """SQL that is true if one key comes after a value, or after null."""
    if text is None:
        return f"{key.sql} IS NOT NULL" if key.nulls_first else "false"
    beyond = f"({key.sql} {'<' if key.descending else '>'} {value}) IS TRUE"
    return f"({beyond} OR {key.sql} IS NULL)" if key.nullable and not key.nulls_first else beyond
