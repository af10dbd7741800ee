"""What a witness checks before it cosigns a checkpoint of another log (C2SP tlog-witness, add-checkpoint).

Each error is one of the answers that the protocol has. The order of the checks is that of its text.
"""

from collections.abc import Sequence

from msgspec import Struct

from app.ledger.checkpoint import (
    MAX_PROOF_LINES,
    Note,
    claimed_keys,
    is_signed_by,
    parse_foreign,
    proof_hashes,
    size_of,
)
from app.ledger.merkle import EMPTY_ROOT, verify_consistency
from app.ledger.notes import KEY_ID_BYTES, MAX_NOTE_BYTES, MalformedNoteError, signature_line
from app.ledger.vkeys import VerifierKey

_PROOF_LINE_BYTES = 45

MAX_REQUEST_BYTES = MAX_NOTE_BYTES + (MAX_PROOF_LINES + 1) * _PROOF_LINE_BYTES
"""The longest body that is read."""


class UnknownLogError(Exception):
    """The witness does not know the checkpoint's origin."""


class UnsignedError(Exception):
    """No known key of the log signed the checkpoint, or a signature that names a known key is wrong."""


class MovedError(Exception):
    """The client believes that the witness cosigned another size than it did. `size` is the right one."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The last cosigned size is {size}")
        self.size = size


class InconsistentError(Exception):
    """The checkpoint is not shown to extend the last cosigned one."""


class AddCheckpoint(Struct, frozen=True):
    """A request: the size that the client believes to be cosigned, a proof from there, and the new checkpoint."""

    old: int
    proof: list[bytes]
    note: Note


class LastCosigned(Struct, frozen=True):
    """The last checkpoint of a log that the witness cosigned; of a log that is new to it, the empty tree."""

    size: int = 0
    root: bytes = EMPTY_ROOT


def parse(body: bytes) -> AddCheckpoint:
    """The request in a body. Raises MalformedNoteError."""
    try:
        head, empty_line, note = body.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise MalformedNoteError("A request is UTF-8") from None
    first, *proof = head.split("\n")
    if not empty_line or not first.startswith("old "):
        raise MalformedNoteError("A request is a line `old <size>`, the hashes of a proof, an empty line and a note")
    old = size_of(first.removeprefix("old "))
    added = AddCheckpoint(old=old, proof=proof_hashes(proof), note=parse_foreign(note))
    if old > added.note.checkpoint.size:
        raise MalformedNoteError("The old size is at most the size of the checkpoint")
    return added


def check_signed(note: Note, keys: Sequence[VerifierKey]) -> None:
    """Check that one of its log's known keys signed the note. Raises UnknownLogError, UnsignedError."""
    if not keys:
        raise UnknownLogError("The log of this checkpoint is not known here")
    claimed = claimed_keys(note, keys)
    if not claimed:
        raise UnsignedError("No signature is by a known key of this log")
    if not all(is_signed_by(note, key.kid) for key in claimed):
        raise UnsignedError("A signature that names a known key of this log is wrong")


def check_extends(added: AddCheckpoint, cosigned: LastCosigned) -> None:
    """Check that the checkpoint extends the last cosigned one. Raises MovedError, InconsistentError."""
    new = added.note.checkpoint
    if added.old != cosigned.size:
        raise MovedError(cosigned.size)
    if new.size == 0 and new.root != EMPTY_ROOT:
        raise InconsistentError("The root of a tree without leaves is the hash of nothing")
    if new.size == cosigned.size and new.root != cosigned.root:
        raise InconsistentError("The witness cosigned another root of this size")
    if not verify_consistency(cosigned.size, new.size, cosigned.root, new.root, added.proof):
        raise InconsistentError("The proof does not show that the checkpoint extends the last cosigned one")


def kept_note(note: Note, keys: Sequence[VerifierKey], cosignature: str) -> str:
    """The note that the witness serves: the signatures by known keys of the log, and its own cosignature."""
    known = {(key.name, key.id) for key in claimed_keys(note, keys)}
    lines = [
        signature_line(name, signature)
        for name, signature in dict.fromkeys(note.signatures)
        if (name, signature[:KEY_ID_BYTES]) in known
    ]
    return f"{note.text.decode()}\n{''.join(lines)}{cosignature}"
