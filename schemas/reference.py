"""How every door lets callers name an event: by its UUID, or by its ledger id `evt_<hash>`."""

import re
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

EventName = Annotated[str, Meta(description="The UUID of an event, with or without dashes, or its `evt_<hash>`.")]
"""Text that names an event. Text of another form is treated like the id of an event that does not exist."""

_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LEDGER_ID = re.compile(r"evt_([0-9a-f]{64})")


def named_event(text: str) -> UUID | bytes | None:
    """The UUID, or the 32 bytes of the hash, that `text` names; None for any other text.

    A UUID may be in upper or lower case, with all its dashes or without any (RFC 9562, section 4).
    """
    if _UUID.fullmatch(text):
        return msgspec.convert(text, UUID)  # takes a third of the time of `UUID`
    match = _LEDGER_ID.fullmatch(text)
    return bytes.fromhex(match[1]) if match else None
