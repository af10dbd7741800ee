"""An author signs exactly what the vectors say, and nothing else verifies."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.author import AuthorSignature, MalformedAuthorError, author_signature
from app.ledger.signer import verify
from tests.kit import authors, paths
from tests.kit.bundles import Record
from tests.kit.examples import examples

FILE = paths.VECTORS / "authors.json"
CASES = json.loads(FILE.read_text())["cases"]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e6, 1e6) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
RECORDS = st.dictionaries(TEXTS, VALUES, max_size=4)


def _signature(event: Record) -> AuthorSignature | None:
    """The author's signature of an event in the ledger's form."""
    body = rfc8785.dumps({**event["context"], "data": event["payload"]})
    return author_signature(body, node=event["node"], log=event["log"], id=event["event_id"], type=event["type"])


def _verifies(event: Record) -> bool | None:
    """Whether the author has signed the event. None if it has no author."""
    try:
        found = _signature(event)
    except MalformedAuthorError:
        return False
    return None if found is None else verify(found.kid, found.text, found.signature)


def test_the_vectors_are_up_to_date() -> None:
    assert authors.printed() == FILE.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_author_signature_is_judged(case: dict[str, Any]) -> None:
    assert _verifies(case["event"]) is case["verifies"]


@pytest.mark.parametrize("case", [case for case in CASES if case["text"]], ids=lambda case: case["name"])
def test_an_author_signs_the_vectors_text(case: dict[str, Any]) -> None:
    found = _signature(case["event"])

    assert found is not None
    assert found.text.decode() == case["text"]


@settings(max_examples=examples(200))
@given(data=RECORDS, custom=RECORDS, subject=st.none() | TEXTS)
def test_what_an_author_signs_verifies_until_any_part_changes(
    data: Record, custom: Record, subject: str | None
) -> None:
    known = {} if subject is None else {"subjectId": subject}
    event = authors.signed(authors.event(data=data, metadata={"custom": custom}, **known))

    assert _verifies(event) is True
    assert _verifies(authors.changed(event, "payload.another", 1)) is False
    assert _verifies(authors.changed(event, "context.metadata.custom.another", 1)) is False
    assert _verifies(authors.changed(event, "context.subjectId", f"{subject}.")) is False
