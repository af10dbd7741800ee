"""Checkpoints: signed statements of the number of a log's leaves and of their root.

The text is C2SP tlog-checkpoint; the envelope is C2SP signed-note. Logs sign with Ed25519 (kind 0x01), and a log's key
name is its origin.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from app.ledger import notes
from app.ledger.merkle import HASH_BYTES
from app.ledger.notes import MalformedNoteError, SignedNote, from_base64, is_key_name, signature_line, to_base64, utf8
from app.ledger.signer import Signer, public_key, verify
from app.ledger.vkeys import ED25519, VerifierKey, of_kid
from schemas.jsontext import MAX_SAFE_INTEGER

MAX_NOTE_BYTES = 65_536
"""The maximum of a checkpoint of ours."""

MAX_FOREIGN_SIZE = 2**63 - 1

MAX_PROOF_LINES = 63
"""The maximum of hashes in a proof that C2SP's formats have."""

_DIGITS = re.compile(r"0|[1-9][0-9]{0,18}")


class Checkpoint(Struct, frozen=True):
    """The first `size` leaves of the log `origin` have this root of 32 bytes."""

    origin: str
    size: int
    root: bytes


class Note(SignedNote, frozen=True, kw_only=True):
    """A parsed note of a checkpoint. Its text may have extension lines, if the log is not ours."""

    checkpoint: Checkpoint


def sign(checkpoint: Checkpoint, signer: Signer) -> str:
    """A note with one signature, by `signer`. Raises MalformedNoteError for a checkpoint that no note can hold."""
    origin = checkpoint.origin
    text = f"{origin}\n{checkpoint.size}\n{to_base64(checkpoint.root)}\n"
    key = VerifierKey(_origin(origin), ED25519, signer.public)
    note = f"{text}\n{signature_line(origin, key.id + signer.sign(utf8(text)))}"
    parse(note)
    return note


def parse(note: str) -> Note:
    """The parts of a note of a log like ours: at most 64 KiB, and no extension lines. Raises MalformedNoteError.

    It does not verify signatures. Those of kinds that we do not know are accepted.
    """
    parsed = _parse(notes.parse(note, MAX_NOTE_BYTES), MAX_SAFE_INTEGER)
    if parsed.text.count(b"\n") > 3:
        raise MalformedNoteError("A checkpoint with extension lines is not accepted")
    _origin(parsed.checkpoint.origin)
    return parsed


def parse_foreign(note: str) -> Note:
    """The parts of a note of any log: extension lines and every origin are accepted. Raises MalformedNoteError.

    It does not verify signatures. Those of kinds that we do not know are accepted.
    """
    return _parse(notes.parse(note), MAX_FOREIGN_SIZE)


def is_signed_by(note: Note, kid: str) -> bool:
    """Whether the key that `kid` names signed the note as its origin.

    Signatures by others, such as witnesses, are ignored. A wrong signature that claims to be by this key makes the note
    invalid (signed-note, "Signatures"). A malformed kid is False.
    """
    key = public_key(kid)
    if key is None:
        return False
    origin = note.checkpoint.origin
    claimed = note.claimed_by(origin, VerifierKey(origin, ED25519, key).id)
    return bool(claimed) and all(verify(kid, note.text, signature) for signature in claimed)


def vkey(origin: str, kid: str) -> str:
    """The verifier key of signed-note: `<origin>+<key id in hex>+<base64>`. ValueError for a malformed kid."""
    return of_kid(origin, kid).spelled()


def size_of(text: str, largest: int = MAX_FOREIGN_SIZE) -> int:
    """A number of leaves as checkpoints write it. Raises MalformedNoteError."""
    if not _DIGITS.fullmatch(text) or int(text) > largest:
        raise MalformedNoteError(f"A size is a decimal number without leading zeros, and at most {largest}")
    return int(text)


def hash_of(text: str) -> bytes:
    """A hash as checkpoints write it. Raises MalformedNoteError."""
    found = from_base64(text)
    if found is None or len(found) != HASH_BYTES:
        raise MalformedNoteError("A hash is 32 bytes in base64")
    return found


def proof_hashes(lines: Sequence[str]) -> list[bytes]:
    """The hashes of a proof, a line for each. Raises MalformedNoteError."""
    if len(lines) > MAX_PROOF_LINES:
        raise MalformedNoteError(f"A proof has at most {MAX_PROOF_LINES} hashes")
    return [hash_of(line) for line in lines]


def claimed_keys(note: Note, keys: Sequence[VerifierKey]) -> list[VerifierKey]:
    """Those of a log's `keys` that some signature names. The origin is the name of each."""
    return [key for key in keys if key.kind == ED25519 and note.claimed_by(key.name, key.id)]


def _parse(note: SignedNote, largest: int) -> Note:
    origin, *rest = note.text.decode()[:-1].split("\n")
    if len(rest) < 2 or not all((origin, *rest)):
        raise MalformedNoteError("A checkpoint is an origin, a size and a root, each followed by a line feed")
    checkpoint = Checkpoint(origin=origin, size=size_of(rest[0], largest), root=hash_of(rest[1]))
    return Note(text=note.text, signatures=note.signatures, checkpoint=checkpoint)


def _origin(text: str) -> str:
    if not is_key_name(text) or "\x7f" in text:
        raise MalformedNoteError("An origin is empty, or has white space, a plus sign or a control character")
    return text
