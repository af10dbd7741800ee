r"""Changes of the signing key (`docs/evlog1.md`, Keys): the text that both keys sign, and the event that tells of them.

signed text = "evlog/rotate/v1\n<node>\n<kid_old>\n<kid_new>\n<rotated_at>\n"
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import uuid_utils

from app.ledger.chain import instant
from app.ledger.draft import ROTATED_TYPE, Draft, server_draft
from app.ledger.signer import Signer
from schemas.ledger import Rotation


def rotation_text(node: str, kid_old: str, kid_new: str, rotated_at: str) -> bytes:
    """What both signatures of a rotation are over. `rotated_at` is an `instant`."""
    return f"evlog/rotate/v1\n{node}\n{kid_old}\n{kid_new}\n{rotated_at}\n".encode()


def rotated(node: str, kid_old: str, new: Signer, at: datetime, *, old: Signer | None) -> Rotation:
    """How `new` follows the key `kid_old`. Without `old`, that key itself, it is a break: nobody can sign for it."""
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
    """The event that has these rotations, in their order. One for each log: each has an id and a salt of its own."""
    data = {"rotations": msgspec.to_builtins(rotations)}
    return server_draft(ROTATED_TYPE, data, id=UUID(bytes=uuid_utils.uuid7().bytes), node=node)
