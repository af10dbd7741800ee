"""Bodies, headers, hashes and signatures follow `evlog/1` byte for byte, and reveal any change."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
import pytest
import rfc8785
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.ledger.canonical import canonical
from app.ledger.chain import GENESIS, Body, body_bytes, header_bytes, instant, leaf_hash, signed_text
from app.ledger.signer import Signer, verify
from tests.kit import paths
from tests.kit.examples import examples

VECTORS = json.loads((paths.VECTORS / "evlog1.json").read_text())
ENTRIES = VECTORS["entries"]
ENTRY_IDS = [f"seq {seq}" for seq in range(len(ENTRIES))]
OLD_KEY = Signer(bytes.fromhex(VECTORS["ed25519"]["secret_hex"]))
NEW_KEY = Signer(bytes.fromhex(VECTORS["rotation"]["new_secret_hex"]))

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8)
MAYBE_TEXTS = st.none() | TEXTS
RECORDS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, max_size=3)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001 - bounds are naive


def _canonical(record: dict[str, Any]) -> str:
    return rfc8785.dumps(record).decode()


BODIES = st.builds(
    Body,
    user_id=TEXTS,
    source=st.sampled_from(["api", "sync"]),
    data=RECORDS.map(_canonical),
    subject_id=MAYBE_TEXTS,
    producer=MAYBE_TEXTS,
    metadata=st.none() | RECORDS.map(_canonical),
    correlation_id=MAYBE_TEXTS,
    causation_id=MAYBE_TEXTS,
    occurred_at=st.none() | INSTANTS,
)


def _body(parts: dict[str, Any]) -> Body:
    """The body of a vector."""
    metadata, occurred_at = parts.get("metadata"), parts.get("occurredAt")
    return Body(
        user_id=parts["userId"],
        source=parts["source"],
        data=canonical(json.dumps(parts["data"]).encode(), "data").decode(),
        subject_id=parts.get("subjectId"),
        producer=parts.get("producer"),
        metadata=metadata and canonical(json.dumps(metadata).encode(), "metadata").decode(),
        correlation_id=parts.get("correlationId"),
        causation_id=parts.get("causationId"),
        occurred_at=occurred_at and datetime.fromisoformat(occurred_at),
    )


def _header(parts: dict[str, Any]) -> bytes:
    """The header's bytes of a vector."""
    return header_bytes(
        node=parts["node"],
        kid=parts["kid"],
        log=parts["log"],
        seq=parts["seq"],
        id=parts["id"],
        type=parts["type"],
        timestamp=parts["timestamp"],
        prev_hash=bytes.fromhex(parts["prev_hash"].removeprefix("sha256:")),
        body_hash=bytes.fromhex(parts["body_hash"].removeprefix("sha256:")),
    )


@pytest.mark.parametrize("entry", ENTRIES, ids=ENTRY_IDS)
def test_body_and_its_hash_are_the_vectors(entry: dict[str, Any]) -> None:
    written = body_bytes(_body(entry["body"]), bytes.fromhex(entry["body"]["salt"]))

    assert written == entry["body_canonical"].encode()
    assert sha256(written).hexdigest() == entry["body_hash"]


@pytest.mark.parametrize("entry", ENTRIES, ids=ENTRY_IDS)
def test_header_hash_and_signature_are_the_vectors(entry: dict[str, Any]) -> None:
    parts = json.loads(entry["header_canonical"])
    signer = OLD_KEY if parts["kid"] == OLD_KEY.kid else NEW_KEY

    header = _header(parts)
    hash_ = leaf_hash(header)

    assert header == entry["header_canonical"].encode()
    assert hash_.hex() == entry["hash"]
    assert entry["ledger_id"] == f"evt_{hash_.hex()}"
    assert signed_text(hash_) == entry["signed_text"].encode()
    assert base64.b64encode(signer.sign(signed_text(hash_))).decode() == entry["signature"]
    assert verify(parts["kid"], signed_text(hash_), base64.b64decode(entry["signature"]))


def test_vectors_link_from_genesis_on() -> None:
    headers = [json.loads(entry["header_canonical"]) for entry in ENTRIES]

    assert [header["seq"] for header in headers] == list(range(len(ENTRIES)))
    assert [header["prev_hash"] for header in headers] == [
        f"sha256:{GENESIS.hex()}",
        *(f"sha256:{entry['hash']}" for entry in ENTRIES[:-1]),
    ]


def test_ids_of_nodes_and_keys_are_the_vectors() -> None:
    assert OLD_KEY.public.hex() == VECTORS["ed25519"]["public_hex"]
    assert OLD_KEY.kid == VECTORS["kid"]
    assert OLD_KEY.did == VECTORS["node"]
    assert NEW_KEY.kid == VECTORS["rotation"]["kid_new"]


@pytest.mark.parametrize("key", ["old", "new"])
def test_rotation_signatures_are_the_vectors(key: str) -> None:
    rotation = VECTORS["rotation"]
    signer = {"old": OLD_KEY, "new": NEW_KEY}[key]

    assert base64.b64encode(signer.sign(rotation["signed_text"].encode())).decode() == rotation[f"signature_{key}"]


@settings(max_examples=examples(200), deadline=None)
@given(BODIES, st.binary(min_size=16, max_size=16))
def test_body_is_what_the_reference_writes(body: Body, salt: bytes) -> None:
    parts = {
        "salt": salt.hex(),
        "userId": body.user_id,
        "source": body.source,
        "data": json.loads(body.data),
        "subjectId": body.subject_id,
        "producer": body.producer,
        "metadata": None if body.metadata is None else json.loads(body.metadata),
        "correlationId": body.correlation_id,
        "causationId": body.causation_id,
        "occurredAt": None if body.occurred_at is None else instant(body.occurred_at),
    }

    assert body_bytes(body, salt) == rfc8785.dumps({name: part for name, part in parts.items() if part is not None})


@settings(max_examples=examples(100), deadline=None)
@given(
    seq=st.integers(0, 2**53 - 1),
    id=st.uuids(),
    timestamp=INSTANTS,
    hashes=st.tuples(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32)),
)
def test_header_is_what_the_reference_writes(
    seq: int, id: UUID, timestamp: datetime, hashes: tuple[bytes, bytes]
) -> None:
    written = header_bytes(
        node=OLD_KEY.did,
        kid=NEW_KEY.kid,
        log="w_1-x",
        seq=seq,
        id=str(id),
        type="a-1.B_2",
        timestamp=instant(timestamp),
        prev_hash=hashes[0],
        body_hash=hashes[1],
    )

    assert written == rfc8785.dumps(
        {
            "v": "evlog/1",
            "node": OLD_KEY.did,
            "kid": NEW_KEY.kid,
            "log": "w_1-x",
            "seq": seq,
            "id": str(id),
            "type": "a-1.B_2",
            "timestamp": instant(timestamp),
            "prev_hash": f"sha256:{hashes[0].hex()}",
            "body_hash": f"sha256:{hashes[1].hex()}",
        }
    )


@settings(max_examples=examples(200), deadline=None)
@given(INSTANTS)
@example(datetime(2026, 11, 30, 1, 2, 3, tzinfo=UTC))
@example(datetime(2026, 11, 30, 1, 2, 3, 40, tzinfo=UTC))
def test_an_instant_prints_as_utc_with_six_digits(at: datetime) -> None:
    written = instant(at)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", written)
    assert datetime.fromisoformat(written) == at


@pytest.mark.parametrize("field", Body.__struct_fields__)
@settings(max_examples=25, deadline=None)
@given(body=BODIES, other=BODIES, salt=st.binary(min_size=16, max_size=16))
def test_any_change_of_a_body_changes_its_hash(field: str, body: Body, other: Body, salt: bytes) -> None:
    assume(getattr(body, field) != getattr(other, field))

    tampered = msgspec.structs.replace(body, **{field: getattr(other, field)})

    assert sha256(body_bytes(tampered, salt)).digest() != sha256(body_bytes(body, salt)).digest()


@settings(max_examples=25, deadline=None)
@given(body=BODIES, salts=st.lists(st.binary(min_size=16, max_size=16), min_size=2, max_size=2, unique=True))
def test_another_salt_changes_the_hash_of_a_body(body: Body, salts: list[bytes]) -> None:
    assert body_bytes(body, salts[0]) != body_bytes(body, salts[1])


CHANGES: dict[str, Any] = {
    "node": NEW_KEY.did,
    "kid": Signer(bytes(32)).kid,
    "log": "defaul",
    "seq": 7,
    "id": "01938c1e-0000-7000-8000-00000000000f",
    "type": "entity.create",
    "timestamp": "2024-12-09T01:00:00.000001Z",
    "prev_hash": f"sha256:{'1' * 64}",
    "body_hash": f"sha256:{'2' * 64}",
}


@pytest.mark.parametrize(("field", "value"), CHANGES.items(), ids=list(CHANGES))
@pytest.mark.parametrize("entry", ENTRIES, ids=ENTRY_IDS)
def test_any_change_of_a_header_breaks_its_signature(entry: dict[str, Any], field: str, value: Any) -> None:
    header = json.loads(entry["header_canonical"])
    signature = base64.b64decode(entry["signature"])

    tampered = leaf_hash(_header({**header, field: value}))

    assert tampered.hex() != entry["hash"]
    assert not verify(header["kid"], signed_text(tampered), signature)


@pytest.mark.parametrize("entry", ENTRIES[:3], ids=ENTRY_IDS[:3])
def test_a_signature_by_another_key_is_found(entry: dict[str, Any]) -> None:
    text = entry["signed_text"].encode()

    assert verify(OLD_KEY.kid, text, OLD_KEY.sign(text))
    assert not verify(OLD_KEY.kid, text, NEW_KEY.sign(text))
    assert not verify(NEW_KEY.kid, text, base64.b64decode(entry["signature"]))


@settings(max_examples=examples(150), deadline=None)
@given(st.integers(0, 64 * 8 - 1))
def test_a_flipped_bit_of_a_signature_is_found(bit: int) -> None:
    signature = bytearray(base64.b64decode(ENTRIES[0]["signature"]))
    signature[bit // 8] ^= 1 << bit % 8

    assert not verify(OLD_KEY.kid, ENTRIES[0]["signed_text"].encode(), bytes(signature))
