"""How callers name an event, at every door: by its UUID, or by its ledger id `evt_<hash>`."""

import re
from typing import Annotated
from uuid import UUID

from msgspec import Meta

EventName = Annotated[str, Meta(description="The UUID of an event, with or without dashes, or its `evt_<hash>`.")]
"""Text that should name an event. Any other names none: that is no error of its own."""

_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LEDGER_ID = re.compile(r"evt_([0-9a-f]{64})")


def named_event(text: str) -> UUID | bytes | None:
    """The id, or the 32 bytes of the hash, that `text` is; None for any other text.

    A UUID may be in either case, with all of its dashes or with none (RFC 9562, section 4).
    """
    if _UUID.fullmatch(text):
        return UUID(text)
    match = _LEDGER_ID.fullmatch(text)
    return bytes.fromhex(match[1]) if match else None
