"""`clients/verify` says the same of every receipt as `synap verify`."""

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.cli.verify.report import exit_code, report
from app.ledger.verify import verify_receipt
from app.ledger.verify.verdict import EARLY, EXPIRED, NOT_NODE, REPORTER, STARTER, USE
from tests.kit.bundles import Record, write
from tests.kit.paths import ROOT
from tests.kit.receipts import FORGED, VECTORS, digits, octets

pytestmark = pytest.mark.usefixtures("node_command")

VERIFY = ROOT / "clients" / "verify" / "verify.mjs"
VERDICTS = Path(__file__).with_name("verdicts.mjs")
SAME = {EARLY, EXPIRED, NOT_NODE, REPORTER, STARTER, USE}
"""Faults of which both verifiers say the same sentence."""
GOLDEN: dict[str, Any] = json.loads(VECTORS.read_text())


def judged(node: str, texts: Sequence[bytes]) -> list[Record]:
    """The verdict on each text."""
    lines: list[Record] = [{"whole": base64.b64encode(text).decode()} for text in texts]
    lines += [{"of": number, "start": 0, "end": 0, "new": ""} for number in range(len(texts))]
    said = "".join(f"{json.dumps(line)}\n" for line in lines)
    ran = subprocess.run([node, str(VERDICTS)], input=said, capture_output=True, text=True, timeout=120, check=True)
    assert ran.stderr == ""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_sound_receipts_are_explained_in_the_same_sentences(node_command: str) -> None:
    verdicts = judged(node_command, [write(vector["receipt"]) for vector in GOLDEN.values()])

    for verdict, (name, vector) in zip(verdicts, GOLDEN.items(), strict=True):
        assert (verdict["kind"], verdict["broken"], verdict["breaks"]) == ("receipt", None, []), name
        assert verdict["sentences"] == vector["sentences"], name
        assert (verdict["unconfirmed"], verdict["withheld"]) == (vector["unconfirmed"], vector["withheld"]), name
        assert (verdict["log"], verdict["node"]) == ("default", vector["receipt"]["node_did"]), name


def test_forged_receipts_are_broken_at_the_same_place(node_command: str) -> None:
    forged = {name: make() for name, make in FORGED.items()}

    verdicts = judged(node_command, [each.text for each in forged.values()])

    for verdict, (name, each) in zip(verdicts, forged.items(), strict=True):
        assert verdict["broken"] is not None, name
        assert verdict["broken"]["seq"] in each.seqs, (name, verdict["broken"])
        assert verdict["sentences"] == [], name
        assert "unreadable" not in verdict, name
        said = verify_receipt(each.text).broken
        assert said is not None
        assert said.message not in SAME or verdict["broken"]["message"] == said.message, name


def test_a_receipt_with_any_other_digit_or_octet_is_broken(node_command: str) -> None:
    texts = [*digits(60), *octets(60)]

    assert [
        text for text, verdict in zip(texts, judged(node_command, texts), strict=True) if verdict["broken"] is None
    ] == []


def test_the_command_prints_what_synap_verify_prints(node_command: str, tmp_path: Path) -> None:
    for number, name in enumerate(("a refund", "an erased request and start", "an event with a withheld cause")):
        file = tmp_path / f"{number}.json"
        file.write_bytes(text := write(GOLDEN[name]["receipt"]))
        verdict = verify_receipt(text)

        ran = subprocess.run(
            [node_command, str(VERIFY), str(file)], capture_output=True, text=True, timeout=60, check=False
        )

        assert ran.stdout.splitlines() == report(verdict, "receipt"), name
        assert ran.returncode == exit_code(verdict), name
