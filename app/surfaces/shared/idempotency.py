"""The ids of events published with an `Idempotency-Key`: one API key's equal idempotency keys give the same id."""

import hmac
import re
from uuid import UUID, uuid5

import msgspec
from msgspec import Struct

from app.ledger.canonical import canonical
from schemas.errors import InvalidInput, Issue

HEADER = "Idempotency-Key"

LABEL = b"synap/idempotency/v1\n"

FORMER = UUID("5f0b7a52-6d3e-5b1c-9c55-0f5d2a4c8e11")
"""The namespace of the ids that version 0.1 gave. Anyone can compute them, and store another event under one first."""

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_RANDOM_BITS = ~(0xF << 76 | 0b11 << 62)
_VERSION_8 = 8 << 76 | 0b10 << 62


class IdempotentIds(Struct, frozen=True):
    """The id of an event, and the one that version 0.1 gave. `store/events/idempotency.py` chooses between them."""

    id: UUID
    former: UUID


def idempotent_ids(secret: bytes, workspace: str, key_id: str, key: str) -> IdempotentIds:
    """The ids of an event that the API key `key_id` publishes under the idempotency key `key`. Raises InvalidInput.

    Only the holder of the install secret can compute the first one. It is a UUIDv8 (RFC 9562, section 5.8).
    """
    if not _KEY.fullmatch(key):
        raise InvalidInput([Issue(HEADER, "must have 1 to 255 printable ASCII characters")])
    named = canonical(msgspec.json.encode([workspace, key_id, key]), HEADER)
    number = int.from_bytes(hmac.digest(secret, LABEL + named, "sha256")[:16])
    return IdempotentIds(UUID(int=number & _RANDOM_BITS | _VERSION_8), uuid5(FORMER, named.decode()))
