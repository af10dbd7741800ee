"""Verifies a receipt (`ledger.receipt`): each event, its place in one tree, and that they belong together."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from app.ledger import signer
from app.ledger.checkpoint import Checkpoint, is_signed_by
from app.ledger.merkle import verify_inclusion
from app.ledger.verify.checkpoints import check_said, read_checkpoint
from app.ledger.verify.entries import Entry, check_withheld
from app.ledger.verify.keys import Judge, breaks_of, check_keys
from app.ledger.verify.shapes import (
    Event,
    Key,
    ProofCheckpoint,
    Source,
    decoded,
    event_decoder,
    hashes_of,
    members_of,
)
from app.ledger.verify.story import Story, story_of
from app.ledger.verify.tally import Tally
from app.ledger.verify.telling import told
from app.ledger.verify.verdict import (
    ABOUT,
    CHECKPOINT_KEY,
    CHECKPOINT_LOG,
    ENTRY_TWICE,
    IN_TREE,
    LOG_NAME,
    MEMBERS,
    RECEIPT_SHAPE,
    TWICE,
    UNNAMED,
    WITHHELD_CHAIN,
    Broken,
    Fault,
    LostCheckpoint,
    Verdict,
    check,
)
from app.ledger.verify.walk import Frame
from schemas.jsontext import MAX_SAFE_INTEGER
from schemas.ledger import MAX_CAUSES, RECEIPT_VERSION

_is_log_name = re.compile(r"\A[!#-*,-.0-\[\]-~]+\Z").search
"""Whether it is a name in headers and origins: plain ASCII without a space, a plus sign or a slash."""


class ReceiptEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An event of a receipt, and the proof that it is in the tree."""

    event: Raw
    proof: list[str]
    withheld: bool | UnsetType = UNSET


class Receipt(Struct, frozen=True, forbid_unknown_fields=True):
    """A receipt (`ledger.receipt`)."""

    v: str
    event_id: str
    log: str
    node_did: str
    chain: Annotated[list[ReceiptEntry], Meta(min_length=1)]
    causes: Annotated[list[ReceiptEntry], Meta(max_length=MAX_CAUSES)]
    checkpoint: ProofCheckpoint
    keys: Annotated[list[Key], Meta(min_length=1)]


_receipt_decoder = msgspec.json.Decoder(Receipt)
_any_decoder = msgspec.json.Decoder()


def is_receipt(names: dict[str, Raw]) -> bool:
    """Whether the members of an object are those of a receipt."""
    return "chain" in names and "v" in names


def verify_receipt(source: Source, *, judge: Judge = signer.verify) -> Verdict:
    """The verdict on a receipt, with the sentences that explain it. No text makes it raise."""
    try:
        receipt = decoded(source, _receipt_decoder, RECEIPT_SHAPE)
        check(receipt.v == RECEIPT_VERSION, RECEIPT_SHAPE.format(f"its v is not {RECEIPT_VERSION}"))
        check(_is_log_name(receipt.log), LOG_NAME)
    except Fault as fault:
        return Verdict(broken=Broken(None, str(fault)))
    reading = _Reading(receipt, judge)
    broken, sentences = None, list[str]()
    try:
        check(members_of(bytes(source)) == _members(decoded(source, _any_decoder, RECEIPT_SHAPE)), TWICE)
        checkpoint = reading.check()
        story = reading.story()
        sentences = told(story, node=receipt.node_did, log=receipt.log, size=checkpoint.size)
    except Fault as fault:
        broken = Broken(fault.seq, str(fault))
    return reading.verdict(broken, sentences)


class _Reading:
    """Reads one receipt, entry by entry."""

    def __init__(self, receipt: Receipt, judge: Judge) -> None:
        self._receipt = receipt
        self._judge = judge
        self._checkpoint: Checkpoint | None = None
        self._chain: list[Entry] = []
        self._causes: list[Entry] = []
        self._lost: list[LostCheckpoint] = []

    def check(self) -> Checkpoint:
        """Check everything but how the events belong together. Raises Fault."""
        receipt = self._receipt
        check_keys(receipt.keys, receipt.node_did, self._judge)
        checkpoint = self._signed_checkpoint()
        for entry in receipt.chain:
            self._chain.append(self._entry(entry, checkpoint, may_be_withheld=False))
        for entry in receipt.causes:
            self._causes.append(self._entry(entry, checkpoint, may_be_withheld=True))
        if checkpoint.size - 1 in self._erased():
            raise Fault(UNNAMED, checkpoint.size - 1)
        self._checkpoint = checkpoint
        return checkpoint

    def story(self) -> Story:
        """How the events belong together. Raises Fault."""
        seqs = set[int]()
        for entry in self._entries():
            if entry.seq in seqs:
                raise Fault(ENTRY_TWICE, entry.seq)
            seqs.add(entry.seq)
        check(any(entry.id == self._receipt.event_id for entry in self._chain), ABOUT)
        return story_of(self._chain, self._causes)

    def verdict(self, broken: Broken | None, sentences: Sequence[str]) -> Verdict:
        """What was found."""
        receipt, entries = self._receipt, list(self._entries())
        seqs = [entry.seq for entry in entries]
        authors = [entry.content.author for entry in entries if entry.content is not None]
        return Verdict(
            log=receipt.log,
            node=receipt.node_did,
            count=len(receipt.chain) + len(receipt.causes),
            first_seq=min(seqs, default=0),
            last_seq=max(seqs, default=-1),
            checkpoint=self._checkpoint,
            broken=broken,
            breaks=breaks_of(receipt.keys),
            lost=self._lost,
            unconfirmed=self._erased(),
            authors=Counter(author for author in authors if author is not None),
            erased=len(self._erased()),
            withheld=sorted(entry.seq for entry in entries if entry.is_withheld),
            sentences=list(sentences),
        )

    def _erased(self) -> list[int]:
        """The seqs of events without a body that are not withheld."""
        return sorted(each.seq for each in self._entries() if each.content is None and not each.is_withheld)

    def _entries(self) -> Iterator[Entry]:
        yield from self._chain
        yield from self._causes

    def _signed_checkpoint(self) -> Checkpoint:
        said, kid = self._receipt.checkpoint, self._receipt.keys[-1].kid
        note = read_checkpoint(said.note)
        check(note.checkpoint.origin.endswith(f"/{self._receipt.log}"), CHECKPOINT_LOG)
        check(is_signed_by(note, kid), CHECKPOINT_KEY)
        check_said(said, note.checkpoint, kid)
        return note.checkpoint

    def _entry(self, entry: ReceiptEntry, checkpoint: Checkpoint, *, may_be_withheld: bool) -> Entry:
        event = decoded(entry.event, event_decoder, MEMBERS)
        check(0 <= event.seq <= MAX_SAFE_INTEGER and not event.seq % 1, RECEIPT_SHAPE.format("an event has no seq"))
        try:
            check(entry.withheld is UNSET or (entry.withheld and may_be_withheld), WITHHELD_CHAIN)
            return self._checked(entry, event, checkpoint)
        except Fault as fault:
            raise Fault(str(fault), int(event.seq)) from None

    def _checked(self, entry: ReceiptEntry, event: Event, checkpoint: Checkpoint) -> Entry:
        receipt, seq = self._receipt, int(event.seq)
        frame = Frame(receipt.node_did, receipt.log, receipt.keys, seq, seq)
        is_withheld, author = entry.withheld is not UNSET, None
        if is_withheld:
            check_withheld(event, frame, self._judge)
        else:
            tally = Tally(frame)
            tally.along(bytes(entry.event), self._judge)
            self._lost += tally.lost
            author = next(iter(tally.authors), None)
        leaf = bytes.fromhex(event.hash[7:])
        path = hashes_of(entry.proof)
        check(verify_inclusion(leaf, seq, checkpoint.size, path, checkpoint.root), IN_TREE)
        return Entry.of(event, is_withheld=is_withheld, author=author)


def _members(value: Any) -> int:
    """How many members the objects of a decoded value have in all."""
    count, rest = 0, [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            count += len(one)
            rest += one.values()
        elif isinstance(one, list):
            rest += one
    return count
