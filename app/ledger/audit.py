r"""Verifies an audit chain `evaudit/1` from its entries (`docs/reference/evlog1.md`, The audit chain).

    text = JCS of {v, log, seq, id, action, actor, detail, timestamp, prev_hash}
    hash = SHA-256(0x00 ‖ text): the link of the chain

The database's function `audit_append` writes the chain. It shares no code with this module.
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from app.ledger.canonical import canonical
from app.ledger.chain import GENESIS, leaf_hash
from schemas.audit import AuditEntry, AuditPage
from schemas.errors import InvalidInput
from schemas.jsontext import UNREADABLE

VERSION = "evaudit/1"

ANOTHER_LOG = "it belongs to another log"
PLACE = "seq {} is in its place"
LINK = "it does not link to the entry before it"
LATER = "it is not later than the entry before it"
HASH = "its hash is not that of its contents"
MISSING = "it is missing, but the event at seq {} of the log names it"
ANOTHER = "it is not the entry that the event at seq {} of the log names"


class BrokenEntry(Struct, frozen=True):
    """The first broken place of a chain: the seq that belongs there, and what is wrong."""

    seq: int
    problem: str


class AuditTip(Struct, frozen=True):
    """What the event `synap.audit.tip` at `told_at` of a log says: entry `seq` of the audit of `log` has `hash`."""

    told_at: int
    log: str
    seq: int
    hash: str


class AuditVerdict(Struct, frozen=True):
    """The result of checking an audit from `first` to `last`. It is right if `broken` is None.

    `covered` is the last entry that the signed log names; None if it names none of these.
    """

    log: str
    first: int
    last: int
    covered: int | None
    broken: BrokenEntry | None

    @property
    def count(self) -> int:
        """The number of entries."""
        return self.last - self.first + 1


class NoAuditError(Exception):
    """A text is not an audit. The message continues a sentence that begins with "it"."""


def verify_audit(text: bytes, log: str, tips: Sequence[AuditTip]) -> AuditVerdict:
    """The verdict on the audit of `log`: pages as `GET /audit` returns them without a filter, one per line.

    `tips` come from a verified log. Raises NoAuditError.
    """
    entries = [entry for page in _pages(text) for entry in page.entries]
    mine = [tip for tip in tips if tip.log == log]
    first = entries[0].seq if entries else 0
    last = first + len(entries) - 1
    if entries and entries[0].log != log:
        broken: BrokenEntry | None = BrokenEntry(first, ANOTHER_LOG)
    else:
        broken = first_broken(entries) or _untold(entries, first, mine)
    covered = max((tip.seq for tip in mine if first <= tip.seq <= last), default=None)
    return AuditVerdict(log, first, last, covered, broken)


def _pages(text: bytes) -> list[AuditPage]:
    try:
        return [msgspec.json.decode(text, type=AuditPage)]
    except UNREADABLE:
        pass
    try:
        return msgspec.json.Decoder(AuditPage).decode_lines(text)
    except UNREADABLE as error:
        raise NoAuditError(f"is not an audit, which has a page of GET /audit on each line: {error}") from None


def _untold(entries: Sequence[AuditEntry], first: int, tips: Iterable[AuditTip]) -> BrokenEntry | None:
    """The first entry that is missing or different according to the log. Entries before the part are not checked."""
    for tip in sorted(tips, key=lambda each: each.seq):
        if tip.seq >= first + len(entries):
            return BrokenEntry(tip.seq, MISSING.format(tip.told_at))
        if tip.seq >= first and entries[tip.seq - first].hash != tip.hash:
            return BrokenEntry(tip.seq, ANOTHER.format(tip.told_at))
    return None


def entry_hash(entry: AuditEntry) -> str:
    """The hash of an entry's contents, `sha256:<hex>`. Raises InvalidInput if its detail cannot be JSON."""
    shown = msgspec.structs.asdict(entry)
    del shown["hash"]
    return f"sha256:{leaf_hash(canonical(msgspec.json.encode(shown | {'v': VERSION}), '')).hex()}"


def first_broken(entries: Iterable[AuditEntry], *, whole: bool = False) -> BrokenEntry | None:
    """The first fault of a part of a chain, or of a `whole` one, oldest entry first; None if there is no fault.

    The part must have no gaps: an answer filtered by action is not a part of a chain. The link of the first entry can
    only be checked if its seq is 0.
    """
    before: AuditEntry | None = None
    for entry in entries:
        seq = before.seq + 1 if before is not None else 0 if whole else entry.seq
        if (problem := _problem(entry, seq, before)) is not None:
            return BrokenEntry(seq, problem)
        before = entry
    return None


def _problem(entry: AuditEntry, seq: int, before: AuditEntry | None) -> str | None:
    if entry.seq != seq:
        return PLACE.format(entry.seq)
    if before is None:
        is_linked = seq != 0 or entry.prev_hash == f"sha256:{GENESIS.hex()}"
    else:
        is_linked = entry.prev_hash == before.hash
        if entry.log != before.log:
            return ANOTHER_LOG
        if entry.timestamp <= before.timestamp:  # compared as text, because all have the same length
            return LATER
    if not is_linked:
        return LINK
    try:
        return None if entry.hash == entry_hash(entry) else HASH
    except InvalidInput:
        return HASH
