"""Changes of the signing key (`docs/reference/evlog1.md`, Keys), and the event that records them."""

import base64
from collections.abc import Sequence
from datetime import datetime

import msgspec

from app.ledger.chain import ROTATED_TYPE, instant, rotation_text
from app.ledger.draft import Draft, new_id, server_draft
from app.ledger.signer import Signer
from schemas.ledger import Rotation


def rotated(node: str, kid_old: str, new: Signer, at: datetime, *, old: Signer | None) -> Rotation:
    """The rotation from the key `kid_old` to `new`. Without the key `old` it is a break: nobody can sign for it."""
    rotated_at = instant(at)
    text = rotation_text(node, kid_old, new.kid, rotated_at)
    return Rotation(
        kid_old=kid_old,
        kid_new=new.kid,
        rotated_at=rotated_at,
        signature_old=None if old is None else base64.b64encode(old.sign(text)).decode(),
        signature_new=base64.b64encode(new.sign(text)).decode(),
    )


def rotation_draft(rotations: Sequence[Rotation], node: str) -> Draft:
    """The event that records these rotations in order. Each log needs its own, with its own id and salt."""
    data = {"rotations": msgspec.to_builtins(rotations)}
    return server_draft(ROTATED_TYPE, data, id=new_id(), node=node)
