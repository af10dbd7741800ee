"""Whether a bundle (docs/evlog1.md, Exports) is what its install signed: each member, hash, link, key and signature.

Pure, and made for text from strangers: whatever it is, the answer is a verdict. It is read as every JSON reader reads
it: numbers are doubles, and no name stands twice in an object (I-JSON), so that no two disagree about a value.
"""

import binascii
import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from mmap import mmap
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from app.ledger import signer
from app.ledger.audit import AuditTip
from app.ledger.canonical import canonical
from app.ledger.chain import (
    AUDIT_TIP_TYPE,
    ERASED_TYPE,
    GENESIS,
    ROLLED_BACK_TYPE,
    ROTATED_TYPE,
    export_text,
    header_bytes,
    leaf_hash,
    rotation_text,
    signed_text,
)
from app.ledger.checkpoint import Checkpoint, MalformedNoteError, Note, is_signed_by, parse, vkey
from app.ledger.merkle import EMPTY_ROOT, Frontier, verify_inclusion
from schemas.errors import InvalidInput
from schemas.event import RESERVED_PREFIX
from schemas.jsontext import MAX_SAFE_INTEGER, UNREADABLE

T = TypeVar("T")

Judge = Callable[[str, bytes, bytes], bool]
"""Whether the key of this kid made this signature (the last of the three) over the text: `signer.verify`."""

MAX_PROOF_BYTES = 4 * 2**20
"""What is larger has more than one event."""

PROGRESS_EVENTS = 1000
"""Events from one report of progress to the next."""

# What may be wrong with a bundle, and with an event: all that a verdict says.
SHAPE = "it is not a bundle: {}"
PROOF_SHAPE = "it is not a proof: {}"
PROOF_CHECKPOINT = "its checkpoint says otherwise than its note"
NO_EVENTS = "it names no events, but not as 0, -1 and 0"
COUNT = "its count is not that of the seqs from first_seq to last_seq"
NODE_KEY = "the first of its keys is not the node's"
KEY_POINT = "number {} of its keys is not an Ed25519 key"
KEY_CHAIN = "number {} of its keys does not follow from the one before: {}"
SEALING_KEY = "its kid is not one of its keys"
SEAL = "its bundle signature is not by its kid over what it says of itself"
LAST_KEY = "its kid is not the key in force behind the last event"
ENDS = "its {} is not the hash of its {} event"
CHECKPOINT = "its checkpoint is not one: {}"
CHECKPOINT_LOG = "its checkpoint is of another log"
CHECKPOINT_SIZE = "its checkpoint is of fewer events than it has"
CHECKPOINT_KEY = "its checkpoint is not signed by the last of its keys"
CHECKPOINT_ROOT = "its events are not those of its checkpoint: the root is another"
INCLUSION = "its last event is not in the tree of its checkpoint"
TWICE = "it has a member name twice"
KEPT_PART = "it is a part: only a whole log shows whether it extends the checkpoint that was kept"
KEPT_LOG = "the checkpoint that was kept is of another log"
KEPT_KEY = "the checkpoint that was kept is signed by none of its keys"
KEPT_SIZE = "it ends before the checkpoint that was kept, which is of {} events"
KEPT_ROOT = "its first {} events are not those of the checkpoint that was kept"
MEMBERS = "it is not an event: {}"
PLACE = "seq {} stands in its place"
MISSING = "it is not there, but the bundle names it"
BEHIND = "it stands behind the last seq that the bundle names"
ANOTHER_LOG = "it is of another node or log"
LINK = "it does not link to the event before it"
TIME = "its timestamp is not UTC with six digits"
LATER = "it is not later than the event before it"
ERASED_FALSE = "it has `erased`, which is not true"
ERASED_BODY = "it is erased, but has a body"
NEVER_ERASED = "it has no body, but an event of its type is never erased"
TIPS = "it does not say where audits end: {}"
ROLLED_BACK = "it does not say which checkpoint was lost: {}"
UNNAMED = "its body is missing, and no later event says that it was erased"
CONTEXT = "its context is not one: {}"
PAYLOAD = "its payload is not an object"
BODY = "its body is not the one that was hashed"
BODY_LIMITS = "its body is one that no server stores: {}"
SERVER = "it is a server's event that the server did not write"
ERASURES = "it does not say what was erased: {}"
HEADER = "its header has characters that no header has"
HASH = "its hash is not that of its header"
ID = "its id is not its hash"
ROTATIONS = "it does not say which keys changed: {}"
NOT_IN_FORCE = "it replaces a key that is not in force"
UNSIGNED = "its rotation is not signed by both keys"
UNKNOWN_ROTATION = "its rotation is not the one that the bundle's keys tell of"
KEY = "it is signed by a key that is not in force"
SIGNATURE = "its signature is not by its kid over its hash"


class Broken(Struct, frozen=True):
    """What is wrong first: of the event at `seq`, or of the bundle itself (None)."""

    seq: int | None
    message: str

    def __str__(self) -> str:
        """A sentence for a person."""
        return f"{'bundle' if self.seq is None else f'seq {self.seq}'}: {self.message}"


class Break(Struct, frozen=True):
    """A key that was lost: nobody can tell whether the next one is the install's. `seq` is of the event that shows it.

    None: only the bundle's keys show it.
    """

    kid_old: str
    kid_new: str
    rotated_at: str
    seq: int | None


class LostCheckpoint(Struct, frozen=True):
    """A checkpoint that the log does not extend; the event at `seq` says that an administrator accepted that."""

    seq: int
    size: int
    root: str


class Verdict(Struct, frozen=True, kw_only=True):
    """What a bundle says of itself, as far as it could be read, and whether that is true.

    It is, where `broken` is None. `unconfirmed` are the seqs of missing bodies that a later event, outside this part
    of the log, may name; `kept` those of bodies that are here though a later event says that they were erased.
    `checkpoint` is None unless its turn came and it was good.
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


def verify_bundle(
    source: bytes | memoryview | mmap,
    progress: Callable[[int, int], None] | None = None,
    *,
    extends: Note | None = None,
    judge: Judge = signer.verify,
) -> Verdict:
    """The verdict on a bundle's JSON text. Never raises for what the text is.

    With `extends` it also has to be a whole log that begins with all that this checkpoint, kept elsewhere, is of.
    `progress` is told how many events were verified, and of how many, each thousand and at the end. `judge` may
    remember what it judged. Events are decoded one at a time; of those without a body the names are kept.
    """
    try:
        bundle = _read(source)
    except _Fault as fault:
        return Verdict(broken=Broken(None, str(fault)))
    walk = _Walk(bundle, judge, extends)
    checkpoint, broken, unconfirmed = None, None, list[int]()
    try:
        _check_keys(bundle, judge)
        _check_seal(bundle, judge)
        walk.all(progress)
        walk.check_end()
        if extends is not None:
            _check_extends(bundle, extends, walk)
        checkpoint = _checked_checkpoint(bundle, walk)
        unconfirmed = walk.unconfirmed(checkpoint)
        _check_names(source, bundle, walk.members, len(_Bundle.__struct_fields__))
    except _Fault as fault:
        broken = Broken(fault.seq, str(fault))
    return Verdict(
        log=bundle.log,
        node=bundle.node_did,
        count=int(bundle.count),
        first_seq=int(bundle.first_seq),
        last_seq=int(bundle.last_seq),
        checkpoint=checkpoint,
        broken=broken,
        breaks=walk.breaks(),
        lost=walk.lost,
        tips=walk.tips,
        unconfirmed=unconfirmed,
        kept=sorted(walk.kept),
    )


def is_proof(source: bytes | memoryview | mmap) -> bool:
    """Whether it is the proof of one event (`ledger.proof`) rather than a bundle."""
    if len(source) > MAX_PROOF_BYTES:
        return False
    try:
        return "proof" in _members.decode(source)
    except UNREADABLE:
        return False


def verify_proof(source: bytes | memoryview | mmap, *, judge: Judge = signer.verify) -> Verdict:
    """The verdict on the proof of one event, as on a part of the log that has no other. Never raises either."""
    try:
        proof = _decoded(source, _proofs, PROOF_SHAPE)
        event = _decoded(proof.event, _events, MEMBERS)
        bundle = _as_part(proof, event)
    except _Fault as fault:
        return Verdict(broken=Broken(None, str(fault)))
    walk = _Walk(bundle, judge)
    checkpoint, broken, unconfirmed = None, None, list[int]()
    try:
        _check_keys(bundle, judge)
        walk.all(None)
        checkpoint = _checked_checkpoint(bundle, walk)
        said = proof.checkpoint
        written = binascii.b2a_base64(checkpoint.root, newline=False).decode()
        _check((said.origin, said.size, said.root) == (checkpoint.origin, checkpoint.size, written), PROOF_CHECKPOINT)
        _check(said.vkey == vkey(checkpoint.origin, bundle.keys[-1].kid), PROOF_CHECKPOINT)
        own = len(_Proof.__struct_fields__) + len(_ProofCheckpoint.__struct_fields__)
        _check_names(source, bundle, walk.members, own)
        unconfirmed = walk.unconfirmed(checkpoint)
    except _Fault as fault:
        broken = Broken(fault.seq, str(fault))
    return Verdict(
        log=bundle.log,
        node=bundle.node_did,
        count=1,
        first_seq=int(bundle.first_seq),
        last_seq=int(bundle.last_seq),
        checkpoint=checkpoint,
        broken=broken,
        breaks=walk.breaks(),
        lost=walk.lost,
        unconfirmed=unconfirmed,
    )


def _as_part(proof: "_Proof", event: "_Event") -> "_Bundle":
    """A part of the log that has this event alone; nothing seals it but the proof."""
    seq = event.seq
    _check(0 <= seq <= MAX_SAFE_INTEGER and not seq % 1, PROOF_SHAPE.format("its event has no seq"))
    return _Bundle(
        export_id="",
        node_did=proof.node_did,
        log=event.log,
        events=[proof.event],
        first_seq=seq,
        last_seq=seq,
        count=1,
        chain_root_hash=event.hash,
        chain_tip_hash=event.hash,
        generated_at="",
        keys=proof.keys,
        kid=proof.keys[-1].kid,
        checkpoint=proof.checkpoint.note,
        inclusion_proof=proof.proof,
        bundle_signature="",
    )


class _Fault(Exception):
    """What is wrong; `seq` as in Broken."""

    def __init__(self, message: str, seq: int | None = None) -> None:
        super().__init__(message)
        self.seq = seq


_TIMESTAMP = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\Z"
_HASH = r"\Asha256:[0-9a-f]{64}\Z"
_PLAIN = r"\A[ !#-\[\]-~]*\Z"
"""ASCII that JSON does not escape: `header_bytes` is exact for it, and servers write nothing else into headers."""

_Hash = Annotated[str, Meta(pattern=_HASH)]
_Instant = Annotated[str, Meta(pattern=_TIMESTAMP)]
_Range = Meta(ge=-1, le=MAX_SAFE_INTEGER)
_Place = Annotated[int, _Range] | Annotated[float, _Range]
"""A whole number, which JSON may also write as 1.0; compared as such."""

_is_timestamp = re.compile(_TIMESTAMP).search
_is_hash = re.compile(_HASH).search
_is_plain = re.compile(_PLAIN).search
_whole_number = re.compile(rb'"(?:[^"\\]|\\.)*+"|-?[0-9]{22,}+(?![.eE])', re.DOTALL)
_string = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


class _Rotation(Struct, frozen=True, forbid_unknown_fields=True):
    kid_old: str
    kid_new: str
    rotated_at: str
    signature_old: str | None
    signature_new: str


class _Key(Struct, frozen=True, forbid_unknown_fields=True):
    kid: str
    rotation: _Rotation | UnsetType = UNSET


class _Bundle(Struct, frozen=True, forbid_unknown_fields=True):
    export_id: Annotated[str, Meta(pattern=r"\Aexp_[0-9a-f]{32}\Z")]
    node_did: Annotated[str, Meta(pattern=_PLAIN)]
    log: Annotated[str, Meta(pattern=_PLAIN)]
    events: list[Raw]
    first_seq: _Place
    last_seq: _Place
    count: _Place
    chain_root_hash: _Hash
    chain_tip_hash: _Hash
    generated_at: _Instant
    keys: Annotated[list[_Key], Meta(min_length=1)]
    kid: str
    checkpoint: str
    inclusion_proof: list[str]
    bundle_signature: str


class _ProofCheckpoint(Struct, frozen=True, forbid_unknown_fields=True):
    note: str
    origin: str
    size: int | float
    root: str
    vkey: str


class _Proof(Struct, frozen=True, forbid_unknown_fields=True):
    event: Raw
    proof: list[str]
    checkpoint: _ProofCheckpoint
    keys: Annotated[list[_Key], Meta(min_length=1)]
    node_did: Annotated[str, Meta(pattern=_PLAIN)]


class _Event(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    event_id: str
    type: str
    timestamp: str
    log: str
    node: str
    kid: str
    seq: int | float
    prev_hash: str
    body_hash: str
    hash: str
    signature: str
    payload: Raw
    context: Raw
    erased: bool | UnsetType = UNSET


class _Context(Struct, frozen=True, rename="camel"):
    """What every body has; the rest is of the body's hash alone."""

    salt: str
    user_id: str
    source: str
    data: Raw | UnsetType = UNSET


class _Rotations(Struct, frozen=True, forbid_unknown_fields=True):
    rotations: Annotated[list[_Rotation], Meta(min_length=1)]


class _Tip(Struct, frozen=True, forbid_unknown_fields=True):
    log: str
    seq: _Place
    hash: _Hash


class _Tips(Struct, frozen=True, forbid_unknown_fields=True):
    tips: list[_Tip]


class _RolledBack(Struct, frozen=True, forbid_unknown_fields=True):
    size: _Place
    root: _Hash


class _Erasure(Struct, frozen=True, forbid_unknown_fields=True):
    seq: int | float
    id: str
    hash: str


class _Erasures(Struct, frozen=True, forbid_unknown_fields=True):
    erased: list[_Erasure]


_bundles = msgspec.json.Decoder(_Bundle)
_proofs = msgspec.json.Decoder(_Proof)
_events = msgspec.json.Decoder(_Event)
_contexts = msgspec.json.Decoder(_Context)
_members = msgspec.json.Decoder(dict[str, Raw])
_rotations = msgspec.json.Decoder(_Rotations)
_tips = msgspec.json.Decoder(_Tips)
_rolled_back = msgspec.json.Decoder(_RolledBack)
_erasures = msgspec.json.Decoder(_Erasures)


def _decoded(text: Any, decoder: msgspec.json.Decoder[T], message: str) -> T:
    try:
        return decoder.decode(text)
    except UNREADABLE as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise _Fault(message.format(reason)) from None


def _read(source: bytes | memoryview | mmap) -> _Bundle:
    """The bundle, of the right members and types, whose seqs and count agree with each other."""
    bundle = _decoded(source, _bundles, SHAPE)
    first, last, count = bundle.first_seq, bundle.last_seq, bundle.count
    if first < 0 or last < first:
        _check((first, last, count) == (0, -1, 0), NO_EVENTS)
    _check(count == last - first + 1 and not (first % 1 or last % 1), COUNT)
    return bundle


def _check(right: object, message: str) -> None:
    if not right:
        raise _Fault(message)


def _check_keys(bundle: _Bundle, judge: Judge) -> None:
    """The node's key, and from each key to the next a rotation that both signed; the new one alone at a break."""
    first, *others = bundle.keys
    for number, key in enumerate(bundle.keys, 1):
        _check(signer.public_key(key.kid), KEY_POINT.format(number))
    _check(bundle.node_did == f"did:key:{first.kid}" and first.rotation is UNSET, NODE_KEY)
    before = first.kid
    for number, key in enumerate(others, 2):
        rotation = key.rotation
        if rotation is UNSET or (rotation.kid_old, rotation.kid_new) != (before, key.kid):
            raise _Fault(KEY_CHAIN.format(number, "its rotation is of other keys"))
        if not _is_rotation_signed(rotation, bundle.node_did, judge):
            raise _Fault(KEY_CHAIN.format(number, "its rotation is not signed by both"))
        before = key.kid
    _check(any(key.kid == bundle.kid for key in bundle.keys), SEALING_KEY)


def _is_rotation_signed(rotation: _Rotation, node: str, judge: Judge) -> bool:
    if not _is_timestamp(rotation.rotated_at):
        return False
    old, new = rotation.kid_old, rotation.kid_new
    text = rotation_text(node, old, new, rotation.rotated_at)
    by_old = rotation.signature_old is None or is_signed(old, text, rotation.signature_old, judge)
    return by_old and is_signed(new, text, rotation.signature_new, judge)


def _check_seal(bundle: _Bundle, judge: Judge) -> None:
    """The bundle signature, over all that the events do not prove by themselves."""
    text = export_text(
        node=bundle.node_did,
        log=bundle.log,
        export_id=bundle.export_id,
        first_seq=int(bundle.first_seq),
        last_seq=int(bundle.last_seq),
        count=int(bundle.count),
        root=bundle.chain_root_hash,
        tip=bundle.chain_tip_hash,
        generated_at=bundle.generated_at,
    )
    _check(is_signed(bundle.kid, text, bundle.bundle_signature, judge), SEAL)


def is_signed(kid: str, text: bytes, signature: str, judge: Judge = signer.verify) -> bool:
    """Whether the signature, in base64, over the text is by the key of this kid."""
    raw = _unbase64(signature)
    return raw is not None and judge(kid, text, raw)


def _unbase64(text: str) -> bytes | None:
    """The bytes, if this is the one spelling that base64 has for them."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return raw if binascii.b2a_base64(raw, newline=False).decode() == text else None


def _checked_checkpoint(bundle: _Bundle, walk: "_Walk") -> Checkpoint:
    try:
        note = parse(bundle.checkpoint)
    except MalformedNoteError as error:
        raise _Fault(CHECKPOINT.format(error)) from None
    checkpoint = note.checkpoint
    _check(checkpoint.origin.endswith(f"/{bundle.log}"), CHECKPOINT_LOG)
    _check(checkpoint.size > bundle.last_seq, CHECKPOINT_SIZE)
    _check(is_signed_by(note, bundle.keys[-1].kid), CHECKPOINT_KEY)
    if bundle.first_seq == 0 and checkpoint.size == bundle.last_seq + 1:
        _check(checkpoint.root == walk.frontier.root(), CHECKPOINT_ROOT)
    proof = [_unbase64(hash_) for hash_ in bundle.inclusion_proof]
    if bundle.events:
        included = None not in proof and verify_inclusion(
            walk.last_hash, int(bundle.last_seq), checkpoint.size, [hash_ or b"" for hash_ in proof], checkpoint.root
        )
        _check(included, INCLUSION)
    else:
        _check((checkpoint.size, checkpoint.root, proof) == (0, EMPTY_ROOT, []), INCLUSION)
    return checkpoint


def _check_extends(bundle: _Bundle, note: Note, walk: "_Walk") -> None:
    kept = note.checkpoint
    _check(bundle.first_seq == 0, KEPT_PART)
    _check(kept.origin.endswith(f"/{bundle.log}"), KEPT_LOG)
    _check(any(is_signed_by(note, key.kid) for key in bundle.keys), KEPT_KEY)
    _check(kept.size <= walk.frontier.size, KEPT_SIZE.format(kept.size))
    _check(kept.root == walk.kept_root, KEPT_ROOT.format(kept.size))


def _check_names(source: bytes | memoryview | mmap, bundle: _Bundle, members: int, own: int) -> None:
    """No name stands twice: the text has as many members as were read of it.

    `members` are of its events, `own` those around them, but for the keys'.
    """
    keys = sum(1 if key.rotation is UNSET else 2 + len(_Rotation.__struct_fields__) for key in bundle.keys)
    if _members_of(source) == members + keys + own:
        return
    for seq, text in enumerate(bundle.events, int(bundle.first_seq)):
        event = _events.decode(text)
        if _members_of(bytes(text)) != _members_read(event, b"" if event.erased is True else _body(event)):
            raise _Fault(TWICE, seq)
    raise _Fault(TWICE)


def _members_of(source: bytes | memoryview | mmap) -> int:
    """How many members the objects of some JSON text have in all. Line by line: no string goes over a line's end."""
    text = bytes(source) if isinstance(source, memoryview) else source
    count, start = 0, 0
    while start < len(text):
        end = text.find(b"\n", start) + 1 or len(text)
        count += _string.sub(b"", text[start:end]).count(b":")
        start = end
    return count


def _members_read(event: _Event, body: bytes) -> int:
    """How many an event has that was read, with its canonical body; `data` is its payload."""
    own = len(_Event.__struct_fields__) - (event.erased is UNSET)
    return own + (_members_of(body) - 1 if body else 0)


class _Walk:
    """Goes along the events of one bundle: what it knows is true of all events before `seq`."""

    def __init__(self, bundle: _Bundle, judge: Judge, extends: Note | None = None) -> None:
        self.kept_size = -1 if extends is None else extends.checkpoint.size
        self.kept_root = EMPTY_ROOT
        """Of the tree of as many events as a checkpoint that was kept elsewhere is of."""
        self.bundle = bundle
        self.judge = judge
        self.seq = int(bundle.first_seq)
        self.first_hash = self.last_hash = GENESIS
        self.timestamp = ""
        self.key = 0
        """The place in the bundle's keys of the one in force."""
        self.rotated: dict[int, int] = {}
        """The seqs at which keys came into force, by their place in the bundle's keys."""
        self.missing: dict[float, tuple[str, str]] = {}
        """The ids and hashes of events without a body that no later one has named so far, by seq."""
        self.kept: set[int] = set()
        self.lost: list[LostCheckpoint] = []
        self.tips: list[AuditTip] = []
        self.hashes = bytearray()
        """Of every event, to know them by when one is said to be erased."""
        self.bodiless: set[int] = set()
        self.members = 0
        """How many members its events have in all, inner objects' included."""
        self.frontier = Frontier()

    def all(self, progress: Callable[[int, int], None] | None) -> None:
        """Check each event in turn, up to the first that is broken."""
        bundle = self.bundle
        first, last = self.seq, bundle.last_seq
        for text in bundle.events:
            try:
                _check(self.seq <= last, BEHIND)
                self._event(_decoded(text, _events, MEMBERS))
            except _Fault as fault:
                raise _Fault(str(fault), self.seq) from None
            self.seq += 1
            done = self.seq - first
            if progress is not None and (done % PROGRESS_EVENTS == 0 or self.seq > last):
                progress(done, len(bundle.events))
        if self.seq <= last:
            raise _Fault(MISSING, self.seq)

    def check_end(self) -> None:
        """What the bundle says of the first and the last event."""
        bundle = self.bundle
        _check(not bundle.events or self._kid() == bundle.kid, LAST_KEY)
        _check(bundle.chain_root_hash == _written(self.first_hash), ENDS.format("chain_root_hash", "first"))
        _check(bundle.chain_tip_hash == _written(self.last_hash), ENDS.format("chain_tip_hash", "last"))

    def unconfirmed(self, checkpoint: Checkpoint) -> list[int]:
        """The seqs of bodies that are missing for no reason known here. The log's end leaves no reason."""
        if self.missing and checkpoint.size == self.seq:
            raise _Fault(UNNAMED, int(min(self.missing)))
        return sorted(map(int, self.missing))

    def breaks(self) -> list[Break]:
        """Of the keys and the events."""
        rotations = ((place, key.rotation) for place, key in enumerate(self.bundle.keys))
        return [
            Break(rotation.kid_old, rotation.kid_new, rotation.rotated_at, self.rotated.get(place))
            for place, rotation in rotations
            if rotation is not UNSET and rotation.signature_old is None
        ]

    def _event(self, event: _Event) -> None:
        bundle = self.bundle
        _check(event.seq == self.seq, PLACE.format(event.seq))
        _check(event.node == bundle.node_did and event.log == bundle.log, ANOTHER_LOG)
        begins = self.seq == bundle.first_seq
        if begins and self.seq:
            _check(_is_hash(event.prev_hash), LINK)
            self.last_hash = bytes.fromhex(event.prev_hash[7:])
            self.key = self._first_key(event)
        else:
            _check(event.prev_hash == _written(self.last_hash), LINK)
        _check(_is_timestamp(event.timestamp), TIME)
        _check(event.timestamp > self.timestamp, LATER)
        before = self._kid()
        if event.erased is UNSET:
            body_hash = self._body_hash(event)
            hash_ = self._hash(event, body_hash)
        else:
            _check_erased(event)
            hash_ = self._hash(event, bytes.fromhex(event.body_hash[7:]))
            self.missing[self.seq] = (event.event_id, event.hash)
            self.bodiless.add(self.seq)
            self.members += _members_read(event, b"")
        if event.type == ROTATED_TYPE:
            self._rotate(_decoded(event.payload, _rotations, ROTATIONS).rotations)
        elif event.type == ERASED_TYPE and event.erased is UNSET:
            self._erase(_decoded(event.payload, _erasures, ERASURES).erased)
        elif event.type == AUDIT_TIP_TYPE and event.erased is UNSET:
            tips = _decoded(event.payload, _tips, TIPS).tips
            self.tips += [AuditTip(int(self.seq), tip.log, int(tip.seq), tip.hash) for tip in tips]
        elif event.type == ROLLED_BACK_TYPE:
            said = _decoded(event.payload, _rolled_back, ROLLED_BACK)
            _check(said.size >= 0 and not said.size % 1, ROLLED_BACK.format("its size is no size"))
            self.lost.append(LostCheckpoint(int(self.seq), int(said.size), said.root))
        _check(event.kid in (before, self._kid()), KEY)
        _check(is_signed(event.kid, signed_text(hash_), event.signature, self.judge), SIGNATURE)
        self.frontier.push(hash_)
        if self.frontier.size == self.kept_size:
            self.kept_root = self.frontier.root()
        self.hashes += hash_
        self.first_hash = hash_ if begins else self.first_hash
        self.last_hash, self.timestamp = hash_, event.timestamp

    def _kid(self) -> str:
        return self.bundle.keys[self.key].kid

    def _first_key(self, event: _Event) -> int:
        """The place of the key in force before the first event of a part."""
        kid = event.kid
        if event.type == ROTATED_TYPE and event.erased is UNSET:
            kid = _decoded(event.payload, _rotations, ROTATIONS).rotations[0].kid_old
        places = [place for place, key in enumerate(self.bundle.keys) if key.kid == kid]
        _check(places, KEY)
        return places[0]

    def _body_hash(self, event: _Event) -> bytes:
        context = _decoded(event.context, _contexts, CONTEXT)
        _check(context.data is UNSET, CONTEXT.format("it has data"))
        _check(bytes(event.payload).startswith(b"{"), PAYLOAD)
        body = _body(event)
        self.members += _members_read(event, body)
        body_hash = sha256(body).digest()
        _check(event.body_hash == _written(body_hash), BODY)
        if event.type.startswith(RESERVED_PREFIX):
            _check((context.source, context.user_id) == ("system", event.node), SERVER)
        return body_hash

    def _hash(self, event: _Event, body_hash: bytes) -> bytes:
        _check(_is_plain(event.event_id) and _is_plain(event.type) and _is_plain(event.kid), HEADER)
        hash_ = leaf_hash(
            header_bytes(
                node=event.node,
                kid=event.kid,
                log=event.log,
                seq=self.seq,
                id=event.event_id,
                type=event.type,
                timestamp=event.timestamp,
                prev_hash=self.last_hash,
                body_hash=body_hash,
            )
        )
        _check(event.hash == _written(hash_), HASH)
        _check(event.id == f"evt_{hash_.hex()}", ID)
        return hash_

    def _rotate(self, rotations: Iterable[_Rotation]) -> None:
        """Put keys into force, as the bundle's keys tell of it; what was done before may be said again."""
        keys = self.bundle.keys
        for rotation in rotations:
            if any(key.rotation == rotation for key in keys[1 : self.key + 1]):
                continue
            _check(rotation.kid_old == self._kid(), NOT_IN_FORCE)
            _check(_is_rotation_signed(rotation, self.bundle.node_did, self.judge), UNSIGNED)
            _check(any(key.rotation == rotation for key in keys[self.key + 1 : self.key + 2]), UNKNOWN_ROTATION)
            self.key += 1
            self.rotated[self.key] = self.seq

    def _erase(self, erasures: Iterable[_Erasure]) -> None:
        """Settle the missing bodies that are named; only events before this one are among them."""
        first = int(self.bundle.first_seq)
        for erasure in erasures:
            if self.missing.get(erasure.seq) == (erasure.id, erasure.hash):
                del self.missing[erasure.seq]
            elif first <= erasure.seq < self.seq and erasure.seq not in self.bodiless:
                seq = int(erasure.seq)
                if erasure.hash == _written(bytes(self.hashes[(seq - first) * 32 : (seq - first + 1) * 32])):
                    self.kept.add(seq)


def _check_erased(event: _Event) -> None:
    _check(event.erased is True, ERASED_FALSE)
    for part in (event.payload, event.context):
        _check(not _decoded(part, _members, ERASED_BODY), ERASED_BODY)
    _check(event.type not in {ROTATED_TYPE, ROLLED_BACK_TYPE}, NEVER_ERASED)
    _check(_is_hash(event.body_hash), HASH)


def _body(event: _Event) -> bytes:
    """The canonical body: the context and, as `data`, the payload."""
    payload, context = bytes(event.payload), bytes(event.context)
    try:
        return canonical(b'{"data":%b,%b' % (payload, context[1:]), "body")
    except InvalidInput:
        # Its parts may be nested as deep as its whole here: what was stored was measured part by part. And `1e21` may
        # have become a digit string by a tool that reads and writes JSON.
        parts = _decoded(context, _members, CONTEXT) | {"data": event.payload}
    try:
        written = {name: canonical(_as_double(bytes(part)), name) for name, part in parts.items()}
    except InvalidInput as error:
        raise _Fault(BODY_LIMITS.format(error)) from None
    names = sorted(written, key=lambda name: name.encode("utf-16-be"))
    return b"{%b}" % b",".join(msgspec.json.encode(name) + b":" + written[name] for name in names)


def _as_double(text: bytes) -> bytes:
    """JSON whose whole numbers of 22 digits and more are the doubles that every JSON reader makes of them."""
    return _whole_number.sub(lambda found: found[0] + (b"" if found[0].startswith(b'"') else b"e0"), text)


def _written(hash: bytes) -> str:
    return f"sha256:{hash.hex()}"
