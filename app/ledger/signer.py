"""The install's Ed25519 key: created once, in a file that only its owner may read, named by its `did:key`."""

import base64
import os
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile

from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519 = b"\xed\x01"
"""Multicodec prefix of an Ed25519 public key (did:key method, section 3.1.1)."""

SIGNATURE_BYTES = 64

KID_LENGTH = 48
"""`z` and the 47 base58 digits of an Ed25519 key. With the prefix, every key has this length."""


class Signer:
    """Signs with one key. Immutable, safe to share."""

    def __init__(self, seed: bytes) -> None:
        """`seed` is the 32 secret bytes of RFC 8032."""
        self.public, self._secret = crypto_sign_seed_keypair(seed)
        self.kid = kid_of(self.public)

    @property
    def did(self) -> str:
        """`did:key:z…` of this key. It is the install's node id if this was its first key."""
        return f"did:key:{self.kid}"

    def sign(self, text: bytes) -> bytes:
        """The 64 bytes of the signature over `text`."""
        return crypto_sign(text, self._secret)[:SIGNATURE_BYTES]

    @classmethod
    def load(cls, path: Path) -> "Signer | None":
        """The key in the file at `path`, or None if there is no file. Raises ValueError if the file has no key."""
        try:
            text = path.read_text(encoding="ascii")
            seed = base64.b64decode(text.strip(), validate=True)
        except FileNotFoundError:
            return None
        except ValueError:
            seed = b""
        if len(seed) != 32:
            raise ValueError(f"{path} does not hold an Ed25519 key (32 bytes in base64)")
        return cls(seed)

    @classmethod
    def create(cls, path: Path) -> "Signer":
        """A new key, written to `path` with mode 0600. Raises FileExistsError if the file exists."""
        seed = os.urandom(32)
        write_secret(path, base64.b64encode(seed).decode())
        return cls(seed)


def write_secret(path: Path, text: str) -> None:
    """Write `text` and a newline durably to a new file that only its owner may read. Raises FileExistsError.

    The file appears whole, so another process that starts at the same time reads all of it.
    """
    with NamedTemporaryFile("w", encoding="ascii", dir=path.parent, prefix=f".{path.name}.") as file:  # mode 0600
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
        os.link(file.name, path)


def kid_of(key: bytes) -> str:
    """The name of a public key of 32 bytes: `z` and base58."""
    return "z" + _base58(_ED25519 + key)


def public_key(kid: str) -> bytes | None:
    """The 32 bytes of the key that `kid` names; None if it is not exactly the kid of an Ed25519 key.

    It is also None for points that no secret leads to: those of small or mixed order, and those not written canonically
    (y >= p). One signature by a key of small order fits every text, and libraries differ about the others.
    """
    # The length is checked first, so that the cache stays small whatever a stranger sends.
    return _public_key(kid) if len(kid) == KID_LENGTH else None


def verify(kid: str, text: bytes, signature: bytes) -> bool:
    """Whether `signature` over `text` is by the key that `kid` names. False for a malformed kid or signature.

    Also malformed are an R of small order or not in canonical form, and an S of the group's order or more. libsodium
    rejects these (`_crypto_sign_ed25519_verify_detached`), and RFC 8032, section 5.1.7, requires most of it.
    """
    key = public_key(kid)
    if key is None or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + text, key)
    except BadSignatureError:
        return False
    return True


@lru_cache(maxsize=256)
def _public_key(kid: str) -> bytes | None:
    raw = _unbase58(kid[1:])
    if not raw.startswith(_ED25519) or "z" + _base58(raw) != kid:
        return None
    point = raw[len(_ED25519) :]
    return point if crypto_core_ed25519_is_valid_point(point) else None


def _base58(raw: bytes) -> str:
    number = int.from_bytes(raw)
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return digits


def _unbase58(text: str) -> bytes:
    """The number as bytes; empty if `text` is not base58."""
    number = 0
    for character in text:
        digit = _BASE58.find(character)
        if digit < 0:
            return b""
        number = number * 58 + digit
    return number.to_bytes((number.bit_length() + 7) // 8)
