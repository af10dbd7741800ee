"""Arrays as parameters, written in PostgreSQL's binary format.

psycopg adapts a list element by element, and PostgreSQL parses JSON at five times the cost of such an array. An array
whose elements are all null is sent empty: where `unnest` reads several arrays, it fills the shorter ones with nulls.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from uuid import UUID

from psycopg import adapters
from psycopg.types.string import BytesBinaryDumper

_ARRAY = Struct("!iiIii")
"""One dimension, whether there may be nulls, the type of the elements, how many there are, and the first subscript."""

_EMPTY = Struct("!iiI")
"""No dimension, no nulls, and the type of the elements."""

_NULL = b"\xff\xff\xff\xff"
_UUID_LENGTH = b"\x00\x00\x00\x10"
_INSTANT = Struct("!iq")
"""The length 8, and the microseconds since `_EPOCH`."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class TextArray(bytes):
    """A `text[]`."""

    __slots__ = ()


class UuidArray(bytes):
    """A `uuid[]`."""

    __slots__ = ()


class InstantArray(bytes):
    """A `timestamptz[]`."""

    __slots__ = ()


def texts(values: Sequence[str | None]) -> TextArray:
    """An array of texts."""
    encoded = [None if value is None else value.encode() for value in values]
    return TextArray(_array(25, [None if value is None else len(value).to_bytes(4) + value for value in encoded]))


def uuids(values: Sequence[UUID]) -> UuidArray:
    """An array of UUIDs."""
    return UuidArray(_array(2950, [_UUID_LENGTH + value.bytes for value in values]))


def instants(values: Sequence[datetime | None]) -> InstantArray:
    """An array of aware datetimes."""
    elements = [None if value is None else _INSTANT.pack(8, (value - _EPOCH) // _MICROSECOND) for value in values]
    return InstantArray(_array(1184, elements))


def _array(element: int, elements: Sequence[bytes | None]) -> bytes:
    """The array of elements of the type with the OID `element`, each behind its length."""
    if elements.count(None) == len(elements):
        return _EMPTY.pack(0, 0, element)
    return _ARRAY.pack(1, 1, element, len(elements), 1) + b"".join([each or _NULL for each in elements])


def _register(array: type[bytes], type_: int) -> None:
    """Let psycopg send these arrays as they are, with the OID of their type."""
    adapters.register_dumper(array, type(f"{array.__name__}Dumper", (BytesBinaryDumper,), {"oid": type_}))


_register(TextArray, 1009)
_register(UuidArray, 2951)
_register(InstantArray, 1185)
