"""Filters and orders in JSON Schema, written from the fields that the server parses them with."""

from collections.abc import Callable, Iterator
from typing import Any, get_args

import msgspec
from msgspec import Struct

from app.contract.schema import INSTANT, NULL, Schema, any_of, choices
from app.filters.fields import Fields
from app.filters.language import EQUALITY, MATCHING, MAX_MEMBERS, MAX_TEXT, MAX_VALUES, OPERATORS
from app.filters.patterns import escaped
from schemas.filter import Direction, Field, FieldKind, Operator, Quantifier, Relation
from schemas.issues import is_struct, unwrap
from schemas.jsontext import MAX_SAFE_INTEGER

_TEXT: Schema = {"type": "string", "maxLength": MAX_TEXT}

_VALUES: dict[FieldKind, Schema] = {
    "text": _TEXT,
    "number": {"type": "number"},
    "integer": {"type": "integer", "minimum": -MAX_SAFE_INTEGER, "maximum": MAX_SAFE_INTEGER},
    "boolean": {"type": "boolean"},
    "instant": {**_TEXT, "format": "date-time", "pattern": INSTANT},
    "uuid": {**_TEXT, "description": "The UUID of an event, or its `evt_<hash>`. Other text matches no event."},
    "hash": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
    "json": {"type": ["string", "number", "boolean"], "maxLength": MAX_TEXT},
}
"""The values that each kind of field can be compared with. An `object` has none."""


class FilterSchemas:
    """Writes filters and orders."""

    def __init__(self, metadata: type[Struct], ref: Callable[[str], Schema], *, nulls: bool) -> None:
        """`metadata` is the type of a whole `metadata` object, `ref` writes a reference to a component.

        With `nulls` null at a field means that it is missing, like `isNull`.
        """
        self._metadata = metadata
        self._ref = ref
        self._nulls = [NULL] if nulls else []
        self._fields = Fields(metadata)
        self._named = self._fields.named()

    def components(self) -> dict[str, Schema]:
        """Everything that a filter or an order may refer to, by name."""
        operators = {f"{kind.title()}Operators": self._operators(kind) for kind in OPERATORS}
        conditions = {_condition(kind): self._condition(kind) for kind in OPERATORS}
        return {
            "EventFilter": self._filter(
                "EventFilter",
                f"Which events to find: all members must hold. {'Null' if self._nulls else '`isNull`'} asks for a "
                "field that is missing or null. In `data` and in free parts of `metadata` a dotted path leads to any "
                "member.",
                {name: self._ref("RelatedEvents") for name in get_args(Relation)},
            ),
            "LiveEventFilter": self._filter(
                "LiveEventFilter",
                "A filter for live events, which are checked one by one: it has no `parent` and no `children`.",
                {},
            ),
            "RelatedEvents": self._related(),
            "EventOrderBy": self._order(),
            **operators,
            **conditions,
        }

    def _filter(self, own: str, description: str, relations: dict[str, Schema]) -> Schema:
        filters = {"type": "array", "items": self._ref(own)}
        free = self._ref(_condition("json"))
        return {
            "type": "object",
            "description": description,
            "properties": {
                "AND": filters,
                "OR": filters,
                "NOT": self._ref(own),
                **relations,
                **{name: self._at(field) for name, field in self._named.items()},
            },
            "patternProperties": {
                f"^{pattern}": free for pattern in (r"data\.", *self._free(self._metadata, "metadata", ()))
            },
            "additionalProperties": False,
            "propertyNames": {"maxLength": MAX_TEXT, "pattern": rf"^[^.]*(\.[^.]*){{0,{MAX_MEMBERS}}}$"},
        }

    def _related(self) -> Schema:
        return {
            "description": "Whether some, or none, of the related events match a filter.",
            "type": "object",
            "properties": {each: self._ref("EventFilter") for each in get_args(Quantifier)},
            "minProperties": 1,
            "additionalProperties": False,
        }

    def _order(self) -> Schema:
        directions = choices(get_args(Direction))
        return {
            "type": "object",
            "description": "One key of an order: one field and its direction. Plain `asc` puts nulls last, "
            "`desc` first.",
            "properties": {name: directions for name in self._named if self._fields.orders(name)},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        }

    def _condition(self, kind: FieldKind) -> Schema:
        """The schema of a field's condition: a bare value, null, or operators."""
        values = [_VALUES[kind]] if kind in _VALUES else []
        return any_of([*values, self._ref(f"{kind.title()}Operators"), *self._nulls])

    def _at(self, field: Field) -> Schema:
        if not field.choices:
            return self._ref(_condition(field.kind))
        one = choices(field.choices)
        some = {"type": "array", "maxItems": MAX_VALUES, "items": one}
        equal = any_of([one, *self._nulls])
        operators = self._operators(field.kind)
        operators["properties"] |= {"eq": equal, "ne": equal, "in": some, "nin": some}
        return any_of([one, operators, *self._nulls])

    def _operators(self, kind: FieldKind) -> Schema:
        operators = {operator: self._operand(kind, operator) for operator in OPERATORS[kind]}
        if kind == "object" and self._nulls:
            operators |= {"eq": NULL, "ne": NULL}
        return {"type": "object", "properties": operators, "additionalProperties": False}

    def _operand(self, kind: FieldKind, operator: Operator) -> Schema:
        if operator == "isNull":
            return {"type": "boolean"}
        if operator == "like":
            return {**_TEXT, "description": "A `*` stands for any text."}
        if operator in MATCHING:
            return _TEXT
        if operator in {"in", "nin"}:
            return {"type": "array", "maxItems": MAX_VALUES, "items": _VALUES[kind]}
        if operator in EQUALITY:
            return any_of([_VALUES[kind], *self._nulls])
        return {"type": ["string", "number"], "maxLength": MAX_TEXT} if kind == "json" else _VALUES[kind]

    def _free(self, wanted: type[Struct], name: str, above: tuple[Any, ...]) -> Iterator[str]:
        """Expressions for the beginnings of paths that lead to fields which are not listed."""
        members = {field.encode_name: unwrap(field.type)[0] for field in msgspec.structs.fields(wanted)}
        if not wanted.__struct_config__.forbid_unknown_fields:
            yield rf"{escaped(name)}\."
        for member, held in members.items():
            below = f"{name}.{member}"
            if is_struct(held) and held not in above:
                yield from self._free(held, below, (*above, held))
            elif is_struct(held) or self._fields.get(f"{below}.*"):
                yield rf"{escaped(below)}\."


def _condition(kind: FieldKind) -> str:
    return f"{kind.title()}Condition"
