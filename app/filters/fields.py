"""The fields that filters and orders can name."""

import re
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import msgspec
from msgspec import Struct

from app.filters.language import COLUMNS, MAX_KNOWN, MAX_MEMBERS
from app.filters.values import without_nul
from schemas.event import Source
from schemas.filter import Field, FieldKind
from schemas.issues import is_struct, unwrap
from schemas.metadata import metadata_struct


class Fields:
    """The fields of filters and orders: the columns, `data`, and metadata with the types of the registered kinds."""

    def __init__(self, metadata: type[Struct]) -> None:
        """Take the type of a whole `metadata` object."""
        self._metadata = metadata
        self._columns = {
            name: Field(name, (), kind, get_args(Source) if name == "source" else ()) for name, kind in COLUMNS.items()
        }

    def find(self, dotted: str) -> Field:
        """The field with the name `dotted`. Raises ValueError with what is wrong with the name."""
        name, *path = dotted.split(".")
        if not path and name in self._columns:
            return self._columns[name]
        if len(path) > MAX_MEMBERS:
            raise ValueError(f"has more than {MAX_MEMBERS} members in its path")
        path = [without_nul(member) for member in path]
        if name == "data":
            return Field(name, tuple(path), "json" if path else "object")
        if name == "metadata":
            return self._typed(path)
        known = ", ".join([*COLUMNS, "data", "data.<path>", "metadata", "metadata.<path>"])
        raise ValueError(f"is not a known field; known are: {known}, and AND, OR, NOT, parent, children")

    def listed(self) -> Iterator[Field]:
        """Every declared field: the columns, `data`, `metadata` and the members of its kinds."""
        yield from self._columns.values()
        yield Field("data", (), "object")
        yield Field("metadata", (), "object")
        yield from _members(self._metadata, (), ())

    def get(self, dotted: str) -> Field | None:
        """The field with the name `dotted`, or None if there is no such field."""
        try:
            return self.find(dotted)
        except ValueError:
            return None

    def named(self) -> dict[str, Field]:
        """The declared fields by name, without those that a field of the same name hides."""
        return {field.dotted: field for field in self.listed() if self.get(field.dotted) == field}

    def orders(self, dotted: str) -> bool:
        """Whether events can be ordered by the field with the name `dotted`."""
        field = self.get(dotted)
        return field is not None and is_orderable(field)

    def _typed(self, path: list[str]) -> Field:
        wanted: Any = self._metadata
        for place, member in enumerate(path):
            if is_struct(wanted):
                types = {field.encode_name: field.type for field in msgspec.structs.fields(wanted)}
                if member not in types:
                    if not wanted.__struct_config__.forbid_unknown_fields:
                        return Field("metadata", tuple(path), "json")
                    known = ", ".join(sorted(types)[:MAX_KNOWN])
                    raise ValueError(f"is not a known field; known here are: {known}")
                wanted, meta = unwrap(types[member])
            elif wanted is dict or get_origin(wanted) is dict or _kind(wanted, None)[0] == "json":
                return Field("metadata", tuple(path), "json")
            else:
                what = "an array" if _kind(wanted, meta)[0] == "object" else f"a value ({_kind(wanted, meta)[0]})"
                raise ValueError(f"has no members: {'.'.join(['metadata', *path[:place]])} is {what}")
        kind, choices = _kind(wanted, meta if path else None)
        return Field("metadata", tuple(path), kind, choices)


IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""A member's name that may be part of a statement, if a registered Struct declares it."""


def is_orderable(field: Field) -> bool:
    """Whether events can be ordered by a field: every column but the hash, and typed values of metadata."""
    return field.kind not in {"json", "object", "hash"} and all(map(IDENTIFIER.fullmatch, field.path))


def _members(wanted: Any, path: tuple[str, ...], above: tuple[Any, ...]) -> Iterator[Field]:
    for field in msgspec.structs.fields(wanted):
        member, meta = unwrap(field.type)
        kind, choices = _kind(member, meta)
        yield Field("metadata", (*path, field.encode_name), kind, choices)
        if is_struct(member) and member not in above:  # a type that contains itself is listed once
            yield from _members(member, (*path, field.encode_name), (*above, member))


def _kind(wanted: Any, meta: msgspec.Meta | None) -> tuple[FieldKind, tuple[str, ...]]:
    """The kind of a type's values, and the only texts that they can equal, if the type lists them."""
    values: tuple[object, ...] = get_args(wanted) if get_origin(wanted) is Literal else ()
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        values = tuple(member.value for member in wanted)
    texts = tuple(value for value in values if isinstance(value, str))
    if texts and len(texts) == len(values):
        return "text", texts
    if is_struct(wanted) or (get_origin(wanted) or wanted) in {dict, list, tuple, set, frozenset}:
        return "object", ()
    if wanted is datetime:
        return ("instant" if meta is not None and meta.tz else "text"), ()
    kinds: dict[object, FieldKind] = {str: "text", UUID: "text", int: "number", float: "number", bool: "boolean"}
    return kinds.get(wanted, "json"), ()


@cache
def known_fields() -> Fields:
    """The fields of all registered kinds. Extensions are loaded before the first call."""
    return Fields(metadata_struct())
