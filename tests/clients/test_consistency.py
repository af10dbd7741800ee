"""Both verifiers agree on consistency proofs (`tests/vectors/consistency.json`), as libraries and as commands."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from app.ledger import checkpoint
from app.ledger.verify import Verdict, verify_bundle, verify_consistency
from app.ledger.verify.consistency import read_consistency
from tests.clients.test_verify_js import VERIFY
from tests.kit import consistency
from tests.kit.bundles import Record, signer_of, write
from tests.kit.command import synap
from tests.kit.examples import ALL
from tests.kit.paths import VECTORS

FILE = VECTORS / "consistency.json"
CASES: list[Record] = json.loads(FILE.read_text())["cases"]
SCRIPT = Path(__file__).with_name("kept.mjs")
MOST = 40
"""The largest tree for which every pair of sizes is tested."""
SOME = MOST if ALL else 17
"""The same for the verifier in JavaScript. It is one more than a full tree has leaves."""


def _said(node: str, given: Iterable[Record]) -> list[Record]:
    lines = "".join(f"{json.dumps(each)}\n" for each in given)
    done = subprocess.run([node, str(SCRIPT)], input=lines, capture_output=True, text=True, check=True, timeout=300)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _given(case: Record) -> Record:
    proof = write(consistency.case_of(case, CASES[0])).decode()
    if "export" not in case:
        return {"text": proof, "checkpoint": case["checkpoint"]}
    return {"text": write(case["export"]).decode(), "checkpoint": case["checkpoint"], "consistency": proof}


def _judged(given: Record) -> Verdict:
    text, note = given["text"].encode(), checkpoint.parse(given["checkpoint"])
    if "consistency" not in given:
        return verify_consistency(text, note)
    return verify_bundle(text, extends=note, consistency=read_consistency(given["consistency"].encode()))


def test_the_vectors_are_up_to_date() -> None:
    assert consistency.printed() == FILE.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_synap_verify_judges_a_consistency_proof(case: Record) -> None:
    broken = _judged(_given(case)).broken

    assert (broken is None) == (case["broken"] is None), broken
    assert broken is None or broken.message.startswith(case["broken"])


def test_the_independent_verifier_agrees_on_each_proof(node_command: str) -> None:
    found = [verdict["broken"] for verdict in _said(node_command, map(_given, CASES))]

    wrong = {
        case["name"]: broken
        for case, broken in zip(CASES, found, strict=True)
        if (broken is None) != (case["broken"] is None)
        or (broken is not None and not broken["message"].startswith(case["broken"]))
    }
    assert wrong == {}


def _pairs(most: int) -> list[tuple[bool, Record]]:
    """For every pair of sizes, a correct proof and one that differs in one place, and whether each verifies."""
    found = []
    for new in range(1, most + 1):
        log = consistency.log_of(new)
        for old in range(new + 1):
            proof = consistency.proof_of(log, old)
            note = consistency.note_of(log, old)
            found.append((True, {"text": write(proof).decode(), "checkpoint": note}))
            changed = proof | {"proof": _altered(proof["proof"], old + new)}
            found.append((False, {"text": write(changed).decode(), "checkpoint": note}))
    return found


def _altered(hashes: list[str], number: int) -> list[str]:
    if not hashes or number % 3 == 0:
        return [*hashes, consistency.base64_of(bytes(32))]
    place = number % len(hashes)
    if number % 3 == 1:
        return [*hashes[:place], *hashes[place + 1 :]]
    return [*hashes[:place], consistency.flipped(hashes[place], number), *hashes[place + 1 :]]


def test_every_pair_of_trees_is_judged_as_their_roots_are_made_anew() -> None:
    for verifies, given in _pairs(MOST):
        assert (_judged(given).broken is None) is verifies, given


def test_the_independent_verifier_agrees_on_every_pair_of_trees(node_command: str) -> None:
    pairs = _pairs(SOME)

    found = [verdict["broken"] is None for verdict in _said(node_command, (given for _, given in pairs))]

    assert found == [verifies for verifies, _ in pairs]


def test_a_proof_with_a_name_twice_is_broken(node_command: str) -> None:
    text = _given(CASES[0])["text"].replace('"to_size"', '"to_size":12,"to_size"')
    given = {"text": text, "checkpoint": CASES[0]["checkpoint"]}

    found = [str(_judged(given).broken), _said(node_command, [given])[0]["broken"]["message"]]

    assert found == ["bundle: it has a member name twice", "it has a member name twice"]


SOUND, NOTE = consistency.case_of(CASES[0], CASES[0]), CASES[0]["checkpoint"]
LOG = consistency.log_of(consistency.NEW)
PART = LOG.bundle(8, 9)
PAST = {name: value for name, value in SOUND.items() if name != "checkpoint"}
EXTENDS = "the log default of 11 events extends the kept checkpoint of 6 events, node did:key:"

COMMANDS: dict[str, tuple[Record, list[str], int, str]] = {
    "a proof": (SOUND, ["--checkpoint", NOTE], 0, EXTENDS),
    "a proof of its node": (SOUND, ["--node", LOG.node, "--checkpoint", NOTE], 0, EXTENDS),
    "a proof of another node": (
        SOUND,
        ["--node", signer_of(1).did, "--checkpoint", NOTE],
        1,
        f"consistency: it is of the node {LOG.node}",
    ),
    "a proof that is wrong": (
        SOUND | {"proof": []},
        ["--checkpoint", NOTE],
        1,
        f"consistency: {consistency.WRONG}",
    ),
    "a proof alone": (SOUND, [], 2, ""),
    "a proof without a checkpoint": (PAST, ["--checkpoint", NOTE], 2, ""),
    "a part": (PART, ["--checkpoint", NOTE, "--consistency", write(SOUND).decode()], 0, "2 events of the log default"),
    "a part, with a proof of the past": (
        PART,
        ["--checkpoint", NOTE, "--consistency", write(PAST).decode()],
        0,
        "2 events of the log default verify: seq 8 to 9, node did:key:",
    ),
    "a part, with a proof that is wrong": (
        PART,
        ["--checkpoint", NOTE, "--consistency", write(SOUND | {"proof": []}).decode()],
        1,
        f"bundle: {consistency.WRONG}",
    ),
    "a part without a proof": (
        PART,
        ["--checkpoint", NOTE],
        1,
        "bundle: it is a part: only a whole log, or a consistency proof, shows whether it extends the checkpoint",
    ),
    "a part with something else": (PART, ["--checkpoint", NOTE, "--consistency", "{}"], 2, ""),
    "a part, and no checkpoint": (PART, ["--consistency", write(SOUND).decode()], 2, ""),
    "a proof with a proof": (SOUND, ["--checkpoint", NOTE, "--consistency", write(SOUND).decode()], 2, ""),
}


@pytest.mark.parametrize(("evidence", "options", "code", "line"), COMMANDS.values(), ids=list(COMMANDS))
def test_both_commands_say_the_same(
    tmp_path: Path, node_command: str, evidence: Record, options: list[str], code: int, line: str
) -> None:
    file = tmp_path / "evidence.json"
    file.write_bytes(write(evidence))
    arguments: list[str] = []
    for name, value in zip(options[::2], options[1::2], strict=True):
        if name != "--node":
            (tmp_path / name[2:]).write_text(value)
        arguments += [name, value if name == "--node" else str(tmp_path / name[2:])]

    ours = synap("verify", *arguments, file, env={})
    theirs = subprocess.run(
        [node_command, VERIFY, *arguments, file], capture_output=True, text=True, timeout=120, check=False
    )

    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), (ours, theirs)
    assert (ours.returncode, ours.stdout[: len(line)]) == (code, line)
    assert code != 2 or (ours.stderr.count("\n"), theirs.stderr.count("\n"), ours.stdout) == (1, 1, "")
