"""`clients/verify` judges proofs that travel, and trust policies, as `synap verify` does."""

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from app.ledger import policy
from app.ledger.chain import NODE_LOG
from app.ledger.policy import MalformedPolicyError
from app.ledger.signer import Signer
from app.ledger.tlogproof import TlogProof
from app.ledger.verify import verify_anchored
from app.ledger.vkeys import of_kid
from tests.kit.command import synap
from tests.kit.paths import ROOT
from tests.kit.servers import cloned, environment
from tests.ledger.test_policy import EXAMPLE as POLICY
from tests.ledger.test_policy import MALFORMED as MALFORMED_POLICIES
from tests.store.opened import draft, opened
from tests.store.travelling import AT, CHANGES, Proved, changed, cosigned

VERIFY = ROOT / "clients" / "verify" / "verify.mjs"


class Made(Struct, frozen=True):
    """Proofs of a small install: of an event of a workspace, and of one of `_node`, each with two witnesses."""

    proof: TlogProof
    of_node: TlogProof
    policy: str
    node: str


@pytest.fixture(scope="module")
def made(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Made once, because a store takes a second to open."""
    with (
        cloned(postgres_url, template, "test_travelling_js") as url,
        opened(url, tmp_path_factory.mktemp("travelling"), workspaces=["acme", "zeta"]) as store,
    ):
        proved = Proved(store)
        store.append(*(draft(data={"place": place}) for place in range(5)))
        store.append(draft(), workspace="acme")
        store.append(draft(), workspace="zeta")
        proved.anchor()
        store.append(draft())
        proved.anchor()
        proof, of_node = (cosigned(proved.proof(*of), "w1", "w3") for of in ((3, "default"), (0, NODE_LOG)))
        return Made(proof, of_node, proved.policy_text("2 w1 w2 w3"), store.node)


def judged(asked: Sequence[tuple[bytes | None, bytes | None]]) -> list[dict[str, Any]]:
    """What `clients/verify` says of proofs and policies."""
    texts = [{"proof": _encoded(proof), "policy": _encoded(trusted)} for proof, trusted in asked]
    ran = subprocess.run(
        ["node", Path(__file__).with_name("travelling.mjs")],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answers: list[dict[str, Any]] = json.loads(ran.stdout)
    return answers


def _encoded(text: bytes | None) -> str | None:
    return None if text is None else base64.b64encode(text).decode()


def test_right_proofs_verify_with_their_witnesses(node: Path, made: Made) -> None:
    assert node
    answers = judged([(each.written().encode(), made.policy.encode()) for each in (made.proof, made.of_node)])

    assert [answer["broken"] for answer in answers] == [None, None]
    assert [(answer["log"], answer["firstSeq"], answer["size"]) for answer in answers] == [
        ("default", 3, 2),
        (NODE_LOG, 0, 2),
    ]
    cosigned_by = [{"name": name, "key": name, "at": AT} for name in ("w1", "w3")]
    assert [answer["cosigned"] for answer in answers] == [cosigned_by, cosigned_by]


def test_every_change_is_found_by_both(node: Path, made: Made) -> None:
    assert node
    replace = msgspec.structs.replace
    texts = [changed(made.proof, change).written() for change, _ in CHANGES.values()]
    texts += [
        replace(made.proof, index=made.proof.index + 1).written(),
        replace(made.proof, hashes=[bytes(32)]).written(),
        replace(made.proof, hashes=[*made.proof.hashes, bytes(32)]).written(),
        replace(made.proof, extra=None).written(),
        replace(made.proof, extra=b"{").written(),
        replace(made.proof, extra=(made.proof.extra or b"").replace(b'{"v":1', b'{"v":1,"v":1', 1)).written(),
        replace(made.proof, note=made.proof.note.replace("/_node", "/_mode")).written(),
        replace(made.proof, note=made.proof.note.partition("—")[0]).written(),
        made.proof.written().replace("@v1", "@v2"),
        made.proof.written()[:-1],
    ]

    answers = judged([(text.encode(), made.policy.encode()) for text in texts])

    trusted = policy.parse(made.policy.encode())
    for text, answer in zip(texts, answers, strict=True):
        assert verify_anchored(text.encode(), trusted).broken is not None
        assert answer["broken"] is not None, text


def test_signatures_are_judged_the_same_by_both(node: Path, made: Made) -> None:
    assert node
    lines = made.proof.note.partition("\n\n")[2].splitlines(keepends=True)
    text = made.proof.note.partition("\n\n")[0]
    stranger = "— stranger.example AAAAAAA=\n"
    false = lines[1][:-6] + ("AAAA=\n" if lines[1].endswith("=\n") else "AAAAA\n")
    notes = {
        "one witness": (lines[:2], False),
        "no witness": (lines[:1], False),
        "two, twice": ([*lines, *lines[1:]], True),
        "two and a stranger": ([*lines, stranger], True),
        "a false one of a known witness": ([*lines, false], False),
        "no log": (lines[1:], False),
        "a log's twice": ([lines[0], *lines], True),
        "a stranger whose name has a byte order mark": ([*lines, stranger.replace(".", "\ufeff")], True),
        "a stranger whose name has white space": ([*lines, stranger.replace(".", "\x85")], False),
        "a stranger whose name has a control character": ([*lines, stranger.replace(".", "\x00")], False),
        "more bytes than characters": ([*lines, stranger.replace(".", "é" * 40_000)], False),
    }
    proofs = [
        msgspec.structs.replace(made.proof, note=f"{text}\n\n{''.join(each)}").written().encode()
        for each, _ in notes.values()
    ]

    answers = judged([(proof, made.policy.encode()) for proof in proofs])

    trusted = policy.parse(made.policy.encode())
    ours = [verify_anchored(proof, trusted).broken is None for proof in proofs]
    theirs = [answer["broken"] is None for answer in answers]
    assert dict(zip(notes, ours, strict=True)) == {name: right for name, (_, right) in notes.items()}
    assert theirs == ours


def test_a_version_is_a_number_for_both(node: Path, made: Made) -> None:
    assert node
    extras = [(made.proof.extra or b"").replace(b'{"v":1', b'{"v":' + text, 1) for text in (b"1.0", b"1.5", b"true")]
    texts = [msgspec.structs.replace(made.proof, extra=extra).written().encode() for extra in extras]

    answers = judged([(text, made.policy.encode()) for text in texts])

    assert [answer["broken"] is None for answer in answers] == [True, False, False]
    assert [verify_anchored(text).broken is None for text in texts] == [True, False, False]


def test_policies_are_read_the_same_by_both(node: Path) -> None:
    assert node
    texts = [text.encode() for text, _ in MALFORMED_POLICIES.values() if len(text) < 2**20]
    texts += [POLICY.encode(), b"quorum none\n", b"# \xff\n\tquorum  none \n"]
    names = ["w\x85x", "w\ufeffx", "w\u2003x", "w\u200bx", "wéx"]
    texts += [f"log {of_kid(name, Signer(bytes(32)).kid).spelled()}\nquorum none\n".encode() for name in names]

    answers = judged([(None, text) for text in texts])

    assert ["thrown" not in answer for answer in answers] == [_is_policy(text) for text in texts]


def _is_policy(text: bytes) -> bool:
    try:
        policy.parse(text)
    except MalformedPolicyError:
        return False
    return True


def test_both_commands_print_the_witnesses(node: Path, made: Made, tmp_path: Path) -> None:
    assert node
    proof, trusted = tmp_path / "event.tlog-proof", tmp_path / "trusted.policy"
    proof.write_text(made.proof.written())
    trusted.write_text(made.policy)
    environ = environment(tmp_path)

    python = synap("verify", proof, "--policy", trusted, env=environ)
    script = subprocess.run(
        ["node", VERIFY, "--policy", trusted, proof], capture_output=True, text=True, timeout=60, check=False
    )

    assert (python.returncode, script.returncode) == (0, 0), script.stderr
    assert python.stdout == script.stdout
    assert python.stdout == (
        f"1 event of the log default is under the checkpoint of _node of 2 events, which 2 witnesses cosigned: seq 3, "
        f"node {made.node}\n"
        "cosigned at 2023-03-20T12:25:47Z by the witness w1 (w1)\n"
        "cosigned at 2023-03-20T12:25:47Z by the witness w3 (w3)\n"
    )
    assert python.stderr == script.stderr == ""


def test_both_commands_say_that_no_witness_was_asked(node: Path, made: Made, tmp_path: Path) -> None:
    assert node
    proof = tmp_path / "event.tlog-proof"
    proof.write_text(made.proof.written())

    python = synap("verify", proof, "--node", made.node, env=environment(tmp_path))
    script = subprocess.run(
        ["node", VERIFY, "--node", made.node, proof], capture_output=True, text=True, timeout=60, check=False
    )

    assert (python.returncode, script.returncode, python.stdout) == (0, 0, script.stdout)
    assert python.stderr == f"synap: {script.stderr}"
    assert script.stderr.startswith("no cosignature was verified")


OPTIONS = {
    "a policy that is not there": ("nowhere", "cannot be read"),
    "a policy that is none": ("bad.policy", "cannot be used"),
}


@pytest.mark.parametrize(("name", "said"), OPTIONS.values(), ids=list(OPTIONS))
def test_a_wrong_policy_is_one_sentence(made: Made, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "proof").write_text(made.proof.written())
    (tmp_path / "bad.policy").write_text("logs\n")

    ran = synap("verify", "proof", "--policy", name, env=environment(tmp_path), cwd=tmp_path)

    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert said in ran.stderr
