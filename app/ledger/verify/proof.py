"""Verifies the proof that one event is in its log (`ledger.proof`), as a part of the log with only that event."""

from typing import Literal

from app.ledger import signer
from app.ledger.tlogproof import FIRST_LINE
from app.ledger.verify.bundle import verdict_of
from app.ledger.verify.checkpoints import check_said, checked_checkpoint
from app.ledger.verify.keys import Judge, check_keys
from app.ledger.verify.receipt import is_receipt
from app.ledger.verify.shapes import (
    Event,
    Proof,
    ProofCheckpoint,
    Source,
    decoded,
    event_decoder,
    member_decoder,
    members_of,
    members_of_keys,
    proof_decoder,
)
from app.ledger.verify.tally import Tally
from app.ledger.verify.verdict import MEMBERS, PROOF_SHAPE, TWICE, Broken, Fault, Verdict, check
from app.ledger.verify.walk import Frame
from schemas.jsontext import MAX_SAFE_INTEGER, UNREADABLE

MAX_PROOF_BYTES = 32 * 2**20
"""The maximum of a proof or a receipt, with the indentation that a tool may add. A longer text is a bundle."""


EvidenceKind = Literal["bundle", "proof", "consistency", "receipt", "tlog-proof"]


def kind_of(source: Source) -> EvidenceKind:
    """Whether the text is a receipt, or the proof of one event or of consistency, by its members; else a bundle.

    A proof that travels is known by its first line.
    """
    if source[: len(FIRST_LINE)] == FIRST_LINE.encode():
        return "tlog-proof"
    if len(source) > MAX_PROOF_BYTES:
        return "bundle"
    try:
        names = member_decoder.decode(source)
    except UNREADABLE:
        return "bundle"
    if is_receipt(names):
        return "receipt"
    if "proof" not in names:
        return "bundle"
    return "consistency" if "from_size" in names else "proof"


def verify_proof(source: Source, *, judge: Judge = signer.verify) -> Verdict:
    """The verdict on the proof of one event. No text makes it raise."""
    try:
        proof = decoded(source, proof_decoder, PROOF_SHAPE)
        event = decoded(proof.event, event_decoder, MEMBERS)
        tally = Tally(_frame(proof, event))
    except Fault as fault:
        return Verdict(broken=Broken(None, str(fault)))
    checkpoint, broken, unconfirmed = None, None, list[int]()
    try:
        check_keys(proof.keys, proof.node_did, judge)
        tally.along(bytes(proof.event), judge)
        checkpoint = checked_checkpoint(proof.checkpoint.note, proof.proof, tally)
        check_said(proof.checkpoint, checkpoint, proof.keys[-1].kid)
        _check_names(bytes(source), proof, tally)
        unconfirmed = tally.unconfirmed(checkpoint)
    except Fault as fault:
        broken = Broken(fault.seq, str(fault))
    return verdict_of(tally, 1, checkpoint, broken, unconfirmed)


def _frame(proof: Proof, event: Event) -> Frame:
    seq = event.seq
    check(0 <= seq <= MAX_SAFE_INTEGER and not seq % 1, PROOF_SHAPE.format("its event has no seq"))
    return Frame(proof.node_did, event.log, proof.keys, int(seq), int(seq))


def _check_names(source: bytes, proof: Proof, tally: Tally) -> None:
    """Check that no name appears twice: the text has as many members as were decoded."""
    if tally.twice is not None:
        raise Fault(TWICE, tally.twice)
    own = len(Proof.__struct_fields__) + len(ProofCheckpoint.__struct_fields__) + members_of_keys(proof.keys)
    check(members_of(source) == own + members_of(bytes(proof.event)), TWICE)
