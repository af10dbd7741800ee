"""Finds every invalid place of an input at once. Runs only after the fast decoder has refused the input."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, UnsetType

from schemas.errors import Issue

MAX_ISSUES = 100
"""More than this many issues help nobody, and would let a small request ask for a large answer."""

MAX_ECHO = 128
"""Characters of a caller's own names that an answer repeats."""


def find_issues(value: object, wanted: Any, metadata: type[Struct] | None = None, path: str = "") -> list[Issue]:
    """All places where `value` (decoded JSON) does not fit the type `wanted`, at most `MAX_ISSUES`.

    `metadata` is the type that `RawMetadata` fields must fit. Paths are dotted; a list's places are numbers.
    """
    issues = []
    for issue in _walk(value, wanted, metadata, path):
        issues.append(issue)
        if len(issues) == MAX_ISSUES:
            break
    return issues


def without_nulls(value: object, wanted: Any) -> object:
    """`value` less the null members of its typed objects (null means absent); free records keep theirs."""
    wanted, _ = unwrap(wanted)
    if is_struct(wanted) and isinstance(value, dict):
        member_types = {field.encode_name: field.type for field in msgspec.structs.fields(wanted)}
        return {name: without_nulls(item, member_types.get(name)) for name, item in value.items() if item is not None}
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


def is_struct(wanted: object) -> bool:
    """Whether a type is one of our Structs."""
    return isinstance(wanted, type) and issubclass(wanted, Struct)


def join(path: str, name: str | int) -> str:
    """The path of a member."""
    return f"{path}.{name}" if path else str(name)


def _walk(value: object, annotated: Any, metadata: type[Struct] | None, path: str) -> Iterator[Issue]:
    wanted, meta = unwrap(annotated)
    extra = (meta and meta.extra) or {}
    if extra.get("shape") == "metadata" and metadata is not None:
        wanted = metadata
    if is_struct(wanted):
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
    else:
        yield from _leaf(value, wanted, meta, path)


def _walk_struct(
    value: dict[str, Any], wanted: type[Struct], metadata: type[Struct] | None, path: str
) -> Iterator[Issue]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    for name, field in fields.items():
        member = value.get(name)
        if member is not None:
            yield from _walk(member, field.type, metadata, join(path, name))
        elif field.required:
            yield Issue(join(path, name), "is required", "missing_required_field")
    if wanted.__struct_config__.forbid_unknown_fields:
        known = ", ".join(sorted(fields))
        for name in value:
            if name not in fields:
                yield Issue(join(path, name[:MAX_ECHO]), f"is not a known field; known are: {known}")


def _leaf(value: object, wanted: Any, meta: Meta | None, path: str) -> Iterator[Issue]:
    try:
        msgspec.convert(value, Annotated[wanted, meta] if meta else wanted)
    except msgspec.ValidationError as error:
        extra = (meta and meta.extra) or {}
        if get_origin(wanted) is Literal:
            message = f"must be one of: {', '.join(map(str, get_args(wanted)))}"
        else:
            message = extra.get("message") or str(error).split(" - at ")[0]
        yield Issue(path, message, extra.get("code"))


def _kind(value: object) -> str:
    names = {str: "text", bool: "a boolean", list: "an array", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
