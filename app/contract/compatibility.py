"""Whether what was stored under one JSON Schema still fits another. Pure.

The schemas are those that msgspec writes for Structs. They do not have what a Struct checks in its `__post_init__`.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

Schema = dict[str, Any]

EitherSchema = Schema | bool
"""JSON Schema also has true and false as schemas."""

DESCRIPTIVE = frozenset({"$schema", "$comment", "title", "description", "default", "examples", "deprecated"})
"""The keywords that only describe a value."""

LOWER = {
    "minimum": "exclusiveMinimum",
    "exclusiveMinimum": "minimum",
    "minLength": None,
    "minItems": None,
    "minProperties": None,
}
"""Bounds that are tighter the higher they are, each with the bound that can replace it."""

UPPER = {
    "maximum": "exclusiveMaximum",
    "exclusiveMaximum": "maximum",
    "maxLength": None,
    "maxItems": None,
    "maxProperties": None,
}
"""Bounds that are tighter the lower they are."""

NULL: Schema = {"type": "null"}

STRUCTURE = frozenset(
    {"$ref", "$defs", "type", "enum", "const", "anyOf", "properties", "required", "additionalProperties", "items"}
    | {"prefixItems"}
)
"""The keywords that are compared part by part. Any other must stay as it is, or be removed."""


def schema_of(kind: type[Struct]) -> Schema:
    """The schema of a Struct, without descriptions."""
    schema: Schema = _asking(msgspec.json.schema(kind))
    return schema


def incompatibility(old: Schema, new: Schema) -> str | None:
    """Why a value that fits `old` might not fit `new`, as a clause that names the member; None if every value fits.

    Adding an optional member is compatible, even if unknown members were accepted before.
    """
    return next(_Comparison(old, new).compare(old, new, ""), None)


class _Comparison:
    """Walks two schemas at once. A pair that it meets again while it compares that pair counts as compatible."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old_definitions: Schema = old.get("$defs", {})
        self._new_definitions: Schema = new.get("$defs", {})
        self._open: set[tuple[str | None, str | None]] = set()

    def compare(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        """The reasons why a value at `path` that fits `old` might not fit `new`."""
        pair = (old.get("$ref"), new.get("$ref"))
        if None in pair:
            yield from self._compare(old, new, path)
        elif pair not in self._open:
            self._open.add(pair)
            yield from self._compare(old, new, path)
            self._open.discard(pair)

    def _compare(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        old, new = _resolved(old, self._old_definitions), _resolved(new, self._new_definitions)
        if "anyOf" in old:
            for each in old["anyOf"]:
                yield from self.compare(each, new, path)
        elif "anyOf" in new:
            yield from self._one_of(old, new["anyOf"], path)
        else:
            yield from self._values(old, new, path)
            yield from self._bounds(old, new, path)
            yield from self._members(old, new, path)
            yield from self._items(old, new, path)

    def _one_of(self, old: Schema, choices: list[Schema], path: str) -> Iterator[str]:
        found = [(list(self.compare(old, each, path)), each) for each in choices if each != NULL or old == NULL]
        if all(issues for issues, _ in found):
            likely = [issues for issues, each in found if len(found) == 1 or self._is_like(old, each)]
            yield likely[0][0] if len(likely) == 1 else f"{_place(path)} was {_said(old)} and might no longer fit"

    def _is_like(self, old: Schema, new: Schema) -> bool:
        return _types(old) == _types(_resolved(new, self._new_definitions))

    def _values(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        """Types and enumerations."""
        was, now = _choices(old), _choices(new)
        if was is not None and now is not None:
            if gone := [value for value in was if value not in now]:
                yield f"{_place(path)} might be {_json(gone[0])}, which is gone"
        elif was is not None:
            if misfits := [value for value in was if not _fits(value, new)]:
                yield f"{_place(path)} might be {_json(misfits[0])}, which might no longer fit"
        elif now is not None or not _types(old) <= _types(new):
            yield f"{_place(path)} was {_said(old)} and is {_said(new)}"

    def _bounds(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        if _choices(old) is not None:
            return
        for name, bound in new.items():
            was = old.get(name)
            if name in LOWER or name in UPPER:
                if not _is_within(old, name, bound):
                    yield f"{_place(path)} had {_bound(name, was)} and has {name} {_json(bound)}"
            elif name == "multipleOf":
                if was is None or was % bound:
                    yield f"{_place(path)} had {_bound(name, was)} and has {name} {_json(bound)}"
            elif name not in STRUCTURE and was != bound:
                yield f"{_place(path)} had {_bound(name, was)} and has {name} {_json(bound)}"

    def _members(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        known: Schema = old.get("properties", {})
        members: Schema = new.get("properties", {})
        others_were, others = old.get("additionalProperties", True), new.get("additionalProperties", True)
        for name, sent in known.items():
            member = _less_null(sent)
            if name in members:
                yield from self.compare(member, members[name], _join(path, name))
            elif others is False:
                yield f"{_place(_join(path, name))} is gone"
            else:
                yield from self.compare(member, _schema(others), _join(path, name))
        for name in new.get("required", ()):
            if name not in old.get("required", ()):
                was = "was optional" if name in known else "was not there"
                yield f"{_place(_join(path, name))} {was} and is required"
        if others is False:
            if others_were is not False and "object" in _types(old):
                yield f"{_place(path)} accepted members of any name and no longer does"
        elif others_were is not False and others is not True:
            yield from self.compare(_schema(others_were), others, _join(path, "*"))

    def _items(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        if "array" not in _types(old) or not new.keys() & {"items", "prefixItems"}:
            return
        places = max(len(old.get("prefixItems", ())), len(new.get("prefixItems", ())))
        for place in range(places):
            was, now = _item(old, place), _item(new, place)
            if was is not False and now is not False:
                yield from self.compare(_schema(was), _schema(now), _join(path, str(place)))
        rest_was, rest = _item(old, places), _item(new, places)
        if rest is not False and rest_was is not False:
            yield from self.compare(_schema(rest_was), _schema(rest), _join(path, "*"))
        # If no more items may follow, `maxItems` says so too.


_ALL_TYPES = frozenset({"null", "boolean", "number", "integer", "string", "array", "object"})


def _types(schema: Schema) -> frozenset[str]:
    named = schema.get("type", _ALL_TYPES)
    types = frozenset([named] if isinstance(named, str) else named)
    return types | {"integer"} if "number" in types else types


def _choices(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _fits(value: object, schema: Schema) -> bool:
    """Whether a value of an enumeration, a text or a whole number, has the right type and is within the bounds."""
    if isinstance(value, str):
        known = not schema.keys() - STRUCTURE - {"minLength", "maxLength", "pattern"}
        matches = known and re.search(schema.get("pattern", ""), value) is not None
        return "string" in _types(schema) and matches and _is_between(len(value), schema, "Length")
    if isinstance(value, int):
        exclusive = schema.keys() & {"exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
        return "integer" in _types(schema) and not exclusive and _is_between(value, schema, "imum")
    return "null" in _types(schema)


def _is_between(size: int, schema: Schema, ending: str) -> bool:
    least, most = schema.get(f"min{ending}", size), schema.get(f"max{ending}", size)
    return bool(least <= size <= most)


def _is_within(old: Schema, name: str, bound: float) -> bool:
    """Whether every value within the old bounds is within the new one."""
    other = (LOWER | UPPER)[name]
    for each in (name, other):
        if each is not None and each in old:
            apart = old[each] - bound if name in LOWER else bound - old[each]
            exclusive_now = name.startswith("exclusive") and not each.startswith("exclusive")
            return bool(apart > 0 if exclusive_now else apart >= 0)
    return False


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    while "$ref" in schema:
        schema = {**definitions[schema["$ref"].rpartition("/")[2]], **_less(schema, {"$ref"})}
    return schema


def _item(schema: Schema, place: int) -> Schema | bool:
    """The schema of a place of an array; False if the array has no such place."""
    placed: list[Schema] = schema.get("prefixItems", [])
    return placed[place] if place < len(placed) else schema.get("items", True)


def _less_null(schema: Schema) -> Schema:
    """A member's schema without null, which means absent for an optional member and is rejected for a required one."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [each for each in schema["anyOf"] if each != NULL]}
    if None in schema.get("enum", ()):
        return {**schema, "enum": [each for each in schema["enum"] if each is not None]}
    return schema


def _schema(either: EitherSchema) -> Schema:
    return either if isinstance(either, dict) else {}


def _asking(schema: Any) -> Any:
    """A schema without descriptions. Names of members stay as they are."""
    if isinstance(schema, list):
        return [_asking(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    named = {"properties", "$defs", "patternProperties"}
    verbatim = {"enum", "const", "required"}
    return {
        name: {each: _asking(value) for each, value in part.items()}
        if name in named
        else part
        if name in verbatim
        else _asking(part)
        for name, part in schema.items()
        if name not in DESCRIPTIVE
    }


def _less(schema: Schema, names: set[str]) -> Schema:
    return {name: part for name, part in schema.items() if name not in names}


def _place(path: str) -> str:
    return path or "it"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _said(schema: Schema) -> str:
    if (choices := _choices(schema)) is not None:
        return f"one of {', '.join(map(_json, choices))}"
    named = schema.get("type", "anything")
    return named if isinstance(named, str) else " or ".join(named)


def _bound(name: str, value: object) -> str:
    return f"no {name}" if value is None else f"{name} {_json(value)}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
