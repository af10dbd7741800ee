"""Rejected administrative calls are counted in memory, and entered in the audit by a timer and at a stop."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from app.access.refusals import ACTION, MAX_COUNTED, Refusals, Refused
from app.store.audit.log import AuditLog
from app.store.postgres.database import Database
from procedures.registry import registry
from tests.kit.servers import Server, serving, until
from tests.procedures.conftest import Keyed
from tests.store.opened import opened

REVOKE = Refused("k1", "keys.revoke", "default")


def entered(url: str, log: str = "default") -> list[tuple[str, dict[str, Any]]]:
    """The actor and the detail of each audit entry about rejected calls."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT actor, detail FROM audit_entry WHERE workspace_id = %s AND action = %s ORDER BY seq", [log, ACTION]
        ).fetchall()
    return [(actor, json.loads(detail)) for actor, detail in rows]


def test_a_thousand_refusals_are_one_entry_for_each_key_procedure_and_workspace(
    database_url: str, tmp_path: Path
) -> None:
    with opened(database_url, tmp_path, workspaces=["acme"]) as store:
        refusals = Refusals(AuditLog(store.database))
        for _ in range(1000):
            refusals.count(REVOKE, "forbidden")
        refusals.count(REVOKE, "not_found")
        refusals.count(Refused("k2", "keys.revoke", "default"), "forbidden")
        refusals.count(Refused("k1", "keys.revoke", "acme"), "forbidden")
        assert entered(store.url) == []

        store.run(refusals.close())

    assert sorted(entered(database_url), key=lambda entry: entry[0]) == [
        ("k1", {"procedure": "keys.revoke", "calls": 1001, "codes": {"forbidden": 1000, "not_found": 1}}),
        ("k2", {"procedure": "keys.revoke", "calls": 1, "codes": {"forbidden": 1}}),
    ]
    assert len(entered(database_url, "acme")) == 1


def test_a_timer_enters_what_was_counted(database_url: str, tmp_path: Path) -> None:
    async def run(database: Database) -> None:
        refusals = Refusals(AuditLog(database), flush_seconds=0.01)
        refusals.open()
        refusals.count(REVOKE, "forbidden")
        await asyncio.to_thread(until, partial(entered, database_url))
        await refusals.close()

    with opened(database_url, tmp_path) as store:
        store.run(run(store.database))

    assert len(entered(database_url)) == 1


def test_what_is_counted_is_bounded(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as store:
        refusals = Refusals(AuditLog(store.database))
        for number in range(MAX_COUNTED + 50):
            refusals.count(Refused(f"k{number}", "keys.revoke", "default"), "forbidden")

        store.run(refusals.close())

    assert 0 < len(entered(database_url)) <= MAX_COUNTED


CALLS: dict[str, Any] = {
    "keys.create": {"scopes": ["events:read"]},
    "keys.revoke": {"keyId": "nosuch"},
    "subscriptions.delete": {"subscriptionId": "nosuch"},
    "events.erase": {"userId": "ann"},
    "audit.list": {},
}


def call(server: Server, name: str, value: Any) -> int:
    """The HTTP status of a call."""
    is_query = registry()[name].kind == "query"
    return (server.query if is_query else server.mutate)(name, value).status_code


def test_rejected_calls_are_in_the_audit_when_the_server_has_stopped(database_url: str, data_dir: Path) -> None:
    with serving(data_dir, database_url=database_url) as server:
        key_id, reader = Keyed(server, database_url).key("events:read")
        for name, value in CALLS.items():
            assert [call(reader, name, value) for _ in range(3)] == [403] * 3
        assert call(reader, "events.log", {"type": "a.b", "data": {}}) == 403
        assert call(server, "keys.revoke", {"keyId": "nosuch"}) == 404
        assert call(Server(server.url, "nosuch", server.process, server.log), "keys.revoke", {"keyId": "x"}) == 401

    refused = {
        (actor, detail["procedure"]): (detail["calls"], detail["codes"]) for actor, detail in entered(database_url)
    }
    assert refused == {(key_id, name): (3, {"forbidden": 3}) for name in CALLS} | {
        ("control", "keys.revoke"): (1, {"not_found": 1})
    }
