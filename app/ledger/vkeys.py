"""Verifier keys (C2SP signed-note): a key with its name and the kind of signature that it makes."""

import re
from hashlib import sha256

from msgspec import Struct

from app.ledger.notes import KEY_ID_BYTES, from_base64, is_key_name, to_base64
from app.ledger.signer import kid_of, public_key

ED25519 = 0x01
"""Signs a note: the key of a log."""

COSIGNATURE = 0x04
"""Signs a checkpoint with a time, with Ed25519: the key of a witness."""

ML_DSA_44 = 0x06
"""Signs a checkpoint with a time, with ML-DSA-44. We read such keys and verify none of their signatures."""

_KEY_BYTES = {ED25519: 32, COSIGNATURE: 32, ML_DSA_44: 1312}
_SPELLING = re.compile(r"(?P<name>[^+]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/]+=*)")


class MalformedKeyError(ValueError):
    """A text is not a verifier key. The message says why in one sentence."""


class VerifierKey(Struct, frozen=True):
    """`key` is the public key of the signer called `name`."""

    name: str
    kind: int
    key: bytes

    @property
    def id(self) -> bytes:
        """The 4 bytes that a signature line begins with. They name the key, and prove nothing."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:KEY_ID_BYTES]

    @property
    def kid(self) -> str:
        """The name of the key in our own formats. Only for kinds of Ed25519."""
        return kid_of(self.key)

    def spelled(self) -> str:
        """The key as text: `<name>+<id in hex>+<base64>`."""
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.kind]) + self.key)}"


def of_kid(name: str, kid: str, kind: int = ED25519) -> VerifierKey:
    """The verifier key that belongs to `kid`. ValueError for a malformed kid."""
    key = public_key(kid)
    if key is None:
        raise ValueError(f"{kid} does not name an Ed25519 key")
    return VerifierKey(name, kind, key)


def parse(text: str) -> VerifierKey:
    """The key in a text. Raises MalformedKeyError, also for an id that is not the key's and for a weak key."""
    found = _SPELLING.fullmatch(text)
    if found is None or not is_key_name(found["name"]):
        raise MalformedKeyError("A verifier key is <name>+<8 digits in hex>+<base64>")
    raw = from_base64(found["key"])
    if raw is None or not raw:
        raise MalformedKeyError(f"The key of {found['name']} is not base64")
    kind, key = raw[0], raw[1:]
    if _KEY_BYTES.get(kind) != len(key):
        raise MalformedKeyError(f"The key of {found['name']} has an unknown kind (0x{kind:02x}) or a wrong length")
    if kind != ML_DSA_44 and public_key(kid_of(key)) is None:
        raise MalformedKeyError(f"The key of {found['name']} is not a valid Ed25519 key")
    found_key = VerifierKey(found["name"], kind, key)
    if found_key.id.hex() != found["id"]:
        raise MalformedKeyError(f"The id of the key of {found['name']} is {found_key.id.hex()}, not {found['id']}")
    return found_key
