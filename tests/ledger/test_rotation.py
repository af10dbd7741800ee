"""Changes of the signing key: the signed text, and the event."""

import json
from datetime import UTC, datetime

from app.ledger.chain import rotation_text
from app.ledger.rotation import rotated, rotation_draft
from app.ledger.signer import Signer
from tests.kit import paths

VECTORS = json.loads((paths.VECTORS / "evlog1.json").read_text())
VECTOR = VECTORS["rotation"]
OLD = Signer(bytes.fromhex(VECTORS["ed25519"]["secret_hex"]))
NEW = Signer(bytes.fromhex(VECTOR["new_secret_hex"]))
AT = datetime(2024, 12, 9, 1, 0, 2, tzinfo=UTC)


def test_the_signed_text_is_the_vectors() -> None:
    text = rotation_text(OLD.did, OLD.kid, NEW.kid, VECTOR["rotated_at"])

    assert text.decode() == VECTOR["signed_text"]


def test_a_rotation_is_the_vectors_and_signed_by_both() -> None:
    rotation = rotated(OLD.did, OLD.kid, NEW, AT, old=OLD)

    names = ("kid_old", "kid_new", "rotated_at", "signature_old", "signature_new")
    assert {name: getattr(rotation, name) for name in names} == {name: VECTOR[name] for name in names}


def test_a_lost_key_signs_nothing() -> None:
    rotation = rotated(OLD.did, OLD.kid, NEW, AT, old=None)

    assert (rotation.signature_old, rotation.signature_new) == (None, VECTOR["signature_new"])


def test_the_event_has_every_rotation_in_order_and_is_the_nodes_own() -> None:
    rotations = [rotated(OLD.did, OLD.kid, NEW, AT, old=OLD), rotated(OLD.did, NEW.kid, OLD, AT, old=None)]

    first, second = (rotation_draft(rotations, OLD.did) for _ in range(2))

    said = json.loads(first.body.data)["rotations"]
    assert [(each["kid_old"], each["kid_new"], each["signature_old"] is None) for each in said] == [
        (OLD.kid, NEW.kid, False),
        (NEW.kid, OLD.kid, True),
    ]
    assert set(said[0]) == {"kid_old", "kid_new", "rotated_at", "signature_old", "signature_new"}
    assert (first.type, first.body.source, first.body.user_id) == ("synap.key.rotated", "system", OLD.did)
    assert first.id != second.id
    assert first.salt != second.salt
