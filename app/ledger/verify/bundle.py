"""Verifies a bundle: its keys, its seal, its events run by run, its checkpoint."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from app.ledger import signer
from app.ledger.checkpoint import Checkpoint, Note
from app.ledger.policy import Cosignature
from app.ledger.verify.checkpoints import check_consistency, check_extends, checked_checkpoint
from app.ledger.verify.keys import Judge, check_keys, check_seal
from app.ledger.verify.shapes import Bundle, Consistency, Source, hash_text, members_of, members_of_keys
from app.ledger.verify.tally import Tally
from app.ledger.verify.text import EvidenceText, Layout
from app.ledger.verify.verdict import ENDS, LAST_KEY, MISSING, TWICE, Broken, Fault, Verdict, check
from app.ledger.verify.walk import Frame, WalkResult, found_in

PROGRESS_EVENTS = 1000
"""The number of events between two reports of progress."""

Told = Callable[[int, int], None]
"""Gets the number of events verified so far, and of all."""

Runs = Iterable[tuple[int, bytes]]
Spread = Callable[[Callable[[tuple[int, bytes]], WalkResult | None], Runs], Iterable[WalkResult | None]]
"""Works like `map`, perhaps in other processes. The results come in the order of the runs."""


def verify_bundle(
    source: Source,
    progress: Told | None = None,
    *,
    extends: Note | None = None,
    consistency: Consistency | None = None,
    judge: Judge = signer.verify,
    spread: Spread = map,
) -> Verdict:
    """The verdict on a bundle's JSON text. No text makes it raise.

    With `extends` the log must also begin with everything that this checkpoint, kept elsewhere, covers. The bundle must
    then be a whole log, or `consistency` must lead from that checkpoint to the bundle's own.
    `progress` is called about every thousand events and at the end. `judge` may cache its results. Runs of events are
    decoded one at a time in this process, or where `spread` sends them.
    """
    text = EvidenceText(source)
    try:
        bundle, layout = text.read()
    except Fault as fault:
        return Verdict(broken=Broken(None, str(fault)))
    frame = _frame(bundle)
    tally = Tally(frame, -1 if extends is None else extends.checkpoint.size)
    checkpoint, broken, unconfirmed = None, None, list[int]()
    try:
        check_keys(frame.keys, frame.node, judge)
        check_seal(bundle, judge)
        _walk(text, layout, tally, judge, spread, progress)
        _check_end(bundle, layout, tally)
        if extends is not None:
            check_extends(extends, tally, consistency)
        checkpoint = checked_checkpoint(bundle.checkpoint, bundle.inclusion_proof, tally)
        if extends is not None and consistency is not None:
            check_consistency(consistency, extends.checkpoint, checkpoint)
        unconfirmed = tally.unconfirmed(checkpoint)
        _check_names(bundle, layout, tally)
    except Fault as fault:
        broken = Broken(fault.seq, str(fault))
    return verdict_of(tally, int(bundle.count), checkpoint, broken, unconfirmed)


def verdict_of(
    tally: Tally,
    count: int,
    checkpoint: Checkpoint | None,
    broken: Broken | None,
    unconfirmed: list[int],
    cosigned: list[Cosignature] | None = None,
) -> Verdict:
    """The verdict on the events that were walked."""
    frame = tally.frame
    return Verdict(
        log=frame.log,
        node=frame.node,
        count=count,
        first_seq=frame.first_seq,
        last_seq=frame.last_seq,
        checkpoint=checkpoint,
        broken=broken,
        breaks=tally.breaks(),
        lost=tally.lost,
        tips=tally.tips,
        unconfirmed=unconfirmed,
        kept=sorted(tally.kept),
        authors=dict(tally.authors),
        erased=len(tally.bodiless),
        cosigned=cosigned,
    )


def _frame(bundle: Bundle) -> Frame:
    return Frame(bundle.node_did, bundle.log, bundle.keys, int(bundle.first_seq), int(bundle.last_seq))


def _walk(
    text: EvidenceText, layout: Layout, tally: Tally, judge: Judge, spread: Spread, progress: Told | None
) -> None:
    """Check each event in turn, up to the first broken one."""
    first = tally.frame.first_seq
    runs: Iterator[tuple[int, bytes]] = ((first + run.place, text.piece(run)) for run in layout.runs)
    walked = spread(partial(found_in, tally.frame, judge), runs)
    told = 0
    for run, found in zip(layout.runs, walked, strict=True):
        if found is not None and found.follows(tally.before):
            tally.add(found)
        else:  # again, after what is known: either it is right after all, or this finds the first fault
            tally.along(text.piece(run), judge)
        text.forget(run)
        done = run.next_place
        if progress is not None and (done // PROGRESS_EVENTS > told or done == layout.count):
            progress(done, layout.count)
            told = done // PROGRESS_EVENTS
    if tally.before.seq <= tally.frame.last_seq:
        raise Fault(MISSING, tally.before.seq)


def _check_end(bundle: Bundle, layout: Layout, tally: Tally) -> None:
    """Check the bundle's members about the first and the last event."""
    check(not layout.count or tally.kid == bundle.kid, LAST_KEY)
    check(bundle.chain_root_hash == hash_text(tally.first_hash), ENDS.format("chain_root_hash", "first"))
    check(bundle.chain_tip_hash == hash_text(tally.last_hash), ENDS.format("chain_tip_hash", "last"))


def _check_names(bundle: Bundle, layout: Layout, tally: Tally) -> None:
    """Check that no name appears twice: the text has as many members as were decoded."""
    if tally.twice is not None:
        raise Fault(TWICE, tally.twice)
    own = len(Bundle.__struct_fields__) + members_of_keys(bundle.keys)
    check(members_of(layout.outside) == own, TWICE)
