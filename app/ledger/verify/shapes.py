"""The types of bundles, proofs and events as decoded, and checks of their text."""

import re
from collections.abc import Iterable
from mmap import mmap
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from app.ledger.canonical import canonical, canonical_object
from app.ledger.notes import from_base64
from app.ledger.verify.verdict import BODY_LIMITS, CONTEXT, Fault
from schemas.errors import InvalidInput
from schemas.jsontext import MAX_SAFE_INTEGER, UNREADABLE

T = TypeVar("T")

Source = bytes | memoryview | mmap
"""JSON text, in memory or in a file."""

_TIMESTAMP = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\Z"
_HASH = r"\Asha256:[0-9a-f]{64}\Z"
_LOG = r"\A[a-z0-9_-]{1,64}\Z"
_PLAIN = r"\A[ !#-\[\]-~]*\Z"
"""ASCII that JSON does not escape. `header_bytes` is exact for it, and servers write only such headers."""

_Hash = Annotated[str, Meta(pattern=_HASH)]
_Instant = Annotated[str, Meta(pattern=_TIMESTAMP)]
_Range = Meta(ge=-1, le=MAX_SAFE_INTEGER)
_Place = Annotated[int, _Range] | Annotated[float, _Range]
"""A whole number, which JSON may also write as 1.0. Both are compared as numbers."""

is_timestamp = re.compile(_TIMESTAMP).search
is_hash = re.compile(_HASH).search
is_plain = re.compile(_PLAIN).search
_whole_number = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9]{22,}(?![0-9.eE])', re.DOTALL)
_string = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


class Rotation(Struct, frozen=True, forbid_unknown_fields=True):
    """The change from one key to the next. Without the old key's signature that key was lost."""

    kid_old: str
    kid_new: str
    rotated_at: str
    signature_old: str | None
    signature_new: str


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """A key of the install, and the rotation that introduced it."""

    kid: str
    rotation: Rotation | UnsetType = UNSET


class Bundle(Struct, frozen=True, forbid_unknown_fields=True):
    """An export. Its events are read run by run, so here the list is empty."""

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
    keys: Annotated[list[Key], Meta(min_length=1)]
    kid: str
    checkpoint: str
    inclusion_proof: list[str]
    bundle_signature: str


class ProofCheckpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """The checkpoint of a proof: the note, and its contents."""

    note: str
    origin: str
    size: int | float
    root: str
    vkey: str


class Proof(Struct, frozen=True, forbid_unknown_fields=True):
    """The proof of one event (`ledger.proof`)."""

    event: Raw
    proof: list[str]
    checkpoint: ProofCheckpoint
    keys: Annotated[list[Key], Meta(min_length=1)]
    node_did: Annotated[str, Meta(pattern=_PLAIN)]


class Consistency(Struct, frozen=True, forbid_unknown_fields=True):
    """The proof that a tree extends an earlier one (`ledger.consistency`). It has a checkpoint only of the log now."""

    from_size: int | float
    to_size: int | float
    proof: list[str]
    keys: Annotated[list[Key], Meta(min_length=1)]
    node_did: Annotated[str, Meta(pattern=_PLAIN)]
    checkpoint: ProofCheckpoint | UnsetType = UNSET


class SaidHead(Struct, frozen=True, forbid_unknown_fields=True):
    """The leaf of a log in the tree of an event `synap.tree.heads`."""

    log: Annotated[str, Meta(pattern=_LOG)]
    size: _Place
    root: _Hash
    salt: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]


class AnchorProof(Struct, frozen=True, forbid_unknown_fields=True):
    """The `extra` of a proof that travels. The members after `event` are absent for an event of `_node`."""

    v: float
    node_did: Annotated[str, Meta(pattern=_PLAIN)]
    keys: Annotated[list[Key], Meta(min_length=1)]
    event: Raw
    proof: list[str] | UnsetType = UNSET
    head: SaidHead | UnsetType = UNSET
    place: _Place | UnsetType = UNSET
    path: list[str] | UnsetType = UNSET
    heads: Raw | UnsetType = UNSET


class HeadsPayload(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of an event `synap.tree.heads`."""

    count: _Place
    root: _Hash


class Event(Struct, frozen=True, forbid_unknown_fields=True):
    """An event in the ledger's form."""

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


class Context(Struct, frozen=True, rename="camel"):
    """The members of every body. The body's hash covers the others."""

    salt: str
    user_id: str
    source: str
    data: Raw | UnsetType = UNSET


class Rotations(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of a change of keys."""

    rotations: Annotated[list[Rotation], Meta(min_length=1)]


class ToldTip(Struct, frozen=True, forbid_unknown_fields=True):
    """The end of an audit."""

    log: str
    seq: _Place
    hash: _Hash


class ToldTips(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of an event that records the ends of audits."""

    tips: list[ToldTip]


class RolledBack(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of an event that records the loss of events."""

    size: _Place
    root: _Hash


class Erasure(Struct, frozen=True, forbid_unknown_fields=True):
    """An event whose body was erased."""

    seq: int | float
    id: str
    hash: str


class Erasures(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of an erasure."""

    erased: list[Erasure]


bundle_decoder = msgspec.json.Decoder(Bundle)
proof_decoder = msgspec.json.Decoder(Proof)
consistency_decoder = msgspec.json.Decoder(Consistency)
anchor_decoder = msgspec.json.Decoder(AnchorProof)
heads_decoder = msgspec.json.Decoder(HeadsPayload)
event_decoder = msgspec.json.Decoder(Event)
context_decoder = msgspec.json.Decoder(Context)
member_decoder = msgspec.json.Decoder(dict[str, Raw])
rotation_decoder = msgspec.json.Decoder(Rotations)
tip_decoder = msgspec.json.Decoder(ToldTips)
rolled_back_decoder = msgspec.json.Decoder(RolledBack)
erasure_decoder = msgspec.json.Decoder(Erasures)


def decoded(text: Any, decoder: msgspec.json.Decoder[T], message: str) -> T:
    """JSON as a value. Raises Fault with `message`, which contains the reason."""
    try:
        return decoder.decode(text)
    except UNREADABLE as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Fault(message.format(reason)) from None


def hashes_of(texts: Iterable[str]) -> list[bytes]:
    """The hashes of a proof. Text that is not base64 becomes empty, so that no proof with it verifies."""
    return [from_base64(text) or b"" for text in texts]


def members_of(text: bytes) -> int:
    """How many members the objects of a JSON text have in all. It counts by line: no string continues on the next."""
    count, start = 0, 0
    while start < len(text):
        end = text.find(b"\n", start) + 1 or len(text)
        count += _string.sub(b"", text[start:end]).count(b":")
        start = end
    return count


def members_of_keys(keys: Iterable[Key]) -> int:
    """How many members the decoded keys have."""
    return sum(1 if key.rotation is UNSET else 2 + len(Rotation.__struct_fields__) for key in keys)


def has_name_twice(text: bytes, event: Event, body: bytes) -> bool:
    """Whether an event's text has more members than were decoded from it. `body` is its canonical body.

    If the text has no escape, every colon of a decoded member is in the event's texts or in its body, and each other
    member adds one. Counting colons takes a tenth of the time of counting members.
    """
    own = len(Event.__struct_fields__) - (event.erased is UNSET)
    if b"\\" in text:
        return members_of(text) != own + (members_of(body) - 1 if body else 0)
    texts = (event.id, event.event_id, event.type, event.timestamp, event.log, event.node, event.kid)
    hashes = (event.prev_hash, event.body_hash, event.hash, event.signature)
    colons = own + "".join(texts + hashes).count(":") + (body.count(b":") - 1 if body else 0)
    return text.count(b":") != colons


def body_of(event: Event) -> bytes:
    """The canonical body: the context with the payload as `data`."""
    payload, context = bytes(event.payload), bytes(event.context)
    try:
        return canonical(b'{"data":%b,%b' % (payload, context[1:]), "body")
    except InvalidInput:
        # The parts may be nested as deeply as a whole body, because the server measured each part when it stored them.
        # A tool that reads and writes JSON may have turned `1e21` into digits.
        parts = decoded(context, member_decoder, CONTEXT) | {"data": event.payload}
    try:
        written = {name: canonical(_as_double(bytes(part)), name) for name, part in parts.items()}
    except InvalidInput as error:
        raise Fault(BODY_LIMITS.format(error)) from None
    return canonical_object(written)


def _as_double(text: bytes) -> bytes:
    """JSON in which whole numbers of 22 digits and more are the doubles that every JSON reader makes of them."""
    return _whole_number.sub(lambda found: found[0] + (b"" if found[0].startswith(b'"') else b"e0"), text)


def hash_text(hash: bytes) -> str:
    """A hash in the form of members."""
    return f"sha256:{hash.hex()}"
