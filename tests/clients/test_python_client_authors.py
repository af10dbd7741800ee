"""The Python client signs events with a key that it is given."""

import asyncio
import logging
import sys
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synap_client import (
    AsyncSynap,
    Author,
    InvalidInput,
    NewEvent,
    Place,
    Synap,
    SynapHandler,
    agent,
    new_id,
)
from synap_client.events import written

from app.ledger.draft import Drafting
from app.ledger.verify import verify_bundle
from schemas.event import LogEvent
from tests.kit import authors, web
from tests.kit.examples import examples
from tests.kit.servers import Server
from tests.ledger.test_author import RECORDS
from tests.ledger.test_chain import INSTANTS
from tests.schemas.drafts import OWNER

WEST = timezone(timedelta(hours=-5))

DATA: dict[str, Any] = {
    "n": 1.0,
    "big": 1e21,
    "zero": -0.0,
    "none": None,
    "nul\x00": "a\x00b",
    "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=WEST),
    "list": [1, [2.5, {}]],
    "\U0001f600": 1,
    "\ufb33": 2,
}


def signers(server: Server) -> dict[str, int]:
    """How many events of the log each author has signed. The log verifies."""
    verdict = verify_bundle(
        web.get(f"{server.url}/ledger/v1/events/export", headers=server.headers, timeout=60).content
    )
    assert verdict.broken is None
    return verdict.authors


@pytest.fixture
def author() -> Author:
    """An author of this test only."""
    return Author(sha256(new_id().encode()).digest())


@pytest.fixture
def signing(server: Server, author: Author) -> Synap:
    """A client that signs, of a key that logs nothing unsigned."""
    with Synap(server.url, server.token, http=web.client) as admin:
        made = {"scopes": ["events:write", "events:read-own"], "authors": [author.did], "authorRequired": True}
        return Synap(server.url, admin.call("keys.create", made)["token"], author=author, http=web.client)


def test_an_author_without_its_libraries_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nacl.signing", None)

    with pytest.raises(ImportError, match=r"pip install 'synap-client\[authors\]'"):
        Author(bytes(32))


def test_an_author_is_named_by_its_key() -> None:
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")

    assert Author(secret).did == authors.AUTHOR.did
    assert "9d61" not in repr(Author(secret))
    with pytest.raises(ValueError, match="32 bytes"):
        Author(b"short")


@pytest.mark.parametrize("name", [name for name in authors.RIGHT if name != "an intent"])
def test_the_client_signs_what_the_vectors_say(name: str) -> None:
    event = authors.signed(authors.RIGHT[name])
    sent = authors.sent(event)
    names = {"subjectId": "subject_id", "correlationId": "correlation_id", "causationId": "causation_id"}
    more = {names[each]: sent[each] for each in names if each in sent}
    if "occurredAt" in sent:
        more["occurred_at"] = datetime.fromisoformat(sent["occurredAt"]).astimezone(WEST)
    metadata = {kind: said for kind, said in sent["metadata"].items() if kind != "synap"}
    new = NewEvent(sent["type"], sent["data"], sent["id"].upper(), metadata, producer=sent.get("producer"), **more)

    signed = Author(bytes.fromhex(authors.SECRET)).sign(new, Place(event["node"], event["log"], "agent"))

    assert signed.metadata is not None
    assert signed.metadata["synap"]["author"] == event["context"]["metadata"]["synap"]["author"]
    assert (signed.id, signed.user_id, signed.source) == (sent["id"], "agent", "api")


@settings(max_examples=examples(100))
@given(data=RECORDS, custom=RECORDS, at=st.none() | INSTANTS)
def test_what_the_client_signs_is_what_the_server_stores(
    data: dict[str, Any], custom: dict[str, Any], at: datetime | None
) -> None:
    place = Place(authors.AUTHOR.did, "default", "u1")
    event = NewEvent("note.created", data, metadata={"custom": custom}, occurred_at=at)

    signed = Author(bytes.fromhex(authors.SECRET)).sign(event, place)

    sent = msgspec.json.decode(written(signed), type=LogEvent)
    draft = Drafting(place.node).draft(sent, OWNER, "default")
    assert draft.asked is None, draft.asked


def test_every_way_to_log_signs(server: Server, signing: Synap, author: Author, spool: Path) -> None:
    async def logged() -> None:
        async with AsyncSynap(server.url, signing._bearer.token, author=author) as client:  # noqa: SLF001 - its token
            await client.log("note.created", {})
            async with client.recorder() as recorder:
                await recorder.log("note.created", {})

    first = signing.log("note.created", DATA, occurred_at=datetime(2026, 1, 2, tzinfo=WEST))
    again = signing.log("note.created", DATA, id=first.id, occurred_at=datetime(2026, 1, 2, 5, tzinfo=UTC))
    signing.log_batch([NewEvent("note.created", {}), NewEvent("note.created", {}, metadata={"custom": {"a": None}})])
    checked = signing.validate("note.created", {})
    with signing.recorder(spool=spool) as recorder:
        recorder.log("note.created", {})
        handler = SynapHandler(recorder)
        handler.emit(logging.makeLogRecord({"name": "test", "msg": "hello"}))
    with agent("orchestrator", signing) as told:
        told.thought("so it is")
    asyncio.run(logged())
    signing.close()

    assert first == again
    assert checked.valid
    assert signers(server)[author.did] == 1 + 2 + 2 + 3 + 2


def test_an_event_that_is_signed_already_is_sent_as_it_is(signing: Synap, author: Author) -> None:
    place = Place("did:key:z", "elsewhere", "control")
    elsewhere = author.sign(NewEvent("note.created", {}), place)

    assert signing.signed(elsewhere).metadata == elsewhere.metadata
    with pytest.raises(InvalidInput) as refused:
        signing.log_batch([elsewhere])
    assert refused.value.reason == "invalid_signature"
    signing.close()


def test_a_client_with_a_place_asks_nobody(author: Author) -> None:
    client = Synap("http://127.0.0.1:1", "t", author=author, place=Place("did:key:z", "default", "u1"))

    signed = client.signed(NewEvent("note.created", {}))

    assert signed.metadata is not None
    assert signed.metadata["synap"]["author"]["did"] == author.did
