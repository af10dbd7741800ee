"""The words and the limits of the filter language: what can be compared, how, and how much of it.

`parse.py` describes the language and reads it, `matches.py` applies a filter to an event in memory, and `sql.py` writes
it as SQL.
"""

from schemas.filter import FieldKind, Operator

MAX_BYTES = 65_536
"""The size of a filter as JSON. Every process holds the filters of all webhooks, and a list shows them."""

MAX_NODES = 100
"""Comparisons, AND, OR, NOT and relations of a filter."""

MAX_DEPTH = 8
"""Filters inside each other, including the outermost."""

MAX_RELATIONS_DEEP = 2
"""Relations inside each other. Each one multiplies the rows that the database reads."""

MAX_VALUES = 100
"""Values of one `in` or `nin`."""

MAX_TEXT = 1024
"""Characters of a text, and of a field's name."""

MAX_MEMBERS = 64
"""Members of a path: as many as JSON may be deep."""

MAX_ORDER = 8
"""Terms of an order."""

MAX_KNOWN = 50
"""Known names that an error lists."""

COLUMNS: dict[str, FieldKind] = {
    "id": "uuid",
    "type": "text",
    "subjectId": "text",
    "userId": "text",
    "workspaceId": "text",
    "parentId": "text",
    "causationId": "text",
    "correlationId": "text",
    "source": "text",
    "producer": "text",
    "seq": "integer",
    "createdAt": "instant",
    "timestamp": "instant",
    "occurredAt": "instant",
    "hash": "hash",
}
"""The fields of an event that are not JSON. `parentId` is `causationId`, and `createdAt` is `timestamp`. An event
without a `producer` has its source as its producer."""

EQUALITY: tuple[Operator, ...] = ("eq", "ne", "in", "nin", "isNull")
ORDERING: tuple[Operator, ...] = ("gt", "gte", "lt", "lte")
MATCHING: tuple[Operator, ...] = ("contains", "startsWith", "endsWith", "like")

OPERATORS: dict[FieldKind, tuple[Operator, ...]] = {
    "text": (*EQUALITY, *ORDERING, *MATCHING),
    "number": (*EQUALITY, *ORDERING),
    "integer": (*EQUALITY, *ORDERING),
    "boolean": EQUALITY,
    "instant": (*EQUALITY, *ORDERING),
    "uuid": EQUALITY,
    "hash": EQUALITY,
    "json": (*EQUALITY, *ORDERING, *MATCHING),
    "object": ("isNull",),
}
"""The operators of each kind of field."""
