"""Typed event data: the registry in which a developer says what the `data` of an event type is.

A Struct and one line, in a module that `SYNAP_EXTENSIONS` names::

    class NoteCreated(Section, frozen=True, kw_only=True):
        title: ShortText

    event_data({"note.created": NoteCreated})

From then on the `data` of every `note.created` that is sent has to fit. It is stored as it was sent: no default is
written into it, and a null that stands for an absent member stays. What is stored already is not looked at.
"""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Struct

from schemas.browse import BrowsedEvent
from schemas.event import EventType, LogEvent, SynapEvent
from schemas.ledger import LedgerEvent
from schemas.metadata import is_same

CARRIERS: dict[type[Struct], tuple[str, str]] = {
    LogEvent: ("type", "data"),
    SynapEvent: ("type", "data"),
    BrowsedEvent: ("type", "data"),
    LedgerEvent: ("type", "payload"),
}
"""The Structs that are events, and which of their members are the type and the data."""

S = TypeVar("S", bound=type[Struct])

_registered: dict[str, type[Struct]] = {}


def carrier(struct: S) -> S:
    """Declare the decorated Struct as an event: its members `type` and `data` are checked together."""
    CARRIERS[struct] = ("type", "data")
    return struct


def event_data(types: Mapping[str, type[Struct]]) -> None:
    """Register what the data of event types is, process-wide. Call it at the top level, as `metadata_type`.

    Raises `ValueError` with one sentence where a type has data already, is no event type that a caller may log, or its
    data is no Struct that is written as an object.
    """
    for name, kind in types.items():
        _refuse_type(name)
        if not (isinstance(kind, type) and issubclass(kind, Struct)):
            raise ValueError(f"event type {name!r}: its data must be a msgspec Struct, not {kind!r}")
        if kind.__struct_config__.array_like:
            raise ValueError(f"event type {name!r}: its data must be an object, and {kind.__name__} is an array")
        taken = _registered.get(name)
        if taken is not None and not is_same(taken, kind):
            raise ValueError(f"event type {name!r} has data already, by {taken.__module__}")
        _registered[name] = kind


def event_types() -> Mapping[str, type[Struct]]:
    """The data of each type that is registered now, by the type's name."""
    return dict(sorted(_registered.items()))


def typed_data(carrier: type[Struct], value: Mapping[str, Any]) -> tuple[str, type[Struct]] | None:
    """Of decoded JSON that should be a `carrier`: which member has to fit which Struct; None for no such."""
    names = CARRIERS.get(carrier)
    name = value.get(names[0]) if names else None
    kind = _registered.get(name) if isinstance(name, str) else None
    return None if names is None or kind is None else (names[1], kind)


def _refuse_type(name: str) -> None:
    try:
        msgspec.convert(name, EventType)
    except msgspec.ValidationError:
        extra = get_args(EventType)[1].extra
        told = [message for prefix, message in extra["prefixes"].items() if str(name).startswith(prefix)]
        raise ValueError(f"event type {name!r}: {(*told, extra['message'])[0]}") from None
