"""The key changes while two server processes append: no caller must retry, and every log verifies from its JSON."""

import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import psycopg

from app.ledger.keyring import Keyring
from app.ledger.signer import Signer
from app.store.install.install import connect
from app.store.install.rotation import rotate_key
from app.store.install.workspaces import create_workspace
from tests.acceptance.writers import Writers, writing
from tests.kit.checks import check_log
from tests.kit.command import synap
from tests.kit.databases import require_one_postgresql
from tests.kit.installs import initialised
from tests.kit.servers import Server, environment, serving, until

T = TypeVar("T")

EVENT = {"type": "note.created", "data": {}}


def _synap(data_dir: Path, *arguments: str, **settings: object) -> str:
    """Run the command, and return what it printed."""
    done = synap(*arguments, env=environment(data_dir, **settings), seconds=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _kid(path: Path) -> str:
    found = Signer.load(path)
    assert found is not None
    return found.kid


def _while_written(writers: Writers, act: Callable[[], T]) -> T:
    """Call `act` after some events were written, and return its result."""
    before = len(writers.acknowledged)
    until(lambda: len(writers.acknowledged) > before + 100, seconds=60)
    return act()


def _change_again(database_url: str, keys: Keyring) -> None:
    """Rotate the key as the command does, with a workspace created before and one after it."""
    with connect(database_url) as connection:
        assert create_workspace(connection, "after-1", keys)
        rotate_key(connection, keys)
        assert create_workspace(connection, "after-2", keys)


def test_two_servers_append_while_the_key_changes_twice(database_url: str, data_dir: Path) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(data_dir, database_url=database_url)) for _ in range(2)]
        kids = [_kid(data_dir / "node.key")]
        with writing(servers, clients=4) as writers:
            printed = _while_written(writers, lambda: _synap(data_dir, "node", "rotate-key", database_url=database_url))
            kids.append(_kid(data_dir / "node.key"))
            _while_written(writers, lambda: _change_again(database_url, Keyring(data_dir / "node.key")))
            kids.append(_kid(data_dir / "node.key"))
            _while_written(writers, lambda: None)
            writers.stop()
        for server in servers:
            answer = server.mutate("events.log", EVENT, **{"x-workspace-id": "after-2"})
            assert answer.status_code == 200, answer.text
            verified = _synap(data_dir, "verify", f"{server.url}/ledger/v1", token=server.token)
            assert verified.startswith(f"{len(check_log(database_url))} events of the log default verify: ")

    assert printed.startswith(f"The signing key is now {kids[1]}; it was {kids[0]}.\n")
    assert writers.refused == 0
    assert writers.slowest_seconds < 30
    events = check_log(database_url)
    assert {event["event_id"] for event in events} >= writers.acknowledged.keys()
    assert [kid for kid, _ in groupby(event["kid"] for event in events)] == kids
    # Both servers have used each key.
    used = Counter((event["kid"], event["context"].get("producer")) for event in events)
    assert all(used[kid, server.url] for kid in kids for server in servers)
    assert [len(check_log(database_url, slug)) for slug in ("after-1", "after-2")] == [2, 3]
    check_log(database_url, "_node")


def test_a_machine_with_the_old_key_file_heals_when_it_is_copied(database_url: str, data_dir: Path) -> None:
    there = data_dir.with_name("there")
    with serving(data_dir, database_url=database_url) as server:
        there.mkdir()
        for name in ("node.key", "install.secret", "control.token"):
            shutil.copy(data_dir / name, there)
        with serving(there, database_url=database_url) as other:
            assert other.mutate("events.log", EVENT).status_code == 200
            _synap(data_dir, "node", "rotate-key", database_url=database_url)
            event = EVENT | {"id": str(uuid4())}

            refused = other.mutate("events.log", event)
            read = other.query("events.list")
            assert server.mutate("events.log", EVENT).status_code == 200
            shutil.copy(data_dir / "node.key", there / "node.key")
            accepted = other.mutate("events.log", event)

    assert refused.status_code == 503
    assert refused.json()["error"]["data"]["retryAfterSeconds"] > 0
    assert read.status_code == 200
    assert accepted.status_code == 200
    assert [event["seq"] for event in check_log(database_url)] == [0, 1, 2, 3]


def test_a_start_completes_a_change_that_crashed_before_its_files(database_url: str, data_dir: Path) -> None:
    with serving(data_dir, database_url=database_url) as server:
        assert server.mutate("events.log", EVENT).status_code == 200
    old = _kid(data_dir / "node.key")
    _synap(data_dir, "node", "rotate-key", database_url=database_url)
    new = _kid(data_dir / "node.key")
    # As a crash leaves it: the new key is in a file beside, and the old one is still in the file of the key in force.
    (data_dir / "node.key").rename(data_dir / f"node.key.{new}")
    (data_dir / f"node.key.{old}").rename(data_dir / "node.key")

    with serving(data_dir, database_url=database_url) as server:
        assert server.mutate("events.log", EVENT).status_code == 200

    assert _kid(data_dir / "node.key") == new
    assert _kid(data_dir / f"node.key.{old}") == old
    assert [event["kid"] for event in check_log(database_url)] == [old, old, new]


def _status(server: Server, workspace: str) -> int:
    return server.mutate("events.log", EVENT, **{"x-workspace-id": workspace}).status_code


def test_a_workspace_is_deleted_under_a_running_server(database_url: str, data_dir: Path) -> None:
    require_one_postgresql("deleting a workspace without a login of its own")
    initialised(database_url, data_dir)
    _synap(data_dir, "workspaces", "create", "acme", database_url=database_url)
    local = {"webhook_allow_http": "true", "webhook_allow_networks": "127.0.0.0/8"}
    with serving(data_dir, database_url=database_url, **local) as server:
        acme = {"x-workspace-id": "acme"}
        webhook = {"eventTypes": ["*"], "webhookUrl": "http://127.0.0.1:9/closed", "secret": "s" * 32}
        subscribed = server.mutate("subscriptions.create", webhook, **acme)
        assert subscribed.status_code == 200, subscribed.text
        assert {_status(server, "acme") for _ in range(20)} == {200}
        until(lambda: _count(database_url, "attempt"))

        with writing([server], clients=4, workspace="default") as writers:
            printed = _synap(data_dir, "workspaces", "delete", "acme", "--yes", database_url=database_url)
            before = len(writers.acknowledged)
            until(lambda: len(writers.acknowledged) > before + 50)
            writers.stop()

        assert printed == "Deleted acme: 20 events.\n"
        assert _status(server, "acme") == 404
        assert server.query("events.list", **acme).status_code in {200, 404}
        assert server.query("subscriptions.list", **acme).status_code in {200, 404}
        assert _status(server, "default") == 200
        # The dispatch of webhooks finds that the log is gone, and does not fail because of that.
        assert "defect" not in server.log.read_text()
        before = len(check_log(database_url))
        until(lambda: server.mutate("events.log", EVENT).json()["result"]["data"]["seq"] >= before)
    assert writers.refused == 0
    assert [_count(database_url, table) for table in ("subscription", "delivery", "attempt")] == [0, 0, 0]


def _count(database_url: str, table: str) -> int:
    with psycopg.connect(database_url) as connection:
        [(rows,)] = connection.execute(f"SELECT count(*) FROM {table} WHERE workspace_id = 'acme'").fetchall()
    return int(rows)
