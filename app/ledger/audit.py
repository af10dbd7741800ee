r"""The audit chain `evaudit/1`, verified from what is shown of it (`docs/evlog1.md`, The audit chain).

    text = JCS of {v, log, seq, id, action, actor, detail, timestamp, prev_hash}
    hash = SHA-256(0x00 ‖ text): the link of the chain

It is written by the database's function `audit_append`; nothing here is shared with that.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from app.ledger.canonical import canonical
from app.ledger.chain import GENESIS, leaf_hash
from schemas.audit import AuditEntry

VERSION = "evaudit/1"

ANOTHER_LOG = "it is of another log"
PLACE = "seq {} stands in its place"
LINK = "it does not link to the entry before it"
LATER = "it is not later than the entry before it"
HASH = "its hash is not that of what it says"


class BrokenEntry(Struct, frozen=True):
    """Where a chain is broken first: the seq that belongs there, and what is wrong with it."""

    seq: int
    problem: str


def entry_hash(entry: AuditEntry) -> str:
    """The hash of what `entry` says, `sha256:<hex>`. Raises InvalidInput for a detail that no JSON text can be."""
    shown = msgspec.structs.asdict(entry)
    del shown["hash"]
    return f"sha256:{leaf_hash(canonical(msgspec.json.encode(shown | {'v': VERSION}), '')).hex()}"


def first_broken(entries: Iterable[AuditEntry]) -> BrokenEntry | None:
    """What is wrong with a part of a chain, the oldest entry first; None where nothing is.

    Without gaps: an answer that was filtered by action is no part of a chain. What the first one links to is known
    where its seq is 0.
    """
    before: AuditEntry | None = None
    for entry in entries:
        seq = entry.seq if before is None else before.seq + 1
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
        if entry.timestamp <= before.timestamp:  # as text: the format is of one length
            return LATER
    if not is_linked:
        return LINK
    return None if entry.hash == entry_hash(entry) else HASH
