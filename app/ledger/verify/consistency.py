"""Verifies the proof that a log extends a checkpoint kept elsewhere (`ledger.consistency`)."""

from msgspec import UnsetType

from app.ledger import signer
from app.ledger.checkpoint import Checkpoint, Note, is_signed_by
from app.ledger.verify.checkpoints import check_consistency, check_kept, check_said, read_checkpoint
from app.ledger.verify.keys import Judge, breaks_of, check_keys
from app.ledger.verify.shapes import (
    Consistency,
    ProofCheckpoint,
    Source,
    consistency_decoder,
    decoded,
    members_of,
    members_of_keys,
)
from app.ledger.verify.verdict import (
    CHECKPOINT_KEY,
    CHECKPOINT_ORIGIN,
    CONSISTENCY_SHAPE,
    TWICE,
    Broken,
    Fault,
    Verdict,
    check,
)


def read_consistency(source: Source) -> Consistency:
    """The proof in a JSON text. It checks only the members. Raises Fault."""
    proof = decoded(source, consistency_decoder, CONSISTENCY_SHAPE)
    own = len(Consistency.__struct_fields__) + members_of_keys(proof.keys)
    noted = -1 if isinstance(proof.checkpoint, UnsetType) else len(ProofCheckpoint.__struct_fields__)
    check(members_of(bytes(source[:])) == own + noted, TWICE)
    return proof


def verify_consistency(source: Source, kept: Note, *, judge: Judge = signer.verify) -> Verdict:
    """The verdict on a consistency proof with the later checkpoint; `kept` is the earlier one.

    No text makes it raise.
    """
    try:
        proof = read_consistency(source)
        check_keys(proof.keys, proof.node_did, judge)
        later = _checked_checkpoint(proof)
    except Fault as fault:
        return Verdict(broken=Broken(None, str(fault)))
    log, broken = later.origin.rpartition("/")[2], None
    try:
        check_kept(kept, log, proof.keys)
        check_consistency(proof, kept.checkpoint, later)
    except Fault as fault:
        broken = Broken(None, str(fault))
    return Verdict(log=log, node=proof.node_did, checkpoint=later, broken=broken, breaks=breaks_of(proof.keys))


def _checked_checkpoint(proof: Consistency) -> Checkpoint:
    """The later checkpoint: the last key signed it, and its origin names a log."""
    said, kid = proof.checkpoint, proof.keys[-1].kid
    if isinstance(said, UnsetType):
        raise Fault(CONSISTENCY_SHAPE.format("it has no checkpoint"))
    note = read_checkpoint(said.note)
    origin, _, log = note.checkpoint.origin.rpartition("/")
    check(origin and log, CHECKPOINT_ORIGIN)
    check(is_signed_by(note, kid), CHECKPOINT_KEY)
    check_said(said, note.checkpoint, kid)
    return note.checkpoint
