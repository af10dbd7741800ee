"""Which events a call names: by their UUIDs, or by their ledger ids."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from procedures.context import Context
from schemas.errors import NotFound
from schemas.reference import named_event


def event_reference(text: str) -> UUID | bytes:
    """The id, or the 32 bytes of the hash, that `text` names. Raises NotFound for any other form."""
    reference = named_event(text)
    if reference is None:
        raise NotFound("Event not found", field="eventId")
    return reference


async def event_ids(names: Sequence[str], context: Context) -> list[UUID | None]:
    """The id that each of `names` is or stands for, in their order; None where it names nothing. Raises Unavailable.

    A UUID is not looked up: it may be no event's.
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
