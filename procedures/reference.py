"""How callers name an event: by its UUID, or by its ledger id."""

import re
from uuid import UUID

from schemas.errors import NotFound

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LEDGER_ID = re.compile(r"evt_([0-9a-f]{64})")


def event_reference(text: str) -> UUID | bytes:
    """The id, or the 32 bytes of the hash, that `text` names. Raises NotFound for any other form."""
    if _UUID.fullmatch(text):
        return UUID(text)
    if match := _LEDGER_ID.fullmatch(text):
        return bytes.fromhex(match[1])
    raise NotFound("Event not found", field="eventId")
