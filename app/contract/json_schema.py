"""JSON Schema (draft 2020-12) of what travels as JSON.

Each Struct becomes one component, named after it. A Struct that stands in several ways (`Way`) is `X` in the first of
them, then `XStored` or `XInput`, as in `app/contract/typescript.py`. Inputs reject unknown members, and null means that
an optional member is absent. Outputs are open, and an optional member is absent, never null.

Everything that the server accepts validates against the schema. The server also rejects what a schema cannot express:

- limits of stored JSON: its depth, integers beyond 2^53-1, the size of an event;
- days that a month does not have;
- what a Struct checks in its `__post_init__`;
- a filter that is too deep, has too many nodes or such integers, and an order that names a field twice;
- paths of a filter below a metadata kind that contains itself, or that accepts unknown members: a schema allows any
  path there. An order allows none.

Patterns use only what every reader of schemas knows (`app/filters/patterns.py`), so a schema allows types that begin
with `synap.`.

Pure: it reads what is registered and nothing else, and the same types give the same schemas.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from app.contract.json_filters import FilterSchemas
from app.contract.model import (
    Choices,
    Entries,
    Items,
    Leaf,
    Member,
    Model,
    OneOf,
    PrintedInstant,
    Reference,
    Shape,
    Shared,
    Typed,
    TypedData,
    Way,
)
from app.contract.schema import DIALECT, INSTANT, NULL, UUID_TEXT, Schema, choices
from app.filters.language import MAX_ORDER
from app.filters.patterns import portable

REF_TEMPLATE = "#/$defs/{name}"


def json_schemas(
    wanted: Iterable[tuple[Any, Way]],
    *,
    ref_template: str = REF_TEMPLATE,
    reserved: Iterable[str] = (),
    nulls_in_filters: bool = True,
) -> tuple[list[Schema], dict[str, Schema]]:
    """The schemas of types, in their order, and the components that they refer to, by name.

    A component has its Struct's name. If that is `reserved` or another's already, the Struct's module stands in front.
    Without `nulls_in_filters` only `isNull` asks for what is missing: some clients send null for what is not set.
    Raises ValueError, in one sentence, if a type has no JSON Schema or two would still share a name.
    """
    model = Model(typed_answers=False)
    roots = [model.typed(each, way) for each, way in wanted]
    shapes = model.reached(roots)
    printer = _Printer(ref_template)
    filters = FilterSchemas(model.metadata, printer.ref, nulls=nulls_in_filters)
    components = filters.components()
    printer.names = _names(shapes, {*components, *reserved})
    components |= {printer.names[reference]: printer.component(shape) for reference, shape in shapes.items()}
    schemas = [printer.schema(root) for root in roots]
    return schemas, _reached(schemas, components, ref_template)


def self_contained(schema: Schema, components: dict[str, Schema]) -> Schema:
    """A schema that needs no other: its own type is at its top, and its `$defs` are the components that it uses."""
    below = _reached([schema], components, REF_TEMPLATE)
    if schema.keys() == {"$ref"}:
        schema = components[schema["$ref"].rpartition("/")[2]]
        below = _reached([schema], components, REF_TEMPLATE)
    return {"$schema": DIALECT, **schema, **({"$defs": below} if below else {})}


def _names(shapes: Mapping[Reference, Shape], taken: set[str]) -> dict[Reference, str]:
    names: dict[Reference, str] = {}
    for reference in shapes:
        struct, way = reference.struct, reference.way
        first = next(each for each in Way if Reference(struct, each) in shapes)
        plain = struct.__name__ + ("" if way is first else way)
        name = plain if plain not in taken else f"{struct.__module__}.{plain}"
        if name in taken:
            raise ValueError(f"{struct.__module__}.{struct.__qualname__}: the name {name} is taken")
        names[reference] = name
        taken.add(name)
    return names


def _reached(schemas: Iterable[Schema], components: dict[str, Schema], ref_template: str) -> dict[str, Schema]:
    """The components that schemas refer to, directly or not, in alphabetical order."""
    names = {ref_template.format(name=name): name for name in components}
    reached: set[str] = set()
    left: list[Any] = list(schemas)
    while left:
        node = left.pop()
        if isinstance(node, dict):
            name = names.get(node["$ref"]) if isinstance(node.get("$ref"), str) else None
            if name is not None and name not in reached:
                reached.add(name)
                left.append(components[name])
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)
    return {name: components[name] for name in sorted(reached)}


class _Printer:
    """Prints shapes as schemas. What msgspec can say about a type, it says."""

    def __init__(self, ref_template: str) -> None:
        self._ref_template = ref_template
        self.names: Mapping[Reference, str] = {}

    def component(self, shape: Shape) -> Schema:
        """The schema of an object."""
        tag: dict[str, Schema] = {shape.tag[0]: {"const": shape.tag[1]}} if shape.tag else {}
        required = [*tag, *(member.name for member in shape.members if not member.optional)]
        return {
            "type": "object",
            **({"description": shape.description} if shape.description else {}),
            "properties": tag | {member.name: self._member(member) for member in shape.members},
            **({"required": required} if required else {}),
            **({"additionalProperties": False} if shape.closed else {}),
            **({"allOf": self._typed_data(shape.data)} if shape.data else {}),
        }

    def schema(self, typed: Typed) -> Schema:
        """The schema of the values of one place."""
        written = self._form(typed)
        if typed.way is Way.INPUT and "$ref" not in written and typed.said:
            written.setdefault("description", typed.said)
        if not typed.null:
            return written
        described = {"description": written.pop("description")} if "description" in written else {}
        if not written:  # any JSON, and null is one
            return described
        return {**described, "anyOf": [written, NULL]}

    def ref(self, name: str) -> Schema:
        """A reference to a component."""
        return {"$ref": self._ref_template.format(name=name)}

    def _member(self, member: Member) -> Schema:
        default = {} if member.default is None else {"default": member.default}
        return self.schema(member.typed) | default

    def _typed_data(self, data: TypedData) -> list[Schema]:
        return [
            {
                "if": {"properties": {data.type_member: {"const": name}}, "required": [data.type_member]},
                "then": {"properties": {data.data_member: self.ref(self.names[kind])}},
            }
            for name, kind in data.kinds.items()
        ]

    def _form(self, typed: Typed) -> Schema:
        notes = _notes(typed.meta)
        match typed.form:
            case Reference() as reference:
                schema = self.ref(self.names[reference]) | _plain(Any, notes)
            case Shared(name):  # a filter that we return is as it was stored: metadata kinds come and go
                schema = self.ref(name) if typed.way is Way.INPUT else {"type": "object"}
            case PrintedInstant():
                schema = {"type": "string", "format": "date-time"}
            case Choices(values):
                schema = choices(values) | _plain(Any, notes)
            case OneOf(members):
                schema = {"anyOf": [self.schema(each) for each in members]}
            case Items(item):
                schema = _plain(list[Any], typed.meta) | self._items(item)
            case Entries(key, value):
                schema = _plain(dict[key, Any], typed.meta) | self._entries(value)  # type: ignore[valid-type]
            case Leaf(leaf):
                schema = _leaf(_plain(leaf, typed.meta), leaf, typed.way)
        return schema

    def _items(self, item: Typed) -> Schema:
        schema: Schema = {"items": self.schema(item)}
        return schema | ({"maxItems": MAX_ORDER} if schema["items"] == self.ref("EventOrderBy") else {})

    def _entries(self, value: Typed) -> Schema:
        return {} if value.form == Leaf(Any) else {"additionalProperties": self.schema(value)}


def _plain(bare: Any, meta: Meta | None) -> Schema:
    """A type that refers to no other, as msgspec writes it."""
    schema = msgspec.json.schema(Annotated[bare, meta] if meta else bare)
    if "pattern" in schema:
        pattern = portable(schema.pop("pattern"))
        schema |= {} if pattern is None else {"pattern": pattern}
    return schema


def _leaf(schema: Schema, leaf: Any, way: Way) -> Schema:
    patterns = {datetime: INSTANT, UUID: UUID_TEXT}
    if way is not Way.OUTPUT and leaf in patterns and "format" in schema:
        schema["pattern"] = patterns[leaf]
        if way is Way.STORED:
            del schema["format"]  # it stays as it was sent, in any form that was accepted
    return schema


def _notes(meta: Meta | None) -> Meta | None:
    """The descriptions of a type, without its limits."""
    return meta and Meta(
        title=meta.title,
        description=meta.description,
        examples=meta.examples,
        extra_json_schema=meta.extra_json_schema,
    )
