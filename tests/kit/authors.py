"""Events signed by their authors, for `tests/vectors/authors.json`, on which all verifiers must agree.

`python -m tests.kit.authors` prints the file. `rfc8785` writes the texts from the whole event at once, so they do not
follow from the code that the tests judge.
"""

import base64
import copy
import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import rfc8785

from app.ledger.chain import Body
from app.ledger.signer import Signer
from tests.kit.bundles import Log, Record, respelt_signatures, signer_of
from tests.kit.hostile import MIXED, NEUTRAL, Forger, kid_of, written

ABOUT = (
    "Author signatures (docs/reference/evlog1.md). Made by `python -m tests.kit.authors`. `event` has the members of "
    "the ledger's form that count. The author signs the hash of `canonical`, which is null if it cannot be built. "
    "`verifies` is null if the event has no author."
)

SECRET = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
AUTHOR = Signer(bytes.fromhex(SECRET))
OTHER = signer_of("another author")
MAX_DEPTH = 64
GONE = object()


def event(**context: Any) -> Record:
    """An event without an author, in the ledger's form."""
    return {
        "node": signer_of(0).did,
        "log": "default",
        "event_id": "01938c1e-0000-7000-8000-000000000001",
        "type": "payment.refund.requested",
        "payload": context.pop("data", {"parameters": {"orderId": "order-7", "amount": 82000}}),
        "context": {"salt": "00" * 16, "userId": "agent", "source": "api", **context},
    }


def canonical_of(event: Record) -> bytes:
    """What the author of an event signs the hash of."""
    whole = copy.deepcopy(event["context"])
    whole.pop("salt", None)
    whole["metadata"]["synap"]["author"].pop("signature", None)
    whole |= {"data": event["payload"], "node": event["node"], "log": event["log"]}
    return rfc8785.dumps(whole | {"id": event["event_id"], "type": event["type"]})


def text_of(event: Record) -> bytes:
    """The text that the author of an event signs."""
    return f"evlog/author/v1\n{sha256(canonical_of(event)).hexdigest()}\n".encode()


def signed(event: Record, author: Any = AUTHOR, *, did: str | None = None) -> Record:
    """The event with a signature by this author."""
    event = copy.deepcopy(event)
    synap = event["context"].setdefault("metadata", {}).setdefault("synap", {})
    synap["author"] = {"did": did or author.did}
    synap["author"]["signature"] = base64.b64encode(author.sign(text_of(event))).decode()
    return event


def log_signed(log: Log, author: Signer = AUTHOR, number: int = 0) -> Record:
    """Append an event that this author has signed. Its id depends on `number`. Returns what was signed."""
    one = event() | {"node": log.node, "log": log.name, "event_id": f"01938c1e-0000-7000-8000-{number:012d}"}
    signed_one = signed(one, author)
    log_copy(log, signed_one)
    return signed_one


def log_copy(log: Log, one: Record) -> None:
    """Append an event with the id, type and body of `one`, signed by the node whatever its author has signed."""
    context = one["context"]
    body = Body(
        user_id=context["userId"],
        source=context["source"],
        data=rfc8785.dumps(one["payload"]).decode(),
        metadata=rfc8785.dumps(context["metadata"]).decode(),
    )
    log.append(one["type"], body=body, id=one["event_id"])


def nested(depth: int, innermost: Any = None) -> Any:
    """Objects and lists inside each other, `depth` of them."""
    value = innermost
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


RIGHT: dict[str, Record] = {
    "the least": event(data={}),
    "an intent": event(metadata={"synap": {"intent": {"risk": "high", "uses": 2}}}),
    "numbers": event(data={"n": 1.0, "big": 1e21, "small": 1e-7, "zero": -0.0, "most": 2**53 - 1, "tenth": 0.1}),
    "nulls": event(data={"a": None, "b": [None]}, metadata={"custom": {"c": None}}),
    "offsets": event(
        occurredAt="2026-01-02T03:04:05.000000Z",
        metadata={"sync": {"deviceId": "d", "platform": "cli", "syncedAt": "2026-01-02T05:04:05.5+02:00"}},
    ),
    "U+0000": event(data={"a\x00": "b\x00c"}, metadata={"custom": {"\x00": "\x00"}}),
    "every member": event(
        subjectId="order-7",
        producer="agent.refunds",
        correlationId="run-1",
        causationId="cause-1",
        occurredAt="2026-01-02T03:04:05.678901Z",
        metadata={"ai": {"agent": "orchestrator"}, "custom": {"author": {"did": "z"}}},
    ),
    "names and texts": event(
        data={"\U0001f600": 1, "\ufb33": 2, "10": 3, "9": 4, "__proto__": {"x": 1}, "": '"\\/\b\f\n\r\t\x1f\x7f\u2028é'}
    ),
    "depth 64": event(data=nested(MAX_DEPTH - 1) | {"b": 1}, metadata={"custom": nested(MAX_DEPTH - 1)}),
}
"""Events that an author signs."""


def sent(event: Record) -> Record:
    """The event as an input of `events.log`."""
    context = {name: value for name, value in event["context"].items() if name != "salt"}
    return {"id": event["event_id"], "type": event["type"], "data": event["payload"], **context}


def changed(event: Record, path: str, value: Any) -> Record:
    """The event with another value at this dotted path; `GONE` removes the member."""
    event = copy.deepcopy(event)
    *names, last = path.split(".")
    inside = event
    for name in names:
        inside = inside.setdefault(name, {})
    if value is GONE:
        del inside[last]
    else:
        inside[last] = value
    return event


def right() -> Iterator[Record]:
    """Events that their authors have signed."""
    for name, one in RIGHT.items():
        yield _case(name, signed(one), verifies=True)


def changes() -> Iterator[Record]:
    """Events that were changed after their authors had signed them."""
    intent, every = RIGHT["an intent"], RIGHT["every member"]
    whole = signed({**intent, "context": {**every["context"], **intent["context"]}})
    for name, path, value in [
        ("a copy in another log", "log", "other"),
        ("a copy in another node", "node", signer_of(1).did),
        ("another id", "event_id", "01938c1e-0000-7000-8000-000000000002"),
        ("another type", "type", "payment.refund.approved"),
        ("a changed digit", "payload.parameters.amount", 82001),
        ("another digit", "payload.parameters.amount", 820000),
        ("a text in place of a number", "payload.parameters.amount", "82000"),
        ("another null", "payload.parameters.note", None),
        ("another user", "context.userId", "ann"),
        ("another source", "context.source", "system"),
        ("another subject", "context.subjectId", "order-8"),
        ("no subject", "context.subjectId", GONE),
        ("another cause", "context.causationId", "cause-2"),
        ("another time", "context.occurredAt", "2026-01-02T03:04:05.678902Z"),
        ("other terms", "context.metadata.synap.intent.uses", 3),
        ("another kind of metadata", "context.metadata.custom", {}),
        ("another member of the body", "context.more", 1),
        ("another author", "context.metadata.synap.author.did", OTHER.did),
        ("another member of the author", "context.metadata.synap.author.name", "A"),
    ]:
        yield _case(name, changed(whole, path, value), verifies=False)
    yield _case("another salt", changed(whole, "context.salt", "11" * 16), verifies=True)


def hostile() -> Iterator[Record]:
    """Keys and signatures that no strict verifier accepts."""
    one = RIGHT["an intent"]
    path = "context.metadata.synap.author"
    whole = signed(one)
    signature = whole["context"]["metadata"]["synap"]["author"]["signature"]
    for name, spelt in respelt_signatures(signature):
        yield _case(f"base64 {name}", changed(whole, f"{path}.signature", spelt), verifies=False)
    for name, forger in {"of order 1": Forger(written(NEUTRAL)), "of mixed order": MIXED}.items():
        yield _case(f"a key {name}", signed(one, forger), verifies=False)
    for name, did in {
        "did of another method": f"did:web:{AUTHOR.kid}",
        "kid in place of the did": AUTHOR.kid,
        "did with a fragment": f"{AUTHOR.did}#{AUTHOR.kid}",
        "did with a leading 1": AUTHOR.did.replace("did:key:z", "did:key:z1"),
        "did with a space": f"{AUTHOR.did} ",
        "did of another kind of key": f"did:key:{kid_of(AUTHOR.public).replace('z6Mk', 'z6LS')}",
        "did in capitals": AUTHOR.did.upper(),
    }.items():
        yield _case(f"a {name}", signed(one, did=did), verifies=False)


def without() -> Iterator[Record]:
    """Events without an author, and with one that nobody can have signed."""
    unsigned: dict[str, Record] = {
        "no metadata": {},
        "another kind": {"metadata": {"custom": {"author": {"did": AUTHOR.did, "signature": "A"}}}},
        "an intent without an author": {"metadata": {"synap": {"intent": {}}}},
        "a kind that is no object": {"metadata": {"synap": "author"}},
    }
    for name, context in unsigned.items():
        one = event(data={"synap": {"author": {}}}, **context)
        yield {"name": name, "event": one, "canonical": None, "text": None, "verifies": None}
    for name, author in {
        "that is a text": AUTHOR.did,
        "that is null": None,
        "without a signature": {"did": AUTHOR.did},
        "without a did": {"signature": "A"},
        "whose did is a number": {"did": 1, "signature": "A"},
    }.items():
        one = event(metadata={"synap": {"author": author}})
        yield {"name": f"an author {name}", "event": one, "canonical": None, "text": None, "verifies": False}
    for name in ("node", "log", "id", "type"):
        one = changed(signed(event()), f"context.{name}", "x")
        yield {"name": f"a body with {name}", "event": one, "canonical": None, "text": None, "verifies": False}


def _case(name: str, event: Record, *, verifies: bool) -> Record:
    canonical, text = canonical_of(event).decode(), text_of(event).decode()
    return {"name": name, "event": event, "canonical": canonical, "text": text, "verifies": verifies}


def printed() -> str:
    """The file: one case a line."""
    key = {"secret_hex": SECRET, "did": AUTHOR.did}
    cases = [*right(), *changes(), *hostile(), *without()]
    lines = ",\n".join(json.dumps(case) for case in cases)
    return f'{{\n"about": {json.dumps(ABOUT)},\n"ed25519": {json.dumps(key)},\n"cases": [\n{lines}\n]\n}}\n'


if __name__ == "__main__":
    sys.stdout.write(printed())
