"""The syntax trees of filters and orders. `app/filters` reads them from JSON."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct

FieldKind = Literal["text", "number", "integer", "boolean", "instant", "uuid", "hash", "json", "object"]
"""The kind of a field's values. `json` is any value. An `object` (or an array) can only be tested for presence.

`integer` is a column's whole number; `uuid` and `hash` are columns that can only be tested for equality. An `instant`
in metadata is stored as the text that was sent, with any offset.
"""

Operator = Literal[
    "eq", "ne", "in", "nin", "gt", "gte", "lt", "lte", "contains", "startsWith", "endsWith", "like", "isNull"
]

Relation = Literal["parent", "children"]
"""`parent` is the event that caused this one, `children` are the events that it caused, in the same workspace."""

Quantifier = Literal["some", "none"]

Direction = Literal["asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"]
"""`asc` puts nulls last, `desc` puts them first."""

Scalar = str | int | float | bool | datetime

Value = Scalar | tuple[Scalar, ...]
"""A value to compare with. U+0000 in text is already U+FFFD, an instant is in UTC, a safe whole number is an int."""


FilterObject = Annotated[dict[str, Any], Meta(extra={"shape": "filter", "message": "must be a JSON object"})]
"""A filter as its caller wrote it. `app/filters` reads it."""

LiveFilterObject = Annotated[dict[str, Any], Meta(extra={"shape": "live filter", "message": "must be a JSON object"})]
"""A filter without relations, for streams and webhooks: they look at one event at a time."""

ShownFilter = Annotated[Raw, Meta(extra={"shape": "live filter", "message": "must be a JSON object"})]
"""The JSON text of a stored live filter, as it was sent."""


class Field(Struct, frozen=True):
    """The field to compare: the column `name`, or with a `path` a member of the column `data` or `metadata`.

    `choices` are the only texts that the field can equal, if its type is an enumeration.
    """

    name: str
    path: tuple[str, ...]
    kind: FieldKind
    choices: tuple[str, ...] = ()

    @property
    def dotted(self) -> str:
        """The field's dotted name, as a caller writes it."""
        return ".".join((self.name, *self.path))


class Test(Struct, frozen=True):
    """One comparison. If the field is missing or null, it is false, except for `ne`, `nin` and `isNull`.

    `value` is a tuple for `in` and `nin`, a bool for `isNull`.
    """

    field: Field
    operator: Operator
    value: Value


class And(Struct, frozen=True):
    """True if all `nodes` are true, or if there are no nodes."""

    nodes: tuple["Node", ...]


class Or(Struct, frozen=True):
    """True if one of the `nodes` is true; false if there are no nodes."""

    nodes: tuple["Node", ...]


class Not(Struct, frozen=True):
    """True if `node` is false."""

    node: "Node"


class Related(Struct, frozen=True):
    """True if some (or, by `quantifier`, none) of the related events match `node`."""

    relation: Relation
    quantifier: Quantifier
    node: "Node"


Node = And | Or | Not | Test | Related


class OrderTerm(Struct, frozen=True):
    """One key of an order: a column, or a typed member of metadata."""

    field: Field
    descending: bool
    nulls_first: bool
