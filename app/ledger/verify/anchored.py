"""Verifies a proof that travels: from one event, over `_node`, to a checkpoint that witnesses cosigned.

`docs/reference/tlog-proof.md` has the form of `extra`. An event of `_node` is itself the leaf that the proof is about.
Any other event is in the tree of its own log. That tree's root is a leaf of an event `synap.tree.heads`, which is the
leaf of `_node`.
"""

from msgspec import UNSET, Raw, Struct, UnsetType

from app.ledger import policy as policies
from app.ledger import signer
from app.ledger.chain import NODE_LOG, TREE_HEADS_TYPE
from app.ledger.checkpoint import Checkpoint, Note, is_signed_by
from app.ledger.heads import Head, is_anchored
from app.ledger.merkle import verify_inclusion
from app.ledger.policy import Cosignature, Judgement, Policy, shown
from app.ledger.tlogproof import MalformedProofError, TlogProof, parse
from app.ledger.verify.bundle import verdict_of
from app.ledger.verify.checkpoints import read_checkpoint
from app.ledger.verify.keys import Judge, check_keys
from app.ledger.verify.shapes import (
    AnchorProof,
    Event,
    HeadsPayload,
    Source,
    anchor_decoder,
    decoded,
    event_decoder,
    hashes_of,
    heads_decoder,
    is_hash,
    members_of,
    members_of_keys,
)
from app.ledger.verify.tally import Tally
from app.ledger.verify.verdict import (
    ANCHOR_HEAD,
    ANCHOR_HEADS,
    ANCHOR_INDEX,
    ANCHOR_KEY,
    ANCHOR_LEAF,
    ANCHOR_LOG,
    ANCHOR_ORIGIN,
    ANCHOR_SHAPE,
    FALSE_KEYS,
    INCLUSION_IN_HEAD,
    MEMBERS,
    NO_QUORUM,
    TWICE,
    UNKNOWN_LOG,
    Broken,
    Fault,
    Verdict,
    check,
)
from app.ledger.verify.walk import Frame
from schemas.jsontext import MAX_SAFE_INTEGER

VERSION = 1


class Anchored(Struct, frozen=True):
    """What the members of a proof show: the event, walked, and the leaf of `_node` at `index`."""

    tally: Tally
    leaf: bytes
    index: int
    within: Checkpoint | None
    """The tree of the event's own log; None for an event of `_node`."""


def verify_anchored(source: Source, policy: Policy | None = None, *, judge: Judge = signer.verify) -> Verdict:
    """The verdict on a proof that travels. No text makes it raise.

    With a `policy`, a log that it names must have signed the checkpoint, and the witnesses must be a quorum. Without
    one, some key of the proof must have signed it, and no cosignature is verified.
    """
    try:
        proof = _parsed(source)
        extra = _extra(proof)
        check_keys(extra.keys, extra.node_did, judge)
        event = decoded(extra.event, event_decoder, MEMBERS)
        tally = Tally(_frame(extra, event))
    except Fault as fault:
        return Verdict(broken=Broken(None, str(fault)))
    checkpoint, cosigned, broken, unconfirmed = None, None, None, list[int]()
    try:
        tally.along(bytes(extra.event), judge)
        anchored = _anchored(extra, tally, judge)
        note = read_checkpoint(proof.note)
        _check_outer(proof, note.checkpoint, anchored)
        cosigned = _check_signers(note, extra, policy)
        _check_names(proof, extra, tally)
        unconfirmed = tally.unconfirmed(anchored.within or note.checkpoint)
        checkpoint = note.checkpoint
    except Fault as fault:
        broken = Broken(fault.seq, str(fault))
    return verdict_of(tally, 1, checkpoint, broken, unconfirmed, cosigned)


def _parsed(source: Source) -> TlogProof:
    try:
        return parse(bytes(source[:]).decode())
    except (MalformedProofError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, MalformedProofError) else "It is not UTF-8"
        raise Fault(ANCHOR_SHAPE.format(reason)) from None


def _extra(proof: TlogProof) -> AnchorProof:
    check(proof.extra is not None, ANCHOR_SHAPE.format("It has no `extra`"))
    extra = decoded(proof.extra, anchor_decoder, ANCHOR_SHAPE)
    check(extra.v == VERSION, ANCHOR_SHAPE.format(f"Its version is {extra.v:g}, not {VERSION}"))
    return extra


def _frame(extra: AnchorProof, event: Event) -> Frame:
    check(0 <= event.seq <= MAX_SAFE_INTEGER and not event.seq % 1, ANCHOR_SHAPE.format("Its event has no seq"))
    return Frame(extra.node_did, event.log, extra.keys, int(event.seq), int(event.seq))


def _anchored(extra: AnchorProof, tally: Tally, judge: Judge) -> Anchored:
    """The leaf of `_node` that covers the event."""
    frame = tally.frame
    parts = (extra.proof, extra.head, extra.place, extra.path, extra.heads)
    if frame.log == NODE_LOG:
        check(all(part is UNSET for part in parts), ANCHOR_SHAPE.format("An event of _node needs no other"))
        return Anchored(tally, tally.last_hash, frame.first_seq, None)
    if (
        isinstance(extra.proof, UnsetType)
        or isinstance(extra.head, UnsetType)
        or isinstance(extra.place, UnsetType)
        or isinstance(extra.path, UnsetType)
        or isinstance(extra.heads, UnsetType)
    ):
        raise Fault(ANCHOR_SHAPE.format("It lacks the way from the event to _node"))
    said = extra.head
    check(is_hash(said.root) and said.size % 1 == 0 and extra.place % 1 == 0, ANCHOR_HEAD)
    check(said.log == frame.log, ANCHOR_LOG)
    head = Head(said.log, int(said.size), bytes.fromhex(said.root[7:]), bytes.fromhex(said.salt))
    own = Checkpoint(head.log, head.size, head.root)
    path = hashes_of(extra.proof)
    check(verify_inclusion(tally.last_hash, frame.first_seq, head.size, path, head.root), INCLUSION_IN_HEAD)
    heads, payload = _walked_heads(extra.heads, frame, judge)
    root = bytes.fromhex(payload.root[7:])
    check(is_anchored(head, int(extra.place), int(payload.count), hashes_of(extra.path), root), ANCHOR_LEAF)
    return Anchored(tally, heads.last_hash, heads.frame.first_seq, own)


def _walked_heads(text: Raw, frame: Frame, judge: Judge) -> tuple[Tally, HeadsPayload]:
    """The event of `_node` that anchors logs, with what it says."""
    event = decoded(text, event_decoder, ANCHOR_HEADS)
    right = (event.type, event.log, event.erased) == (TREE_HEADS_TYPE, NODE_LOG, UNSET) and not event.seq % 1
    check(right and event.seq >= 0, ANCHOR_HEADS.format("it is another one"))
    seq = int(event.seq)
    heads = Tally(Frame(frame.node, NODE_LOG, frame.keys, seq, seq))
    try:
        heads.along(bytes(text), judge)
    except Fault as fault:
        raise Fault(ANCHOR_HEADS.format(fault)) from None
    check(heads.twice is None, TWICE)
    payload = decoded(event.payload, heads_decoder, ANCHOR_HEADS)
    check(payload.count % 1 == 0, ANCHOR_HEADS.format("its count is not a whole number"))
    return heads, payload


def _check_outer(proof: TlogProof, checkpoint: Checkpoint, anchored: Anchored) -> None:
    """Check that the leaf of `_node` is in the tree of the checkpoint."""
    check(checkpoint.origin.endswith(f"/{NODE_LOG}"), ANCHOR_ORIGIN)
    check(proof.index == anchored.index, ANCHOR_INDEX)
    included = verify_inclusion(anchored.leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    check(included, ANCHOR_INDEX)


def _check_signers(note: Note, extra: AnchorProof, policy: Policy | None) -> list[Cosignature] | None:
    """The witnesses of a policy that cosigned. The log's key must also be a key of the proof: both have one node."""
    check(any(is_signed_by(note, key.kid) for key in extra.keys), ANCHOR_KEY)
    if policy is None:
        return None
    judgement = policies.judge(policy, note)
    check(not judgement.false_keys, FALSE_KEYS.format(", ".join(judgement.false_keys)))
    check(judgement.is_log_known and _is_of_node(note, extra, policy), UNKNOWN_LOG)
    check(judgement.is_quorum_met, NO_QUORUM.format(_names(judgement)))
    return judgement.cosigned


def _is_of_node(note: Note, extra: AnchorProof, policy: Policy) -> bool:
    """Whether a key that the policy has for the log, and that signed the note, is one of the proof's keys."""
    kids = {key.kid for key in extra.keys}
    trusted = {key.kid for key in policy.keys_of(note.checkpoint.origin)} & kids
    return any(is_signed_by(note, kid) for kid in trusted)


def _names(judgement: Judgement) -> str:
    return ", ".join(shown(each.witness.name) for each in judgement.cosigned) or "no witness"


def _check_names(proof: TlogProof, extra: AnchorProof, tally: Tally) -> None:
    """Check that no name appears twice: the text has as many members as were decoded."""
    check(tally.twice is None, TWICE)
    own = sum(getattr(extra, name) is not UNSET for name in AnchorProof.__struct_fields__)
    parts = members_of(bytes(extra.event)) + members_of_keys(extra.keys)
    if not isinstance(extra.head, UnsetType) and not isinstance(extra.heads, UnsetType):
        parts += len(extra.head.__struct_fields__) + members_of(bytes(extra.heads))
    check(members_of(proof.extra or b"") == own + parts, TWICE)
