"""Says why a value does not fit a type. A library's message would name Python types and repeat what the caller sent."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

from msgspec import Meta, Struct

from schemas import instants

_NAMES: Mapping[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: "a decimal number, as text",
    UUID: "a UUID: 32 digits of hex, with or without dashes",
    bytes: "text in base64",
    date: "a day such as 2026-01-31",
    time: "a time of day such as 12:00:00",
    timedelta: "an ISO 8601 duration such as PT1H",
    NoneType: "null",
}
_CONTAINERS = {list: "an array", tuple: "an array", set: "an array", frozenset: "an array", dict: "an object"}
_SENT = {str: "text", bool: "a boolean", list: "an array", dict: "an object", NoneType: "null"}


UNFIT = "does not fit what is expected here"


def misfit(value: object, wanted: Any, meta: Meta | None = None) -> str:
    """The message for `value`, which does not fit the type `wanted`: the type's own message if it has one."""
    if wanted is datetime:
        return instants.fault_of(value) if isinstance(value, str) else f"{instants.FORM}, not {sent(value)}"
    extra = (meta and meta.extra) or {}
    if wanted is str and not isinstance(value, str) and "code" not in extra:  # a published code has its own sentence
        return f"must be text, not {sent(value)}"
    own = _own_message(value, extra)
    if own and _CONTAINERS.get(get_origin(wanted)) not in {None, sent(value)}:  # its own message is of its size
        return f"must be {named(wanted)}, not {sent(value)}; it {own}"
    if own:
        return own
    is_alike = named(wanted) == sent(value) and not limits_of(meta)
    return UNFIT if is_alike else f"must be {named(wanted)}{_more(value, wanted, meta)}"


def _more(value: object, wanted: Any, meta: Meta | None) -> str:
    """The rest of a message after the type's name: the type's limits, or the value's own type."""
    if limits := limits_of(meta):
        return limits
    if (choices := _choices(wanted)) is not None:
        return ", as text" if str(value) in choices else ""
    return "" if isinstance(value, str) and wanted is not bool else f", not {sent(value)}"


def _own_message(value: object, extra: Mapping[str, Any]) -> str | None:
    prefixes = extra.get("prefixes", {})
    return next((prefixes[prefix] for prefix in prefixes if str(value).startswith(prefix)), extra.get("message"))


def sent(value: object) -> str:
    """The name of a JSON value's type."""
    return _SENT.get(type(value), "a number")


def named(wanted: Any) -> str:
    """The name of a type in the caller's words, which are those of JSON."""
    origin = get_origin(wanted) or wanted
    if origin in {Union, UnionType}:
        return " or ".join(dict.fromkeys(named(each) for each in get_args(wanted)))
    if (choices := _choices(wanted)) is not None:
        return f"one of: {', '.join(map(str, choices))}"
    if isinstance(origin, type) and issubclass(origin, Struct):
        return "an object"
    return _NAMES.get(origin) or _CONTAINERS.get(origin) or "what is expected"


def limits_of(meta: Meta | None) -> str:
    """The limits of a type, in brackets; empty if it has no limits."""
    if meta is None:
        return ""
    return "".join(f" {limit}" for limit in _limits(meta))


def _limits(meta: Meta) -> Iterator[str]:
    signs = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most", "multiple_of": "a multiple of"}
    limits = [f"{sign} {getattr(meta, name)}" for name, sign in signs.items() if getattr(meta, name) is not None]
    if meta.min_length is not None:
        limits.append(f"at least {meta.min_length} long")
    if meta.max_length is not None:
        limits.append(f"at most {meta.max_length} long")
    if meta.pattern is not None:
        limits.append(f"matching the pattern {meta.pattern}")
    if limits:
        yield f"({', '.join(limits)})"


def _choices(wanted: Any) -> tuple[Any, ...] | None:
    if get_origin(wanted) is Literal:
        return get_args(wanted)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return tuple(member.value for member in wanted)
    return None
