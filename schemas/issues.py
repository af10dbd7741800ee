"""Finds every invalid place of an input at once. It runs only after the fast decoder has rejected the input."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Raw, Struct, UnsetType
from msgspec.structs import FieldInfo

from schemas.errors import InvalidInput, Issue
from schemas.event_data import typed_data
from schemas.instants import FAR, holds_far, is_far
from schemas.jsontext import MAX_ISSUES, UNREADABLE, Looks, join, limit_issues, read_json
from schemas.sentences import UNFIT, limits_of, misfit, named, sent

T = TypeVar("T")

MAX_LOOKED = 50_000
"""The search looks at this many values of an input, more than a thousand ordinary events have."""

LEFT_OUT = f"more may be wrong: only the first {MAX_LOOKED:,} values were checked"


_PLACE = re.compile(r" - at `\$([^`]*)`\Z")


def find_issues(value: object, wanted: Any, metadata: type[Struct] | None = None, path: str = "") -> list[Issue]:
    """All places where `value` (decoded JSON) does not fit the type `wanted`, at most `MAX_ISSUES`.

    It checks `MAX_LOOKED` values. If there are more, the last issue says so; an empty result then proves nothing.
    `RawMetadata` must fit the type `metadata`. An event's data must fit the Struct that is registered for its type.
    Free records must keep the limits of JSON. Paths are dotted, with numbers for the places in a list.
    """
    looks = Looks(MAX_LOOKED)
    issues = list(islice(_walk(value, wanted, metadata, path, looks), MAX_ISSUES))
    return [*issues, Issue("", LEFT_OUT)] if issues and looks.are_used_up else issues


def decoded(source: bytes, decoder: msgspec.json.Decoder[T], metadata: type[Struct] | None = None) -> T:
    """JSON as a value of the decoder's type. Raises InvalidInput with every invalid place."""
    try:
        read = decoder.decode(source)
    except UNREADABLE as error:
        return _decoded_slowly(source, decoder, metadata, place_of(error))
    return _decoded_slowly(source, decoder, metadata, "") if holds_far(source, read) else read


def _decoded_slowly(source: bytes, decoder: msgspec.json.Decoder[T], metadata: type[Struct] | None, place: str) -> T:
    """The same for JSON that the decoder has rejected, at `place`. The decoder is stricter than the JSON Schema."""
    value = read_json(source)
    if issues := find_issues(value, decoder.type, metadata):
        raise InvalidInput(issues)
    try:
        return decoder.decode(msgspec.json.encode(fitted(value, decoder.type)))
    except UNREADABLE:
        raise InvalidInput([Issue(place, UNFIT)]) from None


def place_of(error: Exception) -> str:
    """The place that a decoder of msgspec rejected; empty if the error does not name it."""
    found = _PLACE.search(str(error))
    return "" if found is None else re.sub(r"\[(\d+)\]", r".\1", found[1]).removeprefix(".")


def fitted(value: object, wanted: Any) -> object:
    """`value` in the form that a decoder of `wanted` accepts, so that the decoder agrees with the JSON Schema.

    Null members of typed objects are removed, because null means absent. `5.0` and `5e0` become the integer 5 if an
    integer is wanted. Free records do not change.
    """
    wanted, _ = unwrap(wanted)
    if is_struct(wanted) and isinstance(value, dict):
        member_types = {field.encode_name: field.type for field in msgspec.structs.fields(wanted)}
        return {
            name: fitted(item, member_types.get(name))
            for name, item in value.items()
            if item is not None or name not in member_types  # an unknown member is rejected even if it is null
        }
    if isinstance(value, float):
        return int(value) if value.is_integer() and _takes_integers_only(wanted) else value
    return _mapped_items(value, wanted)


def _mapped_items(value: object, wanted: Any) -> object:
    item_type = _item_type(value, wanted)
    if item_type is None:
        return value
    if isinstance(value, dict):
        return {name: fitted(item, item_type) for name, item in value.items()}
    return [fitted(item, item_type) for item in value] if isinstance(value, list) else value


def _item_type(value: object, wanted: Any) -> Any:
    """The type of a container's items. None if `value` is not the container `wanted`, or its items are free."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if isinstance(value, list) and (origin in {list, set, frozenset} or (origin is tuple and arguments[1:] == (...,))):
        return arguments[0]
    if isinstance(value, dict) and origin is dict and arguments[1] is not Any:
        return arguments[1]
    return None


def _takes_integers_only(wanted: Any) -> bool:
    types = set(get_args(wanted)) if get_origin(wanted) in {Union, UnionType} else {wanted}
    return int in types and float not in types


def unwrap(wanted: Any) -> tuple[Any, Meta | None]:
    """The type inside `Annotated`, `| None` and `| UnsetType`, and the innermost annotation."""
    meta: Meta | None = None
    while True:
        origin = get_origin(wanted)
        if origin is Annotated:
            wanted, *rest = get_args(wanted)
            meta = next((note for note in rest if isinstance(note, Meta)), meta)
        elif origin in {UnionType, Union}:
            members = [member for member in get_args(wanted) if member not in {NoneType, UnsetType}]
            if len(members) != 1:
                return wanted, meta
            wanted = members[0]
        else:
            return wanted, meta


def is_nullable(wanted: Any) -> bool:
    """Whether null is one of a type's values."""
    while get_origin(wanted) is Annotated:
        wanted = get_args(wanted)[0]
    return get_origin(wanted) in {Union, UnionType} and NoneType in get_args(wanted)


def is_struct(wanted: object) -> bool:
    """Whether a type is one of our Structs."""
    return isinstance(wanted, type) and issubclass(wanted, Struct)


def _walk(value: object, annotated: Any, metadata: type[Struct] | None, path: str, looks: Looks) -> Iterator[Issue]:
    wanted, meta = unwrap(annotated)
    extra = (meta and meta.extra) or {}
    if extra.get("shape") == "metadata" and metadata is not None:
        yield from _walk_stored(value, metadata, path, looks)
    elif is_struct(wanted):
        if isinstance(value, dict):
            yield from _walk_struct(value, wanted, metadata, path, looks)
        else:
            yield Issue(path, f"must be an object, not {sent(value)}{_members_of(wanted)}")
    elif "shape" in extra or wanted == dict[str, Any]:
        if not isinstance(value, dict):
            yield Issue(path, f"must be a JSON object, not {sent(value)}")
        elif "shape" in extra:
            yield from limit_issues(value, path, looks=looks)
    elif wanted is Raw:  # any JSON
        yield from limit_issues(value, path, looks=looks)
    elif (item_type := _item_type(value, wanted)) is not None:
        yield from _walk_items(value, item_type, meta, metadata, path, looks)
    else:
        yield from _leaf(value, wanted, meta, path)


def _walk_items(
    value: Any, item_type: Any, meta: Meta | None, metadata: type[Struct] | None, path: str, looks: Looks
) -> Iterator[Issue]:
    if meta and not (meta.min_length or 0) <= len(value) <= (meta.max_length or len(value)):
        must = (meta.extra or {}).get("message") or f"must be {named(type(value))}{limits_of(meta)}"
        yield Issue(path, f"{must}, not {len(value)}")
        return
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in islice(items, looks.take(len(value))):
        yield from _walk(item, item_type, metadata, join(path, name), looks)


def _walk_stored(value: object, wanted: Any, path: str, looks: Looks) -> Iterator[Issue]:
    """The issues of a value that is stored as it was sent: misfits, and places that exceed the limits of JSON."""
    found = list(islice(_walk(value, wanted, None, path, looks), MAX_ISSUES))
    yield from found
    seen = {issue.path for issue in found}
    yield from (issue for issue in limit_issues(value, path, looks=looks) if issue.path not in seen)


def _walk_struct(
    value: dict[str, Any], wanted: type[Struct], metadata: type[Struct] | None, path: str, looks: Looks
) -> Iterator[Issue]:
    found = False
    for issue in _walk_members(value, wanted, metadata, path, looks):
        found = True
        yield issue
    if not found and hasattr(wanted, "__post_init__"):  # the Struct's own check runs once each member fits by itself
        try:
            msgspec.convert(fitted(value, wanted), wanted)
        except msgspec.ValidationError as error:
            # The cause is the check's own message. Without a cause the message is msgspec's, which is for developers.
            yield Issue(path, str(error.__cause__) if error.__cause__ else UNFIT)


def _walk_members(
    value: dict[str, Any], wanted: type[Struct], metadata: type[Struct] | None, path: str, looks: Looks
) -> Iterator[Issue]:
    looks.take(len(value))
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    typed, server_only = typed_data(wanted, value), getattr(wanted, "__server_only__", {})
    for name, field in fields.items():
        member = value.get(name)
        if member is not None and name in server_only:  # whatever it is: the remedy is not to correct it
            yield Issue(join(path, name), server_only[name])
        elif typed is not None and name == typed[0] and isinstance(member, dict):
            yield from _walk_stored(member, typed[1], join(path, name), looks)
        elif member is not None:
            yield from _walk(member, field.type, metadata, join(path, name), looks)
        elif field.required:
            yield Issue(join(path, name), "is required", "missing_required_field")
    if wanted.__struct_config__.forbid_unknown_fields:
        known = ", ".join(sorted(fields)) or "none"
        for name in value:
            if name not in fields:
                yield Issue(join(path, name), f"is not a known field; {_deeper(name, fields)}known are: {known}")


def _members_of(wanted: type[Struct]) -> str:
    """The members of an object, for a caller who sent another value. Many send just the value of its main member."""
    members = [
        f"{field.encode_name} (required)" if field.required else field.encode_name
        for field in msgspec.structs.fields(wanted)
    ]
    return f"; it has the members: {', '.join(members)}" if members else ""


def _deeper(name: str, fields: Mapping[str, FieldInfo]) -> str:
    """Where an unknown member is known, one step deeper: callers forget a level."""
    members = {outer: unwrap(field.type)[0] for outer, field in fields.items()}
    places = [f"{outer}.{name}" for outer, each in members.items() if is_struct(each) and name in _names(each)]
    return f"did you mean {' or '.join(places)}? " if places else ""


def _names(struct: type[Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def _leaf(value: object, wanted: Any, meta: Meta | None, path: str) -> Iterator[Issue]:
    try:
        converted = msgspec.convert(fitted(value, wanted), Annotated[wanted, meta] if meta else wanted)
        if isinstance(converted, datetime) and is_far(converted):
            yield Issue(path, FAR)
    except msgspec.ValidationError:
        yield Issue(path, misfit(value, wanted, meta), ((meta and meta.extra) or {}).get("code"))
