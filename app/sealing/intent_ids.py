"""The ids of the events that follow an intent. Without the install secret nobody can compute one and take it first."""

import hmac
from typing import Literal
from uuid import UUID

import msgspec

Step = Literal["decision", "end", "start", "outcome", "late"]

_LABEL = b"synap/intent/v1\n"
_RANDOM_BITS = ~(0xF << 76 | 0b11 << 62)
_VERSION_8 = 8 << 76 | 0b10 << 62


class IntentIds:
    """Computes the ids. All machines of one database share the secret."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is the install secret."""
        self._secret = secret

    def id(self, workspace: str, intent_id: UUID, step: Step, use: int = 0) -> UUID:
        """The id of the event at one step of an intent, a UUIDv8 (RFC 9562, section 5.8). `use` is 0 if it has none."""
        # All of it is ASCII without anything to escape, so this is RFC 8785.
        named = msgspec.json.encode([workspace, str(intent_id), step, use])
        number = int.from_bytes(hmac.digest(self._secret, _LABEL + named, "sha256")[:16])
        return UUID(int=number & _RANDOM_BITS | _VERSION_8)
