"""A rolling update: retries with an `Idempotency-Key` reach servers of version 0.1 and of this version."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from app.cli.doctor.examine import examine
from app.ledger.draft import Draft
from app.settings import Settings
from app.store.events.linker import LOCK_TIP
from app.store.install.secret import read_secret
from app.surfaces.shared.idempotency import idempotent_ids
from tests.acceptance.logs import draft, event_log
from tests.acceptance.processes import synap, waiting_for_the_tip
from tests.kit import web
from tests.kit.checks import check_log
from tests.kit.databases import require_one_postgresql
from tests.kit.servers import Server, serving, until

EVENT: dict[str, Any] = {"type": "note.created", "source": "notes", "data": {"n": 1}}

OLD_SERVER = "synap"
"""The application name of version 0.1."""


@pytest.fixture
def old_process(database_url: str, data_dir: Path) -> Iterator[psycopg.Connection]:
    """A connection of a server of version 0.1, whose database has just been migrated."""
    data_dir.mkdir()
    synap(data_dir, "init", database_url=database_url)
    with closing(psycopg.connect(database_url, autocommit=True, application_name=OLD_SERVER)) as connection:
        connection.execute("UPDATE install SET idempotency_since = NULL")
        yield connection


def publish(server: Server, key: str) -> httpx.Response:
    """Publish the event under an idempotency key."""
    return web.post(
        f"{server.url}/v1/events", json=EVENT, headers=server.headers | {"idempotency-key": key}, timeout=60
    )


def published(server: Server, key: str) -> UUID:
    """The id of the event that was published under an idempotency key."""
    answer = publish(server, key)
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["eventId"])


def as_version_0_1(data_dir: Path, key: str) -> Draft:
    """The draft of that event, as a server of version 0.1 appends it."""
    id_ = idempotent_ids(read_secret(data_dir / "install.secret"), "default", "control", key).former
    return draft(EVENT["data"], id=id_, producer=EVENT["source"], userId="control")


def test_retries_at_old_and_new_servers_are_stored_once(
    database_url: str, data_dir: Path, old_process: psycopg.Connection
) -> None:
    require_one_postgresql("a server of the last release")

    async def append_as_old(key: str) -> UUID:
        async with event_log(database_url, data_dir) as log:
            (event,) = await log.append("default", [as_version_0_1(data_dir, key)])
            return event.id

    with (
        serving(data_dir, database_url=database_url) as first,
        serving(data_dir, database_url=database_url) as second,
        ThreadPoolExecutor(3) as pool,
    ):
        with psycopg.connect(database_url) as connection:
            # `old_process` is in autocommit mode, because a transaction does not see connections made after its first
            # look.
            connection.execute(LOCK_TIP, {"workspace": "default"})
            new = [pool.submit(published, server, "run 1") for server in (first, second)]
            old = pool.submit(asyncio.run, append_as_old("run 1"))
            until(lambda: len(waiting_for_the_tip(old_process)) == 3)
        ids = {answer.result(timeout=60) for answer in (*new, old)}
        said = synap(data_dir, "migrate", database_url=database_url)

        assert ids == {as_version_0_1(data_dir, "run 1").id}
        assert "A server of an earlier version still uses this database; run this again when it has stopped." in said
        settings = Settings(data_dir=data_dir, database_url=database_url)
        assert any("of an earlier version" in finding.sentence for finding in examine(settings))

        old_process.close()
        synap(data_dir, "migrate", database_url=database_url)

        assert {published(server, "run 1") for server in (first, second)} == ids
        (fresh,) = {published(server, "run 2") for server in (first, second)}
        assert fresh.version == 8
    assert len(check_log(database_url)) == 2


def test_a_first_start_gives_secret_ids_at_once(database_url: str, data_dir: Path) -> None:
    with serving(data_dir, database_url=database_url) as server:
        id_ = published(server, "run 1")
        changed = web.post(
            f"{server.url}/v1/events",
            content=json.dumps(EVENT | {"data": {}}),
            headers=server.headers | {"idempotency-key": "run 1"},
        )

    secret = read_secret(data_dir / "install.secret")
    assert id_ == idempotent_ids(secret, "default", "control", "run 1").id
    assert changed.status_code == 409
    assert changed.json()["error"]["field"] == "Idempotency-Key"


def test_a_start_beside_an_old_server_leaves_the_ids_and_the_next_one_changes_them(
    database_url: str, data_dir: Path, old_process: psycopg.Connection
) -> None:
    with serving(data_dir, database_url=database_url) as server:
        before = published(server, "run 1")
        old_process.close()
        with serving(data_dir, database_url=database_url) as other:
            after = published(other, "run 2")
            assert published(other, "run 1") == published(server, "run 1") == before

    assert (before.version, after.version) == (5, 8)
