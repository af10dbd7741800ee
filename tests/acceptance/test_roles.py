"""A server whose role does not own the tables: everything that it does, and what only the owner may do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from app.store.postgres.database import APPLICATION
from app.store.postgres.postmaster import running, url_of_server
from app.store.postgres.roles import SERVER
from tests.acceptance.processes import synap
from tests.delivery.receiver import receiving
from tests.kit import web
from tests.kit.checks import check_log
from tests.kit.databases import require_one_postgresql
from tests.kit.installs import copy
from tests.kit.servers import Server, serving, until

SETTINGS = {"webhook_allow_http": "true", "webhook_allow_networks": "127.0.0.0/8"}

LOGINS = f"""
SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = '{APPLICATION}' AND datname = current_database()
"""


def _answer(server: Server, name: str, value: object, **headers: str) -> dict[str, object]:
    answered = server.mutate(name, value, **headers)
    assert answered.status_code == 200, answered.text
    data: dict[str, object] = answered.json()["result"]["data"]
    return data


@contextmanager
def _embedded(data_dir: Path, _: str, first_started: Path) -> Iterator[tuple[Server, str, dict[str, str]]]:
    copy(first_started, data_dir)
    with serving(data_dir, **SETTINGS) as server:
        owner = running(data_dir)
        assert owner is not None
        yield server, owner, {}


@contextmanager
def _external(data_dir: Path, owner: str, _: Path) -> Iterator[tuple[Server, str, dict[str, str]]]:
    """Set up a server as in `docs/operate/postgresql.md`: the owner migrates and grants, and another role serves."""
    require_one_postgresql("deleting a workspace without a login of its own")
    data_dir.mkdir()
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"DO $$ BEGIN CREATE ROLE {SERVER} LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    synap(data_dir, "migrate", "--grant", SERVER, database_url=owner)
    synap(data_dir, "init", database_url=owner)
    with serving(data_dir, database_url=url_of_server(owner), **SETTINGS) as server:
        yield server, owner, {"database_url": owner}


@pytest.mark.parametrize("started", [_embedded, _external])
def test_a_server_that_owns_no_table_does_all_that_one_does(
    data_dir: Path, database_url: str, first_started: Path, started: Callable[[Path, str, Path], object]
) -> None:
    with receiving() as receiver, started(data_dir, database_url, first_started) as (server, owner, administering):  # type: ignore[attr-defined]
        subscribe = {"webhookUrl": receiver.url("/hook"), "eventTypes": ["note.*"]}
        subscription = _answer(server, "subscriptions.create", subscribe)
        event = _answer(server, "events.log", {"type": "note.created", "data": {"n": 1}, "producer": "p"})
        published = {"type": "note.created", "data": {}, "source": "p"}
        until(lambda: receiver.received)
        assert web.post(f"{server.url}/v1/events", json=published, headers=server.headers).status_code == 201
        assert _answer(server, "events.erase", {"ids": [event["id"]]})["erased"] == 1
        key = _answer(server, "keys.create", {"userId": "u", "scopes": ["events:read"]})
        _answer(server, "keys.revoke", {"keyId": key["id"]})
        _answer(server, "subscriptions.delete", {"subscriptionId": subscription["subscriptionId"]})
        with psycopg.connect(owner) as connection:
            logins = connection.execute(LOGINS).fetchall()

        synap(data_dir, "node", "rotate-key", **(administering and {"database_url": url_of_server(owner)}))
        synap(data_dir, "workspaces", "create", "acme", **administering)
        _answer(server, "events.log", {"type": "note.created", "data": {}}, **{"x-workspace-id": "acme"})
        if administering:
            synap(data_dir, "workspaces", "delete", "acme", "--yes", code=2, database_url=url_of_server(owner))
        deleted = synap(data_dir, "workspaces", "delete", "acme", "--yes", **administering)
        exported = synap(data_dir, "export", "-o", "log.json", **administering)

        assert logins == [(SERVER,)]
        assert deleted == "Deleted acme: 2 events."
        assert exported.startswith("4 events ")
        assert len(check_log(owner)) == 4
