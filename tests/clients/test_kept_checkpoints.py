"""Both verifiers compare a log with a checkpoint that was stored elsewhere, and agree on the result."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from app.ledger import checkpoint
from app.ledger.checkpoint import Checkpoint
from tests.clients.test_verify_js import VERIFY, proof_in
from tests.kit.bundles import ORIGIN, Log, Record, build, signer_of, write
from tests.kit.command import synap

BUNDLE = build(6, rotations=(3,))
NOTE: str = BUNDLE["checkpoint"]
SMALLER: str = build(2)["checkpoint"]
EMPTY: str = build(0)["checkpoint"]
OTHER_LOG = Log(name="other")

KEPT: dict[str, tuple[object, str, int, str]] = {
    "its own": (BUNDLE, NOTE, 0, "6 events of the log default verify: seq 0 to 5, "),
    "by the key before": (BUNDLE, SMALLER, 0, "6 events of the log default verify: seq 0 to 5, "),
    "of no event": (BUNDLE, EMPTY, 0, "6 events of the log default verify: seq 0 to 5, "),
    "with CRLF": (BUNDLE, NOTE.replace("\n", "\r\n"), 0, "6 events of the log default verify: seq 0 to 5, "),
    "in the JSON of a proof": (build(3), json.dumps(proof_in(2, 1)), 0, "3 events of the log default verify: "),
    "longer": (
        build(2),
        build(3)["checkpoint"],
        1,
        "bundle: it ends before the checkpoint that was kept, which covers 3",
    ),
    "of another tree": (
        BUNDLE,
        checkpoint.sign(Checkpoint(f"{ORIGIN}/default", 2, bytes(32)), signer_of(0)),
        1,
        "bundle: its first 2 events are not those of the checkpoint that was kept",
    ),
    "by a foreign key": (
        BUNDLE,
        checkpoint.sign(checkpoint.parse(SMALLER).checkpoint, signer_of("thief")),
        1,
        "bundle: the checkpoint that was kept is signed by none of its keys",
    ),
    "of another log": (
        BUNDLE,
        OTHER_LOG.bundle()["checkpoint"],
        1,
        "bundle: the checkpoint that was kept belongs to another log",
    ),
    "with a part": (
        build(6, first_seq=2),
        NOTE,
        1,
        "bundle: it is a part: only a whole log, or a consistency proof, shows",
    ),
    "no note": (BUNDLE, "no note", 2, ""),
    "other JSON": (BUNDLE, '{"size": 1}', 2, ""),
    "with a proof": (proof_in(3, 1), NOTE, 2, ""),
}


@pytest.mark.parametrize(("bundle", "note", "code", "line"), KEPT.values(), ids=list(KEPT))
def test_both_verifiers_compare_a_log_with_a_stored_checkpoint(
    node_command: str, tmp_path: Path, bundle: Record, note: str, code: int, line: str
) -> None:
    export, kept = tmp_path / "export.json", tmp_path / "kept"
    export.write_bytes(write(bundle))
    kept.write_bytes(note.encode())

    ours = synap("verify", "--checkpoint", kept, export, env=os.environ)
    theirs = _said(node_command, VERIFY, "--checkpoint", kept, export)

    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    assert (theirs.returncode, theirs.stdout[: len(line)]) == (code, line)
    assert len(theirs.stderr.splitlines()) == (0 if code == 1 else 1)


def _said(*command: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)
