"""Checks the checkpoints of bundles and proofs, a checkpoint kept elsewhere, and that one tree extends another."""

import binascii
from collections.abc import Sequence

from app.ledger.checkpoint import Checkpoint, Note, is_signed_by, parse, vkey
from app.ledger.merkle import EMPTY_ROOT, verify_consistency, verify_inclusion
from app.ledger.notes import MalformedNoteError
from app.ledger.verify.shapes import Consistency, Key, ProofCheckpoint, hashes_of
from app.ledger.verify.tally import Tally
from app.ledger.verify.verdict import (
    CHECKPOINT,
    CHECKPOINT_KEY,
    CHECKPOINT_LOG,
    CHECKPOINT_ROOT,
    CHECKPOINT_SIZE,
    CONSISTENCY,
    CONSISTENCY_SIZES,
    INCLUSION,
    KEPT_KEY,
    KEPT_LOG,
    KEPT_PART,
    KEPT_ROOT,
    KEPT_SIZE,
    PROOF_CHECKPOINT,
    Fault,
    check,
)


def read_checkpoint(text: str) -> Note:
    """The note `text`. Raises Fault."""
    try:
        return parse(text)
    except MalformedNoteError as error:
        raise Fault(CHECKPOINT.format(error)) from None


def checked_checkpoint(text: str, proof: Sequence[str], tally: Tally) -> Checkpoint:
    """The checkpoint in the note `text`: the last key signed it, and by `proof` its tree has the last event."""
    frame = tally.frame
    note = read_checkpoint(text)
    checkpoint = note.checkpoint
    check(checkpoint.origin.endswith(f"/{frame.log}"), CHECKPOINT_LOG)
    check(checkpoint.size > frame.last_seq, CHECKPOINT_SIZE)
    check(is_signed_by(note, frame.keys[-1].kid), CHECKPOINT_KEY)
    if frame.first_seq == 0 and checkpoint.size == frame.last_seq + 1:
        check(checkpoint.root == tally.frontier.root(), CHECKPOINT_ROOT)
    path = hashes_of(proof)
    if tally.before.seq > frame.first_seq:
        check(verify_inclusion(tally.last_hash, frame.last_seq, checkpoint.size, path, checkpoint.root), INCLUSION)
    else:
        check((checkpoint.size, checkpoint.root, path) == (0, EMPTY_ROOT, []), INCLUSION)
    return checkpoint


def check_said(said: ProofCheckpoint, checkpoint: Checkpoint, kid: str) -> None:
    """The proof's members about the note, which the key `kid` signed, agree with the note."""
    root = binascii.b2a_base64(checkpoint.root, newline=False).decode()
    check((said.origin, said.size, said.root) == (checkpoint.origin, checkpoint.size, root), PROOF_CHECKPOINT)
    check(said.vkey == vkey(checkpoint.origin, kid), PROOF_CHECKPOINT)


def check_extends(note: Note, tally: Tally, proof: Consistency | None) -> None:
    """Check that the log begins with everything that `note`, a checkpoint kept elsewhere, covers.

    The events show it if all of them are here. Otherwise a consistency proof is needed, which `check_consistency`
    checks later.
    """
    kept, frame = note.checkpoint, tally.frame
    check(proof is not None or frame.first_seq == 0, KEPT_PART)
    check_kept(note, frame.log, frame.keys)
    check(proof is not None or kept.size <= tally.frontier.size, KEPT_SIZE.format(kept.size))
    if frame.first_seq == 0 and kept.size <= tally.frontier.size:
        check(kept.root == tally.kept_root, KEPT_ROOT.format(kept.size))


def check_kept(note: Note, log: str, keys: Sequence[Key]) -> None:
    """Check that a checkpoint kept elsewhere is of the log, and that one of the keys signed it."""
    check(note.checkpoint.origin.endswith(f"/{log}"), KEPT_LOG)
    check(any(is_signed_by(note, key.kid) for key in keys), KEPT_KEY)


def check_consistency(proof: Consistency, kept: Checkpoint, later: Checkpoint) -> None:
    """Check that the tree of `later` extends that of `kept`. Both are signed, so the proof needs no signature."""
    sizes = (proof.from_size, proof.to_size, kept.size, later.size)
    check(sizes[:2] == sizes[2:], CONSISTENCY_SIZES.format(*sizes))
    check(verify_consistency(kept.size, later.size, kept.root, later.root, hashes_of(proof.proof)), CONSISTENCY)
