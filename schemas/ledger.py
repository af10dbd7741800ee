"""The ledger: events in the form that anyone can verify, and their proofs (`docs/api/ledger.md`).

Names are in snake case, as that page has them. `docs/reference/evlog1.md` has the formats. Times are text for every
client, even with superjson: they are hashed to the microsecond, which a JavaScript `Date` cannot hold.
"""

from typing import Annotated, Literal

from msgspec import Meta

from schemas.base import Count, EventTypeName, Input, Instant, Output, RawRecord
from schemas.event import LogStart, TypePattern
from schemas.filter import FilterObject, LiveFilterObject
from schemas.reference import EventName

DEFAULT_ENTRIES = 100

ReceiptVersion = Literal["evlog/receipt/v1"]

RECEIPT_VERSION: ReceiptVersion = "evlog/receipt/v1"

MAX_CAUSES = 64
"""The maximum of causes in a receipt."""

MaxThousand = Annotated[int, Meta(ge=1, le=1000, extra={"message": "must be a whole number from 1 to 1000"})]


class ReadLedger(Input, frozen=True, kw_only=True):
    """Which events to read, oldest first, after `since`. Send the last event's `timestamp` as the next `since`."""

    since: Instant | None = None
    limit: MaxThousand | None = DEFAULT_ENTRIES
    type: TypePattern | None = None
    filter: FilterObject | None = None


class FollowLedger(Input, frozen=True, kw_only=True):
    """Where a stream begins: after the seq `after` (-1 for the beginning of the log), by default now.

    `lastEventId` overrides `after`; clients set it when they resume. With `markers` the stream also sends a marker
    when it has sent the backlog.
    """

    after: Annotated[int, Meta(ge=-1, le=2**53 - 1, extra={"message": "must be a seq, or -1"})] | None = None
    type: TypePattern | None = None
    filter: LiveFilterObject | None = None
    last_event_id: LogStart | None = None
    markers: bool | None = None


class ExportLog(Input, frozen=True, kw_only=True):
    """Which part of the log to export: `fromSeq` to `toSeq`, both included. The default is the whole log."""

    from_seq: Count | None = None
    to_seq: Count | None = None


class ProveEvent(Input, frozen=True, kw_only=True):
    """One event, by its UUID or its ledger id `evt_<hash>`. With `tlogProof` the answer also has a proof that travels.

    That proof leads to a checkpoint of the log `_node`, which witnesses cosign.
    """

    event_id: EventName
    tlog_proof: bool | None = None


class ProveConsistency(Input, frozen=True, kw_only=True):
    """The sizes of two checkpoints, in events: `fromSize`, and `toSize` (default: the size of the log now)."""

    from_size: Count
    to_size: Count | None = None


class DescribeLedger(Input, frozen=True, kw_only=True):
    """The input of `ledger.node` and `ledger.checkpoint`: it has no members."""


class _Shown(Output, frozen=True, kw_only=True, rename=None):
    """The base of the ledger's outputs, whose names are in snake case."""


class LedgerEvent(_Shown, frozen=True, kw_only=True, rename=None):
    """An event with all that a stranger needs to verify it. If it was erased, `payload` and `context` are empty."""

    id: str
    event_id: str
    type: EventTypeName
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
    """Events, oldest first. `total` counts every match, whatever `limit` is. A page ends early at 32 MiB."""

    events: list[LedgerEvent]
    total: int


class Rotation(_Shown, frozen=True, kw_only=True, rename=None):
    """The change from one signing key to the next. `signature_old` is null if the old key was lost."""

    kid_old: str
    kid_new: str
    rotated_at: str
    signature_old: str | None
    signature_new: str


class SigningKey(_Shown, frozen=True, kw_only=True, rename=None):
    """A signing key of the install, and the rotation that introduced it. The node's first key has no rotation."""

    kid: str
    rotation: Rotation | None = None


class LedgerNode(_Shown, frozen=True, kw_only=True, rename=None):
    """The signing node. `public_identity` is its current public key in base64; `keys` are all its keys in order."""

    node_did: str
    kid: str
    public_identity: str
    origin: str
    keys: list[SigningKey]


class SignedCheckpoint(_Shown, frozen=True, kw_only=True, rename=None):
    """A C2SP checkpoint of a log: the signed `note`, its contents, and the verifier key `vkey` of its signer."""

    note: str
    origin: str
    size: int
    root: str
    vkey: str


class InclusionProof(_Shown, frozen=True, kw_only=True, rename=None):
    """The proof that an event is in the tree of a checkpoint (RFC 6962, section 2.1.1). `proof` has hashes in base64.

    It contains the install's `keys`, so that anyone can verify it offline. The last key signed the checkpoint.
    """

    event: LedgerEvent
    proof: list[str]
    checkpoint: SignedCheckpoint
    keys: list[SigningKey]
    node_did: str
    tlog_proof: str | None = None
    """The content of a file `.tlog-proof` (C2SP tlog-proof). It is present only if it was asked for."""


class ConsistencyProof(_Shown, frozen=True, kw_only=True, rename=None):
    """The proof that a tree extends an earlier one (RFC 6962, section 2.1.2). `proof` has hashes in base64.

    It contains the install's `keys`, so that anyone with the earlier checkpoint can verify it offline. The last key
    is the current one.
    """

    from_size: int
    to_size: int
    proof: list[str]
    checkpoint: SignedCheckpoint | None = None
    """The checkpoint of the later tree. It is present only if the later tree is the log now."""
    keys: list[SigningKey]
    node_did: str


class ReceiptEntry(_Shown, frozen=True, kw_only=True, rename=None):
    """An event of a receipt. `proof`, hashes in base64, leads from it to the root of the receipt's checkpoint.

    If the event is withheld, `payload` and `context` are empty: the key that asked may not read this event.
    """

    event: LedgerEvent
    proof: list[str]
    withheld: bool = False


class Receipt(_Shown, frozen=True, kw_only=True, rename=None):
    """An event with all that belongs to it, as one file that anyone can verify offline. It has at most 8 MiB.

    If the event `event_id` belongs to an intent, `chain` is the intent and all that followed, oldest first; otherwise
    it is only this event. `causes` are up to 64 events: what caused the first of the chain, then what caused that, and
    so on. The last of `keys` signed the `checkpoint`.
    """

    v: ReceiptVersion
    event_id: str
    log: str
    node_did: str
    chain: list[ReceiptEntry]
    causes: list[ReceiptEntry]
    checkpoint: SignedCheckpoint
    keys: list[SigningKey]
