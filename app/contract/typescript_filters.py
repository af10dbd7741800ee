"""Filters and orders in TypeScript, written from the fields that the server parses them with."""

import re
from collections.abc import Iterator
from typing import get_args

from msgspec import Struct

from app.contract.spelling import alternatives, key, literals
from app.filters.fields import Fields
from app.filters.language import EQUALITY, MATCHING, OPERATORS
from schemas.filter import Direction, Field, FieldKind, Operator, Quantifier, Relation

NAMES = (
    *(
        "EventFilter",
        "LiveEventFilter",
        "RelatedEvents",
        "EventOrderBy",
        "EventOrderField",
        "OrderDirection",
        "Exclude",
    ),
    *(f"{kind.title()}Operators" for kind in OPERATORS),
)
"""The names that are declared here."""

_FILTER = """\
/**
 * Which events to find: all members must hold. Null asks for a field that is missing or null. In `data` and in free
 * parts of `metadata` a dotted path leads to any member.
 */
export interface EventFilter<TRelated = RelatedEvents> {
  AND?: EventFilter<TRelated>[];
  OR?: EventFilter<TRelated>[];
  NOT?: EventFilter<TRelated>;
%(members)s}

/** A filter for live events, which are checked one by one: it has no `parent` and no `children`. */
export type LiveEventFilter = EventFilter<never>;

/** Whether some, or none, of the related events match a filter. */
export type RelatedEvents =%(related)s;
"""

_ORDER = """\
/** One key of an order: one field and its direction. Plain `asc` puts nulls last, `desc` first. */
export type EventOrderBy = {
  [TField in EventOrderField]: { [field in EventOrderField]?: field extends TField ? OrderDirection : never };
}[EventOrderField];

export type OrderDirection = %(directions)s;

export type EventOrderField =%(fields)s;
"""

_LIKE = "/** A `*` stands for any text. */"


class FilterTypes:
    """Writes filters and orders."""

    def __init__(self, metadata: type[Struct], *, dates: bool) -> None:
        """`metadata` is the type of a whole `metadata` object; `dates` tells whether instants travel as `Date`."""
        self._fields = Fields(metadata)
        self._named = self._fields.named()
        instant = ["string", "Date"] if dates else ["string"]
        self._values: dict[FieldKind, list[str]] = {
            "text": ["string"],
            "number": ["number"],
            "integer": ["number"],
            "boolean": ["boolean"],
            "instant": instant,
            "uuid": ["string"],
            "hash": ["string"],
            "json": [*instant, "number", "boolean"],
            "object": [],
        }
        """The types that each kind of field can be compared with. In JSON a `Date` is sent, and compared, as text."""

    def declarations(self, used: set[str]) -> Iterator[str]:
        """The declarations of the filters and orders that are used, by name, and of their parts."""
        if used & {"EventFilter", "LiveEventFilter"}:
            yield self._filter()
            yield from self._operators()
        if "EventOrderBy" in used:
            yield self._order()

    def _filter(self) -> str:
        """`EventFilter`, the same without relations, and what a relation accepts."""
        lines = [f"{name}?: TRelated" for name in get_args(Relation)]
        lines += [f"{key(name)}?: {self._test(field)}" for name, field in self._named.items()]
        # A field that accepts a member which no Struct has accepts any member.
        below = {name: field for name in self._named if (field := self._fields.get(f"{name}.*"))}
        lines += [
            f"[path: `{_template(name)}.${{string}}`]: {self._test(field)} | undefined" for name, field in below.items()
        ]
        return _FILTER % {"members": "".join(f"  {line};\n" for line in lines), "related": alternatives(_related())}

    def _operators(self) -> Iterator[str]:
        """One interface for each kind of field."""
        for kind, operators in OPERATORS.items():
            parameter = "<T extends string = string>" if kind == "text" else ""
            lines = [f"  {each}?: {self._operand(kind, each)};\n" for each in operators]
            if "like" in operators:
                lines.insert(operators.index("like"), f"  {_LIKE}\n")
            yield f"export interface {kind.title()}Operators{parameter} {{\n{''.join(lines)}}}\n"

    def _order(self) -> str:
        """`EventOrderBy`, and the types that it is made of."""
        return _ORDER % {
            "directions": literals(get_args(Direction)),
            "fields": alternatives(literals([name]) for name in self._named if self._fields.orders(name)),
        }

    def _test(self, field: Field) -> str:
        """The type of a field's condition: a bare value, null, or operators."""
        values = literals(field.choices) or " | ".join(self._values[field.kind])
        parameter = f"<{values}>" if field.choices else ""
        return " | ".join([*([values] if values else []), "null", f"{field.kind.title()}Operators{parameter}"])

    def _operand(self, kind: FieldKind, operator: Operator) -> str:
        if operator == "isNull":
            return "boolean"
        if operator in MATCHING:
            return "string"
        if operator not in EQUALITY:
            return " | ".join(value for value in self._values[kind] if value != "boolean")
        value = "T" if kind == "text" else " | ".join(self._values[kind])
        if operator in {"in", "nin"}:
            return f"({value})[]" if " | " in value else f"{value}[]"
        return f"{value} | null"


def _related() -> Iterator[str]:
    """An object for each quantifier, in which that one is required."""
    quantifiers = get_args(Quantifier)
    for needed in quantifiers:
        members = [f"{each}{'' if each == needed else '?'}: EventFilter" for each in quantifiers]
        yield f"{{ {'; '.join(members)} }}"


def _template(name: str) -> str:
    """A text within a template literal."""
    return re.sub(r"[`$]", r"\\\g<0>", literals([name])[1:-1])
