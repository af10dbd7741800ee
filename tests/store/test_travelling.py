"""Proofs that travel lead from an event over `_node` to its checkpoint, and a change of any part is found."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.ledger import policy, tlogproof
from app.ledger.chain import NODE_LOG
from app.ledger.checkpoint import parse
from app.ledger.cosignature import key_of
from app.ledger.policy import Policy
from app.ledger.signer import Signer
from app.ledger.tlogproof import TlogProof
from app.ledger.verify import Verdict, kind_of, verify_anchored
from app.ledger.vkeys import of_kid
from app.store.install.install import connect
from app.store.install.rotation import rotate_key
from schemas.errors import NotFound
from tests.kit.servers import cloned
from tests.store.opened import draft, opened
from tests.store.travelling import AT, CHANGES, WITNESSES, Proved, changed, cosigned


@pytest.fixture
def proved(database_url: str, tmp_path: Path) -> Iterator[Proved]:
    """Three logs, of which two have events, anchored twice."""
    with opened(database_url, tmp_path, workspaces=["acme", "empty"]) as store:
        proved = Proved(store)
        store.append(*(draft(data={"place": place}) for place in range(5)))
        store.append(draft(), workspace="acme")
        proved.anchor()
        store.append(draft(), draft())
        proved.anchor()
        yield proved


def verdict(proof: TlogProof | str, trusted: Policy | None = None) -> Verdict:
    text = (proof if isinstance(proof, str) else proof.written()).encode()
    assert kind_of(text) == "tlog-proof"
    return verify_anchored(text, trusted)


def test_every_event_is_proved_to_its_witnesses(proved: Proved) -> None:
    events = [(seq, "default") for seq in range(7)] + [(0, "acme"), (0, NODE_LOG), (1, NODE_LOG)]
    for seq, log in events:
        found = verdict(cosigned(proved.proof(seq, log), "w1", "w2"), proved.policy())

        assert found.broken is None, (seq, log)
        assert (found.log, found.node, found.first_seq, found.count) == (log, proved.store.node, seq, 1)
        assert [(each.witness.name, each.at) for each in found.cosigned or []] == [("w1", AT), ("w2", AT)]
        assert found.checkpoint is not None
        assert found.checkpoint.origin.endswith("/_node")


def test_without_a_policy_no_witness_is_named(proved: Proved) -> None:
    found = verdict(cosigned(proved.proof(3), "w1"))

    assert (found.broken, found.cosigned) == (None, None)


def test_a_quorum_is_needed(proved: Proved) -> None:
    one = cosigned(proved.proof(3), "w1")

    assert "quorum of the policy: w1 cosigned" in str(verdict(one, proved.policy()).broken)
    assert verdict(one, proved.policy("any w1 w2 w3")).broken is None
    assert "no witness cosigned" in str(verdict(proved.proof(3), proved.policy()).broken)


def test_a_log_that_the_policy_does_not_name_is_refused(proved: Proved) -> None:
    proof = cosigned(proved.proof(3), "w1", "w2")
    other = of_kid(parse(proof.note).checkpoint.origin, Signer(bytes(32)).kid).spelled()
    lines = "".join(f"witness {name} {key_of(name, signer).spelled()}\n" for name, signer in WITNESSES.items())

    found = verdict(proof, policy.parse(f"log {other}\n{lines}quorum w1\n".encode()))

    assert "not signed by a log of the policy" in str(found.broken)


def test_what_is_not_anchored_has_no_proof(proved: Proved) -> None:
    proved.store.append(draft())

    with pytest.raises(NotFound, match="no proof that travels yet"):
        proved.proof(7)
    proved.anchor()
    assert verdict(proved.proof(7)).broken is None


def test_an_erased_event_is_proved_as_one_whose_body_is_missing(proved: Proved) -> None:
    whole = proved.proof(3)
    erased = msgspec.json.decode(whole.extra or b"")
    event = erased["event"] | {"payload": {}, "context": {}, "erased": True}

    found = verdict(msgspec.structs.replace(whole, extra=msgspec.json.encode(erased | {"event": event})))

    assert (found.broken, found.unconfirmed) == (None, [3])


def test_a_change_of_keys_is_part_of_the_proof(proved: Proved, database_url: str) -> None:
    before = proved.proof(3)
    with connect(database_url) as connection:
        rotate_key(connection, proved.store.keys)
    proved.store.append(draft())
    proved.anchor()

    trusted = proved.policy("any w1 w2 w3")
    for proof in (before, proved.proof(3), proved.proof(7)):
        assert verdict(cosigned(proof, "w3"), trusted).broken is None


@pytest.fixture(scope="module")
def first(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> TlogProof:
    """The proof of one event among several, with its witnesses."""
    with (
        cloned(postgres_url, template, "test_travelling") as url,
        opened(url, tmp_path_factory.mktemp("travelling"), workspaces=["acme"]) as store,
    ):
        proved = Proved(store)
        store.append(*(draft(data={"place": place}) for place in range(5)))
        store.append(draft(), workspace="acme")
        proved.anchor()
        return proved.proof(3)


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=list(CHANGES))
def test_a_changed_part_is_found(first: TlogProof, change: Callable[[dict[str, Any]], Any], said: str) -> None:
    assert verdict(first).broken is None

    assert said in str(verdict(changed(first, change)).broken)


def test_a_changed_outer_proof_is_found(first: TlogProof) -> None:
    replace = msgspec.structs.replace
    lone = first.note.partition("—")[0]
    twice = (first.extra or b"").replace(b'{"v":1', b'{"v":1,"v":1', 1)
    changes = {
        "another index": (replace(first, index=first.index + 1), "is not in the tree of its checkpoint"),
        "a hash more": (replace(first, hashes=[*first.hashes, bytes(32)]), "is not in the tree of its checkpoint"),
        "no extra": (replace(first, extra=None), "It has no `extra`"),
        "an extra that is no JSON": (replace(first, extra=b"{"), "not a proof that travels"),
        "a name twice": (replace(first, extra=twice), "a member name twice"),
        "another checkpoint": (replace(first, note=first.note.replace("/_node", "/_mode")), "another log than _node"),
        "no signature": (replace(first, note=lone), "its checkpoint is invalid"),
        "the signature of nobody known": (replace(first, note=f"{lone}— a AAAAAAA=\n"), "signed by none of its keys"),
    }
    for name, (proof, said) in changes.items():
        assert said in str(verdict(proof).broken), name


EXAMPLE = """\
c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog AAAAAAA=
"""
"""The example of C2SP, whose signatures are not printed there."""


def test_the_example_is_read() -> None:
    proof = tlogproof.parse(EXAMPLE)

    assert (proof.index, len(proof.hashes), len(proof.extra or b"")) == (73_894, 2, 39)
    assert parse(proof.note).checkpoint.size == 109_482
    assert proof.written() == EXAMPLE
    assert tlogproof.parse(EXAMPLE.replace(EXAMPLE.split("\n")[1] + "\n", "")).extra is None


MALFORMED = {
    "another version": EXAMPLE.replace("@v1", "@v2"),
    "carriage returns": EXAMPLE.replace("\n", "\r\n"),
    "no index": EXAMPLE.replace("index 73894\n", ""),
    "a leading zero": EXAMPLE.replace("index ", "index 0"),
    "a negative index": EXAMPLE.replace("index ", "index -"),
    "an index of 64 bits": EXAMPLE.replace("73894", str(2**63)),
    "extra behind the index": EXAMPLE.replace("index 73894\n", "index 73894\nextra AAAA\n"),
    "extra that is not base64": EXAMPLE.replace("extra Y", "extra *"),
    "extra without padding": EXAMPLE.replace("YXJ\n", "YX\n"),
    "a short hash": EXAMPLE.replace("gSKy", "gS"),
    "64 hashes": EXAMPLE.replace("\nB95", "\ngSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=" * 63 + "\nB95"),
    "no empty line": EXAMPLE.replace("\n\nexample", "\nexample").replace("\n\n—", "\n—"),
    "a note without end": EXAMPLE + "a" * 65_536,
    "nothing": "",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=list(MALFORMED))
def test_a_text_that_is_no_such_proof_is_rejected(text: str) -> None:
    with pytest.raises(tlogproof.MalformedProofError) as refused:
        tlogproof.parse(text)

    assert "\n" not in str(refused.value)


def test_any_text_has_a_verdict() -> None:
    for text in (
        EXAMPLE,
        EXAMPLE[:50],
        "c2sp.org/tlog-proof@v1",
        "c2sp.org/tlog-proof@v1\n\udc80",
        *MALFORMED.values(),
    ):
        assert verify_anchored(text.encode(errors="surrogateescape")).broken is not None
