"""Signs events with an agent's own key (`metadata.synap.author`): they show who wrote them, and not only whose token.

It needs PyNaCl and rfc8785: `pip install 'synap-client[authors]'`. `docs/reference/evlog1.md` says what is signed.
"""

import base64
from collections.abc import Mapping
from datetime import UTC
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from synap_client.errors import InvalidInput
from synap_client.events import NewEvent, with_id, written

SECRET_BYTES = 32

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519 = b"\xed\x01"
"""Multicodec prefix of an Ed25519 public key (did:key method, section 3.1.1)."""


class Place(Struct, frozen=True, rename="camel"):
    """Where the events of an author are stored: the node, its log (the workspace), and the user of the key."""

    node: str
    workspace: str
    user_id: str


class Author:
    """An agent's Ed25519 key. Any number of clients and threads may share it."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is the 32 secret bytes of RFC 8032. Raises ValueError for others, ImportError without the extra."""
        try:
            import rfc8785  # noqa: F401, PLC0415 - only an author needs both
            from nacl.signing import SigningKey  # noqa: PLC0415
        except ImportError as error:
            raise ImportError("an author needs PyNaCl and rfc8785: pip install 'synap-client[authors]'") from error

        if len(secret) != SECRET_BYTES:
            raise ValueError(f"the secret of an author must have {SECRET_BYTES} bytes")
        self._key = SigningKey(secret)
        self.did = "did:key:z" + _base58(_ED25519 + bytes(self._key.verify_key))
        """The `did:key` of the key: what events and keys of the server name."""

    def __repr__(self) -> str:
        """A text without the secret."""
        return f"Author({self.did})"

    def sign(self, event: NewEvent, place: Place) -> NewEvent:
        """The event with this author's signature, an id, a user and a source. One that has an author is left as it is.

        Raises InvalidInput for what the server could not store.
        """
        event = _as_stored(event, place)
        synap = _mapping(_mapping(event.metadata).get("synap"))
        if "author" in synap:
            return event
        unsigned = _with_author(event, {"did": self.did})
        signature = self._key.sign(signed_text(unsigned, place)).signature
        return _with_author(event, {"did": self.did, "signature": base64.b64encode(signature).decode()})


def signed_text(event: NewEvent, place: Place) -> bytes:
    """The text that the author of an event signs. The event has all that will be stored, but for the signature."""
    import rfc8785  # noqa: PLC0415 - only an author needs it

    stored: dict[str, Any] = msgspec.json.decode(written(event))
    if event.occurred_at is not None:
        stored["occurredAt"] = event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    whole = {**stored, "node": place.node, "log": place.workspace}
    return f"evlog/author/v1\n{sha256(rfc8785.dumps(whole)).hexdigest()}\n".encode()


def _as_stored(event: NewEvent, place: Place) -> NewEvent:
    """The event with all that the server would add or respell."""
    event = with_id(event)
    try:
        id_ = str(UUID(str(event.id)))
    except ValueError:
        raise InvalidInput("id: must be a UUID", reason="invalid_input") from None
    return msgspec.structs.replace(event, id=id_, user_id=event.user_id or place.user_id, source=event.source or "api")


def _with_author(event: NewEvent, author: Mapping[str, str]) -> NewEvent:
    metadata = _mapping(event.metadata)
    synap = {**_mapping(metadata.get("synap")), "author": author}
    return msgspec.structs.replace(event, metadata={**metadata, "synap": synap})


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _base58(raw: bytes) -> str:
    number, digits = int.from_bytes(raw), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return digits
