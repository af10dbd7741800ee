"""The ledger: events as anyone can verify them, and what proves them (the document "Event Log").

Names are the document's own, in snake case. The formats are in `docs/reference/evlog1.md`. Times are text for every
client, also where it asks for dates (superjson): they are hashed to the microsecond, which a JavaScript `Date` does not
keep.
"""

from typing import Annotated

from msgspec import Meta

from schemas.base import Count, Input, Instant, Output, RawRecord
from schemas.event import LogStart, TypePattern
from schemas.filter import FilterObject, LiveFilterObject
from schemas.reference import EventName

DEFAULT_ENTRIES = 100

MaxThousand = Annotated[int, Meta(ge=1, le=1000, extra={"message": "must be a whole number from 1 to 1000"})]


class ReadLedger(Input, frozen=True, kw_only=True):
    """Events recorded after `since`, of a type: the oldest first. The last one's `timestamp` is the next `since`."""

    since: Instant | None = None
    limit: MaxThousand | None = DEFAULT_ENTRIES
    type: TypePattern | None = None
    filter: FilterObject | None = None


class FollowLedger(Input, frozen=True, kw_only=True):
    """Where a stream begins: behind the seq `after` (-1: at the beginning), by default now.

    `lastEventId` overrules it; clients set it when they resume. With `markers` the stream also says when the backlog
    is through.
    """

    after: Annotated[int, Meta(ge=-1, le=2**53 - 1, extra={"message": "must be a seq, or -1"})] | None = None
    type: TypePattern | None = None
    filter: LiveFilterObject | None = None
    last_event_id: LogStart | None = None
    markers: bool | None = None


class ExportLog(Input, frozen=True, kw_only=True):
    """Which part of the log: from and to these seqs, both included; by default the whole."""

    from_seq: Count | None = None
    to_seq: Count | None = None


class ProveEvent(Input, frozen=True, kw_only=True):
    """One event, by its UUID or its ledger id `evt_<hash>`."""

    event_id: EventName


class ProveConsistency(Input, frozen=True, kw_only=True):
    """The size of an earlier checkpoint, and of the later one; by default that of the log now."""

    from_size: Count
    to_size: Count | None = None


class DescribeLedger(Input, frozen=True, kw_only=True):
    """Nothing is asked for."""


class _Shown(Output, frozen=True, kw_only=True, rename=None):
    """What the ledger shows: its names are the document's."""


class LedgerEvent(_Shown, frozen=True, kw_only=True, rename=None):
    """An event as a stranger verifies it. Of an erased one `payload` and `context` are empty."""

    id: str
    event_id: str
    type: str
    timestamp: str
    log: str
    node: str
    kid: str
    seq: int
    prev_hash: str
    body_hash: str
    hash: str
    signature: str
    payload: RawRecord
    context: RawRecord
    erased: bool = False


class LedgerPage(_Shown, frozen=True, kw_only=True, rename=None):
    """Events, oldest first. `total` counts every match, before the limit; a page ends early at 32 MiB."""

    events: list[LedgerEvent]
    total: int


class Rotation(_Shown, frozen=True, kw_only=True, rename=None):
    """How a key followed another. Without the old one's signature it was lost."""

    kid_old: str
    kid_new: str
    rotated_at: str
    signature_old: str | None
    signature_new: str


class SigningKey(_Shown, frozen=True, kw_only=True, rename=None):
    """A key of the install, and how it came into force; the first one names the node."""

    kid: str
    rotation: Rotation | None = None


class LedgerNode(_Shown, frozen=True, kw_only=True, rename=None):
    """Who signs. `public_identity` is the public key in force, in base64; `keys` are all that there were, in order."""

    node_did: str
    kid: str
    public_identity: str
    origin: str
    keys: list[SigningKey]


class SignedCheckpoint(_Shown, frozen=True, kw_only=True, rename=None):
    """A C2SP checkpoint of a log: the note, what it says, and the verifier key of who signed it."""

    note: str
    origin: str
    size: int
    root: str
    vkey: str


class InclusionProof(_Shown, frozen=True, kw_only=True, rename=None):
    """Proves that an event is in the tree of a checkpoint (RFC 6962, section 2.1.1). `proof` is hashes in base64.

    With the install's `keys`, so that it can be verified offline for ever: the checkpoint is signed by the last one.
    """

    event: LedgerEvent
    proof: list[str]
    checkpoint: SignedCheckpoint
    keys: list[SigningKey]
    node_did: str


class ConsistencyProof(_Shown, frozen=True, kw_only=True, rename=None):
    """Proves that a tree extends an earlier one (RFC 6962, section 2.1.2). `proof` is hashes in base64.

    With the install's `keys`, so that it can be verified offline for ever, with an earlier checkpoint that was kept:
    the last of them signs the log now.
    """

    from_size: int
    to_size: int
    proof: list[str]
    checkpoint: SignedCheckpoint | None = None
    """Of the later tree, only if that is the log now."""
    keys: list[SigningKey]
    node_did: str
