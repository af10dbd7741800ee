"""Walks along the events of a log: checks each event by itself, and against the one before it.

A run of events can be walked without the events before it. Its result then contains what it assumed. So runs that
several processes walked can be joined by comparing their ends, which `tally.py` does.
"""

from collections.abc import Iterable
from hashlib import sha256

import msgspec
from msgspec import UNSET, Raw, Struct

from app.ledger.audit import AuditTip
from app.ledger.author import MalformedAuthorError, author_signature
from app.ledger.chain import (
    AUDIT_TIP_TYPE,
    ERASED_TYPE,
    GENESIS,
    ROLLED_BACK_TYPE,
    ROTATED_TYPE,
    header_bytes,
    leaf_hash,
    signed_text,
)
from app.ledger.verify.keys import Judge, is_rotation_signed, is_signed
from app.ledger.verify.shapes import (
    Erasure,
    Event,
    Key,
    Rotation,
    body_of,
    context_decoder,
    decoded,
    erasure_decoder,
    event_decoder,
    has_name_twice,
    hash_text,
    is_hash,
    is_plain,
    is_timestamp,
    member_decoder,
    rolled_back_decoder,
    rotation_decoder,
    tip_decoder,
)
from app.ledger.verify.verdict import (
    ANOTHER_LOG,
    AUTHOR,
    BEHIND,
    BODY,
    CONTEXT,
    ERASED_BODY,
    ERASED_FALSE,
    ERASURES,
    HASH,
    HEADER,
    ID,
    KEY,
    LATER,
    LINK,
    MEMBERS,
    NEVER_ERASED,
    NOT_IN_FORCE,
    PAYLOAD,
    PLACE,
    ROLLED_BACK,
    ROTATIONS,
    SERVER,
    SIGNATURE,
    TIME,
    TIPS,
    UNKNOWN_ROTATION,
    UNSIGNED,
    Fault,
    LostCheckpoint,
    check,
)
from schemas.event import RESERVED_PREFIX

_texts = msgspec.json.Decoder(list[Raw])


class Frame(Struct, frozen=True):
    """The values that hold for all events of a bundle."""

    node: str
    log: str
    keys: list[Key]
    first_seq: int
    last_seq: int


class Before(Struct, frozen=True):
    """What is known before the event at `seq`: the last hash, its time, and the place of the current key.

    The hash and the key are None at the beginning of a run, or of a part of a log.
    """

    seq: int
    hash: bytes | None = None
    timestamp: str = ""
    key: int | None = None

    @classmethod
    def of(cls, seq: int) -> "Before":
        """What is known before the event at `seq` without the events before it. A log begins with its node's key."""
        return cls(seq) if seq else cls(seq, GENESIS, key=0)


class WalkResult(Struct):
    """What a walk found in a run. It assumed `link`, the hash before, and `first_key`, the place of a key."""

    seq: int
    link: bytes = GENESIS
    first_key: int = 0
    first_timestamp: str = ""
    key: int = 0
    timestamp: str = ""
    hashes: bytearray = msgspec.field(default_factory=bytearray)
    """The hashes of all events that are right."""
    rotated: dict[int, int] = {}
    """The seqs at which keys became current, by place in the bundle's keys."""
    bodiless: dict[int, tuple[str, str]] = {}
    """The ids and hashes of events without a body, by seq."""
    erasures: list[tuple[int, list[Erasure]]] = []
    """The erasures that events record, with the seqs of those events."""
    tips: list[AuditTip] = []
    lost: list[LostCheckpoint] = []
    authors: dict[str, int] = {}
    """How many events each author has signed, by did."""
    twice: int | None = None
    """The first event with a member name twice."""

    def follows(self, before: Before) -> bool:
        """Whether the findings also hold after what is known."""
        return (
            before.hash in {None, self.link}
            and before.key in {None, self.first_key}
            and before.timestamp < self.first_timestamp
        )


def found_in(frame: Frame, judge: Judge, run: tuple[int, bytes]) -> WalkResult | None:
    """The findings in a run, walked without what is before it; None if anything is wrong. `run` is a seq and a text."""
    seq, text = run
    walk = EntryWalk(frame, Before.of(seq), judge)
    try:
        walk.along(text)
    except Fault:
        return None
    return walk.found


class EntryWalk:
    """Walks along the events of one run. What it knows holds for all events before `seq`."""

    def __init__(self, frame: Frame, before: Before, judge: Judge) -> None:
        self.frame = frame
        self.judge = judge
        self.seq = before.seq
        self.last_hash = before.hash
        self.timestamp = before.timestamp
        self.key = before.key or 0
        """The place of the current key in the bundle's keys."""
        self.found = WalkResult(before.seq)

    def along(self, text: bytes) -> None:
        """Check each event in turn. Raises Fault for the first broken one; `found` has the findings before it."""
        for event in _texts.decode(b"[%b]" % text):
            try:
                check(self.seq <= self.frame.last_seq, BEHIND)
                self._event(decoded(event, event_decoder, MEMBERS), event)
            except Fault as fault:
                raise Fault(str(fault), self.seq) from None
            self.seq += 1

    def _event(self, event: Event, text: Raw) -> None:
        check(event.seq == self.seq, PLACE.format(event.seq))
        check(event.node == self.frame.node and event.log == self.frame.log, ANOTHER_LOG)
        link = self._link(event)
        check(is_timestamp(event.timestamp), TIME)
        check(event.timestamp > self.timestamp, LATER)
        if self.seq == self.found.seq:
            self._begin(event, link)
        before = self._kid()
        body = b""
        if event.erased is UNSET:
            body, body_hash = _hashed_body(event)
        else:
            body_hash = _erased_body(event)
            self.found.bodiless[self.seq] = (event.event_id, event.hash)
        hash_ = self._hash(event, link, body_hash)
        self._take(event)
        check(event.kid in (before, self._kid()), KEY)
        check(is_signed(event.kid, signed_text(hash_), event.signature, self.judge), SIGNATURE)
        self._check_author(event, body)
        self._end(event, hash_)
        if self.found.twice is None and has_name_twice(bytes(text), event, body):
            self.found.twice = self.seq

    def _link(self, event: Event) -> bytes:
        """The hash to which the event links: the last one or, if that is unknown, the one that the event names."""
        if self.last_hash is not None:
            check(event.prev_hash == hash_text(self.last_hash), LINK)
            return self.last_hash
        check(is_hash(event.prev_hash), LINK)
        self.key = self._first_key(event)
        return bytes.fromhex(event.prev_hash[7:])

    def _begin(self, event: Event, link: bytes) -> None:
        self.found.link, self.found.first_key, self.found.first_timestamp = link, self.key, event.timestamp

    def _end(self, event: Event, hash_: bytes) -> None:
        self.found.hashes += hash_
        self.last_hash = hash_
        self.found.timestamp = self.timestamp = event.timestamp
        self.found.key = self.key

    def _take(self, event: Event) -> None:
        """Note the contents of an event of the server."""
        if event.type == ROTATED_TYPE:
            self._rotate(decoded(event.payload, rotation_decoder, ROTATIONS).rotations)
        elif event.type == ERASED_TYPE and event.erased is UNSET:
            self.found.erasures.append((self.seq, decoded(event.payload, erasure_decoder, ERASURES).erased))
        elif event.type == AUDIT_TIP_TYPE and event.erased is UNSET:
            tips = decoded(event.payload, tip_decoder, TIPS).tips
            self.found.tips += [AuditTip(self.seq, tip.log, int(tip.seq), tip.hash) for tip in tips]
        elif event.type == ROLLED_BACK_TYPE:
            said = decoded(event.payload, rolled_back_decoder, ROLLED_BACK)
            check(said.size >= 0 and not said.size % 1, ROLLED_BACK.format("its size is no size"))
            self.found.lost.append(LostCheckpoint(self.seq, int(said.size), said.root))

    def _check_author(self, event: Event, body: bytes) -> None:
        """Check the signature of the event's author, if it has one. An erased event has lost it with its `body`."""
        try:
            author = author_signature(body, node=event.node, log=event.log, id=event.event_id, type=event.type)
        except MalformedAuthorError as error:
            raise Fault(str(error)) from None
        if author is not None:
            check(self.judge(author.kid, author.text, author.signature), AUTHOR)
            self.found.authors[author.did] = self.found.authors.get(author.did, 0) + 1

    def _kid(self) -> str:
        return self.frame.keys[self.key].kid

    def _first_key(self, event: Event) -> int:
        """The place of the current key before the first event of a part."""
        kid = event.kid
        if event.type == ROTATED_TYPE and event.erased is UNSET:
            kid = decoded(event.payload, rotation_decoder, ROTATIONS).rotations[0].kid_old
        places = [place for place, key in enumerate(self.frame.keys) if key.kid == kid]
        check(places, KEY)
        return places[0]

    def _hash(self, event: Event, link: bytes, body_hash: bytes) -> bytes:
        check(is_plain(event.event_id) and is_plain(event.type) and is_plain(event.kid), HEADER)
        hash_ = leaf_hash(
            header_bytes(
                node=event.node,
                kid=event.kid,
                log=event.log,
                seq=self.seq,
                id=event.event_id,
                type=event.type,
                timestamp=event.timestamp,
                prev_hash=link,
                body_hash=body_hash,
            )
        )
        check(event.hash == hash_text(hash_), HASH)
        check(event.id == f"evt_{hash_.hex()}", ID)
        return hash_

    def _rotate(self, rotations: Iterable[Rotation]) -> None:
        """Make keys current, as the bundle's keys say. A rotation that was done before may be repeated."""
        keys = self.frame.keys
        for rotation in rotations:
            if any(key.rotation == rotation for key in keys[1 : self.key + 1]):
                continue
            check(rotation.kid_old == self._kid(), NOT_IN_FORCE)
            check(is_rotation_signed(rotation, self.frame.node, self.judge), UNSIGNED)
            check(any(key.rotation == rotation for key in keys[self.key + 1 : self.key + 2]), UNKNOWN_ROTATION)
            self.key += 1
            self.found.rotated[self.key] = self.seq


def _hashed_body(event: Event) -> tuple[bytes, bytes]:
    """The canonical body and its hash."""
    context = decoded(event.context, context_decoder, CONTEXT)
    check(context.data is UNSET, CONTEXT.format("it has data"))
    check(bytes(event.payload).startswith(b"{"), PAYLOAD)
    body = body_of(event)
    body_hash = sha256(body).digest()
    check(event.body_hash == hash_text(body_hash), BODY)
    if event.type.startswith(RESERVED_PREFIX):
        check((context.source, context.user_id) == ("system", event.node), SERVER)
    return body, body_hash


def _erased_body(event: Event) -> bytes:
    """The hash of a missing body."""
    check(event.erased is True, ERASED_FALSE)
    for part in (event.payload, event.context):
        check(not decoded(part, member_decoder, ERASED_BODY), ERASED_BODY)
    check(event.type not in {ROTATED_TYPE, ROLLED_BACK_TYPE}, NEVER_ERASED)
    check(is_hash(event.body_hash), HASH)
    return bytes.fromhex(event.body_hash[7:])
