"""The history of the install's signing keys."""

import base64

import psycopg

from app.ledger.chain import instant
from app.store.postgres.pipe import Row
from schemas.ledger import Rotation

LIST_ROTATIONS = "SELECT kid_old, kid_new, rotated_at, signature_old, signature_new FROM key_rotation ORDER BY number"
"""Every change of keys, the oldest first."""


def to_rotation(row: Row) -> Rotation:
    """The rotation in a row of `LIST_ROTATIONS`."""
    kid_old, kid_new, rotated_at, signature_old, signature_new = row
    return Rotation(
        kid_old=kid_old,
        kid_new=kid_new,
        rotated_at=instant(rotated_at),
        signature_old=None if signature_old is None else base64.b64encode(signature_old).decode(),
        signature_new=base64.b64encode(signature_new).decode(),
    )


def kids(connection: psycopg.Connection, node: str) -> list[str]:
    """The kid of every key that the install `node` has had, the oldest first."""
    return [node.removeprefix("did:key:"), *(each.kid_new for each in key_history(connection))]


def key_history(connection: psycopg.Connection) -> list[Rotation]:
    """Every change of keys, the oldest first."""
    return [to_rotation(row) for row in connection.execute(LIST_ROTATIONS)]
