"""Verifying a log checks and counts the signatures of its events' authors."""

import base64

import pytest

from app.cli.verify.report import report
from app.ledger.verify import verify_bundle, verify_proof
from app.ledger.verify.verdict import AUTHOR, Broken
from tests.clients.test_verify_js import proof
from tests.kit import authors
from tests.kit.authors import AUTHOR as AGENT
from tests.kit.authors import OTHER, log_copy, log_signed
from tests.kit.bundles import Log, Record, signer_of, write

FALSE: dict[str, tuple[str, object]] = {
    "a changed digit": ("payload.parameters.amount", 820000),
    "another id": ("event_id", "01938c1e-0000-7000-8000-00000000ffff"),
    "another author": ("context.metadata.synap.author.did", OTHER.did),
    "another signature": ("context.metadata.synap.author.signature", base64.b64encode(bytes(64)).decode()),
}


def test_signed_events_are_counted_by_author() -> None:
    log = Log()
    for number, author in enumerate((AGENT, OTHER, AGENT, AGENT)):
        log_signed(log, author, number)
        log.write(1)

    verdict = verify_bundle(write(log.bundle()))

    assert (verdict.broken, verdict.authors, verdict.erased) == (None, {AGENT.did: 3, OTHER.did: 1}, 0)
    assert report(verdict)[1:] == [
        f"signed by the author {AGENT.did}: 3 events",
        f"signed by the author {OTHER.did}: 1 event",
    ]


def test_the_signature_of_an_erased_event_is_gone() -> None:
    log = Log()
    for number in range(3):
        log_signed(log, AGENT, number)
    log.erase([1])

    verdict = verify_bundle(write(log.bundle()))

    assert (verdict.broken, verdict.authors, verdict.erased) == (None, {AGENT.did: 2}, 1)
    assert report(verdict)[2:] == ["1 event is erased: if its author had signed it, that signature is gone"]


def test_many_authors_are_summed_up() -> None:
    log = Log()
    for number in range(23):
        log_signed(log, signer_of("many", number), number)

    lines = report(verify_bundle(write(log.bundle())))

    assert len(lines) == 22
    assert lines[-1] == "signed by 3 other authors: 3 events"


@pytest.mark.parametrize(("path", "value"), FALSE.values(), ids=FALSE)
def test_a_node_cannot_sign_for_an_author(path: str, value: object) -> None:
    log, elsewhere = Log(), Log(seed=1)
    log.write(2)
    log_copy(log, authors.changed(log_signed(elsewhere), path, value) | {"node": log.node})

    assert verify_bundle(write(log.bundle())).broken == Broken(2, AUTHOR)


@pytest.mark.parametrize("log", [Log(name="other"), Log(seed=1)], ids=["in another log", "in another node"])
def test_a_copy_of_a_signed_event_is_broken(log: Log) -> None:
    log_copy(log, log_signed(Log()))

    assert verify_bundle(write(log.bundle())).broken == Broken(0, AUTHOR)


def test_an_author_that_nobody_can_be_is_broken() -> None:
    log = Log()
    log_copy(log, authors.event(metadata={"synap": {"author": AGENT.did}}))

    assert (
        str(verify_bundle(write(log.bundle())).broken)
        == "seq 0: its author is not an object with a did and a signature"
    )


def test_the_proof_of_an_event_shows_its_author() -> None:
    log = Log()
    log.write(1)
    log_signed(log)
    forged = Log()
    log_copy(forged, log_signed(Log(seed=1)))

    right, wrong = verify_proof(write(proof(log, 1))), verify_proof(write(proof(forged, 0)))

    assert (right.broken, right.authors) == (None, {AGENT.did: 1})
    assert wrong.broken == Broken(0, AUTHOR)


def test_an_event_nested_as_deeply_as_servers_store_it_verifies() -> None:
    log = Log()
    one: Record = authors.RIGHT["depth 64"] | {"node": log.node}
    log_copy(log, authors.signed(one))

    verdict = verify_bundle(write(log.bundle()))

    assert (verdict.broken, verdict.authors) == (None, {AGENT.did: 1})
