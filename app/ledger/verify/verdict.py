"""The verdict, and all faults of a bundle, a proof and an event."""

from msgspec import Struct

from app.ledger.audit import AuditTip
from app.ledger.checkpoint import Checkpoint
from app.ledger.policy import Cosignature

# All faults of a bundle and of an event.
SHAPE = "it is not a bundle: {}"
PROOF_SHAPE = "it is not a proof: {}"
CONSISTENCY_SHAPE = "it is not a consistency proof: {}"
RECEIPT_SHAPE = "it is not a receipt: {}"
PROOF_CHECKPOINT = "its checkpoint differs from its note"
NO_EVENTS = "it has no events, but its seqs and count are not 0, -1 and 0"
COUNT = "its count is not that of the seqs from first_seq to last_seq"
NODE_KEY = "the first of its keys is not the node's"
KEY_POINT = "number {} of its keys is not an Ed25519 key"
KEY_CHAIN = "number {} of its keys does not follow from the one before: {}"
SEALING_KEY = "its kid is not one of its keys"
SEAL = "its bundle signature is not by its kid over its contents"
LAST_KEY = "its kid is not the signing key after the last event"
ENDS = "its {} is not the hash of its {} event"
CHECKPOINT = "its checkpoint is invalid: {}"
CHECKPOINT_ORIGIN = "the origin of its checkpoint names no log"
CHECKPOINT_LOG = "its checkpoint belongs to another log"
CHECKPOINT_SIZE = "its checkpoint covers fewer events than it contains"
CHECKPOINT_KEY = "its checkpoint is not signed by the last of its keys"
CHECKPOINT_ROOT = "its events are not those of its checkpoint: the roots differ"
INCLUSION = "its last event is not in the tree of its checkpoint"
TWICE = "it has a member name twice"
KEPT_PART = (
    "it is a part: only a whole log, or a consistency proof, shows whether it extends the checkpoint that was kept"
)
KEPT_LOG = "the checkpoint that was kept belongs to another log"
KEPT_KEY = "the checkpoint that was kept is signed by none of its keys"
KEPT_SIZE = "it ends before the checkpoint that was kept, which covers {} events"
KEPT_ROOT = "its first {} events are not those of the checkpoint that was kept"
CONSISTENCY_SIZES = "the consistency proof is for trees of {} and {} events, but the checkpoints have {} and {}"
CONSISTENCY = "the consistency proof does not show that the log extends the checkpoint that was kept"
ANCHOR_SHAPE = "it is not a proof that travels: {}"
ANCHOR_HEAD = "its head is not the head of a log"
ANCHOR_LOG = "its head belongs to another log than its event"
INCLUSION_IN_HEAD = "its event is not in the tree of its head"
ANCHOR_HEADS = "its heads event does not anchor logs: {}"
ANCHOR_LEAF = "its head is not among the heads that _node anchored"
ANCHOR_ORIGIN = "its checkpoint belongs to another log than _node"
ANCHOR_INDEX = "its event of _node is not in the tree of its checkpoint"
ANCHOR_KEY = "its checkpoint is signed by none of its keys"
FALSE_KEYS = "a signature of its checkpoint is wrong: {}"
UNKNOWN_LOG = "its checkpoint is not signed by a log of the policy"
NO_QUORUM = "its checkpoint does not have the quorum of the policy: {} cosigned"
MEMBERS = "it is not an event: {}"
PLACE = "seq {} is in its place"
MISSING = "it is not there, but the bundle names it"
BEHIND = "it is after the last seq that the bundle names"
ANOTHER_LOG = "it belongs to another node or log"
LINK = "it does not link to the event before it"
TIME = "its timestamp is not UTC with six digits"
LATER = "it is not later than the event before it"
ERASED_FALSE = "it has `erased`, which is not true"
ERASED_BODY = "it is erased, but has a body"
NEVER_ERASED = "it has no body, but an event of its type is never erased"
TIPS = "it does not say where audits end: {}"
ROLLED_BACK = "it does not say which checkpoint was lost: {}"
UNNAMED = "its body is missing, and no later event says that it was erased"
CONTEXT = "its context is invalid: {}"
PAYLOAD = "its payload is not an object"
BODY = "its body is not the one that was hashed"
BODY_LIMITS = "its body is one that no server stores: {}"
SERVER = "its type is the server's, but the server did not write it"
ERASURES = "it does not say what was erased: {}"
HEADER = "its header has characters that no header has"
HASH = "its hash is not that of its header"
ID = "its id is not its hash"
ROTATIONS = "it does not say which keys changed: {}"
NOT_IN_FORCE = "it replaces a key that is not the current one"
UNSIGNED = "its rotation is not signed by both keys"
UNKNOWN_ROTATION = "its rotation is not among the bundle's keys"
KEY = "it is signed by a key that is not the current one"
SIGNATURE = "its signature is not by its kid over its hash"
AUTHOR = "its author's signature is not by its did over its contents"

LOG_NAME = "its log is not a name"
ABOUT = "the event that it is about is not in its chain"
ENTRY_TWICE = "it is in the receipt twice"
IN_TREE = "it is not in the tree of the checkpoint"
WITHHELD_BODY = "it is withheld, but it has a body or is erased"
WITHHELD_CHAIN = "it is withheld, but only causes can be withheld"
SYNAP = "its metadata.synap is not as servers write it"
NOT_REQUEST = "other events follow it, but it is not a request"
FOLLOWS = "its type does not follow from the type of the request"
OTHER_REQUEST = "it belongs to another request"
NOT_AFTER = "it is not later than the event before it in the receipt"
DECIDED = "the request was decided on before"
NOT_APPROVER = "its user is not among the approvers that the request names"
NOT_APPROVED = "it started, but the approval that it names is not before it"
ENDED = "it started after the approval had ended"
USE = "it started a use that the request does not allow, or that started before"
STARTER = "its user is not the user who asked"
EXPIRED = "it came after the request had expired"
EARLY = "it says that a time is over, but it was not"
NOT_NODE = "its user is not the node"
REPORTER = "its user is not the user who started it"
NO_START = "the start that it names is not before it"
FINISHED = "its start has an outcome already"
CAUSE = "it is not the cause of the event before it"


class Broken(Struct, frozen=True):
    """The first fault: of the event at `seq`, or of the bundle itself (None)."""

    seq: int | None
    message: str

    def __str__(self) -> str:
        """A sentence for a person."""
        return f"{'bundle' if self.seq is None else f'seq {self.seq}'}: {self.message}"


class Break(Struct, frozen=True):
    """A key that was lost, so nobody can tell whether the next one is the install's. The event at `seq` shows it.

    `seq` is None if only the bundle's keys show it.
    """

    kid_old: str
    kid_new: str
    rotated_at: str
    seq: int | None


class LostCheckpoint(Struct, frozen=True):
    """A checkpoint that the log does not extend. The event at `seq` says that an administrator accepted that."""

    seq: int
    size: int
    root: str


class Verdict(Struct, frozen=True, kw_only=True):
    """The contents of a bundle, as far as they could be read, and whether they are true.

    They are true if `broken` is None. `unconfirmed` are the seqs of missing bodies that a later event, outside of this
    part of the log, may name. `kept` are the seqs of bodies that are here although a later event says that they were
    erased. `checkpoint` is None unless it was checked and is valid. `authors` says how many events each author has
    signed, by did. `erased` is the number of missing bodies, whose authors' signatures are gone with them. `cosigned`
    are the witnesses of a policy that cosigned the checkpoint; None without a policy.

    Only receipts have `withheld`, the seqs of events of which they show the header only, and `sentences`, which tell a
    person what a sound receipt proves.
    """

    log: str = ""
    node: str = ""
    count: int = 0
    first_seq: int = 0
    last_seq: int = -1
    checkpoint: Checkpoint | None = None
    broken: Broken | None = None
    breaks: list[Break] = []
    lost: list[LostCheckpoint] = []
    tips: list[AuditTip] = []
    unconfirmed: list[int] = []
    kept: list[int] = []
    authors: dict[str, int] = {}
    erased: int = 0
    withheld: list[int] = []
    sentences: list[str] = []
    cosigned: list[Cosignature] | None = None


class Fault(Exception):
    """What is wrong; `seq` has the meaning that it has in Broken."""

    def __init__(self, message: str, seq: int | None = None) -> None:
        """`message` is one of the sentences above."""
        super().__init__(message)
        self.seq = seq


def check(right: object, message: str) -> None:
    """Raise Fault if `right` is false."""
    if not right:
        raise Fault(message)
