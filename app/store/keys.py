"""API keys: made, listed and revoked by administrators; found by the hash of a token for every call."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

import psycopg
from msgspec import Struct

from app.store.database import Database
from schemas.principal import Principal

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

INSERT = """
INSERT INTO api_key (id, token_sha256, user_id, scopes, workspaces, created_at, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

LIST = "SELECT id, user_id, scopes, workspaces, created_at, expires_at, revoked_at FROM api_key ORDER BY created_at, id"

REVOKE = "UPDATE api_key SET revoked_at = coalesce(revoked_at, %s) WHERE id = %s RETURNING id"

FIND = """
SELECT id, user_id, scopes, workspaces, expires_at FROM api_key
WHERE token_sha256 = %(token_sha256)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
"""The valid key with this token."""


VALID = """
SELECT id FROM api_key
WHERE id = ANY(%(ids)s::text[]) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""


class Key(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as administrators see it: never its token."""

    id: str
    user_id: str
    scopes: list[str]
    workspaces: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def new_token(key_id: str) -> str:
    """`sk_<key id>_<32 random bytes, base62>`: 43 characters after the last underscore."""
    number = int.from_bytes(os.urandom(32))
    secret = ""
    for _ in range(43):
        number, digit = divmod(number, 62)
        secret += _BASE62[digit]
    return f"sk_{key_id}_{secret}"


def new_key_id() -> str:
    """Ten random characters, base62."""
    return "".join(_BASE62[byte % 62] for byte in os.urandom(10))


def token_hash(token: str) -> bytes:
    """What the database knows of a token."""
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def insert_key(
    connection: psycopg.Connection,
    key_id: str,
    token: str,
    *,
    user_id: str,
    scopes: Sequence[str],
    workspaces: Sequence[str],
    expires_at: datetime | None = None,
) -> None:
    """Store a key; the first workspace is the one it acts in unless a call names another."""
    connection.execute(
        INSERT, (key_id, token_hash(token), user_id, list(scopes), list(workspaces), datetime.now(UTC), expires_at)
    )


def list_keys(connection: psycopg.Connection) -> list[Key]:
    """Every key, oldest first."""
    names = Key.__struct_fields__
    return [Key(**dict(zip(names, row, strict=True))) for row in connection.execute(LIST)]


def revoke_key(connection: psycopg.Connection, key_id: str) -> bool:
    """Revoke a key, for good. False where there is none. Servers notice within seconds."""
    return connection.execute(REVOKE, (datetime.now(UTC), key_id)).fetchone() is not None


async def find_principal(database: Database, token_sha256: bytes) -> Principal | None:
    """The principal of the valid key with this token, or None. Raises Unavailable."""
    rows = await database.rows(FIND, {"token_sha256": token_sha256})
    if not rows:
        return None
    key_id, user_id, scopes, workspaces, expires_at = rows[0]
    return Principal(
        key_id=key_id,
        user_id=user_id,
        scopes=frozenset(scopes),
        workspaces=tuple(workspaces),
        expires_at=expires_at,
    )


async def valid_keys(database: Database, key_ids: Sequence[str]) -> set[str]:
    """Those of the keys that are neither revoked nor expired. Raises Unavailable."""
    return {key_id for (key_id,) in await database.rows(VALID, {"ids": list(key_ids)})}
