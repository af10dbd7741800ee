"""The filter of every reader as a syntax tree, and what an order is made of. `app/filters` reads them from JSON."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct

Kind = Literal["text", "number", "integer", "boolean", "instant", "uuid", "hash", "json", "object"]
"""What a field holds. `json` is any value; of an `object` (or an array) only whether it is there can be asked.

`integer` is a column's whole number; `uuid` and `hash` are columns that are compared for equality alone. An `instant`
of metadata is stored as the text that was sent, with any offset.
"""

Operator = Literal[
    "eq", "ne", "in", "nin", "gt", "gte", "lt", "lte", "contains", "startsWith", "endsWith", "like", "isNull"
]

Relation = Literal["parent", "children"]
"""The event that caused this one; the events that this one caused. Both in the same workspace."""

Quantifier = Literal["some", "none"]

Direction = Literal["asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"]
"""Plain `asc` puts nulls last, `desc` first."""

Scalar = str | int | float | bool | datetime

Value = Scalar | tuple[Scalar, ...]
"""U+0000 in a text is U+FFFD already; an instant is in UTC; a number that is whole and safe is an int."""


FilterObject = Annotated[dict[str, Any], Meta(extra={"shape": "filter", "message": "must be a JSON object"})]
"""A filter, as its caller wrote it; `app/filters/parse.py` reads it."""

LiveFilterObject = Annotated[dict[str, Any], Meta(extra={"shape": "live filter", "message": "must be a JSON object"})]
"""A filter of a stream or webhook, which sees events one by one: it has no relations."""

ShownFilter = Annotated[Raw, Meta(extra={"shape": "live filter", "message": "must be a JSON object"})]
"""A live filter that was stored. Its JSON text is returned as it is."""


class Field(Struct, frozen=True):
    """What is compared: a column by its `name`, or with a `path` the member that it leads to in `data` or `metadata`.

    `choices` are the only texts that the field can equal, where its type says so.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind
    choices: tuple[str, ...] = ()

    @property
    def dotted(self) -> str:
        """As a caller writes it."""
        return ".".join((self.name, *self.path))


class Test(Struct, frozen=True):
    """One comparison. With a missing or null value it is false, but for `ne`, `nin` and `isNull`.

    `value` is a tuple for `in` and `nin`, a bool for `isNull`.
    """

    field: Field
    operator: Operator
    value: Value


class And(Struct, frozen=True):
    """True where all are; so is the empty one."""

    nodes: tuple["Node", ...]


class Or(Struct, frozen=True):
    """True where one is; the empty one is false."""

    nodes: tuple["Node", ...]


class Not(Struct, frozen=True):
    """True where the other is not."""

    node: "Node"


class Related(Struct, frozen=True):
    """True where some, or none, of the related events meets `node`."""

    relation: Relation
    quantifier: Quantifier
    node: "Node"


Node = And | Or | Not | Test | Related


class OrderTerm(Struct, frozen=True):
    """One key of an order: a column, or a typed member of metadata."""

    field: Field
    descending: bool
    nulls_first: bool
