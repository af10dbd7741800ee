"""Receipts of logs that the tests write themselves, right ones and forged ones."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from msgspec import Struct

from app.ledger import checkpoint
from app.ledger.chain import Body, instant
from app.ledger.verify import verify_receipt
from tests.kit import paths
from tests.kit.authors import OTHER, event, log_signed, signed
from tests.kit.bundles import Log, Record, proof_of, write

REFUND = "payment.refund"
AMOUNT: Record = {"parameters": {"amount": 82000, "orderId": "order-7"}}
VECTORS = paths.VECTORS / "receipts.json"
"""Sound receipts, and what verifiers say of them. `python -m tests.kit.receipts` writes the file."""

HOUR, DAY = 3600, 86_400
"""The seconds to the end of a start, and to that of a request, which say nothing else."""

NOBODY = "01938c1e-0000-7000-8000-0000000000ff"


def compact(value: object) -> str:
    """JSON that is canonical for the simple values of these tests."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


class Writer:
    """Writes the events of intents into a log, as a server does."""

    def __init__(self, log: Log | None = None) -> None:
        self.log = log or Log(seed=23)

    def event(
        self,
        type: str,
        data: object = None,
        *,
        user: str = "agent",
        cause: str | None = None,
        id: str | None = None,
        at: str | None = None,
        **synap: Any,
    ) -> int:
        """Append an event, with `synap` as its metadata of that kind. Returns its seq. `at` is its time."""
        body = Body(
            user_id=user,
            source="system" if user == self.log.node else "api",
            data=compact(data or {}),
            causation_id=cause,
            metadata=compact({"synap": synap}) if synap else None,
        )
        self.log.append(type, body=body, id=id, timestamp=at)
        return len(self.log.events) - 1

    def id(self, seq: int) -> str:
        """The id of an event."""
        found: str = self.log.events[seq]["event_id"]
        return found

    def ask(self, data: object = None, cause: str | None = None, at: str | None = None, **intent: Any) -> int:
        """Ask for a refund."""
        return self.event(f"{REFUND}.requested", data or AMOUNT, cause=cause, at=at, intent=intent)

    def decide(
        self,
        intent: int,
        decision: str = "approved",
        user: str | None = None,
        at: str | None = None,
        **more: Any,
    ) -> int:
        """Decide on it, or end it: by who does that, unless another `user` is named."""
        said = {**self.names(intent), "decision": decision, **more}
        user = user or {"expired": self.log.node, "withdrawn": "agent"}.get(decision, "ann")
        return self.event(f"{REFUND}.{decision}", user=user, cause=self.id(intent), at=at, decision=said)

    def start(self, intent: int, decision: int, use: int = 1, at: str | None = None, **more: Any) -> int:
        """Start a use."""
        said = {**self.names(intent), "decisionId": self.id(decision), "use": use, "requestId": f"r{use}", **more}
        return self.event(f"{REFUND}.started", cause=self.id(intent), at=at, start=said)

    def finish(
        self,
        start: int,
        intent: int,
        outcome: str = "executed",
        data: object = None,
        user: str | None = None,
        at: str | None = None,
        **more: Any,
    ) -> int:
        """Report how it ended: by who does that, unless another `user` is named."""
        said = {"startId": self.id(start), "intentId": self.id(intent), "outcome": outcome, **more}
        user = user or (self.log.node if outcome == "unknown" else "agent")
        return self.event(f"{REFUND}.{outcome}", data, user=user, cause=self.id(intent), at=at, outcome=said)

    def names(self, intent: int) -> Record:
        """How the events that follow name an intent."""
        return {"intentId": self.id(intent), "intentHash": self.log.events[intent]["hash"]}

    def receipt(self, chain: Sequence[int], causes: Sequence[int] = (), *, withheld: Sequence[int] = ()) -> Record:
        """The receipt of these seqs, in this order."""
        log, of = self.log, self.log.checkpoint()
        hashes = [event["hash"] for event in log.events]

        def entry(seq: int) -> Record:
            event = log.events[seq]
            if seq in withheld:
                return {
                    "event": event | {"payload": {}, "context": {}},
                    "proof": proof_of(hashes, seq),
                    "withheld": True,
                }
            return {"event": event, "proof": proof_of(hashes, seq)}

        return {
            "v": "evlog/receipt/v1",
            "event_id": self.id(chain[0]),
            "log": log.name,
            "node_did": log.node,
            "chain": [entry(seq) for seq in chain],
            "causes": [entry(seq) for seq in causes],
            "checkpoint": {
                "note": checkpoint.sign(of, log.signers[-1]),
                "origin": of.origin,
                "size": of.size,
                "root": base64.b64encode(of.root).decode(),
                "vkey": checkpoint.vkey(of.origin, log.signers[-1].kid),
            },
            "keys": log.keys,
        }


class Told(Struct, frozen=True):
    """A sound receipt, and the seqs of events whose bodies are not there."""

    receipt: Record
    unconfirmed: list[int] = []
    withheld: list[int] = []


def refund() -> Told:
    """What everybody hopes for: asked, approved, started, executed."""
    writer = Writer()
    writer.log.write(1)
    cause = writer.event("order.complained", {"order": 7}, user="bob")
    terms: Record = {"risk": "high", "reversible": False, "summary": "Refund order 7", "approvers": ["ann", "bob"]}
    asked = {"note": "see the complaint", **AMOUNT}
    intent = writer.ask(asked, cause=writer.id(cause), expiresAt="2027-01-01T00:00:00Z", **terms)
    decision = writer.decide(intent, reason='Agreed "by phone"')
    start = writer.start(intent, decision)
    end = writer.finish(start, intent, data={"receipt": "R-1"})
    writer.log.write(2)
    return Told(writer.receipt([intent, decision, start, end], [cause]))


def _rejected() -> Told:
    writer = Writer()
    intent = writer.ask({"amount": 5})
    return Told(writer.receipt([intent, writer.decide(intent, "rejected", user="agent")]))


def _open() -> Told:
    writer = Writer()
    return Told(writer.receipt([writer.ask(cause=NOBODY, reversible=True)]))


def _expired() -> Told:
    writer = Writer()
    intent = writer.ask()
    writer.log.wait(DAY)
    return Told(writer.receipt([intent, writer.decide(intent, "expired")]))


def _in_time() -> Told:
    """An approval and a start in the last moments that the request allows, and an end in the first one after it."""
    writer = Writer()
    intent = writer.ask(at="2026-01-02T03:04:05.000000Z", expiresAt="2026-01-02 04:04:05.1234564+01:00", uses=2)
    decision = writer.decide(intent, at="2026-01-02T03:04:05.123454Z")
    start = writer.start(intent, decision, at="2026-01-02T03:04:05.123455Z")
    end = writer.decide(intent, "expired", at="2026-01-02T03:04:05.123456Z")
    unknown = writer.finish(start, intent, "unknown", at="2026-01-02T04:04:05.123455Z")
    return Told(writer.receipt([intent, decision, start, end, unknown]))


def _uses() -> Told:
    """Three uses: one unknown and then late, one that differs, one without an outcome; then it is withdrawn."""
    writer = Writer(Log(seed=24, late=1))
    intent = writer.ask(uses=3)
    decision = writer.decide(intent)
    starts = [writer.start(intent, decision, use) for use in (1, 2, 3)]
    writer.log.wait(HOUR)
    unknown = writer.finish(starts[0], intent, "unknown")
    late = writer.finish(starts[0], intent, "failed", late=True)
    differs = writer.finish(starts[1], intent, data={"parameters": {"amount": 1}}, differs=True)
    writer.log.rotate()
    end = writer.decide(intent, "withdrawn", reason="Enough")
    return Told(writer.receipt([intent, decision, *starts, unknown, late, differs, end]))


def _erased() -> Told:
    writer = Writer()
    intent = writer.ask()
    decision = writer.decide(intent)
    start = writer.start(intent, decision)
    end = writer.finish(start, intent)
    writer.log.erase([intent, start])
    return Told(writer.receipt([intent, decision, start, end]), [intent, start])


def _all_erased() -> Told:
    writer = Writer()
    intent = writer.ask()
    decision = writer.decide(intent)
    start = writer.start(intent, decision)
    end = writer.finish(start, intent)
    chain = [intent, decision, start, end]
    writer.log.erase(chain)
    return Told(writer.receipt(chain), chain)


def _event_erased() -> Told:
    writer = Writer()
    seq = writer.event("note.created", {"a": 1})
    writer.log.erase([seq])
    return Told(writer.receipt([seq]), [seq])


def _signed() -> Told:
    """A request that its author signed, caused by an event that another author signed."""
    writer = Writer()
    log = writer.log
    log_signed(log, OTHER, 1)
    of = {"node": log.node, "log": log.name, "event_id": "01938c1e-0000-7000-8000-000000000002"}
    asked = signed(event(causationId=writer.id(0), metadata={"synap": {"intent": {"risk": "low"}}}) | of)
    synap = asked["context"]["metadata"]["synap"]
    writer.event(f"{REFUND}.requested", asked["payload"], cause=writer.id(0), id=asked["event_id"], **synap)
    return Told(writer.receipt([1, writer.decide(1)], [0]))


def _withheld() -> Told:
    """An ordinary event, with a cause of its own user and a cause of another."""
    writer = Writer()
    theirs = writer.event("note.asked", {"secret": 1}, user="bob", cause=NOBODY)
    mine = writer.event("note.read", {}, cause=writer.id(theirs))
    seq = writer.event("note.created", {"text": "n"}, cause=writer.id(mine))
    return Told(writer.receipt([seq], [mine, theirs], withheld=[theirs]), withheld=[theirs])


def _hidden() -> Told:
    """Texts that would mislead a reader if they were printed as they are."""
    writer = Writer()
    data = {"to": "\u202egnp.exe", "zero": "a\u200bb", "nul": "\0", "tag": "\U000e0041", "é": "\U0001f600 田中"}
    intent = writer.ask({"parameters": data}, summary='Line\none \u2066"quoted" \\u202e \x7f', approvers=["an\u00adn"])
    return Told(writer.receipt([intent, writer.decide(intent, user="an\u00adn", reason="\ufeffok \u0378")]))


def _long() -> Told:
    writer = Writer()
    return Told(writer.receipt([writer.event("note.created", {"text": "\U0001f600ab" * 1000})]))


SOUND: dict[str, Callable[[], Told]] = {
    "a refund": refund,
    "rejected by the one who asked": _rejected,
    "open": _open,
    "expired": _expired,
    "in the last moment": _in_time,
    "three uses": _uses,
    "an erased request and start": _erased,
    "all erased": _all_erased,
    "an erased event": _event_erased,
    "an event with a withheld cause": _withheld,
    "signed by authors": _signed,
    "hidden characters": _hidden,
    "a long content": _long,
}


def digits(count: int) -> list[bytes]:
    """The text of a sound receipt with one digit changed, at places anywhere in it."""
    text, random = write(refund().receipt), Random(4)
    places = [place for place, octet in enumerate(text) if chr(octet).isdigit()]
    return [
        text[:place] + str((text[place] - ord("0") + random.randint(1, 9)) % 10).encode() + text[place + 1 :]
        for place in sorted(random.sample(places, count))
    ]


def octets(count: int) -> list[bytes]:
    """The text of a sound receipt with any one octet changed to any other."""
    text, random = write(refund().receipt), Random(5)
    places = sorted(random.sample(range(len(text)), count))
    return [
        text[:place] + bytes([(text[place] + random.randint(1, 255)) % 256]) + text[place + 1 :] for place in places
    ]


class Forged(Struct, frozen=True):
    """The text of a receipt that verifiers reject, and the seq that they name (None: the receipt itself).

    What is wrong with the JSON itself one of them finds before it looks at events.
    """

    text: bytes
    seq: int | None
    is_of_json: bool = False

    @property
    def seqs(self) -> set[int | None]:
        """What a verifier may name."""
        return {self.seq, None} if self.is_of_json else {self.seq}


def _altered(change: Callable[[Record], object], seq: int | None = None) -> Forged:
    receipt = refund().receipt
    change(receipt)
    return Forged(write(receipt), seq)


def _respelt(old: bytes, new: bytes, seq: int | None = None, *, is_of_json: bool = False) -> Forged:
    text = write(refund().receipt)
    assert old in text
    return Forged(text.replace(old, new, 1), seq, is_of_json)


def _chained(make: Callable[[Writer], Sequence[int]]) -> Forged:
    """A receipt whose events a node signed, but which do not belong together: the last of them is named."""
    writer = Writer()
    chain = make(writer)
    return Forged(write(writer.receipt(chain)), chain[-1])


def _of_another(writer: Writer, name: str) -> list[int]:
    """A chain of which one event, or one hash, is of another request."""
    intent, other = writer.ask(), writer.ask()
    decisions = {seq: writer.decide(seq) for seq in (intent, other)}
    starts = {seq: writer.start(seq, decisions[seq]) for seq in (intent, other)}
    if name == "decision":
        return [intent, decisions[other]]
    if name == "start":
        return [intent, decisions[intent], starts[other]]
    return [intent, decisions[intent], starts[intent], writer.finish(starts[other], other)]


def _without(writer: Writer, name: str) -> list[int]:
    intent = writer.ask()
    decision = writer.decide(intent)
    start = writer.start(intent, decision)
    return [intent, start] if name == "decision" else [intent, decision, writer.finish(start, intent)]


def _said(writer: Writer, **said: Any) -> list[int]:
    """A start, after an approval, that says something else."""
    intent = writer.ask()
    decision = writer.decide(intent)
    return [intent, decision, writer.start(intent, decision, **said)]


def _twice(writer: Writer, name: str) -> list[int]:
    intent = writer.ask(uses=2)
    decision = writer.decide(intent)
    if name == "decided":
        return [intent, decision, writer.decide(intent, "rejected")]
    start = writer.start(intent, decision)
    if name == "started":
        return [intent, decision, start, writer.start(intent, decision)]
    if name == "finished":
        return [intent, decision, start, writer.finish(start, intent), writer.finish(start, intent, "failed")]
    ended = writer.decide(intent, "withdrawn")
    writer.log.wait(DAY)
    return [intent, decision, start, ended, writer.decide(intent, "expired")]


def _after(writer: Writer, decision: str, user: str = "agent") -> list[int]:
    """A start that nobody approved, or not any more, or that is another user's."""
    intent = writer.ask()
    chain = [intent, writer.decide(intent)] if decision == "withdrawn" else [intent]
    chain.append(writer.decide(intent, decision))
    said = {**writer.names(intent), "decisionId": writer.id(chain[1]), "use": 1, "requestId": "r"}
    return [*chain, writer.event(f"{REFUND}.started", user=user, cause=writer.id(intent), start=said)]


def _late(writer: Writer, word: str, *, expires_at: str | None = None) -> list[int]:
    """A decision or a start that comes when the request is over."""
    intent = writer.ask(**{"expiresAt": expires_at} if expires_at else {})
    chain = [intent]
    if word != "approved":
        chain.append(writer.decide(intent))
    at = expires_at or instant(datetime.fromisoformat(writer.log.events[intent]["timestamp"]) + timedelta(days=1))
    if word == "started":
        return [*chain, writer.start(intent, chain[1], at=at)]
    return [*chain, writer.decide(intent, word, at=at)]


def _early(writer: Writer, word: str, **by: str) -> list[int]:
    """An event that says that a time is over: a moment too early, or (`by`) in time, but of another user."""
    intent = writer.ask(timeoutSeconds=5, expiresAt="2026-01-02T03:04:10Z")
    if word == "expired":
        return [intent, writer.decide(intent, word, at=f"2026-01-02T03:04:{'10.00' if by else '09.99'}0000Z", **by)]
    decision = writer.decide(intent)
    start = writer.start(intent, decision, at="2026-01-02T03:04:09.000000Z")
    at = f"2026-01-02T03:04:{'14.00' if by else '13.99'}0000Z"
    return [intent, decision, start, writer.finish(start, intent, word, at=at, **by)]


def _used(writer: Writer) -> list[int]:
    """Two starts of one use, of which the first is erased."""
    intent = writer.ask()
    decision = writer.decide(intent)
    starts = [writer.start(intent, decision), writer.start(intent, decision)]
    writer.log.erase(starts[:1])
    return [intent, decision, *starts]


def _by_another(writer: Writer, word: str) -> list[int]:
    """A withdrawal or a report by a user who did not ask."""
    intent = writer.ask()
    decision = writer.decide(intent)
    if word == "withdrawn":
        return [intent, decision, writer.decide(intent, word, user="bob")]
    start = writer.start(intent, decision)
    return [intent, decision, start, writer.finish(start, intent, word, user="bob")]


def _decided(writer: Writer, type: str = "approved", cause: bool = True, **said: Any) -> list[int]:  # noqa: FBT001, FBT002
    """A decision that says something else."""
    intent = writer.ask(approvers=["ann"])
    whole = {**writer.names(intent), "decision": "approved", **said}
    named = writer.id(intent) if cause else None
    return [intent, writer.event(f"{REFUND}.{type}", user="ann", cause=named, decision=whole)]


def _asked(writer: Writer, type: str = f"{REFUND}.requested", **intent: Any) -> list[int]:
    return [writer.event(type, AMOUNT, intent=intent)]


def _misasked(name: str, value: Any) -> Forged:
    return _chained(lambda writer: _asked(writer, **{name: value}))


def _elsewhere() -> Forged:
    """A decision of the same node in another log."""
    writer, other = Writer(), Writer(Log(seed=23, name="other"))
    intent = writer.ask()
    writer.decide(intent)
    other.log.events = [dict(event) for event in writer.log.events[:1]]
    other.log.kids = writer.log.kids[:1]
    other.decide(intent)
    receipt = writer.receipt([0, 1])
    receipt["chain"][1]["event"] = other.log.events[1]
    return Forged(write(receipt), 1)


def _erased_at_the_end() -> Forged:
    writer = Writer()
    seq = writer.event("note.created")
    writer.log.strip(seq)
    return Forged(write(writer.receipt([seq])), seq)


def _caused(change: Callable[[Record], object], seq: int | None) -> Forged:
    receipt = _withheld().receipt
    change(receipt)
    return Forged(write(receipt), seq)


def _set(*path: Any, value: Any) -> Callable[[Record], None]:
    """A change of one place."""

    def change(receipt: Record) -> None:
        place: Any = receipt
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return change


def _swapped(receipt: Record) -> None:
    receipt["chain"][1:3] = receipt["chain"][2:0:-1]


FORGED: dict[str, Callable[[], Forged]] = {
    "a decision of another request": lambda: _chained(lambda writer: _of_another(writer, "decision")),
    "a start of another request": lambda: _chained(lambda writer: _of_another(writer, "start")),
    "an outcome of another request": lambda: _chained(lambda writer: _of_another(writer, "outcome")),
    "a decision of another log": _elsewhere,
    "a decision about another hash": lambda: _chained(lambda writer: _decided(writer, intentHash=f"sha256:{'0' * 64}")),
    "a decision about another id": lambda: _chained(lambda writer: _decided(writer, intentId=NOBODY)),
    "a decision that the request did not cause": lambda: _chained(lambda writer: _decided(writer, cause=False)),
    "a decision of another word": lambda: _chained(lambda writer: _decided(writer, "rejected")),
    "a word that follows no request": lambda: _chained(lambda writer: _decided(writer, "agreed")),
    "a reason that is no text": lambda: _chained(lambda writer: _decided(writer, reason=5)),
    "an approval by nobody who may": lambda: _chained(
        lambda writer: [intent := writer.ask(approvers=["bob"]), writer.decide(intent)]
    ),
    "an ordinary event called approved": lambda: _chained(
        lambda writer: [intent := writer.ask(), writer.event(f"{REFUND}.approved", cause=writer.id(intent))]
    ),
    "a start without its decision": lambda: _chained(lambda writer: _without(writer, "decision")),
    "an outcome without its start": lambda: _chained(lambda writer: _without(writer, "start")),
    "a start after a rejection": lambda: _chained(lambda writer: _after(writer, "rejected")),
    "a start after the end": lambda: _chained(lambda writer: _after(writer, "withdrawn")),
    "a start by another user": lambda: _chained(lambda writer: _after(writer, "approved", "bob")),
    "a start of another decision": lambda: _chained(lambda writer: _said(writer, decisionId=NOBODY)),
    "a start of another hash": lambda: _chained(lambda writer: _said(writer, intentHash=f"sha256:{'0' * 64}")),
    "a use beyond the last": lambda: _chained(lambda writer: _said(writer, use=2)),
    "a use that is no number": lambda: _chained(lambda writer: _said(writer, use="1")),
    "a use that is true": lambda: _chained(lambda writer: _said(writer, use=True)),
    "a use of a half": lambda: _chained(lambda writer: _said(writer, use=1.5)),
    "a use that started twice": lambda: _chained(lambda writer: _twice(writer, "started")),
    "a use that started twice, once erased": lambda: _chained(_used),
    **{
        f"{word} when it is over": partial(_chained, partial(_late, word=word))
        for word in ("approved", "withdrawn", "started")
    },
    **{
        f"{word} at the moment that it names": partial(
            _chained, partial(_late, word=word, expires_at="2026-01-02T03:04:08.000000Z")
        )
        for word in ("approved", "withdrawn", "started")
    },
    **{f"{word} too early": partial(_chained, partial(_early, word=word)) for word in ("expired", "unknown")},
    **{
        f"{word} by a user": partial(_chained, partial(_early, word=word, user="bob"))
        for word in ("expired", "unknown")
    },
    **{
        f"{word} by another user": partial(_chained, partial(_by_another, word=word))
        for word in ("withdrawn", "executed", "failed")
    },
    "two decisions": lambda: _chained(lambda writer: _twice(writer, "decided")),
    "two ends": lambda: _chained(lambda writer: _twice(writer, "ended")),
    "two outcomes": lambda: _chained(lambda writer: _twice(writer, "finished")),
    "a request of another type": lambda: Forged(
        write((writer := Writer()).receipt(_asked(writer, f"{REFUND}.asked"))), 0
    ),
    **{
        f"a request with {name} of another kind": partial(_misasked, name, value)
        for name, value in {
            "uses": 0,
            "approvers": "ann",
            "risk": "huge",
            "reversible": "yes",
            "summary": None,
            "expiresAt": 5,
            "timeoutSeconds": 604_801,
        }.items()
    },
    **{
        f"a request until {text!r}": partial(_misasked, "expiresAt", text)
        for text in (
            "tomorrow",
            "2026-02-29T00:00:00Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T03:04:60Z",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05+24:00",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "2026-01-02T03:04:05.Z",
            "\u06622026-01-02T03:04:05Z",
        )
    },
    "synap that is no object": lambda: _chained(
        lambda writer: [intent := writer.ask(), writer.event(f"{REFUND}.approved", cause=writer.id(intent), decision=5)]
    ),
    "a body that is gone at the end of the log": _erased_at_the_end,
    "events in another order": lambda: _altered(_swapped, 4),
    "an event twice": lambda: _altered(lambda receipt: receipt["causes"].append(receipt["chain"][1]), 3),
    "a cause that is none": lambda: _altered(lambda receipt: receipt["causes"].insert(0, receipt["chain"].pop()), 5),
    "no chain": lambda: _altered(_set("chain", value=[])),
    "65 causes": lambda: _altered(lambda receipt: receipt["causes"].extend(receipt["causes"] * 64)),
    "about an event that is not there": lambda: _altered(_set("event_id", value=NOBODY)),
    "about a cause": lambda: _altered(
        lambda receipt: receipt.update(event_id=receipt["causes"][0]["event"]["event_id"])
    ),
    "another version": lambda: _altered(_set("v", value="evlog/receipt/v2")),
    "another log": lambda: _altered(_set("log", value="other")),
    "a log with a space": lambda: _altered(_set("log", value="a b")),
    "no log": lambda: _altered(_set("log", value="")),
    "another node": lambda: _altered(_set("node_did", value=Log(seed=1).node)),
    "one more member": lambda: _altered(_set("approved", value=True)),
    "one more member of an entry": lambda: _altered(_set("chain", 0, "role", value="intent")),
    "another proof": lambda: _altered(
        lambda receipt: receipt["chain"][1].update(proof=receipt["chain"][2]["proof"]), 3
    ),
    "no proof": lambda: _altered(_set("chain", 1, "proof", value=[]), 3),
    "a larger tree": lambda: _altered(_set("checkpoint", "size", value=9)),
    "another key of the checkpoint": lambda: _altered(_set("checkpoint", "vkey", value="x+00000000+AA==")),
    "a note that is a number": lambda: _altered(_set("checkpoint", "note", value=5)),
    "no keys": lambda: _altered(_set("keys", value=[])),
    "an entry that is a list": lambda: _altered(_set("chain", 0, value=[])),
    "an event that is null": lambda: _altered(_set("chain", 0, "event", value=None)),
    "a seq that is a text": lambda: _altered(_set("chain", 0, "event", "seq", value="2")),
    "a seq of a half": lambda: _altered(_set("chain", 0, "event", "seq", value=2.5)),
    "a seq beyond all": lambda: _altered(_set("chain", 0, "event", "seq", value=2**70)),
    "a context that is a text": lambda: _altered(_set("chain", 0, "event", "context", value="c"), 2),
    "deep content": lambda: _respelt(b'"amount":82000', b'"amount":' + b"[" * 3000 + b"]" * 3000, 2, is_of_json=True),
    "a large number": lambda: _respelt(b'"amount":82000', b'"amount":1e999', 2, is_of_json=True),
    "another amount": lambda: _respelt(b'"amount":82000', b'"amount":820000', 2),
    "another reason": lambda: _respelt(b"by phone", b"by Phone", 3),
    "half of a surrogate pair": lambda: _respelt(b"by phone", rb"by \ud800", 3, is_of_json=True),
    "a member of an event twice": lambda: _respelt(b'"source":"api"', b'"source":"api","source":"api"'),
    "a parameter twice": lambda: _respelt(b'"amount":82000', b'"amount":820000,"amount":82000'),
    "a member of the receipt twice": lambda: _respelt(b'{"v":', b'{"log":"x","v":'),
    "a withheld request": lambda: _caused(_set("chain", 0, "withheld", value=True), 2),
    "a cause that is not withheld": lambda: _caused(_set("causes", 1, "withheld", value=False), 0),
    "a withheld cause with a body": lambda: _caused(_set("causes", 1, "event", "payload", value={"secret": 2}), 0),
    "a withheld cause of another type": lambda: _caused(_set("causes", 1, "event", "type", value="note.aske"), 0),
    "a withheld cause without a link": lambda: _caused(_set("causes", 1, "event", "prev_hash", value="x"), 0),
    "a withheld cause that is erased": lambda: _caused(_set("causes", 1, "event", "erased", value=True), 0),
}


def _vector(told: Told) -> Record:
    verdict = verify_receipt(write(told.receipt))
    return {
        "receipt": told.receipt,
        "sentences": verdict.sentences,
        "unconfirmed": told.unconfirmed,
        "withheld": told.withheld,
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps({name: _vector(make()) for name, make in SOUND.items()}, indent=1) + "\n")
