"""Checkpoints: of a bundle or a proof, kept elsewhere, and of two trees of which one extends the other."""

from collections.abc import Sequence

from app.ledger.checkpoint import Checkpoint, MalformedNoteError, Note, is_signed_by, parse
from app.ledger.merkle import EMPTY_ROOT, verify_inclusion
from app.ledger.verify.shapes import Key, unbase64
from app.ledger.verify.tally import Tally
from app.ledger.verify.verdict import (
    CHECKPOINT,
    CHECKPOINT_KEY,
    CHECKPOINT_LOG,
    CHECKPOINT_ROOT,
    CHECKPOINT_SIZE,
    INCLUSION,
    KEPT_KEY,
    KEPT_LOG,
    KEPT_PART,
    KEPT_ROOT,
    KEPT_SIZE,
    Fault,
    check,
)


def checked_checkpoint(text: str, proof: Sequence[str], tally: Tally) -> Checkpoint:
    """What the note `text` says: the last key signed it, and by `proof` its tree has the last event."""
    frame = tally.frame
    try:
        note = parse(text)
    except MalformedNoteError as error:
        raise Fault(CHECKPOINT.format(error)) from None
    checkpoint = note.checkpoint
    check(checkpoint.origin.endswith(f"/{frame.log}"), CHECKPOINT_LOG)
    check(checkpoint.size > frame.last_seq, CHECKPOINT_SIZE)
    check(is_signed_by(note, frame.keys[-1].kid), CHECKPOINT_KEY)
    if frame.first_seq == 0 and checkpoint.size == frame.last_seq + 1:
        check(checkpoint.root == tally.frontier.root(), CHECKPOINT_ROOT)
    hashes = [unbase64(hash_) for hash_ in proof]
    if tally.before.seq > frame.first_seq:
        path = [hash_ or b"" for hash_ in hashes]
        included = verify_inclusion(tally.last_hash, frame.last_seq, checkpoint.size, path, checkpoint.root)
        check(None not in hashes and included, INCLUSION)
    else:
        check((checkpoint.size, checkpoint.root, hashes) == (0, EMPTY_ROOT, []), INCLUSION)
    return checkpoint


def check_extends(note: Note, tally: Tally) -> None:
    """The log is whole, and begins with all that the checkpoint is of, which was kept elsewhere."""
    kept, frame = note.checkpoint, tally.frame
    check(frame.first_seq == 0, KEPT_PART)
    _check_kept(note, frame.log, frame.keys)
    check(kept.size <= tally.frontier.size, KEPT_SIZE.format(kept.size))
    check(kept.root == tally.kept_root, KEPT_ROOT.format(kept.size))


def _check_kept(note: Note, log: str, keys: Sequence[Key]) -> None:
    check(note.checkpoint.origin.endswith(f"/{log}"), KEPT_LOG)
    check(any(is_signed_by(note, key.kid) for key in keys), KEPT_KEY)
