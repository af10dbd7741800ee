"""API keys: this module creates, lists, rotates and revokes them, and finds a key by the hash of its token."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import psycopg
from msgspec import Struct
from msgspec.structs import asdict

from app.ledger.chain import NODE_LOG, instant
from app.store.audit.acting import acted
from app.store.audit.log import Act, enter
from app.store.install.key_authors import (
    BIND_KEY,
    COPY_AUTHORS,
    HAS_AUTHORS,
    KEY_AUTHORS,
    TOO_OLD,
    UNBOUND,
    Binding,
)
from app.store.postgres.database import Database
from app.store.postgres.pipe import Call
from schemas.base import Way
from schemas.errors import Unavailable
from schemas.keys import ApiKey
from schemas.principal import EVERY, Principal, Scope

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

KEY_COLUMNS = f"id, user_id, scopes, workspaces, created_at, expires_at, revoked_at, {KEY_AUTHORS}"
"""The columns of a `Key`, in its order."""

IS_VALID = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
"""True of a key that is neither revoked nor expired."""

_SELECT_PRINCIPAL = f"""
SELECT id, user_id, scopes, workspaces, expires_at, must_name, {KEY_AUTHORS} FROM api_key WHERE {IS_VALID}
"""
"""The columns of a valid key that make its principal; a condition follows."""

_IF_NEW = "ON CONFLICT (token_sha256) DO NOTHING"
"""Lets a statement run twice. A key with a taken id is an error, because it has another token."""

INSERT_KEY = """
INSERT INTO api_key (id, token_sha256, user_id, scopes, workspaces, created_at, expires_at) VALUES (
    %(id)s, %(token_sha256)s, %(user_id)s, %(scopes)s, %(workspaces)s, %(created_at)s, %(expires_at)s
)
"""
"""Creates a key."""

INSERT_ONCE = f"{INSERT_KEY} {_IF_NEW}"
"""Creates a key, unless this statement has run before."""

LIST_ALL_KEYS = f"SELECT {KEY_COLUMNS} FROM api_key ORDER BY created_at, id"
"""Every key, the oldest first."""

_LIST_KEYS = f"""
SELECT {KEY_COLUMNS} FROM api_key
WHERE (%(every)s OR workspaces <@ %(workspaces)s::text[]) AND (%(with_ended)s OR {IS_VALID})
    AND (%(place_id)s::text IS NULL OR (created_at, id) {{0}} (%(place_at)s::timestamptz, %(place_id)s::text))
ORDER BY created_at {{1}}, id {{1}} LIMIT %(limit)s
"""
"""A page of the keys that act only in the given workspaces."""

LIST_KEYS: Mapping[Way, str] = {"forward": _LIST_KEYS.format(">", "ASC"), "backward": _LIST_KEYS.format("<", "DESC")}
"""A page of the keys that act only in the given workspaces, after a place or before it."""

REVOKE_KEY = """
UPDATE api_key SET revoked_at = %(revoked_at)s WHERE id = %(id)s AND revoked_at IS NULL RETURNING workspaces
"""
"""Revokes a key that is not revoked yet. Returns its workspaces, whose audits enter that."""

ROTATE_KEY = f"""
WITH held AS (
    SELECT id, user_id, scopes, workspaces, expires_at, must_name FROM api_key
    WHERE id = %(id)s AND {IS_VALID} FOR UPDATE
), ended AS (
    UPDATE api_key SET revoked_at = %(revoked_at)s, expires_at = least(api_key.expires_at, %(ends_at)s)
    FROM held WHERE api_key.id = held.id
)
INSERT INTO api_key (id, token_sha256, user_id, scopes, workspaces, created_at, expires_at, must_name)
SELECT %(new_id)s, %(token_sha256)s, user_id, scopes, workspaces, %(created_at)s, expires_at, must_name FROM held
{_IF_NEW} RETURNING id
"""
"""Ends a valid key and inserts its successor, which expires when the key would have. If the key is not valid, it does
nothing. `least` ignores NULL, so a key that never expires ends now too. A second run changes nothing more."""

FIND_BY_TOKEN = f"{_SELECT_PRINCIPAL} AND token_sha256 = %(token_sha256)s"
"""The principal of the valid key with this token."""

FIND_VALID_KEY = f"{_SELECT_PRINCIPAL} AND id = %(id)s"
"""The principal of the valid key with this id."""

FIND_KEY = f"SELECT {KEY_COLUMNS} FROM api_key WHERE id = %(id)s"
"""The key with this id, valid or not."""

FIND_ISSUED = f"SELECT {KEY_COLUMNS} FROM api_key WHERE token_sha256 = %(token_sha256)s"
"""The key with this token, valid or not."""

LIST_VALID_KEYS = f"SELECT id FROM api_key WHERE id = ANY(%(ids)s::text[]) AND {IS_VALID}"
"""The given keys that are valid."""


LIST_KNOWN_WORKSPACES = "SELECT id FROM workspace WHERE id = ANY(%(slugs)s::text[]) AND deleted_at IS NULL"
"""The given workspaces that exist."""

LIST_FIRST_WORKSPACES = f"""
SELECT id FROM workspace WHERE id <> '{NODE_LOG}' AND deleted_at IS NULL ORDER BY id LIMIT %(limit)s
"""
"""The first workspaces of the install."""


class Key(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as administrators see it, without its token."""

    id: str
    user_id: str
    scopes: list[str]
    workspaces: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    authors: list[str] = []
    author_required: bool = False

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Key":
        """The key in a row of `KEY_COLUMNS`."""
        return cls(**dict(zip(cls.__struct_fields__, row, strict=True)))

    def shown(self) -> ApiKey:
        """The key as callers see it."""
        return ApiKey(
            id=self.id,
            user_id=self.user_id,
            scopes=[Scope(scope) for scope in self.scopes],
            workspaces=self.workspaces,
            created_at=instant(self.created_at),
            expires_at=None if self.expires_at is None else instant(self.expires_at),
            revoked_at=None if self.revoked_at is None else instant(self.revoked_at),
            authors=self.authors or None,
            author_required=self.author_required or None,
        )


def new_token(key_id: str) -> str:
    """A new token: `sk_<key id>_<32 random bytes, base62>`, with 43 characters after the last underscore."""
    number = int.from_bytes(os.urandom(32))
    secret = ""
    for _ in range(43):
        number, digit = divmod(number, 62)
        secret += _BASE62[digit]
    return f"sk_{key_id}_{secret}"


def new_key_id() -> str:
    """A new key id: ten random characters, base62."""
    return "".join(_BASE62[byte % 62] for byte in os.urandom(10))


def token_hash(token: str) -> bytes:
    """The SHA-256 of a token. The database stores this, not the token."""
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
    authors: Sequence[str] = (),
    author_required: bool = False,
) -> None:
    """Store a key. It acts in the first workspace unless a call names another. The audit's actor is the node.

    With `authors` or `author_required` the schema must be 0016 or newer.
    """
    binding = Binding(list(authors), author_required)
    with connection.transaction():
        connection.execute(
            INSERT_KEY,
            {
                "id": key_id,
                "token_sha256": token_hash(token),
                "user_id": user_id,
                "scopes": list(scopes),
                "workspaces": list(workspaces),
                "created_at": datetime.now(UTC),
                "expires_at": expires_at,
            },
        )
        if binding:
            connection.execute(BIND_KEY, binding.of(token_hash(token)))
        enter(connection, "key.created", created(key_id, scopes, workspaces, expires_at, binding), workspaces)


def created(
    key_id: str,
    scopes: Sequence[str],
    workspaces: Sequence[str],
    expires_at: datetime | None,
    binding: Binding = UNBOUND,
) -> dict[str, object]:
    """The audit's detail of a new key. It contains neither user nor dids: the audit stores no personal data."""
    detail: dict[str, object] = {"keyId": key_id, "scopes": list(scopes), "workspaces": list(workspaces)}
    if expires_at is not None:
        detail["expiresAt"] = instant(expires_at)
    if binding.authors:
        detail["authors"] = len(binding.authors)
    if binding.author_required:
        detail["authorRequired"] = True
    return detail


def list_keys(connection: psycopg.Connection) -> list[Key]:
    """Every key, oldest first."""
    return [Key.of(row) for row in connection.execute(LIST_ALL_KEYS)]


def revoke_key(connection: psycopg.Connection, key_id: str) -> bool:
    """Revoke a key permanently. Returns False if there is no such key.

    Servers notice this within seconds. The audit's actor is the node.
    """
    with connection.transaction():
        revoked = connection.execute(REVOKE_KEY, {"id": key_id, "revoked_at": datetime.now(UTC)}).fetchone()
        if revoked is not None:
            enter(connection, "key.revoked", {"keyId": key_id}, revoked[0])
            return True
        return connection.execute(FIND_KEY, {"id": key_id}).fetchone() is not None


async def find_principal(database: Database, token_sha256: bytes) -> Principal | None:
    """The principal of the valid key with this token, or None. Raises Unavailable."""
    return _principal(await database.rows(FIND_BY_TOKEN, {"token_sha256": token_sha256}))


async def valid_keys(database: Database, key_ids: Sequence[str]) -> set[str]:
    """The given keys that are neither revoked nor expired. Raises Unavailable."""
    return {key_id for (key_id,) in await database.rows(LIST_VALID_KEYS, {"ids": list(key_ids)})}


class Keys:
    """Creates, finds, rotates and revokes keys. The caller checks what it may do. For the tasks of one event loop.

    A statement runs twice if its connection breaks, so ids, tokens and times are chosen before. Every method may raise
    Unavailable. Its key may be stored then, but nobody has the token. An `act` is entered in the audit if, and only if,
    it is done.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def principal(self, key_id: str) -> Principal | None:
        """The principal of a key, or None if the key is not valid now."""
        return _principal(await self._database.rows(FIND_VALID_KEY, {"id": key_id}))

    async def find(self, key_id: str) -> Key | None:
        """The key with this id, valid or not, or None."""
        return _key(await self._database.rows(FIND_KEY, {"id": key_id}))

    async def page(
        self, workspaces: Sequence[str], *, with_ended: bool, place: Key | None, way: Way, limit: int
    ) -> tuple[list[Key], bool]:
        """A page of the keys that act only in these workspaces (`*`: all keys), oldest first.

        It begins behind `place`, or ends right before it. Returns also whether there are more keys in that direction.
        """
        asked = {
            "every": EVERY in workspaces,
            "workspaces": list(workspaces),
            "with_ended": with_ended,
            "place_at": place and place.created_at,
            "place_id": place and place.id,
            "limit": limit + 1,
        }
        keys = [Key.of(row) for row in await self._database.rows_alone(LIST_KEYS[way], asked)]
        page = keys[:limit]
        return page if way == "forward" else page[::-1], len(keys) > limit

    async def known_workspaces(self, slugs: Sequence[str]) -> set[str]:
        """The given slugs that name a workspace."""
        return {slug for (slug,) in await self._database.rows(LIST_KNOWN_WORKSPACES, {"slugs": list(slugs)})}

    async def first_workspaces(self, limit: int) -> list[str]:
        """The first `limit` workspaces, by slug."""
        return [slug for (slug,) in await self._database.rows(LIST_FIRST_WORKSPACES, {"limit": limit})]

    async def create(
        self,
        key_id: str,
        *,
        user_id: str,
        scopes: Sequence[Scope],
        workspaces: Sequence[str],
        now: datetime,
        until: datetime | None,
        binding: Binding,
        act: Act,
    ) -> tuple[Key, str]:
        """Store a new key that is created `now` and expires at `until`. Returns the key and its token."""
        token = new_token(key_id)
        key = Key(
            id=key_id,
            user_id=user_id,
            scopes=list(scopes),
            workspaces=list(workspaces),
            created_at=now,
            expires_at=until,
            revoked_at=None,
            authors=binding.authors,
            author_required=binding.author_required,
        )
        bind: list[Call] = [(BIND_KEY, binding.of(token_hash(token)))] if binding else []
        if bind and not await self._database.holds(HAS_AUTHORS):
            raise Unavailable(TOO_OLD, retry_after_seconds=60)
        insert = INSERT_ONCE, asdict(key) | {"token_sha256": token_hash(token)}
        await self._database.atomic([insert, *bind, act.call])
        return key, token

    async def revoke(self, key_id: str, now: datetime, act: Act) -> Key:
        """Revoke a key, which must exist, permanently. If it was revoked before, nothing changes."""
        revoke = REVOKE_KEY, {"id": key_id, "revoked_at": now}
        _, [[row]] = await acted(self._database, act, revoke, then=[(FIND_KEY, {"id": key_id})])
        return Key.of(row)

    async def rotate(
        self, key_id: str, new_id: str, *, now: datetime, grace_seconds: int, act: Act
    ) -> tuple[Key, str] | None:
        """End a valid key `grace_seconds` after `now`, and store a successor with the same rights, both or neither.

        Returns the successor and its token; None if the key is no longer valid.
        """
        token = new_token(new_id)
        issued = {"token_sha256": token_hash(token)}
        rotate = issued | {
            "id": key_id,
            "new_id": new_id,
            "created_at": now,
            "revoked_at": None if grace_seconds else now,
            "ends_at": now + timedelta(seconds=grace_seconds) if grace_seconds else None,
        }
        bind: list[Call] = [(COPY_AUTHORS, rotate)] if await self._database.holds(HAS_AUTHORS) else []
        # In a second run ROTATE_KEY inserts nothing, and FIND_ISSUED finds what the first run issued.
        found, _ = await acted(self._database, act, (FIND_ISSUED, issued), first=[(ROTATE_KEY, rotate), *bind])
        successor = _key(found)
        return None if successor is None else (successor, token)


def _key(rows: Sequence[Sequence[Any]]) -> Key | None:
    """The key of the only row, if there is one."""
    return Key.of(rows[0]) if rows else None


def _principal(rows: Sequence[Sequence[Any]]) -> Principal | None:
    """The principal of the only row, if there is one."""
    if not rows:
        return None
    key_id, user_id, scopes, workspaces, expires_at, must_name, authors, author_required = rows[0]
    return Principal(
        key_id=key_id,
        user_id=user_id,
        scopes=frozenset(scopes),
        workspaces=tuple(workspaces),
        expires_at=expires_at,
        must_name=must_name,
        authors=tuple(authors),
        author_required=author_required,
    )
