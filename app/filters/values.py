"""Reads the values that filters compare with from JSON, and says what is wrong with invalid ones."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from app.filters.language import EQUALITY, MATCHING, MAX_KNOWN, MAX_TEXT
from schemas import instants
from schemas.base import Instant
from schemas.filter import Field, FieldKind, Operator, Scalar
from schemas.jsontext import MAX_SAFE_INTEGER, UNSAFE_NUMBER, is_safe

INSTANT = (
    "^((?!0000)(?:[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    "|(?:0[13578]|1[02])-31)|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29))"
    "[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(?:([.][0-9]{1,6})[0-9]*)?"
    "(?:[Zz]|([+-])([01][0-9]|2[0-3]):?([0-5][0-9]))$"
)
"""An instant as text in metadata, as Python and PostgreSQL read it. It matches only days that exist, so no cast fails.
Groups: date, time, fraction to the microsecond (the rest is cut), and the sign, hours and minutes of the offset."""

_instant = re.compile(INSTANT)

_hash = re.compile(r"\Asha256:[0-9a-f]{64}\Z")


def read_value(field: Field, operator: Operator, value: object) -> Scalar:
    """A value that a field is compared with. Raises ValueError with what is wrong with the value."""
    if operator == "isNull":
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {json_name(value)}")
        return value
    if value is None:
        raise ValueError("must not be null; use isNull")
    read: Scalar = _READERS[field.kind](value)
    if field.kind == "json":
        wanted = str if operator in MATCHING else str | int | float
        if operator not in EQUALITY and (isinstance(read, bool) or not isinstance(read, wanted)):
            raise ValueError(f"must be a text{'' if operator in MATCHING else ' or a number'}, not {json_name(value)}")
    if field.kind == "instant" and field.path:  # cut like the values in metadata
        read = msgspec.convert(_cut(str(value)), Instant).astimezone(UTC)
    if operator in EQUALITY and field.choices and read not in field.choices:
        raise ValueError(f"must be one of: {', '.join(field.choices[:MAX_KNOWN])}")
    return read


def read_text(value: object) -> str:
    """A text without U+0000. Raises ValueError if `value` is no text, or is too long."""
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {json_name(value)}")
    if len(value) > MAX_TEXT:
        raise ValueError(f"must have at most {MAX_TEXT} characters, not {len(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("has half of a surrogate pair") from None
    return without_nul(value)


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {json_name(value)}")
    if not is_safe(value):
        raise ValueError(UNSAFE_NUMBER)
    return int(value) if float(value).is_integer() and abs(value) <= MAX_SAFE_INTEGER else value


def _integer(value: object) -> int:
    number = _number(value)
    if not isinstance(number, int):
        raise ValueError("must be a whole number from -(2^53-1) to 2^53-1")
    return number


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {json_name(value)}")
    return value


def _instant_value(value: object) -> datetime:
    text = read_text(value)
    try:
        at = msgspec.convert(text, Instant)
    except msgspec.ValidationError:
        raise ValueError(instants.fault_of(text)) from None
    if instants.is_far(at):
        raise ValueError(instants.FAR)
    return at.astimezone(UTC)


def _hash_value(value: object) -> str:
    text = read_text(value)
    if not _hash.match(text):
        raise ValueError("must be 'sha256:' and 64 digits of lower-case hex")
    return text


def _json(value: object) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return read_text(value)
    if isinstance(value, int | float):
        return _number(value)
    raise ValueError(f"must be a text, a number or a boolean, not {json_name(value)}")


_READERS: dict[FieldKind, Callable[[object], Scalar]] = {
    "text": read_text,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "instant": _instant_value,
    "uuid": read_text,
    "hash": _hash_value,
    "json": _json,
}


def metadata_instant(value: object) -> object:
    """The instant that a text of metadata names. Other values are returned as they are: they equal no instant."""
    return msgspec.convert(_cut(value), Instant) if isinstance(value, str) and _instant.fullmatch(value) else value


def without_nul(text: str) -> str:
    """The text as PostgreSQL's JSON holds it, with U+FFFD for U+0000."""
    return text.replace("\0", "\ufffd")


def _cut(instant: str) -> str:
    """An instant's text without digits finer than a microsecond."""
    return _finer.sub(r"\1", instant)


_finer = re.compile(r"([.][0-9]{6})[0-9]+")


def json_name(value: object) -> str:
    """The name of a JSON value in an error."""
    names = {str: "a text", bool: "a boolean", list: "an array", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
