"""Checkpoints: signed statements of how many leaves a log has and what their root is.

The text is C2SP tlog-checkpoint without extension lines, the envelope C2SP signed-note with Ed25519 (type 0x01). A
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
    """A text is no signed checkpoint; the message says in one sentence why."""


class Checkpoint(Struct, frozen=True):
    """The first `size` leaves of the log that `origin` names have this root, 32 bytes."""

    origin: str
    size: int
    root: bytes


class Note(Struct, frozen=True):
    """A parsed note: `text` is what is signed; a signature is a key's name, and 4 bytes of its hash before the rest."""

    checkpoint: Checkpoint
    text: bytes
    signatures: list[tuple[str, bytes]]


def sign(checkpoint: Checkpoint, signer: Signer) -> str:
    """The note of one signature, by `signer`. Raises MalformedNoteError for a checkpoint that no note can have."""
    origin, size, root = checkpoint.origin, checkpoint.size, checkpoint.root
    text = f"{origin}\n{size}\n{_base64(root)}\n"
    note = f"{text}\n— {origin} {_base64(_key_hash(origin, signer.public) + signer.sign(_utf8(text)))}\n"
    parse(note)
    return note


def parse(note: str) -> Note:
    """The parts of a note of at most 64 KiB. The signatures are not checked. Raises MalformedNoteError."""
    if len(note) > MAX_NOTE_BYTES or len(_utf8(note)) > MAX_NOTE_BYTES:
        raise MalformedNoteError(f"A note has at most {MAX_NOTE_BYTES} bytes")
    if _CONTROL.search(note):
        raise MalformedNoteError("A note has no control characters but line feeds")
    lines = note.split("\n")
    if len(lines) < 6 or lines[-1]:
        raise MalformedNoteError(
            "A note is an origin, a size, a root, an empty line and signatures, a line feed behind each"
        )
    origin, size, root, empty, *signatures = lines[:-1]
    if empty:
        raise MalformedNoteError("A checkpoint with extension lines is not accepted")
    checkpoint = Checkpoint(origin=_name(origin), size=_size(size), root=_root(root))
    text = _utf8(f"{origin}\n{size}\n{root}\n")
    return Note(checkpoint=checkpoint, text=text, signatures=[_signature(line) for line in signatures])


def is_signed_by(note: Note, kid: str) -> bool:
    """Whether the key that `kid` names signed the note as its origin.

    Other signatures, as of witnesses, are passed over. One that claims to be of this key and is not spoils the note
    (signed-note, "Verifying"). A malformed kid is False.
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
        raise ValueError(f"{kid} names no Ed25519 key")
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
                raise MalformedNoteError("A signature is base64 of a key hash and what was signed")
            return _name(name), signature
        case _:
            raise MalformedNoteError("A signature line is an em dash, a name and base64, with a space between each")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise MalformedNoteError("A note is UTF-8, which has no lone surrogates") from None


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unbase64(text: str) -> bytes | None:
    """The bytes, or None where they would not be written so."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if _base64(raw) == text else None
