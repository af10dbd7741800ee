"""`_node` is witnessed: its checkpoints are cosigned and served, and a second history is found."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from msgspec import Struct

from app.delivery.witnesses import REFUSED, Served, Witnessing
from app.ledger import checkpoint, policy
from app.ledger.chain import NODE_LOG
from app.ledger.checkpoint import is_signed_by
from app.ledger.cosignature import cosign
from app.ledger.notes import from_base64, signature_line
from app.ledger.policy import Policy, judge
from app.ledger.signer import Signer
from app.ledger.verify import verify_bundle, verify_proof, verify_receipt
from app.ledger.witnessing import LastCosigned
from app.sealing.intent_ids import IntentIds
from app.store.install.install import connect
from app.store.install.rotation import rotate_key
from app.store.ledger.anchor import Anchor
from app.store.ledger.export import Exports
from app.store.ledger.heads import Heads
from app.store.ledger.ledger import Ledger
from app.store.ledger.node_notes import NodeNotes
from app.store.ledger.node_witnesses import NodeWitnesses, Standing
from app.store.ledger.receipts import Receipts
from app.store.ledger.trees import Trees
from schemas.errors import Unavailable
from schemas.ledger import SignedCheckpoint
from tests.kit.cosigners import HonestWitness, Response, listening
from tests.kit.servers import cloned
from tests.store.opened import SECRET, Store, draft, opened

QUICK_SECONDS = 2.0
"""How long a witness may take in these tests."""


class Witnessed(Struct, frozen=True):
    """An install with its witnesses, on the event loop of its store."""

    store: Store
    policy: Policy
    ledger: Ledger
    witnessing: Witnessing

    @classmethod
    def of(
        cls, store: Store, text: str, *, grace_days: float = 30, ledger: type[Ledger] = Ledger, **options: Any
    ) -> "Witnessed":
        """A process of an install, with the policy `text`."""
        origin, trees = store.node.removeprefix("did:key:"), Trees(store.database)
        witnesses, heads = NodeWitnesses(store.database), Heads(store.database, trees)
        notes = NodeNotes(store.database, store.keys, grace_days=grace_days)
        read = ledger(store.database, trees, store.keys, origin, node_notes=notes)
        parsed = policy.parse(text.encode())
        served = Served(
            ledger=read,
            log=store.log,
            heads=heads,
            anchor=Anchor(heads, store.log, node=store.node),
            witnesses=witnesses,
            node=store.node,
        )
        settings = {"turn_seconds": 0, "answer_seconds": QUICK_SECONDS} | options
        return cls(store, parsed, read, Witnessing(parsed, served, **settings))

    def turn(self, *, grow: bool = True) -> None:
        """Let the minute pass in which a workspace has grown, or has not."""
        if grow:
            self.store.append(draft())
        assert self.store.run(self.witnessing.turn())

    def look(self) -> None:
        """Let the process heed what other turns found."""
        self.store.run(self.witnessing.heed_alarms())

    def served(self) -> SignedCheckpoint:
        """The checkpoint of `_node` as readers get it."""
        found: SignedCheckpoint = self.store.run(self.ledger.checkpoint(NODE_LOG))
        return found

    def size(self) -> int:
        """How many events `_node` has."""
        seq, _ = self.store.run(self.ledger.tip(NODE_LOG))
        return int(seq) + 1

    def cosigners(self) -> list[str]:
        """The witnesses that cosigned what is served. The note is right in every other way."""
        judged = judge(self.policy, checkpoint.parse(self.served().note))
        assert judged.is_log_known
        assert not judged.false_keys
        return [each.witness.name for each in judged.cosigned]

    def standing(self, witness: HonestWitness) -> Standing:
        """How a witness stands."""
        key = witness.key.spelled()
        found: Standing = self.store.run(NodeWitnesses(self.store.database).standing([key]))[key]
        return found

    def acts(self) -> list[str]:
        """The acts in the install's audit that are about witnesses."""
        with connect(self.store.url) as connection:
            rows = connection.execute(
                "SELECT action FROM audit_entry WHERE workspace_id = '_node' AND action LIKE 'witness.%' ORDER BY seq"
            )
            return [action for (action,) in rows]


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """An install of the test's own."""
    with opened(database_url, tmp_path) as store:
        yield store


def vkey(store: Store) -> str:
    """The verifier key of `_node`."""
    signed: SignedCheckpoint = store.run(store.ledger().current(NODE_LOG))
    return signed.vkey


def lines(store: Store, quorum: str, *witnesses: tuple[HonestWitness, str]) -> str:
    """The policy with these witnesses, of which a quorum is `all` or `any`."""
    named = " ".join(witness.name for witness, _ in witnesses)
    known = "".join(f"witness {witness.name} {witness.key.spelled()} {url}\n" for witness, url in witnesses)
    return f"log {vkey(store)}\n{known}group quorum {quorum} {named}\nquorum quorum\n"


@contextmanager
def witnessed(
    store: Store, *serving: Callable[[bytes], Response], quorum: str = "all", **options: Any
) -> Iterator[tuple[Witnessed, list[HonestWitness]]]:
    """The install with a honest witness for each of `serving`, which may answer in its place; by default one."""
    with ExitStack() as stack:
        honest = [HonestWitness(f"w{number}", vkey(store)) for number in range(max(len(serving), 1))]
        urls = [stack.enter_context(listening(each)) for each in serving or honest]
        yield Witnessed.of(store, lines(store, quorum, *zip(honest, urls, strict=True)), **options), honest


@contextmanager
def two(store: Store, **options: Any) -> Iterator[tuple[Witnessed, list[HonestWitness]]]:
    """The install with two honest witnesses, of which both make a quorum."""
    honest = [HonestWitness(f"w{number}", vkey(store)) for number in range(2)]
    with listening(honest[0]) as first, listening(honest[1]) as second:
        text = lines(store, "all", (honest[0], first), (honest[1], second))
        yield Witnessed.of(store, text, **options), honest


def test_a_quorum_cosigns_what_is_served_as_the_log_grows(store: Store) -> None:
    with two(store) as (install, [first, second]):
        assert install.cosigners() == []
        for _ in range(3):
            install.turn()
            assert install.cosigners() == ["w0", "w1"]
            assert install.served().size == install.size()
        store.append(draft(), workspace=NODE_LOG)

        assert install.served().size == install.size() - 1, "what is served is cosigned"
        assert [asked[::2] for asked in first.asked] == [(0, 1), (1, 2), (2, 3)]
        assert first.asked == second.asked


def test_a_quorum_is_counted_though_nobody_has_to_be_asked(store: Store) -> None:
    first, second = HonestWitness("w0", vkey(store)), HonestWitness("w1", vkey(store))
    with listening(second) as gone:
        pass
    with listening(first) as url:
        known = (first, url), (second, gone)
        Witnessed.of(store, lines(store, "all", *known)).turn()
        later = Witnessed.of(store, lines(store, "any", *known))
        assert later.cosigners() == []

        later.turn(grow=False)

    assert later.cosigners() == ["w0"]
    assert len(first.asked) == 1


def test_a_witness_is_not_asked_about_what_it_cosigned(store: Store) -> None:
    with two(store) as (install, [first, _]):
        install.turn()
        for _ in range(2):
            install.turn(grow=False)

    assert len(first.asked) == 1


def test_only_one_process_has_the_turn(store: Store) -> None:
    with two(store, turn_seconds=60) as (install, [first, _]):
        turns = [store.run(install.witnessing.turn()) for _ in range(2)]

    assert turns == [True, False]
    assert first.asked == [], "an empty log has no checkpoint worth a cosignature"


@pytest.mark.parametrize("grows", [False, True], ids=["the log has not grown", "the log has grown"])
def test_an_answer_that_was_lost_is_asked_for_again(store: Store, grows: bool) -> None:  # noqa: FBT001
    witness = HonestWitness("w0", vkey(store))
    losing = [True]

    def lossy(body: bytes) -> Response:
        answer = witness(body)
        return (500, b"") if losing.pop() else answer

    with listening(lossy) as url:
        install = Witnessed.of(store, lines(store, "all", (witness, url)))
        install.turn()
        assert install.standing(witness).problem == "It answered 500"
        losing[:] = [False] * 3
        install.turn(grow=grows)

    new = 2 if grows else 1
    assert witness.asked[1:] == [(0, 0, new), (1, 1 if grows else 0, new)]
    assert install.cosigners() == ["w0"]
    assert install.standing(witness) == Standing(size=new)


class _Overtaken(Ledger):
    """A process that reads the checkpoint, and is slow to submit it."""

    between: ClassVar[list[Callable[[], Any]]] = []

    async def current(self, workspace: str) -> SignedCheckpoint:
        found = await super().current(workspace)
        while self.between:
            await self.between.pop()()
        return found


def test_a_process_that_was_overtaken_submits_the_newest_checkpoint(store: Store) -> None:
    witness = HonestWitness("w0", vkey(store))
    with listening(witness) as url:
        text = lines(store, "all", (witness, url))
        quick, slow = Witnessed.of(store, text), Witnessed.of(store, text, ledger=_Overtaken)
        quick.turn()
        standing = quick.standing(witness)

        async def overtake() -> None:
            await store.log.append("default", [draft()])
            assert await quick.witnessing.turn()
            await store.log.append(NODE_LOG, [draft()])

        store.append(draft())
        _Overtaken.between.append(overtake)
        slow.turn(grow=False)

    assert standing.size == 1
    assert witness.asked[-1][::2] == (3, 4), witness.asked
    assert slow.standing(witness) == Standing(size=4)


def _has_another_history(witness: HonestWitness, _install: Witnessed) -> None:
    witness.cosigned = LastCosigned(1, bytes(32))


def _has_more(witness: HonestWitness, _install: Witnessed) -> None:
    witness.cosigned = LastCosigned(999, bytes(32))


ALARMS: dict[str, tuple[Callable[[HonestWitness, Witnessed], None], str]] = {
    "422": (_has_another_history, "It answered 422: the checkpoint of 2 events does not extend its own"),
    "a size beyond the log": (_has_more, "It cosigned 999 events of _node, which has 2"),
}


@pytest.mark.parametrize(("change", "reason"), ALARMS.values(), ids=list(ALARMS))
def test_a_second_history_raises_an_alarm_until_the_witness_vouches(
    store: Store, change: Callable[[HonestWitness, Witnessed], None], reason: str
) -> None:
    with two(store, fails_closed=True) as (install, [first, _]):
        install.turn()
        right = first.cosigned
        change(first, install)
        install.turn()
        install.look()

        assert install.standing(first).alarm == reason
        assert install.acts() == ["witness.alarmed"]
        with pytest.raises(Unavailable, match=REFUSED.split(",")[0]):
            store.append(draft())
        assert install.served().size == 1, "the last cosigned checkpoint is served"
        store.log.refuse(None)  # as after a restart
        store.run(install.witnessing.open())
        store.run(install.witnessing.close())
        with pytest.raises(Unavailable, match=REFUSED.split(",", maxsplit=1)[0]):
            store.append(draft())

        first.cosigned = right
        install.turn(grow=False)
        install.look()

        assert install.standing(first).alarm is None
        assert install.acts() == ["witness.alarmed", "witness.recovered"]
        store.append(draft())
        assert install.served().size == 2


def test_a_409_with_the_size_that_was_sent_is_an_alarm(store: Store) -> None:
    with witnessed(store, lambda _: (409, b"0\n")) as (install, [witness]):
        install.turn()

    assert install.standing(witness).alarm == "It answered 409 with the size 0 that the submission had named"


def test_appends_go_on_beside_an_alarm_by_default(store: Store) -> None:
    with witnessed(store, lambda _: (422, b"")) as (install, _):
        install.turn()
        install.look()
        install.turn()

    assert install.acts() == ["witness.alarmed"]


STRANGER = Signer(b"\x09" * 32)


def _by_a_stranger(body: bytes) -> Response:
    text = body.split(b"\n\n")[1] + b"\n"
    return 200, cosign(text, "stranger", STRANGER, 1_700_000_000).encode()


def _by_the_wrong_key(body: bytes) -> Response:
    _, strange = _by_a_stranger(body) or (0, b"")
    raw = from_base64(strange.decode().split()[-1]) or b""
    return 200, signature_line("w0", HonestWitness("w0").key.id + raw[4:]).encode()


FAILING: dict[str, tuple[Callable[[bytes], Response], str]] = {
    "another key": (_by_a_stranger, "It answered 200 without a cosignature by the key in the policy"),
    "a wrong signature": (_by_the_wrong_key, "It answered 200 with a wrong cosignature"),
    "no signature": (lambda _: (200, b"welcome"), "It answered 200 with a body that is not signature lines"),
    "an empty body": (lambda _: (200, b""), "It answered 200 without a cosignature by the key in the policy"),
    "a size that is none": (lambda _: (409, b"many\n"), "It answered 409 without a size"),
    "unknown log": (lambda _: (404, b""), "It answered 404"),
    "slow": (lambda _: None, f"No answer within {QUICK_SECONDS:g} s, waiting for the answer"),
}


@pytest.mark.parametrize(("answer", "problem"), FAILING.values(), ids=list(FAILING))
def test_a_witness_that_lies_or_is_slow_delays_no_other(
    store: Store, answer: Callable[[bytes], Response], problem: str
) -> None:
    bad, good = HonestWitness("w0"), HonestWitness("w1", vkey(store))
    with listening(answer) as first, listening(good) as second:
        install = Witnessed.of(store, lines(store, "any", (bad, first), (good, second)))
        install.turn()

    assert install.cosigners() == ["w1"]
    assert install.standing(bad).problem == problem
    assert install.standing(bad).alarm is None


def test_a_witness_with_many_keys_of_other_kinds_cosigns(store: Store) -> None:
    witness = HonestWitness("w0", vkey(store))
    others = signature_line("w0", bytes(4) + bytes(8 + 2420)) * 15  # the longest kind, of ML-DSA-44

    def answer(body: bytes) -> Response:
        status, line = witness(body) or (500, b"")
        return status, others.encode() + line

    with listening(answer) as url:
        install = Witnessed.of(store, lines(store, "all", (witness, url)))
        install.turn()

    assert install.cosigners() == ["w0"]


def test_a_witness_that_is_down_is_asked_less_and_less_often(store: Store) -> None:
    witness = HonestWitness("w0", vkey(store))
    with listening(witness) as url:
        pass
    install = Witnessed.of(store, lines(store, "all", (witness, url)), turn_seconds=60.0)
    waits = []
    with connect(store.url) as connection:
        for failures in (*range(8), 5000):
            connection.execute("UPDATE install SET headed_at = 'epoch'")
            install.standing(witness)
            connection.execute("UPDATE node_witness SET due_at = now(), failures = %s", (failures,))
            install.turn()
            [(wait,)] = connection.execute("SELECT extract(epoch FROM due_at - now())::float8 FROM node_witness")
            waits.append(wait)

    assert install.standing(witness).problem == "The connection was refused"
    for wait, expected in zip(waits, (60, 120, 240, 480, 960, 1920, 3600, 3600, 3600), strict=True):
        assert expected - 40 < wait < expected, waits


def test_a_witness_that_is_back_cosigns(store: Store) -> None:
    witness = HonestWitness("w0", vkey(store))
    failing = [True]
    with listening(lambda body: (503, b"") if failing else witness(body)) as url:
        install = Witnessed.of(store, lines(store, "all", (witness, url)))
        for _ in range(3):
            install.turn()
        assert install.standing(witness).failures == 3
        failing.clear()
        install.turn()

    assert install.cosigners() == ["w0"]
    assert install.standing(witness) == Standing(size=4)


def test_both_keys_sign_for_witnesses_that_know_only_the_old_one(store: Store) -> None:
    with two(store) as (install, _):
        install.turn()
        old = store.node.removeprefix("did:key:")
        with connect(store.url) as connection:
            new = rotate_key(connection, store.keys).kid_new
        install.turn()
        notes = [install.served().note]
        late = Witnessed.of(store, "quorum none\n", grace_days=0)
        notes.append(late.served().note)

        assert install.cosigners() == ["w0", "w1"]
        assert install.served().size == install.size()
        signed = [[is_signed_by(checkpoint.parse(note), kid) for kid in (old, new)] for note in notes]
        assert signed == [[True, True], [False, True]]


def test_exports_proofs_and_receipts_have_the_cosigned_checkpoint(store: Store) -> None:
    with two(store) as (install, _):
        install.turn()
        install.turn()
        cosigned = install.served()
        extended = store.run(install.ledger.consistency(NODE_LOG, 1, 2, store.run(install.ledger.tip(NODE_LOG))))
        store.append(draft(), workspace=NODE_LOG)
        exports = Exports(store.database, install.ledger, Trees(store.database))

        async def exported(last: int | None) -> bytes:
            return b"".join([piece async for piece in await exports.open(NODE_LOG, None, last)])

        part, whole = store.run(exported(0)), store.run(exported(None))
        entry = store.run(install.ledger.find(NODE_LOG, UUID(json.loads(part)["events"][0]["event_id"])))
        proof = store.run(install.ledger.inclusion(NODE_LOG, entry))
        receipts = Receipts(store.database, install.ledger, Trees(store.database), IntentIds(SECRET))
        receipt = store.run(receipts.make(NODE_LOG, entry.hash, None)).json

        assert json.loads(part)["checkpoint"] == cosigned.note
        assert proof.checkpoint == extended.checkpoint == cosigned
        assert json.loads(receipt)["checkpoint"]["note"] == cosigned.note
        assert verify_receipt(receipt).broken is None
        assert json.loads(whole)["checkpoint"].split("\n")[1] == "3", "it covers the whole log"
        for text in (part, whole):
            assert verify_bundle(text).broken is None
        assert verify_proof(msgspec.json.encode(proof)).broken is None


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        (3, "It cosigned 4 events of _node, which has 2"),
        (1, "It answered 422: the checkpoint of 2 events does not extend its own"),
    ],
    ids=["a restored old backup", "two servers from one copy"],
)
def test_a_copy_that_serves_is_found(
    database_url: str, postgres_url: str, tmp_path: Path, lost: int, reason: str
) -> None:
    with opened(database_url, tmp_path) as store:
        witness = HonestWitness("w0", vkey(store))
    with listening(witness) as url, ExitStack() as stack:
        with opened(database_url, tmp_path) as store:
            text = lines(store, "all", (witness, url))
            Witnessed.of(store, text).turn()
        name = database_url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
        copy_url = stack.enter_context(cloned(postgres_url, name, f"{name}_copy"))
        with opened(database_url, tmp_path) as store:
            for _ in range(lost):
                Witnessed.of(store, text).turn()
        with opened(copy_url, tmp_path) as copy:
            install = Witnessed.of(copy, text)
            install.turn()

            assert install.standing(witness).alarm == reason
            assert install.acts() == ["witness.alarmed"]
