"""Finds every invalid place of an input at once. Runs only after the fast decoder has refused the input."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, UnsetType

from schemas.errors import InvalidInput, Issue
from schemas.event_data import typed_data
from schemas.jsontext import MAX_ISSUES, UNREADABLE, join, limit_issues, read_json

T = TypeVar("T")


def find_issues(value: object, wanted: Any, metadata: type[Struct] | None = None, path: str = "") -> list[Issue]:
    """All places where `value` (decoded JSON) does not fit the type `wanted`, at most `MAX_ISSUES`.

    `metadata` is the type that `RawMetadata` fields must fit; the data of an event, the Struct that is registered for
    its type. Free records must keep the limits of JSON. Paths are dotted; a list's places are numbers.
    """
    issues = []
    for issue in _walk(value, wanted, metadata, path):
        issues.append(issue)
        if len(issues) == MAX_ISSUES:
            break
    return issues


def decoded(source: bytes, decoder: msgspec.json.Decoder[T], metadata: type[Struct] | None = None) -> T:
    """What JSON says, of the decoder's type. Raises InvalidInput with every invalid place."""
    try:
        return decoder.decode(source)
    except UNREADABLE:
        issues = find_issues(read_json(source), decoder.type, metadata)
        raise InvalidInput(issues or [Issue("", "does not fit what is expected here")]) from None


def without_nulls(value: object, wanted: Any) -> object:
    """`value` less the null members of its typed objects (null means absent); free records keep theirs."""
    wanted, _ = unwrap(wanted)
    if is_struct(wanted) and isinstance(value, dict):
        member_types = {field.encode_name: field.type for field in msgspec.structs.fields(wanted)}
        return {
            name: without_nulls(item, member_types.get(name))
            for name, item in value.items()
            if item is not None or name not in member_types  # an unknown member is refused, whatever it is
        }
    if get_origin(wanted) is list and isinstance(value, list):
        return [without_nulls(item, get_args(wanted)[0]) for item in value]
    return value


def unwrap(wanted: Any) -> tuple[Any, Meta | None]:
    """The type behind `Annotated`, `| None` and `| UnsetType`, and the annotation nearest to it."""
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


def _walk(value: object, annotated: Any, metadata: type[Struct] | None, path: str) -> Iterator[Issue]:
    wanted, meta = unwrap(annotated)
    extra = (meta and meta.extra) or {}
    if extra.get("shape") == "metadata" and metadata is not None:
        yield from _walk_stored(value, metadata, path)
    elif is_struct(wanted):
        if isinstance(value, dict):
            yield from _walk_struct(value, wanted, metadata, path)
        else:
            yield Issue(path, f"must be an object, not {_kind(value)}")
    elif get_origin(wanted) is list and isinstance(value, list):
        if meta and not (meta.min_length or 0) <= len(value) <= (meta.max_length or len(value)):
            yield Issue(path, f"{extra['message']}, not {len(value)}")
        else:
            for index, item in enumerate(value):
                yield from _walk(item, get_args(wanted)[0], metadata, join(path, index))
    elif "shape" in extra or wanted == dict[str, Any]:
        if not isinstance(value, dict):
            yield Issue(path, f"must be a JSON object, not {_kind(value)}")
        elif "shape" in extra:
            yield from limit_issues(value, path)
    else:
        yield from _leaf(value, wanted, meta, path)


def _walk_stored(value: object, wanted: Any, path: str) -> Iterator[Issue]:
    """Of what is stored as it was sent: where it does not fit, and where it exceeds the limits of JSON."""
    found = list(islice(_walk(value, wanted, None, path), MAX_ISSUES))
    yield from found
    seen = {issue.path for issue in found}
    yield from (issue for issue in limit_issues(value, path) if issue.path not in seen)


def _walk_struct(
    value: dict[str, Any], wanted: type[Struct], metadata: type[Struct] | None, path: str
) -> Iterator[Issue]:
    found = False
    for issue in _walk_members(value, wanted, metadata, path):
        found = True
        yield issue
    if not found and hasattr(wanted, "__post_init__"):  # the Struct's own check, of members that fit each by itself
        try:
            msgspec.convert(without_nulls(value, wanted), wanted)
        except msgspec.ValidationError as error:
            yield Issue(path, str(error).split(" - at ")[0])


def _walk_members(
    value: dict[str, Any], wanted: type[Struct], metadata: type[Struct] | None, path: str
) -> Iterator[Issue]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    typed = typed_data(wanted, value)
    for name, field in fields.items():
        member = value.get(name)
        if typed is not None and name == typed[0] and isinstance(member, dict):
            yield from _walk_stored(member, typed[1], join(path, name))
        elif member is not None:
            yield from _walk(member, field.type, metadata, join(path, name))
        elif field.required:
            yield Issue(join(path, name), "is required", "missing_required_field")
    if wanted.__struct_config__.forbid_unknown_fields:
        known = ", ".join(sorted(fields)) or "none"
        for name in value:
            if name not in fields:
                yield Issue(join(path, name), f"is not a known field; known are: {known}")


def _leaf(value: object, wanted: Any, meta: Meta | None, path: str) -> Iterator[Issue]:
    try:
        converted = msgspec.convert(value, Annotated[wanted, meta] if meta else wanted)
        if isinstance(converted, datetime):
            converted.astimezone(UTC)
    except OverflowError:
        yield Issue(path, "must be a time from year 1 to 9999 in UTC")
    except msgspec.ValidationError as error:
        extra = (meta and meta.extra) or {}
        if get_origin(wanted) is Literal:
            message = f"must be one of: {', '.join(map(str, get_args(wanted)))}"
        else:
            prefixes = extra.get("prefixes", {})
            told = next(
                (prefixes[prefix] for prefix in prefixes if str(value).startswith(prefix)), extra.get("message")
            )
            message = told or str(error).split(" - at ")[0]
        yield Issue(path, message, extra.get("code"))


def _kind(value: object) -> str:
    names = {str: "text", bool: "a boolean", list: "an array", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
