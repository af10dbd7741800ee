"""Statements that change keys may run twice, because a connection may break after the commit and before the answer."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import asdict

from app.store.audit.log import Act
from app.store.install.key_authors import UNBOUND, Binding
from app.store.install.keys import (
    FIND_ISSUED,
    INSERT_ONCE,
    ROTATE_KEY,
    Key,
    Keys,
    find_principal,
    new_key_id,
    token_hash,
)
from app.store.postgres.database import Database
from schemas.errors import Unavailable
from schemas.principal import Scope

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)


def test_a_key_that_is_inserted_twice_is_there_once(database_url: str) -> None:
    async def run(database: Database) -> None:
        keys = Keys(database)
        made, token = await _created(keys)

        await database.rows_alone(INSERT_ONCE, asdict(made) | {"token_sha256": token_hash(token)})

        listed, _ = await keys.page(["default"], with_ended=True, place=None, way="forward", limit=10)
        assert listed == [made]

    _run(database_url, run)


@pytest.mark.parametrize("grace_seconds", [0, 60])
def test_a_rotation_that_runs_twice_ends_and_makes_one(database_url: str, grace_seconds: int) -> None:
    async def run(database: Database) -> None:
        keys = Keys(database)
        made, _ = await _created(keys)
        ends_at = NOW + timedelta(seconds=grace_seconds)
        parameters = {
            "id": made.id,
            "new_id": "successor",
            "token_sha256": b"hash",
            "created_at": NOW,
            "revoked_at": None if grace_seconds else NOW,
            "ends_at": ends_at if grace_seconds else None,
        }

        first = await database.rows_alone(ROTATE_KEY, parameters)
        again = await database.rows_alone(ROTATE_KEY, parameters)

        assert (first, again) == ([("successor",)], [])
        [successor] = map(Key.of, await database.rows(FIND_ISSUED, {"token_sha256": b"hash"}))
        assert (successor.expires_at, successor.revoked_at) == (LATER, None)
        old = await keys.find(made.id)
        assert old is not None
        assert (old.expires_at, old.revoked_at) == ((ends_at, None) if grace_seconds else (LATER, NOW))
        listed, _ = await keys.page(["default"], with_ended=True, place=None, way="forward", limit=10)
        assert {key.id for key in listed} == {made.id, "successor"}

    _run(database_url, run)


def test_a_rotation_copies_the_authors_of_a_key(database_url: str) -> None:
    async def run(database: Database) -> None:
        keys = Keys(database)
        made, _ = await _created(keys, Binding(["did:key:one", "did:key:two"], author_required=True))

        rotated = await keys.rotate(made.id, new_key_id(), now=NOW, grace_seconds=0, act=_act("key.rotated"))

        assert rotated is not None
        successor = await keys.principal(rotated[0].id)
        assert successor is not None
        for key in (made, rotated[0], successor):
            assert (list(key.authors), key.author_required) == (["did:key:one", "did:key:two"], True)

    _run(database_url, run)


def test_keys_of_a_schema_without_authors_are_not_bound(database_url: str) -> None:
    async def run(database: Database) -> None:
        await database.rows_alone("ALTER TABLE api_key DROP COLUMN authors, DROP COLUMN author_required", {})
        keys = Keys(database)
        made, token = await _created(keys)

        with pytest.raises(Unavailable, match="synap migrate"):
            await _created(keys, Binding([], author_required=True))

        found = await find_principal(database, token_hash(token))
        rotated = await keys.rotate(made.id, new_key_id(), now=NOW, grace_seconds=0, act=_act("key.rotated"))
        assert found is not None
        assert rotated is not None
        for key in (made, found, rotated[0]):
            assert (list(key.authors), key.author_required) == ([], False)

    _run(database_url, run)


def _act(action: str) -> Act:
    return Act.of(action, "k", {}, [])


async def _created(keys: Keys, binding: Binding = UNBOUND) -> tuple[Key, str]:
    return await keys.create(
        new_key_id(),
        user_id="u1",
        scopes=[Scope.EVENTS_READ],
        workspaces=["default"],
        now=NOW,
        until=LATER,
        binding=binding,
        act=_act("key.created"),
    )


def _run(database_url: str, run: Any) -> None:
    async def opened() -> None:
        database = Database(database_url)
        await database.open()
        try:
            await run(database)
        finally:
            await database.close()

    asyncio.run(opened())
