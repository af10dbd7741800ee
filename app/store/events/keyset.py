"""Orders as SQL: how rows are sorted, and which of them stand behind a place in the order.

A place is the values that a row has for what the order compares, as text. It stays where it is when its row changes or
others come. Plain rows cannot be compared here as PostgreSQL compares them: directions may differ, and values be null.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

SEQ = "event.seq"


class OrderKey(Struct, frozen=True, kw_only=True):
    """What an order compares: an SQL expression of a type. Where it may be null, nulls stand first or last."""

    sql: str
    type: str
    nullable: bool
    descending: bool
    nulls_first: bool

    @property
    def direction(self) -> str:
        """For ORDER BY. Silent about nulls where there are none: an index is not recognised otherwise."""
        nulls = f" NULLS {'FIRST' if self.nulls_first else 'LAST'}" if self.nullable else ""
        return f"{self.sql} {'DESC' if self.descending else 'ASC'}{nulls}"

    def reversed(self) -> "OrderKey":
        """The same, backwards."""
        return msgspec.structs.replace(self, descending=not self.descending, nulls_first=not self.nulls_first)


Order = Sequence[OrderKey]
"""What is compared first comes first. The last one is the seq, which no two events share."""


def seq_key(*, descending: bool) -> OrderKey:
    """The place in the log, which is the order of the times too."""
    return OrderKey(sql=SEQ, type="bigint", nullable=False, descending=descending, nulls_first=descending)


def reversed_order(order: Order) -> Order:
    """The same, backwards."""
    return [key.reversed() for key in order]


def order_sql(order: Order) -> str:
    """For ORDER BY."""
    return ", ".join(key.direction for key in order)


def place_sql(order: Order) -> str:
    """A row's place, as an array of text."""
    return f"ARRAY[{', '.join(f'({key.sql})::text' for key in order)}]"


def behind_sql(order: Order, place: Sequence[str | None], parameters: dict[str, object]) -> str:
    """The condition for a row to stand behind `place`, whose values are put into `parameters`. It is never null."""
    values = []
    for number, (key, value) in enumerate(zip(order, place, strict=True)):
        parameters[f"place{number}"] = value
        values.append(f"%(place{number})s::text::{key.type}")
    if not any(key.nullable for key in order) and len({key.descending for key in order}) == 1:
        # As PostgreSQL compares rows: an index on these columns is entered at the place.
        operator = "<" if order[0].descending else ">"
        return f"({', '.join(key.sql for key in order)}) {operator} ({', '.join(values)})"
    alternatives: list[str] = []
    equal: list[str] = []
    for key, value, text in zip(order, values, place, strict=True):
        alternatives.append(" AND ".join([*equal, _beyond(key, value, text)]))
        equal.append(f"{key.sql} IS NULL" if text is None else f"({key.sql} = {value}) IS TRUE")
    return f"({' OR '.join(f'({alternative})' for alternative in alternatives)})"


def _beyond(key: OrderKey, value: str, text: str | None) -> str:
    """The condition for one key to be behind a value, or behind null."""
    if text is None:
        return f"{key.sql} IS NOT NULL" if key.nulls_first else "false"
    beyond = f"({key.sql} {'<' if key.descending else '>'} {value}) IS TRUE"
    return f"({beyond} OR {key.sql} IS NULL)" if key.nullable and not key.nulls_first else beyond
