"""JSON Schema (draft 2020-12) of what travels as JSON.

Each Struct becomes one component, named after it. A Struct may read differently as an output, as metadata that comes
back as it was stored, and as an input (`Way`). What takes input refuses unknown members, and null means absent where a
member is optional. What we answer stays open, and an optional member is absent, never null. A Struct that stands in
several ways is `X` in the first of them, then `XStored` or `XInput`, as in `app/contract/typescript.py`.

A schema takes every JSON that the server takes, and refuses what a schema can. It cannot say: the limits of JSON that
is stored (depth, integers beyond 2^53-1, the size of an event); which days a month has; what a Struct checks in its
`__post_init__`; of a filter its depth, its number of nodes and such integers; of an order that a field comes twice. Nor
does it list the members of a metadata kind that holds itself: a filter may ask for any below it, an order for none.
Where a metadata kind accepts unknown members, a filter may ask for any below it. Patterns have only what every reader
of schemas knows (`app/filters/patterns.py`), so a type may begin `synap.`.

Pure: it reads what is registered and nothing else, and the same types give the same schemas.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import Enum, StrEnum
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from app.filters.language import (
    EQUALITY,
    MATCHING,
    MAX_MEMBERS,
    MAX_ORDER,
    MAX_TEXT,
    MAX_VALUES,
    OPERATORS,
    Fields,
)
from app.filters.patterns import escaped, portable
from schemas.base import Input
from schemas.event_data import CARRIERS, event_types
from schemas.filter import Direction, Field, Kind, Operator, Quantifier, Relation
from schemas.issues import is_nullable, is_struct, unwrap
from schemas.jsontext import MAX_SAFE_INTEGER
from schemas.metadata import metadata_struct

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

REF_TEMPLATE = "#/$defs/{name}"

INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2})$"
"""What an instant looks like where it is sent: somewhat more than RFC 3339, which `date-time` names."""

UUID_TEXT = r"^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"


class Way(StrEnum):
    """Where a type stands; the value ends its name where a Struct stands in an earlier way too."""

    OUTPUT = ""
    STORED = "Stored"
    INPUT = "Input"


_SHARED = {"filter": "EventFilter", "live filter": "LiveEventFilter", "order": "EventOrderBy"}
"""The components that are no Struct's, by the shape that refers to them."""

_Refer = Callable[[type[Struct], Way], str]
"""Takes note of a Struct that is referred to, and gives the name to refer by."""


def json_schemas(
    wanted: Iterable[tuple[Any, Way]],
    *,
    ref_template: str = REF_TEMPLATE,
    reserved: Iterable[str] = (),
    nulls_in_filters: bool = True,
) -> tuple[list[Schema], dict[str, Schema]]:
    """The schema of each type where it stands, in their order, and the components that they refer to, by name.

    A Struct is called by its name, unless that is `reserved` or another's before it; then its module's stands in front.
    Without `nulls_in_filters` only `isNull` asks for what is missing: clients exist that send null for what is not set.
    Raises ValueError, in one sentence, where a type has no JSON Schema or two would still share a name.
    """
    types = list(wanted)
    writer = _Writer(metadata_struct(), ref_template, nulls_in_filters=nulls_in_filters)
    found: dict[tuple[type[Struct], Way], None] = {}

    def collect(struct: type[Struct], way: Way) -> str:
        if (struct, way) not in found:
            found[struct, way] = None
            writer.component(struct, way, collect)
        return struct.__name__

    for each, way in types:
        writer.schema(each, way, collect)
    components = writer.shared()
    names: dict[tuple[type[Struct], Way], str] = {}
    taken = {*components, *reserved}
    for struct, way in found:
        first = next(each for each in Way if (struct, each) in found)
        plain = struct.__name__ + ("" if way is first else way)
        called = plain if plain not in taken else f"{struct.__module__}.{plain}"
        if called in taken:
            raise ValueError(f"{struct.__module__}.{struct.__qualname__}: the name {called} is taken")
        names[struct, way] = called
        taken.add(called)

    def name(struct: type[Struct], way: Way) -> str:
        return names[struct, way]

    components |= {called: writer.component(*key, name) for key, called in names.items()}
    schemas = [writer.schema(each, way, name) for each, way in types]
    return schemas, _reached(schemas, components, ref_template)


def self_contained(schema: Schema, components: dict[str, Schema]) -> Schema:
    """A schema that stands alone: the components that it needs are its `$defs`, and its own type is at its top."""
    below = _reached([schema], components, REF_TEMPLATE)
    if schema.keys() == {"$ref"}:
        schema = components[schema["$ref"].rpartition("/")[2]]
        below = _reached([schema], components, REF_TEMPLATE)
    return {"$schema": DIALECT, **schema, **({"$defs": below} if below else {})}


def _reached(schemas: Iterable[Schema], components: dict[str, Schema], ref_template: str) -> dict[str, Schema]:
    """The components that are referred to, also by each other, by name in alphabetical order."""
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


class _Writer:
    """Writes types as schemas. What msgspec knows of a type, it writes; the rest is said here."""

    def __init__(self, metadata: type[Struct], ref_template: str, *, nulls_in_filters: bool) -> None:
        self._metadata = metadata
        self._nulls_in_filters = nulls_in_filters
        self._ref_template = ref_template
        self._event_types = event_types()

    def shared(self) -> dict[str, Schema]:
        """Filters, orders and what they are made of."""
        return _Catalogue(self._metadata, self._ref, [_NULL] if self._nulls_in_filters else []).components()

    def component(self, struct: type[Struct], way: Way, refer: _Refer) -> Schema:
        """A Struct where it stands."""
        config = struct.__struct_config__
        if config.array_like:
            raise ValueError(f"{struct.__qualname__}: a Struct that is written as an array has no JSON Schema here")
        properties: dict[str, Schema] = {config.tag_field: {"const": config.tag}} if config.tag_field else {}
        required = list(properties)
        for field in msgspec.structs.fields(struct):
            properties[field.encode_name] = self._member(struct, field, way, refer)
            if field.required or (way is Way.OUTPUT and not config.omit_defaults):
                required.append(field.encode_name)
        schema: Schema = {"type": "object"}
        if struct.__doc__:
            schema["description"] = cleandoc(struct.__doc__)
        schema["properties"] = properties
        if required:
            schema["required"] = required
        if way is Way.INPUT and config.forbid_unknown_fields:
            schema["additionalProperties"] = False
        if way is Way.INPUT and struct in CARRIERS and self._event_types:
            schema["allOf"] = list(self._typed(*CARRIERS[struct], refer))
        return schema

    def _typed(self, type_name: str, data_name: str, refer: _Refer) -> Iterator[Schema]:
        """What the data of each registered event type has to be. In answers it may be older, or erased."""
        for name, kind in self._event_types.items():
            is_type = {"properties": {type_name: {"const": name}}, "required": [type_name]}
            yield {"if": is_type, "then": {"properties": {data_name: self._ref(refer(kind, Way.INPUT))}}}

    def schema(self, wanted: Any, way: Way, refer: _Refer, *, null: bool | None = None) -> Schema:
        """A type where it stands; `null` overrules whether it may be null."""
        bare, meta = unwrap(wanted)
        written = self._shape(wanted, bare, meta, way, refer)
        if way is Way.INPUT and "$ref" not in written and (said := _said(meta)):
            written.setdefault("description", said)
        if not (is_nullable(wanted) if null is None else null):
            return written
        described = {"description": written.pop("description")} if "description" in written else {}
        if not written:  # any JSON, and null is one
            return described
        return {**described, "anyOf": [written, {"type": "null"}]}

    def _member(self, struct: type[Struct], field: msgspec.structs.FieldInfo, way: Way, refer: _Refer) -> Schema:
        default = _default(field)
        null = is_nullable(field.type) and (field.required or default is not None)
        if way is Way.INPUT:
            # Of metadata null members are dropped before it is decoded, of other inputs the decoder takes them; it
            # takes null as Raw too, and only a default says whether that means absent.
            taken = is_nullable(field.type) or isinstance(default, Raw)
            null = taken if issubclass(struct, Input) else not field.required
        elif way is Way.STORED:
            null = False
        schema = self.schema(field.type, way, refer, null=null)
        if not field.required and default not in (None, UNSET) and not isinstance(default, Raw):
            schema["default"] = msgspec.to_builtins(default, str_keys=True)
        return schema

    def _shape(self, wanted: Any, bare: Any, meta: Meta | None, way: Way, refer: _Refer) -> Schema:
        """What stands on the wire, which for some types is not what Python keeps."""
        shape = ((meta and meta.extra) or {}).get("shape")
        if shape == "metadata":
            return self._ref(refer(self._metadata, Way.INPUT if way is Way.INPUT else Way.STORED))
        if shape in _SHARED and way is Way.INPUT:
            return self._ref(_SHARED[shape])
        if shape == "record" or shape in _SHARED:  # a filter that we answer is as it was taken: kinds come and go
            return {"type": "object"}
        if shape == "instant":
            return {"type": "string", "format": "date-time"}
        return self._bare(wanted, bare, meta, way, refer)

    def _bare(self, wanted: Any, bare: Any, meta: Meta | None, way: Way, refer: _Refer) -> Schema:
        origin, arguments = get_origin(bare), get_args(bare)
        if is_struct(bare):
            return self._ref(refer(bare, way)) | _plain(Any, _notes(meta), wanted)
        if origin is Literal or (isinstance(bare, type) and issubclass(bare, Enum)):
            return _choices(arguments or [member.value for member in bare]) | _plain(Any, _notes(meta), wanted)
        if origin in {Union, UnionType}:
            return {"anyOf": [self.schema(each, way, refer) for each in arguments if each not in {NoneType, UnsetType}]}
        if origin in {list, set, frozenset} or (origin is tuple and arguments[1:] == (...,)):
            schema = _plain(list[Any], meta, wanted) | {"items": self.schema(arguments[0], way, refer)}
            if schema["items"].get("$ref") == self._ref("EventOrderBy")["$ref"]:
                schema["maxItems"] = MAX_ORDER
            return schema
        if origin is dict and arguments[1] is not Any:
            return _plain(dict[arguments[0], Any], meta, wanted) | {  # type: ignore[valid-type]
                "additionalProperties": self.schema(arguments[1], way, refer)
            }
        return _leaf(_plain(bare, meta, wanted), bare, way)

    def _ref(self, name: str) -> Schema:
        return {"$ref": self._ref_template.format(name=name)}


def _plain(bare: Any, meta: Meta | None, wanted: Any) -> Schema:
    """A type that refers to no other, as msgspec writes it."""
    try:
        schema = msgspec.json.schema(Annotated[bare, meta] if meta else bare)
    except TypeError:
        raise ValueError(f"{wanted!r} has no JSON Schema") from None
    if "pattern" in schema:
        pattern = portable(schema.pop("pattern"))
        schema |= {} if pattern is None else {"pattern": pattern}
    return schema


def _leaf(schema: Schema, bare: Any, way: Way) -> Schema:
    patterns = {datetime: INSTANT, UUID: UUID_TEXT}
    if way is not Way.OUTPUT and bare in patterns and "format" in schema:
        schema["pattern"] = patterns[bare]
        if way is Way.STORED:
            del schema["format"]  # it stays as it was sent, in any form that was taken
    return schema


def _said(meta: Meta | None) -> str:
    """What a refusal says of a value, as sentences."""
    extra = (meta and meta.extra) or {}
    messages = [each for each in (extra.get("message"), *extra.get("prefixes", {}).values()) if each]
    return " ".join(f"{each[0].upper()}{each[1:]}." for each in messages)


def _notes(meta: Meta | None) -> Meta | None:
    """What is said about a type beside its limits."""
    return meta and Meta(
        title=meta.title,
        description=meta.description,
        examples=meta.examples,
        extra_json_schema=meta.extra_json_schema,
    )


def _choices(values: Iterable[Any]) -> Schema:
    listed = list(values)
    return {"type": "string", "enum": listed} if all(isinstance(each, str) for each in listed) else {"enum": listed}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


_NULL: Schema = {"type": "null"}

_TEXT: Schema = {"type": "string", "maxLength": MAX_TEXT}

_VALUES: dict[Kind, Schema] = {
    "text": _TEXT,
    "number": {"type": "number"},
    "integer": {"type": "integer", "minimum": -MAX_SAFE_INTEGER, "maximum": MAX_SAFE_INTEGER},
    "boolean": {"type": "boolean"},
    "instant": {**_TEXT, "format": "date-time", "pattern": INSTANT},
    "uuid": {**_TEXT, "description": "The UUID of an event, or its `evt_<hash>`; other text names none."},
    "hash": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
    "json": {"type": ["string", "number", "boolean"], "maxLength": MAX_TEXT},
}
"""What each kind of field is compared with; an `object` with nothing."""


class _Catalogue:
    """Writes what filters and orders may say, by the fields that the server parses them with."""

    def __init__(self, metadata: type[Struct], ref: Callable[[str], Schema], nulls: list[Schema]) -> None:
        self._metadata = metadata
        self._ref = ref
        self._nulls = nulls
        self._fields = Fields(metadata)
        self._named = self._fields.named()

    def components(self) -> dict[str, Schema]:
        """All that a filter or an order may refer to."""
        operators = {f"{kind.title()}Operators": self._operators(kind) for kind in OPERATORS}
        conditions = {_condition(kind): self._condition(kind) for kind in OPERATORS}
        related = {"type": "object", "properties": {each: self._ref("EventFilter") for each in get_args(Quantifier)}}
        return {
            "EventFilter": self._filter(
                "EventFilter",
                f"Which events to find: all members must hold. {'Null' if self._nulls else '`isNull`'} asks for a "
                "field that is missing or null. In `data` and in free parts of `metadata` a dotted path leads to any "
                "member.",
                {name: self._ref("RelatedEvents") for name in get_args(Relation)},
            ),
            "LiveEventFilter": self._filter(
                "LiveEventFilter", "A filter of events as they come, one by one: it cannot ask for related ones.", {}
            ),
            "RelatedEvents": {
                "description": "That some, or none, of the related events meet a filter.",
                **related,
                "minProperties": 1,
                "additionalProperties": False,
            },
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

    def _order(self) -> Schema:
        directions = _choices(get_args(Direction))
        return {
            "type": "object",
            "description": "One key of an order: one field and its direction. Plain `asc` puts nulls last, "
            "`desc` first.",
            "properties": {name: directions for name in self._named if self._fields.orders(name)},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        }

    def _condition(self, kind: Kind) -> Schema:
        """What may stand at a field: a bare value, null, or operators."""
        values = [_VALUES[kind]] if kind in _VALUES else []
        return _one_of([*values, self._ref(f"{kind.title()}Operators"), *self._nulls])

    def _at(self, field: Field) -> Schema:
        if not field.choices:
            return self._ref(_condition(field.kind))
        one = _choices(field.choices)
        some = {"type": "array", "maxItems": MAX_VALUES, "items": one}
        equal = _one_of([one, *self._nulls])
        operators = self._operators(field.kind)
        operators["properties"] |= {"eq": equal, "ne": equal, "in": some, "nin": some}
        return _one_of([one, operators, *self._nulls])

    def _operators(self, kind: Kind) -> Schema:
        operators = {operator: self._operand(kind, operator) for operator in OPERATORS[kind]}
        if kind == "object" and self._nulls:
            operators |= {"eq": _NULL, "ne": _NULL}
        return {"type": "object", "properties": operators, "additionalProperties": False}

    def _operand(self, kind: Kind, operator: Operator) -> Schema:
        if operator == "isNull":
            return {"type": "boolean"}
        if operator == "like":
            return {**_TEXT, "description": "In it a `*` stands for any text."}
        if operator in MATCHING:
            return _TEXT
        if operator in {"in", "nin"}:
            return {"type": "array", "maxItems": MAX_VALUES, "items": _VALUES[kind]}
        if operator in EQUALITY:
            return _one_of([_VALUES[kind], *self._nulls])
        return {"type": ["string", "number"], "maxLength": MAX_TEXT} if kind == "json" else _VALUES[kind]

    def _free(self, wanted: type[Struct], name: str, above: tuple[Any, ...]) -> Iterator[str]:
        """Expressions for how the paths begin that lead to a field and are not listed."""
        members = {field.encode_name: unwrap(field.type)[0] for field in msgspec.structs.fields(wanted)}
        if not wanted.__struct_config__.forbid_unknown_fields:
            yield rf"{escaped(name)}\."
        for member, held in members.items():
            below = f"{name}.{member}"
            if is_struct(held) and held not in above:
                yield from self._free(held, below, (*above, held))
            elif is_struct(held) or self._fields.get(f"{below}.*"):
                yield rf"{escaped(below)}\."


def _condition(kind: Kind) -> str:
    return f"{kind.title()}Condition"


def _one_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
