"""The only model of the JSON of the API: a walk over Structs, from which JSON Schema and TypeScript are printed.

A Struct has another form in each of four ways (`Way`), so the walk refers to a pair of both, a `Reference`. Its `Shape`
has the members in the order of their declaration, each with its type, whether it may be absent and whether it may be
null. The printers decide how a type is printed.

It reads only what is registered, and the same types give the same shapes.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import Enum, StrEnum
from functools import cache
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from schemas.base import Input
from schemas.event_data import CARRIERS, event_types
from schemas.issues import is_nullable, is_struct, unwrap
from schemas.metadata import metadata_struct


class Way(StrEnum):
    """How a type is used. If a Struct is used in several ways, its name ends with the value in all but the first."""

    OUTPUT = ""
    """The server returns it."""
    STORED = "Stored"
    """Metadata that the server returns as it was stored, without null members."""
    DATA = "Data"
    """Data that the server returns as it was sent."""
    INPUT = "Input"
    """A caller sends it."""


class Reference(Struct, frozen=True):
    """A Struct in one way."""

    struct: type[Struct]
    way: Way


class Shared(Struct, frozen=True):
    """A filter or an order: both are written from the fields that the server parses them with."""

    name: Literal["EventFilter", "LiveEventFilter", "EventOrderBy"]


class PrintedInstant(Struct, frozen=True):
    """An instant as the server prints it."""


class Choices(Struct, frozen=True):
    """One of these values."""

    values: tuple[Any, ...]


class OneOf(Struct, frozen=True):
    """A value of one of these types."""

    members: tuple["Typed", ...]


class Items(Struct, frozen=True):
    """An array."""

    item: "Typed"


class Entries(Struct, frozen=True):
    """An object whose members have names of the caller's choice."""

    key: Any
    value: "Typed"


class Leaf(Struct, frozen=True):
    """A value of one of the `LEAVES`. `alias` is a name for texts of a special form, such as event types."""

    type: Any
    alias: str = ""


Form = Reference | Shared | PrintedInstant | Choices | OneOf | Items | Entries | Leaf


class Typed(Struct, frozen=True):
    """The type of one place."""

    form: Form
    way: Way
    null: bool
    """Whether null is also allowed there."""
    meta: Meta | None = None
    """The limits of the value, and what an error says about them."""

    @property
    def said(self) -> str:
        """What an error says about a value that does not fit, as sentences."""
        extra = (self.meta and self.meta.extra) or {}
        messages = [each for each in (extra.get("message"), *extra.get("prefixes", {}).values()) if each]
        return " ".join(f"{each[0].upper()}{each[1:]}." for each in messages)


class Member(Struct, frozen=True):
    """A member of an object."""

    name: str
    typed: Typed
    optional: bool
    """Whether it may be absent."""
    default: Any = None
    """What the server reads if it is absent, as JSON. Null if there is no default."""


class TypedData(Struct, frozen=True):
    """The types of an event's data, by the event type that each is registered for."""

    type_member: str
    data_member: str
    kinds: Mapping[str, Reference]


class Shape(Struct, frozen=True):
    """An object."""

    description: str
    tag: tuple[str, str | int | None] | None
    """The member that names the Struct, and its value."""
    members: tuple[Member, ...]
    closed: bool
    """Whether the server rejects members that are not listed."""
    data: TypedData | None = None
    alternatives: tuple[frozenset[str], ...] = ()
    """Groups of members, of which exactly one group may be there. No groups: any members may."""


LEAVES = frozenset({str, UUID, int, float, bool, datetime, NoneType, Any, Raw})

_MARKED: Mapping[str, Form] = {
    "filter": Shared("EventFilter"),
    "live filter": Shared("LiveEventFilter"),
    "order": Shared("EventOrderBy"),
    "instant": PrintedInstant(),
}
"""The form of a member that is marked as one of these shapes."""

ANYTHING = (
    "a Struct, an Enum, a Literal, a union, a list, a set, a dict with text keys, str, int, float, bool, datetime or "
    "UUID"
)
"""The types that the contract can express."""


class Model:
    """The shapes of the types that are registered when it is made."""

    def __init__(self, *, typed_answers: bool) -> None:
        """`typed_answers` tells whether the data of returned events is typed by the event type, like that of inputs.

        A returned event may be older than its registered type, or erased.
        """
        self._typed_answers = typed_answers
        self._event_types = event_types()
        self.metadata = metadata_struct()
        """The type of a whole `metadata` object."""
        self.shape = cache(self._shape)

    def typed(self, wanted: Any, way: Way, place: str = "", *, null: bool | None = None) -> Typed:
        """The type of a place whose value is of the type `wanted`; `null` overrides whether null is allowed.

        Raises ValueError, in one sentence that begins with `place`, if the contract cannot express the type.
        """
        bare, meta = unwrap(wanted)
        null = is_nullable(wanted) if null is None else null
        return Typed(self._form(bare, meta, way, place), way, null, meta)

    def reached(self, roots: Iterable[Typed | Reference]) -> dict[Reference, Shape]:
        """Every Struct that these refer to, directly or not, in the order in which the walk meets them."""
        found: dict[Reference, Shape] = {}
        left = [reference for root in reversed(list(roots)) for reference in reversed(_references(root))]
        while left:
            reference = left.pop()
            if reference not in found:
                found[reference] = shape = self.shape(reference)
                below = [*(shape.data.kinds.values() if shape.data else ()), *(each.typed for each in shape.members)]
                left += [each for part in reversed(below) for each in reversed(_references(part))]
        return found

    def _shape(self, reference: Reference) -> Shape:
        struct, way = reference.struct, reference.way
        config = struct.__struct_config__
        names = {field.name: field.encode_name for field in msgspec.structs.fields(struct)}
        if config.array_like:
            raise ValueError(f"{struct.__qualname__}: the contract cannot express a Struct that is written as an array")
        return Shape(
            description=cleandoc(struct.__doc__ or ""),
            tag=(config.tag_field, config.tag) if config.tag_field else None,
            members=tuple(
                self._member(struct, field, way)
                for field in msgspec.structs.fields(struct)
                if way is not Way.INPUT or field.name not in getattr(struct, "__server_only__", ())
            ),
            closed=way is Way.INPUT and config.forbid_unknown_fields,
            data=self._data(struct, way),
            alternatives=tuple(frozenset(names[name] for name in group) for group in getattr(struct, "__one_of__", ())),
        )

    def _member(self, struct: type[Struct], field: msgspec.structs.FieldInfo, way: Way) -> Member:
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        omitted = struct.__struct_config__.omit_defaults or default is UNSET
        has_default = not field.required and default not in (None, UNSET) and not isinstance(default, Raw)
        null = {
            Way.OUTPUT: is_nullable(field.type) and not (omitted and default is None),
            Way.STORED: False,
        }.get(way, not field.required or (is_nullable(field.type) and issubclass(struct, Input)))
        return Member(
            name=field.encode_name,
            typed=self.typed(field.type, way, f"{struct.__qualname__}.{field.name}", null=null),
            optional=not field.required and (way is not Way.OUTPUT or omitted),
            default=msgspec.to_builtins(default, str_keys=True) if has_default else None,
        )

    def _data(self, struct: type[Struct], way: Way) -> TypedData | None:
        if struct not in CARRIERS or not self._event_types or not (way is Way.INPUT or self._typed_answers):
            return None
        kept = Way.INPUT if way is Way.INPUT else Way.DATA
        return TypedData(*CARRIERS[struct], {name: Reference(kind, kept) for name, kind in self._event_types.items()})

    def _form(self, bare: Any, meta: Meta | None, way: Way, place: str) -> Form:
        """The form of a value on the wire, which for some types differs from Python's."""
        extra = (meta and meta.extra) or {}
        shape = extra.get("shape", "")
        if shape == "metadata":
            return Reference(self.metadata, Way.INPUT if way is Way.INPUT else Way.STORED)
        if shape == "record":
            return Entries(str, self.typed(Any, way))
        return _MARKED[shape] if shape in _MARKED else self._bare(bare, way, place, extra.get("named", ""))

    def _bare(self, bare: Any, way: Way, place: str, alias: str) -> Form:
        if is_struct(bare):
            return Reference(bare, way)
        if bare in LEAVES:
            return Leaf(bare, alias)
        if get_origin(bare) is Literal:
            return Choices(get_args(bare))
        if isinstance(bare, type) and issubclass(bare, Enum):
            return Choices(tuple(member.value for member in bare))
        return self._composed(bare, way, place)

    def _composed(self, bare: Any, way: Way, place: str) -> Form:
        """A type that is made of others."""
        origin, arguments = get_origin(bare), get_args(bare)
        if origin in {Union, UnionType}:
            members = [each for each in arguments if each not in {NoneType, UnsetType}]
            return OneOf(tuple(self.typed(each, way, place) for each in members))
        if origin in {list, set, frozenset} or (origin is tuple and arguments[1:] == (...,)):
            return Items(self.typed(arguments[0], way, place))
        if origin is dict and unwrap(arguments[0])[0] in {str, UUID, datetime}:
            return Entries(arguments[0], self.typed(arguments[1], way, place))
        raise ValueError(f"{f'{place}: ' if place else ''}the contract cannot express {bare!r}; use {ANYTHING}")


def forms(typed: Typed) -> Iterator[Form]:
    """Yield the form of a value, and the forms of the values in it."""
    yield typed.form
    match typed.form:
        case OneOf(members):
            below = members
        case Items(inner) | Entries(_, inner):
            below = (inner,)
        case _:
            below = ()
    for each in below:
        yield from forms(each)


def _references(root: Typed | Reference) -> list[Reference]:
    """The Structs that a type refers to directly."""
    if isinstance(root, Reference):
        return [root]
    return [form for form in forms(root) if isinstance(form, Reference)]
