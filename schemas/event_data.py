"""Typed event data: the registry in which a developer declares the `data` of an event type.

A Struct and one line, in a module that `SYNAP_EXTENSIONS` names::

    class NoteCreated(Section, frozen=True, kw_only=True):
        title: ShortText

    event_data({"note.created": NoteCreated})

The server then rejects a `note.created` whose `data` does not fit. It stores `data` as it was sent: it adds no
defaults, and keeps a null that stands for an absent member. It does not check events that are stored already.
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
"""The Structs that are events, each with the names of its members for the type and the data."""

S = TypeVar("S", bound=type[Struct])

_registered: dict[str, type[Struct]] = {}


def carrier(struct: S) -> S:
    """Declare the decorated Struct as an event, so that its `data` is checked by its `type`."""
    CARRIERS[struct] = ("type", "data")
    return struct


def event_data(types: Mapping[str, type[Struct]]) -> None:
    """Register the data of event types, process-wide. Call it at the top level of a module named in `SYNAP_EXTENSIONS`.

    Raises `ValueError` if a type has data already or is not a type that callers may log, or if its data is not a
    Struct that is written as an object.
    """
    for name, kind in types.items():
        _refuse_type(name)
        if not (isinstance(kind, type) and issubclass(kind, Struct)):
            raise ValueError(f"event type {name!r}: its data must be a msgspec Struct, not {kind!r}")
        if kind.__struct_config__.array_like:
            raise ValueError(f"event type {name!r}: its data must be an object, and {kind.__name__} is an array")
        taken = _registered.get(name)
        if taken is not None and not is_same(taken, kind):
            raise ValueError(f"event type {name!r} is registered by {taken.__module__}")
        _registered[name] = kind


def event_types() -> Mapping[str, type[Struct]]:
    """The Struct of each event type's data that is registered now, by the type's name."""
    return dict(sorted(_registered.items()))


def typed_data(carrier: type[Struct], value: Mapping[str, Any]) -> tuple[str, type[Struct]] | None:
    """The member of a `carrier` that must fit a registered Struct, and that Struct; None if its type has none.

    `value` is the carrier's decoded JSON.
    """
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
