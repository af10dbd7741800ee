"""The independent verifier agrees on every author signature of `tests/vectors/authors.json`."""

import json
import subprocess
from pathlib import Path

import pytest

from app.ledger.verify import verify_bundle
from tests.clients.test_verify_js import command, proof
from tests.clients.verdicts import verdicts
from tests.kit import authors
from tests.kit.authors import AUTHOR, OTHER, log_copy, log_signed
from tests.kit.bundles import Log, write
from tests.kit.paths import VECTORS

FILE = VECTORS / "authors.json"
SCRIPT = Path(__file__).with_name("authors.mjs")


def test_the_independent_verifier_agrees_on_each_author(node_command: str) -> None:
    cases = json.loads(FILE.read_text())["cases"]
    # As text from the file: `1.0` has to reach the verifier as it stands there.
    events = json.dumps([case["event"] for case in cases])

    done = subprocess.run([node_command, str(SCRIPT)], input=events, capture_output=True, text=True, check=True)

    found = zip(cases, json.loads(done.stdout), strict=True)
    told = {case["name"]: author and author["right"] for case, author in found}
    assert told == {case["name"]: case["verifies"] for case in cases}


def _log() -> Log:
    """A log with three events of one author, the second of which is erased, and one of another author."""
    log = Log()
    for number, author in enumerate((AUTHOR, AUTHOR, OTHER, AUTHOR)):
        log_signed(log, author, number)
    log_copy(log, authors.signed(authors.RIGHT["depth 64"] | {"node": log.node}, OTHER))
    log.erase([1])
    return log


@pytest.mark.usefixtures("node_command")
def test_the_independent_verifier_counts_the_same_authors() -> None:
    text = write(_log().bundle())

    (theirs,) = verdicts([text])

    ours = verify_bundle(text)
    assert (theirs["broken"], ours.broken) == (None, None)
    assert {author["did"]: author["events"] for author in theirs["authors"]} == ours.authors
    assert ours.authors == {AUTHOR.did: 2, OTHER.did: 2}
    assert theirs["erased"] == ours.erased == 1


@pytest.mark.usefixtures("node_command")
def test_the_independent_verifier_finds_false_authors_at_the_same_seq() -> None:
    copied, changed, no_author = Log(name="other"), Log(), Log()
    for log in (copied, changed, no_author):
        log.write(2)
    one = log_signed(Log())
    log_copy(copied, one)
    log_copy(changed, authors.changed(one, "payload.parameters.amount", 820000))
    log_copy(no_author, authors.changed(one, "context.metadata.synap.author", "agent"))
    wrong = "the signature of its author is wrong"

    found = verdicts(
        [
            *(write(log.bundle()) for log in (copied, changed, no_author)),
            *(write(proof(log, 2)) for log in (copied, changed)),
        ]
    )

    assert [verdict["broken"]["seq"] for verdict in found] == [2] * 5
    nobody = "its author is not an object with a did and a signature"
    assert [verdict["broken"]["message"] for verdict in found] == [wrong, wrong, nobody, wrong, wrong]


@pytest.mark.usefixtures("node_command")
def test_the_independent_command_prints_authors(tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_bytes(write(_log().bundle()))

    ran = command(str(file))

    one, other = sorted((AUTHOR.did, OTHER.did))
    assert (ran.returncode, ran.stdout.splitlines()[1:]) == (
        0,
        [
            f"signed by the author {one}: 2 events",
            f"signed by the author {other}: 2 events",
            "1 event is erased: if its author had signed it, that signature is gone",
        ],
    )
