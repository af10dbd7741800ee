"""Resolves the events that a call names by UUID or by ledger id."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from procedures.context import Context
from schemas.errors import NotFound
from schemas.reference import named_event

NAMES_NO_EVENT = "Event not found; send its UUID, or evt_ and the 64 digits of its hash"
"""The message for a text that can name no event. Many send the hash as it is, with `sha256:`."""


def event_reference(text: str) -> UUID | bytes:
    """The UUID, or the 32 bytes of the hash, that `text` names. Raises NotFound for any other form."""
    reference = named_event(text)
    if reference is None:
        raise NotFound(NAMES_NO_EVENT, field="eventId")
    return reference


async def one_event_id(name: str, context: Context, *, field: str = "eventId") -> UUID:
    """The id of the event that `name`, sent in `field`, names. Raises NotFound, Unavailable."""
    found = await _event_id(name, context)
    if found is None:
        raise NotFound(NAMES_NO_EVENT if named_event(name) is None else "Event not found", field=field)
    return found


async def event_ids(names: Sequence[str], context: Context) -> list[UUID | None]:
    """The event id of each of `names`, in their order; None if a name names no event. Raises Unavailable.

    UUIDs are not looked up, so an id may belong to no event.
    """
    return [await _event_id(name, context) for name in names]


async def _event_id(name: str, context: Context) -> UUID | None:
    reference = named_event(name)
    if not isinstance(reference, bytes):
        return reference
    found = await context.services.reader.get(context.workspace, reference)
    return None if found is None else _named.decode(found.event.json).id


class _Named(Struct, frozen=True):
    id: UUID


_named = msgspec.json.Decoder(_Named)
