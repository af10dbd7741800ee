"""Both verifiers agree on hostile keys and signatures (`tests/vectors/hostile_signatures.json`)."""

import json
import subprocess
from pathlib import Path

import pytest

from app.ledger.verify import is_signed, verify_bundle
from tests.clients.verdicts import verdicts
from tests.kit import hostile
from tests.kit.bundles import Record, write
from tests.kit.paths import VECTORS

FILE = VECTORS / "hostile_signatures.json"
VECTORS = json.loads(FILE.read_text())
SIGNATURES: list[Record] = VECTORS["signatures"]
BUNDLES: list[Record] = VECTORS["bundles"]
SCRIPT = Path(__file__).with_name("signatures.mjs")


def _text(case: Record) -> bytes:
    return write(hostile.bundle_of(case, BUNDLES[0]))


def test_the_vectors_are_up_to_date() -> None:
    assert hostile.printed() == FILE.read_text()


@pytest.mark.parametrize("case", SIGNATURES, ids=lambda case: case["name"])
def test_synap_verify_judges_a_signature(case: Record) -> None:
    assert is_signed(case["kid"], case["text"].encode(), case["signature"]) is case["verifies"]


def test_the_independent_verifier_agrees_on_each_signature(node_command: str) -> None:
    done = subprocess.run(
        [node_command, str(SCRIPT)], input=json.dumps(SIGNATURES), capture_output=True, text=True, check=True
    )

    found = dict(zip((case["name"] for case in SIGNATURES), json.loads(done.stdout), strict=True))
    assert found == {case["name"]: case["verifies"] for case in SIGNATURES}


@pytest.mark.parametrize("case", BUNDLES, ids=lambda case: case["name"])
def test_synap_verify_judges_a_hostile_bundle(case: Record) -> None:
    broken = verify_bundle(_text(case)).broken

    assert (broken is not None, broken and broken.seq) == (case["broken"], case["seq"])


@pytest.mark.usefixtures("node_command")
def test_the_independent_verifier_agrees_on_each_hostile_bundle() -> None:
    found = [verdict["broken"] for verdict in verdicts(map(_text, BUNDLES))]

    told = {case["name"]: (each is not None, each and each["seq"]) for case, each in zip(BUNDLES, found, strict=True)}
    assert told == {case["name"]: (case["broken"], case["seq"]) for case in BUNDLES}


@pytest.mark.usefixtures("node_command")
def test_an_invalid_key_is_named_by_its_place() -> None:
    case = next(case for case in BUNDLES if case["name"] == "a rotation to a key of order 1")

    (theirs,) = verdicts([_text(case)])

    assert str(verify_bundle(_text(case)).broken) == "bundle: number 2 of its keys is not an Ed25519 key"
    assert theirs["broken"]["message"] == "key 1 is not an Ed25519 key"
