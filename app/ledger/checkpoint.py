"""Checkpoints: signed statements of the number of a log's leaves and of their root.

The text is C2SP tlog-checkpoint without extension lines; the envelope is C2SP signed-note with Ed25519 (type 0x01). A
note's key name is its origin.
"""

import base64
import re
from hashlib import sha256

from msgspec import Struct

from app.ledger.merkle import HASH_BYTES
from app.ledger.signer import Signer, public_key, verify
from schemas.jsontext import MAX_SAFE_INTEGER

MAX_NOTE_BYTES = 65_536

_ED25519 = b"\x01"
"""The signature type, of signed-note."""

_KEY_HASH_BYTES = 4
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class MalformedNoteError(ValueError):
    """A text is not a signed checkpoint. The message says why in one sentence."""


class Checkpoint(Struct, frozen=True):
    """The first `size` leaves of the log `origin` have this root of 32 bytes."""

    origin: str
    size: int
    root: bytes


class Note(Struct, frozen=True):
    """A parsed note. `text` is what is signed; a signature is a key's name, then 4 bytes of its hash and the rest."""

    checkpoint: Checkpoint
    text: bytes
    signatures: list[tuple[str, bytes]]


def sign(checkpoint: Checkpoint, signer: Signer) -> str:
    """A note with one signature, by `signer`. Raises MalformedNoteError for a checkpoint that no note can hold."""
    origin, size, root = checkpoint.origin, checkpoint.size, checkpoint.root
    text = f"{origin}\n{size}\n{_base64(root)}\n"
    note = f"{text}\n— {origin} {_base64(_key_hash(origin, signer.public) + signer.sign(_utf8(text)))}\n"
    parse(note)
    return note


def parse(note: str) -> Note:
    """The parts of a note of at most 64 KiB. It does not check signatures. Raises MalformedNoteError."""
    if len(note) > MAX_NOTE_BYTES or len(_utf8(note)) > MAX_NOTE_BYTES:
        raise MalformedNoteError(f"A note has at most {MAX_NOTE_BYTES} bytes")
    if _CONTROL.search(note):
        raise MalformedNoteError("A note has no control characters other than line feeds")
    lines = note.split("\n")
    if len(lines) < 6 or lines[-1]:
        raise MalformedNoteError(
            "A note is an origin, a size, a root, an empty line and signatures, each followed by a line feed"
        )
    origin, size, root, empty, *signatures = lines[:-1]
    if empty:
        raise MalformedNoteError("A checkpoint with extension lines is not accepted")
    checkpoint = Checkpoint(origin=_name(origin), size=_size(size), root=_root(root))
    text = _utf8(f"{origin}\n{size}\n{root}\n")
    return Note(checkpoint=checkpoint, text=text, signatures=[_signature(line) for line in signatures])


def is_signed_by(note: Note, kid: str) -> bool:
    """Whether the key that `kid` names signed the note as its origin.

    Signatures by others, such as witnesses, are ignored. A wrong signature that claims to be by this key makes the note
    invalid (signed-note, "Verifying"). A malformed kid is False.
    """
    key = public_key(kid)
    if key is None:
        return False
    claim = (note.checkpoint.origin, _key_hash(note.checkpoint.origin, key))
    claimed = [
        signature[_KEY_HASH_BYTES:]
        for name, signature in note.signatures
        if (name, signature[:_KEY_HASH_BYTES]) == claim
    ]
    return bool(claimed) and all(verify(kid, note.text, signature) for signature in claimed)


def vkey(origin: str, kid: str) -> str:
    """The verifier key of signed-note: `<origin>+<key hash in hex>+<base64>`. ValueError for a malformed kid."""
    key = public_key(kid)
    if key is None:
        raise ValueError(f"{kid} does not name an Ed25519 key")
    return f"{origin}+{_key_hash(origin, key).hex()}+{_base64(_ED25519 + key)}"


def _key_hash(name: str, key: bytes) -> bytes:
    return sha256(_utf8(name) + b"\n" + _ED25519 + key).digest()[:_KEY_HASH_BYTES]


def _name(text: str) -> str:
    if not text or "+" in text or any(character.isspace() for character in text):
        raise MalformedNoteError("An origin or key name is empty, or has white space or a plus sign")
    return text


def _size(text: str) -> int:
    if not _SIZE.fullmatch(text) or int(text) > MAX_SAFE_INTEGER:
        raise MalformedNoteError("A size is a decimal number without leading zeros, and at most 2**53 - 1")
    return int(text)


def _root(text: str) -> bytes:
    root = _unbase64(text)
    if root is None or len(root) != HASH_BYTES:
        raise MalformedNoteError("A root is 32 bytes in base64")
    return root


def _signature(line: str) -> tuple[str, bytes]:
    match line.split(" "):
        case ["—", name, text]:
            signature = _unbase64(text)
            if signature is None or len(signature) <= _KEY_HASH_BYTES:
                raise MalformedNoteError("A signature is base64 of a key hash and 64 bytes")
            return _name(name), signature
        case _:
            raise MalformedNoteError("A signature line is an em dash, a name and base64, separated by spaces")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise MalformedNoteError("A note is UTF-8, which has no lone surrogates") from None


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unbase64(text: str) -> bytes | None:
    """The bytes, or None if their base64 is spelled differently."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if _base64(raw) == text else None
