"""Builds bundles, and alters them, to test verifiers.

The format is in `docs/reference/evlog1.md`, Exports.

Everything is derived from seeds. `build` makes a bundle. `tamperings` yields texts that a verifier must reject,
`rewritings` texts that it must accept.
"""

import base64
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from app.ledger import checkpoint
from app.ledger.canonical import canonical
from app.ledger.chain import GENESIS, Body, body_bytes, header_bytes, instant, leaf_hash, signed_text
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import Frontier, NodeHash, inclusion_proof
from app.ledger.signer import Signer
from tests.kit.examples import ALL

Record = dict[str, Any]

ORIGIN = "synap.example"
OPENED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ZEROS = f"sha256:{GENESIS.hex()}"
ROTATED = "synap.key.rotated"
ERASED = "synap.event.erased"

SPECIMEN: Record = {
    "none": None,
    "yes": True,
    "zero": 0,
    "one": 1,
    "big": 2**53 - 1,
    "huge": 1e21,
    "tiny": 1e-7,
    "tenth": 0.1,
    "text": "A\x00b \U0001f600",
    "digits": "1.0",
    "list": [1, 2.5, [], {}, "3", None],
    "__proto__": {"x": 1},
    "10": "ten",
    "9": "nine",
}
"""The data of seq 11 and of every twentieth event after it. Changes that need certain values are made there."""

COMMON_NAMES = ["title", "n", "10", "9", "__proto__", "constructor", "", "a.b", "data", "hash", "é"]
NAMES = [*COMMON_NAMES, "\ufb33", "\U0001f600"]
COMMON_SCALARS: list[Any] = [
    *(None, True, False, 0, 1, -1, 17, 0.1, -0.5, 1e-7, 5e-324, 1e21, -1e300, 123456789.125),
    *("", "1", "1.0", "1e3", "null", "true", "a\x00b", "\u2028\u2029", "é", "e\u0301", "\uffff"),
    *('"\\/\b\f\n\r\t', "\x1f\x7f", "words that a person wrote"),
]
SCALARS: list[Any] = [*COMMON_SCALARS, 2**53 - 1, -(2**53) + 1, 1.7976931348623157e308, "\U0001f600"]
"""The scalars after the common ones, and some names, make a canonical writer use its slow path."""

SOURCES = ["api", "automation", "sync", "migration", "intelligence"]


class Log:
    """One log, and the install that writes it. An event's seq is its index in `events`."""

    def __init__(self, *, seed: int = 0, name: str = "default", late: int = 0, lost: Sequence[int] = ()) -> None:
        """`late` is the number of rotations before the log was created.

        `lost` has the numbers of keys that were lost.
        """
        self.random = Random(seed)
        self.seed, self.name, self.lost = seed, name, lost
        self.opened = OPENED
        self.signers = [signer_of(seed, 0)]
        self.rotations: list[Record] = []
        self.events: list[Record] = []
        self.kids: list[str] = []
        for _ in range(late):
            self.replace_key()
        if late:
            self.append(ROTATED, {"rotations": list(self.rotations)})

    @property
    def node(self) -> str:
        return self.signers[0].did

    @property
    def keys(self) -> list[Record]:
        others = zip(self.signers[1:], self.rotations, strict=True)
        return [
            {"kid": self.signers[0].kid},
            *({"kid": signer.kid, "rotation": rotation} for signer, rotation in others),
        ]

    def write(self, count: int) -> None:
        """Append so many clients' events."""
        for _ in range(count):
            self.append("entity.created")

    def append(
        self,
        type: str,
        data: Record | None = None,
        *,
        body: Body | None = None,
        signer: Signer | None = None,
        timestamp: str | None = None,
        id: str | None = None,
    ) -> None:
        """Append one event: with `data` one of the server's own, else one with `body`, else a client's."""
        if body is None:
            body = self._client_body() if data is None else self.server_body(data)
        seq = len(self.events)
        body_text = body_bytes(body, self.random.randbytes(16))
        at = self.opened + timedelta(seconds=seq, microseconds=self.random.randrange(1_000_000))
        last = bytes.fromhex(self.events[-1]["hash"].removeprefix("sha256:")) if self.events else GENESIS
        context = json.loads(body_text)
        signer = signer or self.signers[-1]
        new_id = str(UUID(bytes=self.random.randbytes(16), version=4))
        event = {
            "event_id": id or new_id,
            "type": type,
            "timestamp": instant(at) if timestamp is None else timestamp,
            "log": self.name,
            "node": self.node,
            "kid": signer.kid,
            "seq": seq,
            "prev_hash": f"sha256:{last.hex()}",
            "body_hash": f"sha256:{sha256(body_text).hexdigest()}",
            "payload": context.pop("data"),
            "context": context,
        }
        self.events.append(_signed(event, signer))
        self.kids.append(self.signers[-1].kid)

    def rotate(self) -> None:
        """Put a new key into force, by an event that the old key signs, or the new one if the old one is lost."""
        old = self.signers[-1]
        self.replace_key()
        signer = self.signers[-1] if len(self.rotations) - 1 in self.lost else old
        self.append(ROTATED, {"rotations": [self.rotations[-1]]}, signer=signer)

    def wait(self, seconds: int) -> None:
        """Let so much time pass before the next event."""
        self.opened += timedelta(seconds=seconds)

    def erase(self, seqs: Iterable[int]) -> None:
        """Remove these bodies, and append the event that names them."""
        named = [self.name_of(seq) for seq in seqs]
        for name in named:
            self.strip(name["seq"])
        self.append(ERASED, {"erased": named})

    def strip(self, seq: int) -> None:
        """Remove a body."""
        self.events[seq] = stripped(self.events[seq])

    def name_of(self, seq: int) -> Record:
        """The event as an erasure names it."""
        event = self.events[seq]
        return {"seq": seq, "id": event["event_id"], "hash": event["hash"]}

    def checkpoint(self) -> Checkpoint:
        """The checkpoint of the log as it is now."""
        leaves = [bytes.fromhex(event["hash"].removeprefix("sha256:")) for event in self.events]
        return Checkpoint(origin=f"{ORIGIN}/{self.name}", size=len(self.events), root=root_of(leaves))

    def bundle(self, first_seq: int = 0, last_seq: int | None = None) -> Record:
        """The export from `first_seq` to `last_seq`, both included (None: the end of the log)."""
        last_seq = len(self.events) - 1 if last_seq is None else last_seq
        events = self.events[first_seq : last_seq + 1]
        bundle = {
            "export_id": f"exp_{Random(self.seed).randbytes(16).hex()}",
            "node_did": self.node,
            "log": self.name,
            "events": events,
            "first_seq": first_seq,
            "last_seq": last_seq,
            "count": len(events),
            "chain_root_hash": events[0]["hash"] if events else ZEROS,
            "chain_tip_hash": events[-1]["hash"] if events else ZEROS,
            "generated_at": instant(OPENED + timedelta(days=1)),
            "keys": self.keys,
            "kid": self.kids[last_seq] if events else self.signers[-1].kid,
            "checkpoint": checkpoint.sign(self.checkpoint(), self.signers[-1]),
            "inclusion_proof": proof_of([event["hash"] for event in self.events], last_seq) if events else [],
        }
        return sealed(bundle, next(signer for signer in self.signers if signer.kid == bundle["kid"]))

    def server_body(self, data: Record) -> Body:
        """The body of an event of the server's own."""
        return Body(user_id=self.node, source="system", data=_canonical(data))

    def _client_body(self) -> Body:
        random = self.random
        scalars = SCALARS if random.random() < 0.05 else COMMON_SCALARS
        data = SPECIMEN if len(self.events) % 20 == 11 else _record(random, scalars, 3)
        maybe = [random.random() < 0.4 for _ in range(6)]
        metadata = {
            "ai": {"agent": "orchestrator", "confidence": {"score": 0.92}},
            "custom": _record(random, scalars, 2),
        }
        return Body(
            user_id=random.choice(["u1", "u-é", "7", 'o\'neil "x"']),
            source=random.choice(SOURCES),  # type: ignore[arg-type]
            data=_canonical(data),
            subject_id=f"entity-{random.randrange(99)}" if maybe[0] else None,
            producer="github.action" if maybe[1] else None,
            metadata=_canonical(metadata) if maybe[2] else None,
            correlation_id="run-é-1" if maybe[3] else None,
            causation_id=str(UUID(bytes=random.randbytes(16), version=4)) if maybe[4] else None,
            occurred_at=OPENED - timedelta(microseconds=random.randrange(10**15)) if maybe[5] else None,
        )

    def replace_key(self) -> None:
        """Give the install a new key, without an event in the log."""
        old, new = self.signers[-1], signer_of(self.seed, len(self.signers))
        lost = len(self.rotations) in self.lost
        self.rotations.append(rotation(self.node, old, new, at=instant(OPENED), lost=lost))
        self.signers.append(new)


def build(
    events: int,
    *,
    rotations: Sequence[int] = (),
    erased: Sequence[int] = (),
    first_seq: int = 0,
    last_seq: int | None = None,
    late: int = 0,
    later: int = 0,
    lost: Sequence[int] = (),
    seed: int = 0,
) -> Record:
    """The bundle of a log of `events` events, or of a part of it.

    Keys are replaced at the seqs `rotations`, `late` times before the log was created (all in its first event), and
    `later` times after its end. `lost` has the numbers of the keys (0 is the node's) that did not sign their rotation.
    The last event of the log erases the bodies of the seqs `erased`.
    """
    log = Log(seed=seed, late=late, lost=lost)
    while len(log.events) < events - bool(erased):
        if len(log.events) in rotations:
            log.rotate()
        else:
            log.write(1)
    if erased:
        log.erase(erased)
    for _ in range(later):
        log.replace_key()
    return log.bundle(first_seq, last_seq)


def signer_of(seed: int | str, number: int = 0) -> Signer:
    """The install's key with this number; number 0 is the node's."""
    return Signer(sha256(f"{seed} {number}".encode()).digest())


_SEALED = ["node_did", "log", "export_id", "first_seq", "last_seq", "count"]
_SEALED += ["chain_root_hash", "chain_tip_hash", "generated_at"]


def sealed(bundle: Record, signer: Signer) -> Record:
    """The bundle with a bundle signature by `signer`."""
    text = "".join(f"{line}\n" for line in ["evlog/export/v1", *(bundle[name] for name in _SEALED)])
    return bundle | {"bundle_signature": _base64(signer.sign(text.encode()))}


def proof_of(hashes: Sequence[str], seq: int) -> list[str]:
    """The inclusion proof of the event at `seq` in the tree of all these hashes (`sha256:<hex>`)."""
    leaves = [bytes.fromhex(hash_.removeprefix("sha256:")) for hash_ in hashes]
    return [_base64(hash_) for hash_ in inclusion_proof(seq, len(leaves), node_of(leaves))]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree of these leaves."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.push(leaf)
    return frontier.root()


def node_of(leaves: Sequence[bytes]) -> NodeHash:
    """The nodes of the complete subtrees of the tree of these leaves."""
    return lambda height, place: root_of(leaves[place << height : (place + 1) << height])


def stripped(event: Record) -> Record:
    """The event as it is after its body was erased."""
    return event | {"payload": {}, "context": {}, "erased": True}


def rotation(node: str, old: Signer, new: Signer, *, at: str, lost: bool = False) -> Record:
    """The replacement of a key, signed by both keys, or only by the new one if the old one is lost."""
    text = f"evlog/rotate/v1\n{node}\n{old.kid}\n{new.kid}\n{at}\n".encode()
    return {
        "kid_old": old.kid,
        "kid_new": new.kid,
        "rotated_at": at,
        "signature_old": None if lost else _base64(old.sign(text)),
        "signature_new": _base64(new.sign(text)),
    }


SEED = 7
"""The seed of the install whose bundle is altered."""

SMALL = 60 if ALL else 24
"""The events of the bundle in which single members are changed. Every change makes a whole text, so it is small."""

LONG = 1000 if ALL else SMALL
"""The events of a long log."""


class Tampering(NamedTuple):
    """The text of a bundle that a verifier must reject, naming one of `seqs` (None is the bundle itself)."""

    name: str
    text: bytes
    seqs: frozenset[int | None]


def write(value: object) -> bytes:
    """JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def whole(events: int = 1000) -> Record:
    """The bundle that is altered: two rotations, some erasures, and the log up to its end."""
    third = events // 3
    return build(events, rotations=(third, 2 * third), erased=(0, 5, third + 1, events - 3), seed=SEED)


def tamperings(changes: int = 2000) -> Iterator[Tampering]:
    """All tamperings: first `changes` random ones of a long bundle, then deliberate ones."""
    bundle, small = whole(LONG), whole(SMALL)
    yield from random_changes(bundle, changes)
    for make in (moved, resigned, cut):
        yield from make(bundle)
    for make in (altered_events, respelt, altered_members, falsely_sealed, altered_keys, altered_checkpoints):
        yield from make(small)
    for forge in (forged_rotations, forged_times, forged_contents, altered_parts, false_erasures):
        yield from forge()


def rewritings(events: int = 60) -> Iterator[tuple[str, bytes]]:
    """Names, and texts that are equivalent to their bundle but other JSON. They must verify."""
    bundle = whole(events)
    for name, old, new in _EQUAL:
        yield name, _respelt(bundle, 11, old, new)
    yield "seq 11.0", _respelt(bundle, 11, b'"seq":11', b'"seq":11.0')
    yield "every character beyond ASCII is escaped", json.dumps(bundle).encode()
    yield "white space", json.dumps(bundle, indent=1).encode()
    yield "members in another order", json.dumps(bundle, sort_keys=True).encode()
    yield "first_seq -0", write(bundle).replace(b'"first_seq":0', b'"first_seq":-0')
    yield "count 6e1", write(bundle).replace(b'"count":%d' % events, b'"count":%de-1' % (events * 10))


_EQUAL = [
    ("1 is 1.0", b'"one":1', b'"one":1.0'),
    ("1 is 10e-1", b'"one":1', b'"one":10e-1'),
    ("0 is -0", b'"zero":0', b'"zero":-0'),
    ("0 is 0.0", b'"zero":0', b'"zero":0.0'),
    ("1e+21 is written out", b"1e+21", b"1000000000000000000000"),
    ("0.1 has more digits than a double", b'"tenth":0.1', b'"tenth":0.1000000000000000055511151231257827'),
    ("a letter is escaped", b'"text":"A', b'"text":"\\u0041'),
    ("a pair of surrogates is escaped", "\U0001f600".encode(), b"\\ud83d\\ude00"),
    ("a name is escaped", b'"none":', b'"n\\u006fne":'),
]

_UNEQUAL = [
    ("of two equal names the last is right", b'"one":1', b'"one":2,"one":1'),
    ("of two equal names one is escaped", b'"one":1', b'"\\u006fne":2,"one":1'),
    ("of two payloads the last is right", b'"payload":', b'"payload":{"a":1},"payload":'),
    ("of two types the last is right", b'"type":', b'"type":"a.b","type":'),
    ("null is 1e400", b'"none":null', b'"none":1e400'),
    ("null is -1e400", b'"none":null', b'"none":-1e400'),
    ("null is an integer of 400 digits", b'"none":null', b'"none":' + b"9" * 400),
    ("null is an integer of 9,000 digits", b'"none":null', b'"none":' + b"9" * 9000),
    ("null is a text", b'"none":null', b'"none":"null"'),
    ("null is left out", b'"none":null,', b""),
    ("null is false", b'"none":null', b'"none":false'),
    ("true is 1", b'"yes":true', b'"yes":1'),
    ("0 is null", b'"zero":0', b'"zero":null'),
    ("0 is false", b'"zero":0', b'"zero":false'),
    ("0 is the smallest double", b'"zero":0', b'"zero":5e-324'),
    ("1 is the next double", b'"one":1', b'"one":1.0000000000000002'),
    ("1 is a text", b'"one":1', b'"one":"1"'),
    ("an integer is beyond 2^53", b"9007199254740991", b"9007199254740993"),
    ("an integer is 2^53", b"9007199254740991", b"9007199254740992"),
    ("1e21 is the next double", b"1e+21", b"1000000000000000131072"),
    ("digits are a number", b'"digits":"1.0"', b'"digits":1.0'),
    ("digits are others", b'"digits":"1.0"', b'"digits":"1"'),
    ("half a surrogate pair", b'"text":"A', b'"text":"\\ud800'),
    ("the other half of a surrogate pair", b'"text":"A', b'"text":"\\udc00'),
    ("the halves of a surrogate pair change places", "\U0001f600".encode(), b"\\ude00\\ud83d"),
    ("U+0000 is left out", b'"text":"A\\u0000b', b'"text":"Ab'),
    ("U+0000 ends the text", b'"text":"A\\u0000b', b'"text":"A\\u0000'),
    ("a combining accent", b'"text":"A', '"text":"A\u0301'.encode()),
    ("__proto__ is left out", b'"__proto__":{"x":1},', b""),
    ("__proto__ is another", b'"__proto__":{"x":1}', b'"__proto__":{"x":2}'),
    ("__proto__ is null", b'"__proto__":{"x":1}', b'"__proto__":null'),
    ("__proto__ in a list's object", b'[],{},"3"', b'[],{"__proto__":{}},"3"'),
    ("constructor is added", b'"one":1', b'"one":1,"constructor":{}'),
    ("of two equal names the last is another", b'"one":1', b'"one":1,"one":2'),
    ("names change their values", b'"10":"ten","9":"nine"', b'"9":"ten","10":"nine"'),
    ("a list's places change", b'"list":[1,2.5', b'"list":[2.5,1'),
    ("a list is longer", b'"3",null]', b'"3",null,null]'),
    ("an empty list is an empty object", b"[],{}", b"{},{}"),
    ("a list is an object", b'"list":[1,2.5,[],{},"3",null]', b'"list":{"0":1,"1":2.5}'),
    ("nested 100,000 deep", b'"list":[1', b'"list":[' + b"[" * 100_000 + b"]" * 100_000 + b",1"),
    ("the payload is a list", b'"payload":{', b'"payload":[],"payloae":{'),
    ("of two payloads the first counts", b',"context":', b',"payload":{},"context":'),
    ("__proto__ is a member of the event", b'"payload":', b'"__proto__":{},"payload":'),
    ("__proto__ is a member of the context", b'"context":{', b'"context":{"__proto__":{"a":1},'),
    ("data is a member of the context", b'"context":{', b'"context":{"data":{},'),
    ("the seq is a text", b'"seq":11', b'"seq":"11"'),
    ("the seq has a fraction", b'"seq":11', b'"seq":11.5'),
    ("the seq is true", b'"seq":11', b'"seq":true'),
    ("the seq is beyond a double", b'"seq":11', b'"seq":1e999'),
    ("erased is false", b'"context":{', b'"erased":false,"context":{'),
    ("erased is true beside a body", b'"context":{', b'"erased":true,"context":{'),
    ("erased is null", b'"context":{', b'"erased":null,"context":{'),
]


def respelt(bundle: Record) -> Iterator[Tampering]:
    """Changes of seq 11 (a SPECIMEN) that a careless parser of JSON does not notice."""
    for name, old, new in _UNEQUAL:
        text = _respelt(bundle, 11, old, new)
        unreadable = value_of(write(bundle["events"][11]).replace(old, new, 1)) is None
        yield _tampering(name, text, 11, *([None] if unreadable else []))


def random_changes(bundle: Record, count: int, seed: int = 0) -> Iterator[Tampering]:
    """Replace, insert or remove some characters at `count` places, evenly over the text.

    Changes that leave every value as it is are no tampering, and are skipped. If the text is no longer JSON, a verifier
    may also report the bundle.
    """
    random = Random(seed)
    head, events, tail = _pieces(bundle)
    pieces = [head, *events, tail]
    ends = list(accumulate(map(len, pieces)))
    while count:
        place = random.randrange(ends[-1])
        number = bisect_right(ends, place)
        piece, at = pieces[number], place - (ends[number - 1] if number else 0)
        new = b"" if random.random() < 0.2 else bytes(random.choices(_CHARACTERS, k=random.choice([1, 1, 2, 4])))
        left_out = random.choice([1, 1, 2, 5] if not new else [0, 1, 1, 2])
        changed = piece[:at] + new + piece[at + left_out :]
        inside = 0 < number <= len(events)
        before = value_of(piece if inside else head + tail)
        after = value_of(changed if inside else changed + tail if number == 0 else head + changed)
        # At the edge of the list of events, a comma could make a new event, and no single event would be wrong.
        if after == before or (not inside and after is None and b"," in new):
            continue
        count -= 1
        seq = bundle["first_seq"] + number - 1 if inside else None
        text = _joined([*pieces[:number], changed, *pieces[number + 1 :]])
        name = f"byte {at} of {f'seq {seq}' if inside else 'the bundle'}: {piece[at : at + left_out]!r} is {new!r}"
        yield _tampering(name, text, seq, *([None] if after is None else []))


def moved(bundle: Record) -> Iterator[Tampering]:
    """Events that are left out, exchanged, or repeated."""
    events, last = bundle["events"], bundle["last_seq"]
    for seq in _sample(bundle):
        without = events[:seq] + events[seq + 1 :]
        yield _of_events(f"seq {seq} is left out", bundle, without, seq)
        twice = [*events[: seq + 1], *events[seq:]]
        yield _of_events(f"seq {seq} stands twice", bundle, twice, seq + 1)
        yield _of_events(f"seq {seq} stands again at the end", bundle, [*events, events[seq]], last + 1)
        for other in {seq + 1, (seq + last // 2) % last} - {seq}:
            low, high = sorted((seq, other))
            if high <= last:
                swapped = list(events)
                swapped[low], swapped[high] = swapped[high], swapped[low]
                yield _of_events(f"seq {low} and {high} change places", bundle, swapped, low)
    yield _of_events("the order is reversed", bundle, events[::-1], 0)
    yield _of_events("no event is left", bundle, [], 0)
    for name, value in [("null", None), ("a number", 5), ("a text", "x"), ("a list", [events[3]])]:
        yield _of_events(f"seq 3 is {name}", bundle, [*events[:3], value, *events[4:]], 3)


def altered_events(bundle: Record) -> Iterator[Tampering]:
    """Members of events left out, added and changed; bodies removed as if they were erased."""
    events = bundle["events"]
    erasure = bundle["last_seq"]
    erased = {event["seq"] for event in events if event.get("erased")}
    for seq in _sample(bundle):
        event = events[seq]
        other = events[seq - 1]
        for name in event:
            less = {member: value for member, value in event.items() if member != name}
            yield _with(f"seq {seq} has no {name}", bundle, seq, less)
            values: list[Any] = [None, 7, "x", [], {}, {"a": 1}, other.get(name)]
            for value in values:
                if value != event[name]:
                    yield _with(f"seq {seq} has the {name} {str(value)[:20]}", bundle, seq, event | {name: value})
        yield _with(f"seq {seq} has another member", bundle, seq, event | {"extra": 1})
        yield _with(f"seq {seq} has upper-case hashes", bundle, seq, event | {"hash": event["hash"].upper()})
        for name in ("hash", "prev_hash", "body_hash"):
            bare = event[name].removeprefix("sha256:")
            yield _with(f"seq {seq} has a bare {name}", bundle, seq, event | {name: bare})
        for name, signature in respelt_signatures(event["signature"]):
            yield _with(f"seq {seq} has a signature {name}", bundle, seq, event | {"signature": signature})
        doubled = {"payload": {"a": 1}, "context": event["context"] | {"data": event["payload"]}}
        yield _with(f"seq {seq} shows another payload than its context", bundle, seq, event | doubled)
        yield _with(f"seq {seq} is not erased", bundle, seq, stripped(event) | {"erased": False})
        if seq not in erased:
            seqs = {seq} | (erased if seq == erasure else set())
            yield _with(f"seq {seq} has no body", bundle, seq, stripped(event), *seqs)


def resigned(bundle: Record) -> Iterator[Tampering]:
    """Events signed by a foreign key: only one, or one and all after it, linked again."""
    thief = signer_of("thief")
    for seq in _sample(bundle):
        event = bundle["events"][seq]
        forged = _signed(event | {"kid": thief.kid}, thief)
        yield _with(f"seq {seq} is signed by a foreign key", bundle, seq, forged)
        yield _with(f"seq {seq} is signed by a foreign key, with its kid", bundle, seq, _signed(event, thief))
        bodiless = stripped(event) | {"payload": {"a": 1}}
        yield _with(f"seq {seq} has a body in place of its erased one", bundle, seq, bodiless)
    for seq in (0, 2, bundle["last_seq"] // 2, bundle["last_seq"]):
        events = [*bundle["events"][:seq], *_relinked(bundle["events"][seq:], thief)]
        yield _of_events(f"from seq {seq} on a foreign key signs, linked again", bundle, events, seq)
        changed = bundle | {"events": events, "chain_tip_hash": events[-1]["hash"], "kid": thief.kid}
        yield _tampering(f"from seq {seq} on a foreign key signs all", write(sealed(changed, thief)), seq, None)


def cut(bundle: Record) -> Iterator[Tampering]:
    """Logs without their end or beginning, with or without adapting the bundle's members."""
    events, last = bundle["events"], bundle["last_seq"]
    for left in (1, 2, last // 2, last):
        kept = events[:left]
        yield _of_events(f"the log ends behind {left} events", bundle, kept, left)
        fit = {"events": kept, "last_seq": left - 1, "count": left, "chain_tip_hash": kept[-1]["hash"]}
        yield _tampering(f"the log ends behind {left} events, and says so", write(bundle | fit), None)
        rest = events[left:]
        yield _of_events(f"the log begins behind {left} events", bundle, rest, 0)
        fit = {"events": rest, "first_seq": left, "count": len(rest), "chain_root_hash": rest[0]["hash"]}
        yield _tampering(f"the log begins behind {left} events, and says so", write(bundle | fit), None)
    empty = {"events": [], "first_seq": 0, "last_seq": -1, "count": 0, "chain_root_hash": ZEROS}
    yield _tampering("the log is empty, and says so", write(bundle | empty | {"chain_tip_hash": ZEROS}), None)
    text = write(bundle)
    for size in (0, 1, len(text) // 2, len(text) - 1):
        yield _tampering(f"the text ends behind {size} bytes", text[:size], None)


def altered_members(bundle: Record) -> Iterator[Tampering]:
    """Members of the bundle left out, added and changed, and texts that are no bundle."""
    wrong: list[Any] = [None, True, 3, 1.5, -1, 2**53, "", "x", [], {}, [[]]]
    likely = {"hash": f"sha256:{'1' * 64}", "id": f"exp_{'0' * 32}", "at": instant(OPENED), "b": _base64(bytes(64))}
    for name, value in bundle.items():
        less = {member: kept for member, kept in bundle.items() if member != name}
        yield _tampering(f"the bundle has no {name}", write(less), None)
        for other in [*wrong, *likely.values()]:
            if other != value and not (name == "events" and isinstance(other, list)):
                changed = bundle | {name: other}
                yield _tampering(f"the bundle has the {name} {str(other)[:20]}", write(changed), None)
    yield _tampering("the bundle has another member", write(bundle | {"extra": 1}), None)
    yield _tampering("__proto__ is a member of the bundle", b'{"__proto__":{},' + write(bundle)[1:], None)
    for how, signature in respelt_signatures(bundle["bundle_signature"]):
        changed = bundle | {"bundle_signature": signature}
        yield _tampering(f"the bundle signature is {how}", write(changed), None)
    thief = signer_of("thief")
    yield _tampering("a foreign key seals", write(sealed(bundle, thief)), None)
    yield _tampering("a foreign key seals as its own", write(sealed(bundle | {"kid": thief.kid}, thief)), None)
    for name, text in _NO_BUNDLES.items():
        yield _tampering(name, text, None)


def falsely_sealed(bundle: Record) -> Iterator[Tampering]:
    """Bundles with false members, sealed by a key of the install."""
    events, last = bundle["events"], bundle["last_seq"]
    own = signer_of(SEED, len(bundle["keys"]) - 1)
    lies: dict[str, Record] = {
        "the first hash is the second's": {"chain_root_hash": events[1]["hash"]},
        "the last hash is the one before": {"chain_tip_hash": events[-2]["hash"]},
        "the last hash is of zeros": {"chain_tip_hash": ZEROS},
        "the count is one less": {"count": last},
        "the count is one more": {"count": last + 2},
        "the count is no whole number": {"count": last + 1.5, "last_seq": last + 0.5},
        "the seqs are below zero": {"first_seq": -1, "last_seq": last - 1},
        "there are no events": {"first_seq": 0, "last_seq": -1, "count": 0},
        "there are no events from seq 5 on": {"first_seq": 5, "last_seq": 4, "count": 0, "events": []},
        "the export's id is none": {"export_id": "exp_1"},
        "the time is none": {"generated_at": "2026-01-02T03:04:05Z"},
        "the log is another": {"log": "other"},
    }
    seqs = {"there are no events": 0, "the log is another": 0}
    for name, lie in lies.items():
        yield _tampering(f"{name}, sealed", write(sealed(bundle | lie, own)), seqs.get(name))
    ends = [("ends one later", {"last_seq": last + 1, "count": last + 2}, last + 1)]
    ends += [("begins one later", {"first_seq": 1, "count": last}, 1)]
    ends += [("ends one earlier", {"last_seq": last - 1, "count": last}, last)]
    for name, lie, seq in ends:
        yield _tampering(f"the log {name}, sealed", write(sealed(bundle | lie, own)), seq)
    thief = signer_of("thief")
    yield _tampering("a foreign key seals an empty log", write(sealed(build(0) | {"kid": thief.kid}, thief)), None)
    old = sealed(bundle | {"kid": bundle["keys"][0]["kid"]}, signer_of(SEED))
    yield _tampering("a key out of force seals", write(old), None)


_NO_BUNDLES = {
    "no JSON": b"evlog/1",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "not UTF-8": b'{"log":"\xff"}',
    "UTF-16": '{"log":"x"}'.encode("utf-16"),
    "a list 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "an open list 100,000 deep": b"[" * 100_000,
    "objects 100,000 deep": b'{"a":' * 100_000,
    "a number of 100,000 digits": b"1" * 100_000,
}


def altered_keys(bundle: Record) -> Iterator[Tampering]:
    """Key histories that are not the install's.

    If one is consistent, the verifier names the event that contradicts it.
    """
    keys = bundle["keys"]
    thief, node = signer_of("thief"), bundle["node_did"]
    old, new = keys[0]["kid"], keys[1]
    stolen = rotation(node, thief, signer_of("heir"), at=instant(OPENED))
    as_old = stolen | {"kid_old": old}
    lost = rotation(node, signer_of(SEED), thief, at=instant(OPENED), lost=True)
    histories: dict[str, Any] = {
        "empty": [],
        "without the first": keys[1:],
        "without the second": [keys[0], *keys[2:]],
        "in another order": [keys[0], keys[2], keys[1]],
        "reversed": keys[::-1],
        "of another node": [{"kid": thief.kid}, *keys[1:]],
        "with a rotation of the first": [{**new, "kid": old}, *keys[1:]],
        "with another kid": [keys[0], new | {"kid": thief.kid}, keys[2]],
        "without a rotation": [keys[0], {"kid": new["kid"]}, keys[2]],
        "with another member": [keys[0] | {"extra": 1}, *keys[1:]],
        "of texts": [key["kid"] for key in keys],
        "with a foreign rotation behind": [*keys, {"kid": stolen["kid_new"], "rotation": stolen}],
        "with a rotation that claims the old key": [
            keys[0],
            {"kid": as_old["kid_new"], "rotation": as_old},
            *keys[2:],
        ],
    }
    others: list[tuple[str, Any]] = [
        *[("rotated_at", instant(OPENED + timedelta(days=1))), ("rotated_at", 5), ("signature_new", None)],
        *[("signature_new", new["rotation"]["signature_old"]), ("signature_old", new["rotation"]["signature_new"])],
        *[("signature_old", ""), ("kid_old", thief.kid), ("kid_new", thief.kid), ("extra", 1)],
        *[("signature_old", text) for _, text in respelt_signatures(new["rotation"]["signature_old"])],
        *[("signature_new", text) for _, text in respelt_signatures(new["rotation"]["signature_new"])],
    ]
    for name, value in others:
        changed = new["rotation"] | {name: value}
        label = f"whose {name} is {str(value)[:12]} of {len(str(value))}"
        histories[label] = [keys[0], new | {"rotation": changed}, *keys[2:]]
    for name, history in histories.items():
        yield _tampering(f"the keys are {name}", write(bundle | {"keys": history}), None)
    sound = {
        "to the first": keys[:1],
        "to the second": keys[:2],
        "with a loss that was none": [
            keys[0],
            new | {"rotation": new["rotation"] | {"signature_old": None}},
            *keys[2:],
        ],
        "of a thief who claims a loss": [keys[0], {"kid": thief.kid, "rotation": lost}],
    }
    for name, history in sound.items():
        changed = bundle | {"keys": history}
        yield _tampering(f"the keys are {name}", write(changed), None, *_seqs_of(bundle, ROTATED))
    seized = bundle | {"keys": sound["of a thief who claims a loss"], "kid": thief.kid}
    yield _tampering(
        "a thief claims a loss and seals", write(sealed(seized, thief)), None, _seqs_of(bundle, ROTATED)[0]
    )


def altered_checkpoints(bundle: Record) -> Iterator[Tampering]:
    """Checkpoints that are malformed, foreign, too small, or of another tree."""
    note = bundle["checkpoint"]
    origin, _, _ = note.partition("\n")
    thief = signer_of("thief")
    old, last = signer_of(SEED), signer_of(SEED, len(bundle["keys"]) - 1)
    right = checkpoint.parse(note).checkpoint
    signed = {
        "signed by a foreign key": (right, thief),
        "signed by the first key": (right, old),
        "of another log": (Checkpoint(f"{ORIGIN}/other", right.size, right.root), last),
        "of a log that ends like this one": (Checkpoint(f"{ORIGIN}/not{bundle['log']}", right.size, right.root), last),
        "of an origin without a log": (Checkpoint(ORIGIN, right.size, right.root), last),
        "too small": (Checkpoint(origin, right.size - 1, right.root), last),
        "of an empty log": (Checkpoint(origin, 0, sha256().digest()), last),
        "of another tree": (Checkpoint(origin, right.size, bytes(32)), last),
        "of one leaf": (Checkpoint(origin, right.size, bytes.fromhex(bundle["events"][0]["hash"][7:])), last),
    }
    notes = {name: checkpoint.sign(*of) for name, of in signed.items()} | {
        "without a signature": note.partition("\n\n")[0] + "\n\n",
        "without an end": note[:-1],
        "with a line more": note + "\n",
        "of another size": note.replace(f"\n{right.size}\n", f"\n{right.size + 1}\n"),
        "with a size of leading zeros": note.replace(f"\n{right.size}\n", f"\n0{right.size}\n"),
        "with carriage returns": note.replace("\n", "\r\n"),
        "with half a surrogate pair": note + "\ud800",
        "of a million lines": note + "\n" * 1_000_000,
    }
    for name, text in notes.items():
        yield _tampering(f"the checkpoint is {name}", json.dumps(bundle | {"checkpoint": text}).encode(), None)
    yield from _altered_proofs(bundle)


def _altered_proofs(bundle: Record) -> Iterator[Tampering]:
    """Proofs that do not prove that the last event is in the checkpoint's tree."""
    first, *others = bundle["inclusion_proof"]
    proofs: dict[str, list[object]] = {
        "empty": [],
        "cut at its start": others,
        "cut at its end": bundle["inclusion_proof"][:-1],
        "longer": [first, first, *others],
        "of other hashes": [_base64(bytes(32)), *others],
        "of short hashes": [_base64(bytes(31)), *others],
        "in hex": [bytes(32).hex(), *others],
        "in another base64": [first.rstrip("="), *others],
        "of numbers": [1, *others],
        "in another order": [*others, first],
    }
    for name, proof in proofs.items():
        text = json.dumps(bundle | {"inclusion_proof": proof}).encode()
        yield _tampering(f"the inclusion proof is {name}", text, None)


def forged_rotations() -> Iterator[Tampering]:
    """Logs in which a writer who can sign with the key in force forges the rotation at seq 6."""
    thief, heir = signer_of("thief"), signer_of("heir")
    at = instant(OPENED)
    log = Log()
    node, own = log.node, log.signers[0]
    good, foreign = rotation(node, own, thief, at=at), rotation(node, thief, heir, at=at)
    unsigned = good | {"signature_old": good["signature_new"]}
    not_accepted = good | {"signature_new": good["signature_old"]}
    forgeries: dict[str, Any] = {
        "not signed by the old key": {"rotations": [unsigned]},
        "not signed by the new key": {"rotations": [not_accepted]},
        "of a foreign pair": {"rotations": [foreign]},
        "of another node": {"rotations": [rotation(thief.did, own, thief, at=at)]},
        "that claims a loss": {"rotations": [rotation(node, own, thief, at=at, lost=True)]},
        "that the keys do not tell of": {"rotations": [good]},
        "and one behind it": {"rotations": [good, foreign]},
        "of none": {"rotations": []},
        "of null": {"rotations": None},
        "of a text": {"rotations": ["x"]},
        "without rotations": {},
        "with another member": {"rotations": [good], "extra": 1},
        "with a rotation's member more": {"rotations": [good | {"extra": 1}]},
        "without its time": {"rotations": [{name: good[name] for name in good if name != "rotated_at"}]},
    }
    bodies = {name: log.server_body(data) for name, data in forgeries.items()}
    yield from (_forged(f"seq 6 is a rotation {name}", ROTATED, body) for name, body in bodies.items())
    changed = msgspec.structs.replace
    by_user, by_source = changed(log.server_body({}), user_id="u1"), changed(log.server_body({}), source="api")
    for type_ in ("synap.audit.tip", ERASED, "synap.anything"):
        yield _forged(f"seq 6 is a {type_} of a user", type_, by_user)
        yield _forged(f"seq 6 is a {type_} that a client sent", type_, by_source)
    rotated = Log()
    rotated.write(6)
    rotated.rotate()
    true = log.server_body({"rotations": rotated.rotations})
    by_user, by_source = changed(true, user_id="u1"), changed(true, source="api")
    yield _behind("the rotation at seq 6 is a user's", rotated, ROTATED, by_user, own)
    yield _behind("the rotation at seq 6 is a client's", rotated, ROTATED, by_source, own)
    yield _behind("the rotation at seq 6 is signed by a foreign key", rotated, ROTATED, true, thief)
    yield _behind("the key of seq 6 was not put into force", rotated, "note.created", None, rotated.signers[1])
    rotated.append("note.created", signer=rotated.signers[0])
    yield _tampering("seq 7 is signed by a key that is out of force", write(rotated.bundle()), 7)
    stripped_log = Log()
    stripped_log.write(6)
    stripped_log.rotate()
    stripped_log.erase([6])
    yield _tampering("the rotation at seq 6 is erased, and named", write(stripped_log.bundle()), 6)


def forged_times() -> Iterator[Tampering]:
    """Logs in which a writer who can sign forges the timestamp of seq 6."""
    log = Log()
    log.write(6)
    before = log.events[5]["timestamp"]
    times = [before, log.events[0]["timestamp"], before[:-1] + "0Z", before[:-4] + "Z", before.replace(".", ",")]
    times += [before[:-1] + "+00:00", "9" + before, before.replace("T", " "), before + "\n", "2027-01-02T03:04:05Z", ""]
    times += ["2027-01-02T03:04:05.\u0661\u0662\u0663456Z"]
    for time in times:
        forged = Log()
        forged.write(6)
        forged.append("note.created", timestamp=time)
        forged.write(3)
        yield _tampering(f"seq 6 has the time {time}", write(forged.bundle()), 6)


def forged_contents() -> Iterator[Tampering]:
    """Logs in which a writer who can sign forges, at seq 6, what no server stores."""
    deep = '{"a":' * 65 + "1" + "}" * 65
    texts = {"is nested 65 deep": deep, "has an integer of 2^53": '{"n":9007199254740992}'}
    for name, data in texts.items():
        yield _forged(f"the body of seq 6 {name}", "note.created", Body(user_id="u1", source="api", data=data))
    # Put into a header as they are, the first would make it the header of another event.
    for type_ in ('a.b","v":"evlog/0', "a.é", "a.\x00", "a.\\u0062"):
        yield _forged(f"the type of seq 6 is {type_}", type_, Body(user_id="u1", source="api", data="{}"))


def altered_parts() -> Iterator[Tampering]:
    """Parts of a log whose first event was altered; nothing in the part links to it from before."""
    thief = signer_of("thief")
    for first_seq in (20, 30):
        part = build(60, rotations=[10, 30, 40], erased=[5], first_seq=first_seq, last_seq=50)
        yield from random_changes(part, 100)
        first, *others = part["events"]
        for wrong in ("", "x", "z" * 64, f"sha256:{'g' * 64}", f"sha256:{'1' * 64}", first["prev_hash"][7:], ZEROS):
            yield _of_events(
                f"seq {first_seq} links to {wrong[:10]} of {len(wrong)}",
                part,
                [first | {"prev_hash": wrong}, *others],
                first_seq,
            )
        foreign = _signed(first | {"kid": thief.kid}, thief)
        yield _of_events(f"a foreign key signs seq {first_seq}", part, [foreign, *others], first_seq)
        later = signer_of(0, 3)
        own = _signed(first | {"kid": later.kid}, later)
        yield _of_events(f"a later key signs seq {first_seq}", part, [own, *others], first_seq, first_seq + 1)
        yield _of_events(f"seq {first_seq} is left out", part, others, first_seq)
        own_origin, _, _ = part["checkpoint"].partition("\n")
        for size in (51, 60):
            note = checkpoint.sign(Checkpoint(own_origin, size, bytes(32)), later)
            text = json.dumps(part | {"checkpoint": note}).encode()
            yield _tampering(f"the part from {first_seq} has a checkpoint of another history of {size}", text, None)


def false_erasures() -> Iterator[Tampering]:
    """Logs in which the body of seq 3 is missing, and no later event names it correctly."""

    def name_another(wrong: Record) -> Callable[[Log], None]:
        return lambda log: log.append(ERASED, {"erased": [log.name_of(3) | wrong]})

    other = build(5)["events"]
    ways: dict[str, Callable[[Log], None]] = {
        "no event names it": lambda log: log.write(1),
        "its hash is another": name_another({"hash": other[2]["hash"]}),
        "its id is another": name_another({"id": other[2]["event_id"]}),
        "its seq is another": name_another({"seq": 2}),
        "its seq is its own eraser's": name_another({"seq": 7}),
        "another is named": lambda log: log.append(ERASED, {"erased": [log.name_of(2)]}),
        "none is named": lambda log: log.append(ERASED, {"erased": []}),
        "a client names it": lambda log: log.append(
            "note.created",
            body=Body(user_id="u1", source="api", data=_canonical({"erased": [log.name_of(3)]})),
        ),
    }
    for name, erase in ways.items():
        log = Log()
        log.write(7)
        erase(log)
        log.write(2)
        log.strip(3)
        yield _tampering(f"the body of seq 3 is missing: {name}", write(log.bundle()), 3)
    # An earlier event cannot name a later one correctly, because the later hash depends on the earlier event.
    self_named = Log()
    self_named.write(4)
    self_named.erase([2])
    self_named.write(2)
    self_named.strip(4)
    yield _tampering("the erasure at seq 4 has no body", write(self_named.bundle()), 2, 4)


def _forged(name: str, type: str, body: Body) -> Tampering:
    log = Log()
    log.write(6)
    log.append(type, body=body)
    log.write(3)
    return _tampering(name, write(log.bundle()), 6)


def _behind(name: str, rotated: Log, type: str, body: Body | None, signer: Signer) -> Tampering:
    """A log with this event at seq 6, where the same install's log `rotated` has a rotation."""
    log = Log()
    log.write(6)
    log.append(type, body=body, signer=signer)
    log.signers, log.rotations = list(rotated.signers), list(rotated.rotations)
    log.kids[6] = log.signers[-1].kid
    log.write(2)
    return _tampering(name, write(log.bundle()), 6)


def _tampering(name: str, text: bytes, *seqs: int | None) -> Tampering:
    return Tampering(name, text, frozenset(seqs))


def _of_events(name: str, bundle: Record, events: list[Any], *seqs: int | None) -> Tampering:
    return _tampering(name, write(bundle | {"events": events}), *seqs)


def _with(name: str, bundle: Record, seq: int, event: Record, *seqs: int | None) -> Tampering:
    """The bundle with another event at `seq`."""
    events = bundle["events"]
    return _of_events(name, bundle, [*events[:seq], event, *events[seq + 1 :]], *(seqs or (seq,)))


def _respelt(bundle: Record, seq: int, old: bytes, new: bytes) -> bytes:
    """The text with the first `old` in one event replaced by `new`."""
    head, events, tail = _pieces(bundle)
    if old not in events[seq]:
        raise ValueError(f"seq {seq} has no {old!r}")
    return _joined([head, *events[:seq], events[seq].replace(old, new, 1), *events[seq + 1 :], tail])


def _pieces(bundle: Record) -> tuple[bytes, list[bytes], bytes]:
    """The text before the first event, the text of each event, and the text after the last."""
    names = list(bundle)
    place = names.index("events")
    before, behind = ({name: bundle[name] for name in half} for half in (names[:place], names[place + 1 :]))
    return write(before)[:-1] + b',"events":[', [write(event) for event in bundle["events"]], b"]," + write(behind)[1:]


def _joined(pieces: list[bytes]) -> bytes:
    head, *events, tail = pieces
    return head + b",".join(events) + tail


_CHARACTERS = b'0123456789abcdefzAZ ""\\\\{}[]:,,.-+_=/etnu\x00\n\x7f\xc3\xa9\xff'


def value_of(text: bytes) -> bytes | None:
    """The value of JSON as JavaScript reads it: numbers are doubles, -0 is 0, the last of equal names counts.

    None if the text is no JSON.
    """
    try:
        read = json.loads(text.decode(), parse_int=_double, parse_float=_double, parse_constant=_refuse)
        return json.dumps(read, sort_keys=True, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None


def _double(text: str) -> float:
    return float(text) + 0.0


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _sample(bundle: Record) -> list[int]:
    """The seqs to alter: the ends, the server's own events and their neighbours, and some others."""
    last = bundle["last_seq"]
    rotated = [seq + step for seq in _seqs_of(bundle, ROTATED) for step in (-1, 0, 1)]
    return sorted({0, 1, last // 2, last - 1, last, *rotated})


def _seqs_of(bundle: Record, type: str) -> list[int]:
    return [event["seq"] for event in bundle["events"] if event["type"] == type]


def _relinked(events: list[Record], signer: Signer) -> Iterator[Record]:
    """The events signed by this key, each linked to the one before."""
    link = events[0]["prev_hash"]
    for event in events:
        signed = _signed(event | {"kid": signer.kid, "prev_hash": link}, signer)
        link = signed["hash"]
        yield signed


def _signed(event: Record, signer: Signer) -> Record:
    """The event with the id, hash and signature that this key gives its header."""
    hash_ = leaf_hash(
        header_bytes(
            **{name: event[name] for name in ("node", "kid", "log", "seq", "type", "timestamp")},
            id=event["event_id"],
            prev_hash=bytes.fromhex(event["prev_hash"].removeprefix("sha256:")),
            body_hash=bytes.fromhex(event["body_hash"].removeprefix("sha256:")),
        )
    )
    signature = _base64(signer.sign(signed_text(hash_)))
    return event | {"id": f"evt_{hash_.hex()}", "hash": f"sha256:{hash_.hex()}", "signature": signature}


def respelt_signatures(signature: str) -> list[tuple[str, str]]:
    """Texts that a careless parser of base64 reads as the same signature, and some that are no signature."""
    last = signature[-3]
    spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    respelt = signature[:-3] + spare[spare.index(last) ^ 1] + "=="
    raw = bytearray(base64.b64decode(signature))
    # S + L, which a verifier that does not check the range accepts as S (RFC 8032, section 5.1.7, step 1).
    order = 2**252 + 27742317777372353535851937790883648493
    malleable = bytes(raw[:32]) + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    raw[5] ^= 1
    return [
        ("with spare bits", respelt),
        ("without its padding", signature[:-2]),
        ("with a line feed", signature + "\n"),
        ("with a space", signature[:9] + " " + signature[9:]),
        ("with two paddings", signature + "="),
        ("of the URL alphabet", "-_" + signature[2:]),
        ("of another bit", _base64(bytes(raw))),
        ("too short", _base64(bytes(raw[:63]))),
        ("too long", _base64(bytes(raw) + b"\x00")),
        ("of zeros", _base64(bytes(64))),
        ("whose S is not reduced", _base64(malleable)),
        ("beyond ASCII", "é" + signature[1:]),
        ("empty", ""),
    ]


def _record(random: Random, scalars: list[Any], depth: int) -> Record:
    names = NAMES if scalars is SCALARS else COMMON_NAMES
    return {random.choice(names): _item(random, scalars, depth - 1) for _ in range(random.randrange(1, 5))}


def _item(random: Random, scalars: list[Any], depth: int) -> Any:
    kind = random.random() if depth else 0
    if kind > 0.85:
        return [_item(random, scalars, depth - 1) for _ in range(random.randrange(4))]
    return _record(random, scalars, depth) if kind > 0.7 else random.choice(scalars)


def _canonical(value: object) -> str:
    return canonical(json.dumps(value).encode(), "").decode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
