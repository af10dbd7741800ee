"""Joins what the walks found in a log's runs into what is known of all events so far."""

from collections import Counter
from collections.abc import Sequence
from tempfile import SpooledTemporaryFile

from app.ledger.audit import AuditTip
from app.ledger.chain import GENESIS
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import EMPTY_ROOT, HASH_BYTES, Frontier
from app.ledger.verify.keys import Judge, breaks_of
from app.ledger.verify.shapes import Erasure, hash_text
from app.ledger.verify.verdict import UNNAMED, Break, Fault, LostCheckpoint
from app.ledger.verify.walk import Before, EntryWalk, Frame, WalkResult

HASHES_IN_MEMORY = 2**20
"""Bytes of events' hashes in memory. Beyond that they are in a file."""


class Tally:
    """What is known of all events so far."""

    def __init__(self, frame: Frame, kept_size: int = -1) -> None:
        """`kept_size` is the size of the checkpoint kept elsewhere."""
        self.frame = frame
        self.kept_size = kept_size
        self.kept_root = EMPTY_ROOT
        """The root of the tree of `kept_size` events."""
        self.before = Before.of(frame.first_seq)
        self.first_hash = GENESIS
        self.frontier = Frontier()
        self.rotated: dict[int, int] = {}
        self.bodiless: dict[int, tuple[str, str]] = {}
        self.missing: set[int] = set()
        """The seqs of events without a body that no later event has named so far."""
        self.kept: set[int] = set()
        self.tips: list[AuditTip] = []
        self.lost: list[LostCheckpoint] = []
        self.authors: Counter[str] = Counter()
        """How many events each author has signed, by did."""
        self.twice: int | None = None
        self._hashes = SpooledTemporaryFile(HASHES_IN_MEMORY)  # noqa: SIM115 - it is closed when nothing refers to it

    @property
    def last_hash(self) -> bytes:
        """The hash of the last event; zeros if there is none."""
        return self.before.hash or GENESIS

    @property
    def kid(self) -> str:
        """The signing key after the last event."""
        return self.frame.keys[self.before.key or 0].kid

    def along(self, text: bytes, judge: Judge) -> None:
        """Walk a run after what is known. Raises Fault for the first broken event."""
        walk = EntryWalk(self.frame, self.before, judge)
        try:
            walk.along(text)
        finally:
            self.add(walk.found)

    def add(self, found: WalkResult) -> None:
        """Add the findings of the next run."""
        hashes = bytes(found.hashes)
        for at in range(0, len(hashes), HASH_BYTES):
            self._push(hashes[at : at + HASH_BYTES])
        self._hashes.seek(0, 2)
        self._hashes.write(hashes)
        if hashes:
            self.first_hash = self.first_hash if self.before.seq > self.frame.first_seq else hashes[:HASH_BYTES]
            seq = found.seq + len(hashes) // HASH_BYTES
            self.before = Before(seq, hashes[-HASH_BYTES:], found.timestamp, found.key)
        self.rotated |= found.rotated
        self.tips += found.tips
        self.lost += found.lost
        self.authors.update(found.authors)
        self.twice = found.twice if self.twice is None else self.twice
        self.bodiless |= found.bodiless
        self.missing |= found.bodiless.keys()
        for seq, erasures in found.erasures:
            self._erase(seq, erasures)

    def unconfirmed(self, checkpoint: Checkpoint) -> list[int]:
        """The seqs of missing bodies that no event here explains. At the end of the log that is a fault."""
        if self.missing and checkpoint.size == self.before.seq:
            raise Fault(UNNAMED, min(self.missing))
        return sorted(self.missing)

    def breaks(self) -> list[Break]:
        """The breaks in the keys and in the events."""
        return breaks_of(self.frame.keys, self.rotated)

    def _push(self, hash_: bytes) -> None:
        self.frontier.push(hash_)
        if self.frontier.size == self.kept_size:
            self.kept_root = self.frontier.root()

    def _erase(self, by: int, erasures: Sequence[Erasure]) -> None:
        """Settle the missing bodies that the event `by` names. All of these events are before it."""
        first = self.frame.first_seq
        for erasure in erasures:
            if not first <= erasure.seq < by or erasure.seq % 1:
                continue
            seq = int(erasure.seq)
            if seq in self.bodiless:
                if self.bodiless[seq] == (erasure.id, erasure.hash):
                    self.missing.discard(seq)
            elif erasure.hash == hash_text(self._hash_at(seq - first)):
                self.kept.add(seq)

    def _hash_at(self, place: int) -> bytes:
        self._hashes.seek(place * HASH_BYTES)
        return self._hashes.read(HASH_BYTES)
