"""Hostile keys and signatures for `tests/vectors/hostile_signatures.json`, on which all verifiers must agree.

`python -m tests.kit.hostile` prints the file. The cases of keys and signatures are those of "Taming the many EdDSAs"
(Chalkias, Garillot, Nikolaenko, 2020, section 5), computed here from the curve (RFC 8032, section 5.1).
"""

import base64
import copy
import json
import sys
from collections.abc import Iterator
from hashlib import sha256, sha512
from itertools import count
from typing import Any, NamedTuple

from app.ledger.signer import Signer
from tests.kit.bundles import Log, Record, build, respelt_signatures, rotation, sealed, signer_of

FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, -1, FIELD) % FIELD

PAPER = "Taming the many EdDSAs, case {}"
STRICT = "RFC 8032, section 5.1.7, step 1"
RFC_4648 = "RFC 4648, section {}"


ABOUT = (
    "Keys and signatures that verifiers have to refuse, and some that they have to take. Made by "
    "`python -m tests.kit.hostile`. A signature is base64 over the UTF-8 of `text`, by the key that `kid` names. "
    "A bundle is an export (docs/reference/evlog1.md), the first one where it is null, with other values at the "
    "JSON pointers in `changes`. `seq` is that of its first broken event, null where it is the bundle."
)


class Point(NamedTuple):
    """A point in affine coordinates."""

    x: int
    y: int


NEUTRAL = Point(0, 1)


def add(one: Point, other: Point) -> Point:
    """The sum of two points."""
    product = CURVE_D * one.x * other.x * one.y * other.y
    x = (one.x * other.y + other.x * one.y) * pow(1 + product, -1, FIELD)
    y = (one.y * other.y + one.x * other.x) * pow(1 - product, -1, FIELD)
    return Point(x % FIELD, y % FIELD)


def times(factor: int, point: Point) -> Point:
    """The multiple of a point."""
    found = NEUTRAL
    while factor:
        if factor & 1:
            found = add(found, point)
        point, factor = add(point, point), factor >> 1
    return found


def with_y(y: int) -> Point | None:
    """The point with this y and an even x, if there is one."""
    square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if (x * x - square) % FIELD:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    if (x * x - square) % FIELD:
        return None
    return Point(FIELD - x if x & 1 else x, y)


def written(point: Point) -> bytes:
    """The canonical encoding of a point, 32 bytes."""
    return (point.y | (point.x & 1) << 255).to_bytes(32, "little")


def _base() -> Point:
    point = with_y(4 * pow(5, -1, FIELD) % FIELD)
    assert point is not None
    return point


def _of_order_8() -> Point:
    multiples = (times(ORDER, point) for point in map(with_y, count(2)) if point is not None)
    return next(point for point in multiples if times(4, point) != NEUTRAL)


BASE = _base()
ORDER_8 = _of_order_8()
SMALL = {1: NEUTRAL, 2: times(4, ORDER_8), 4: times(2, ORDER_8), 8: ORDER_8}
"""A point of each small order."""


class Forger:
    """Signs with any point of the curve as its key, in any encoding; `secret` is the scalar of its part of prime order.

    If the key is of small or mixed order, R is chosen so that the part of small order does not matter. Then the
    signature satisfies the equation both with and without the cofactor.
    """

    def __init__(self, public: bytes, secret: int = 0) -> None:
        self.public = public
        self.secret = secret
        self.kid = kid_of(public)
        self.did = f"did:key:{self.kid}"

    def sign(self, text: bytes) -> bytes:
        """A signature of 64 bytes."""
        for nonce in count(1):
            r = written(times(nonce, BASE))
            if self.challenge(r, text) % 8 == 0 or self.public in NEUTRALS:
                return self.with_r(r, nonce, text)
        raise AssertionError

    def with_r(self, r: bytes, nonce: int, text: bytes) -> bytes:
        """The signature with this R, which is `nonce` times the base point plus a point of small order."""
        return r + ((nonce + self.challenge(r, text) * self.secret) % ORDER).to_bytes(32, "little")

    def challenge(self, r: bytes, text: bytes) -> int:
        """The factor of the secret in S."""
        return int.from_bytes(sha512(r + self.public + text).digest(), "little") % ORDER


def kid_of(public: bytes) -> str:
    """The kid of a key (did:key method), whatever its bytes are."""
    digits, number = "", int.from_bytes(b"\xed\x01" + public)
    while number:
        number, digit = divmod(number, 58)
        digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[digit] + digits
    return f"z{digits}"


NEUTRALS = {
    written(NEUTRAL): "the neutral element",
    (1 | 1 << 255).to_bytes(32, "little"): "the neutral element with the sign of x set",
    (FIELD + 1).to_bytes(32, "little"): "the neutral element with y = p + 1",
    (FIELD + 1 | 1 << 255).to_bytes(32, "little"): "the neutral element with y = p + 1 and the sign of x set",
}
"""Keys for which one signature is valid for every text."""

_SECRET = int.from_bytes(sha256(b"hostile").digest()) % ORDER
HONEST = Forger(written(times(_SECRET, BASE)), _SECRET)
MIXED = Forger(written(add(times(_SECRET, BASE), ORDER_8)), _SECRET)
TEXT = "evlog/event/v1\n" + "5a" * 32 + "\n"


def signatures() -> Iterator[Record]:
    """Keys, texts and signatures, and whether a verifier accepts them."""
    yield from _sound()
    yield from _by_hostile_keys()
    yield from _with_hostile_parts()
    yield from _of_something_else()


def _case(
    name: str, source: str, kid: str, signature: bytes | str, text: str = TEXT, *, verifies: bool = False
) -> Record:
    shown = _base64(signature) if isinstance(signature, bytes) else signature
    return {"name": name, "source": source, "kid": kid, "text": text, "signature": shown, "verifies": verifies}


def _sound() -> Iterator[Record]:
    key = Signer(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    yield _case("a signature of nothing", "RFC 8032, section 7.1, test 1", key.kid, key.sign(b""), "", verifies=True)
    yield _case("a signature", "RFC 8032, section 5.1.6", key.kid, key.sign(TEXT.encode()), verifies=True)
    yield _case(
        "a scalar that was not clamped",
        "RFC 8032, section 5.1.5",
        HONEST.kid,
        HONEST.sign(TEXT.encode()),
        verifies=True,
    )


def _by_hostile_keys() -> Iterator[Record]:
    text = TEXT.encode()
    zeros = written(NEUTRAL) + bytes(32)
    yield _case("A and R of order 1, S of 0", PAPER.format(0), kid_of(written(NEUTRAL)), zeros)
    for public, name in NEUTRALS.items():
        yield _case(f"A is {name}", PAPER.format("0, 10 or 11"), kid_of(public), Forger(public).sign(text))
    for order, point in SMALL.items():
        forger = Forger(written(point))
        yield _case(f"A of order {order}", PAPER.format(1), forger.kid, forger.sign(text))
        backward = Forger(written(point._replace(x=-point.x % FIELD)))
        yield _case(f"A of order {order}, the other x", PAPER.format(1), backward.kid, backward.sign(text))
    for name, y in {"p": FIELD, "p, the other x": FIELD | 1 << 255}.items():
        forger = Forger(y.to_bytes(32, "little"))
        yield _case(f"A of order 4 with y = {name}", PAPER.format("10 and 11"), forger.kid, forger.sign(text))
    yield _case("A of mixed order", PAPER.format("5, without the cofactor"), MIXED.kid, MIXED.sign(text))
    off_curve = next(y for y in count(2) if with_y(y) is None)
    kid = kid_of(off_curve.to_bytes(32, "little"))
    yield _case("A is no point", "RFC 8032, section 5.1.3", kid, HONEST.sign(text))


def _with_hostile_parts() -> Iterator[Record]:
    text = TEXT.encode()
    for order, point in SMALL.items():
        r = written(point)
        yield _case(f"R of order {order}", PAPER.format(2), HONEST.kid, HONEST.with_r(r, 0, text))
    for r, name in NEUTRALS.items():
        yield _case(f"R is {name}", PAPER.format("8 and 9"), HONEST.kid, HONEST.with_r(r, 0, text))
    mixed = written(add(times(5, BASE), ORDER_8))
    yield _case("R of mixed order", PAPER.format(4), HONEST.kid, HONEST.with_r(mixed, 5, text))
    yield _case("A and R of mixed order", PAPER.format("3 and 4"), MIXED.kid, MIXED.with_r(mixed, 5, text))
    signature = HONEST.sign(text)
    s = int.from_bytes(signature[32:], "little")
    for factor in (1, 2, 8, 15):
        larger = signature[:32] + (s + factor * ORDER).to_bytes(32, "little")
        yield _case(f"S + {factor} L", PAPER.format("6 and 7"), HONEST.kid, larger)
    yield _case("S of L", STRICT, HONEST.kid, signature[:32] + ORDER.to_bytes(32, "little"))
    yield _case("S of 32 octets 255", STRICT, HONEST.kid, signature[:32] + b"\xff" * 32)
    for bit in (0, 7, 100, 255, 256, 300, 504, 511):
        number = int.from_bytes(signature, "little") ^ 1 << bit
        yield _case(f"bit {bit} flipped", "RFC 8032, section 5.1.7", HONEST.kid, number.to_bytes(64, "little"))
    for name, spelt in respelt_signatures(_base64(signature)):
        yield _case(f"base64 {name}", RFC_4648.format("3 and 4"), HONEST.kid, spelt)


def _of_something_else() -> Iterator[Record]:
    signature = HONEST.sign(TEXT.encode())
    yield _case(
        "a bit of the text flipped", "RFC 8032, section 5.1.7", HONEST.kid, signature, TEXT.replace("5", "4", 1)
    )
    yield _case("the text without its line feed", "RFC 8032, section 5.1.7", HONEST.kid, signature, TEXT[:-1])
    yield _case("another key", "RFC 8032, section 5.1.7", signer_of("other").kid, signature)
    yield _case("a kid with another first letter", "did:key, section 3.1.1", "Z" + HONEST.kid[1:], signature)
    yield _case("a kid that is cut off", "did:key, section 3.1.1", HONEST.kid[:-1], signature)
    for name, old, new in (("log", "default", "other"), ("node", "did:key:z1", "did:key:z2")):
        of = f"evlog/export/v1\ndid:key:z1\ndefault\nexp_{'0' * 32}\n"
        signature = HONEST.sign(of.encode())
        yield _case(f"of another {name}", "docs/reference/evlog1.md", HONEST.kid, signature, of.replace(old, new))


def bundles() -> Iterator[Record]:
    """Bundles, and the seq that is broken (null: the bundle), or that they verify."""
    yield {"name": "as it was exported", "broken": False, "seq": None, "bundle": build(3), "changes": {}}
    for public, name in {**NEUTRALS, written(ORDER_8): "a point of order 8", MIXED.public: "of mixed order"}.items():
        forger = MIXED if public == MIXED.public else Forger(public)
        yield _broken(f"the node's key is {name}", log_of(forger).bundle(), None)
    yield _broken("the node's key was lost at once, and is of order 1", _lost(), None)
    yield _broken("a rotation to a key of order 1", _rotated(), None)
    yield from _altered()


def bundle_of(case: Record, first: Record) -> Record:
    """The bundle of a case as a verifier gets it, made from the `first` case."""
    bundle: Record = copy.deepcopy(case["bundle"] or first["bundle"])
    for pointer, value in case["changes"].items():
        *path, last = pointer.removeprefix("/").split("/")
        inside: Any = bundle
        for name in path:
            inside = inside[int(name) if isinstance(inside, list) else name]
        inside[last] = value
    return bundle


def _broken(name: str, bundle: Record, seq: int | None) -> Record:
    return {"name": name, "broken": True, "seq": seq, "bundle": bundle, "changes": {}}


def log_of(forger: Forger) -> Log:
    """A log of two events signed by this key, which is the node's."""
    log = Log()
    log.signers[0] = forger  # type: ignore[call-overload]
    log.write(2)
    return log


def _lost() -> Record:
    log = log_of(Forger(written(NEUTRAL)))
    log.lost = [0]
    log.rotate()
    return log.bundle()


def _rotated() -> Record:
    log = Log()
    log.write(1)
    forger: Any = Forger(written(NEUTRAL))
    told = rotation(log.node, log.signers[-1], forger, at="2026-01-02T03:04:05.000000Z")
    log.rotations.append(told)
    log.append("synap.key.rotated", {"rotations": [told]})
    log.signers.append(forger)
    log.write(1)
    return log.bundle()


def _altered() -> Iterator[Record]:
    """Changes of one bundle, which is sealed again if the log's name changes."""
    bundle, other, elsewhere = build(3), build(3, seed=1), Log(name="other")
    elsewhere.write(3)
    first, second, third = bundle["events"]
    renamed = sealed(bundle | {"log": "other"}, signer_of(0))
    names = ("log", "bundle_signature")
    changes: list[tuple[str, int | None, Record]] = [
        ("two events are swapped", 1, {"/events": [first, third, second]}),
        ("two signatures are swapped", 1, {"/events/1/signature": third["signature"]}),
        ("an event of another node", 1, {"/events": [first, other["events"][1], third]}),
        ("an event of another log", 1, {"/events": [first, elsewhere.events[1], third]}),
        ("the name of another log", 0, {f"/{name}": renamed[name] for name in names}),
        ("the checkpoint of another log", None, {"/checkpoint": elsewhere.bundle()["checkpoint"]}),
        ("the checkpoint of another node", None, {"/checkpoint": other["checkpoint"]}),
    ]
    for name, spelt in respelt_signatures(second["signature"]):
        changes.append((f"a signature {name}", 1, {"/events/1/signature": spelt}))
    for name, spelt in respelt_signatures(bundle["bundle_signature"]):
        changes.append((f"a bundle signature {name}", None, {"/bundle_signature": spelt}))
    for name, seq, change in changes:
        yield {"name": name, "broken": True, "seq": seq, "bundle": None, "changes": change}


def printed() -> str:
    """The file: one case a line."""
    lists = {"signatures": signatures(), "bundles": bundles()}
    parts = [f'"about": {json.dumps(ABOUT)}']
    for name, cases in lists.items():
        lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
        parts.append(f'"{name}": [\n{lines}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


if __name__ == "__main__":
    sys.stdout.write(printed())
