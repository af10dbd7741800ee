"""A restored database is rejected, and then accepted by its owner or by the role of a server."""

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.store.postgres.postmaster import url_of_server
from app.store.postgres.roles import SERVER, grant_serving, make_server_role
from tests.kit.checks import check_log
from tests.kit.losses import run
from tests.kit.servers import Server, cloned, environment, serving, until

_numbers = itertools.count()


def _synap(data_dir: Path, url: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(*arguments, **environment(data_dir, **({} if url is None else {"database_url": url})))


@contextmanager
def _backup(url: str, admin_url: str) -> Iterator[str]:
    """A copy of a database to which nobody is connected."""
    with cloned(admin_url, url.split("?", maxsplit=1)[0].rsplit("/", 1)[1], f"test_restore_{next(_numbers)}") as copy:
        yield copy


def _log(server: Server) -> Any:
    return server.mutate("events.log", {"type": "note.created", "data": {}})


def _as_its_owner(owner: str) -> str:
    return owner


def _as_the_role_that_serves(owner: str) -> str:
    """Set up the role that serves as in `docs/operate/postgresql.md`: the owner has migrated, and grants."""
    with psycopg.connect(owner, autocommit=True) as connection:
        make_server_role(connection)
        grant_serving(connection, SERVER)
    return url_of_server(owner)


@pytest.mark.parametrize("login", [_as_its_owner, _as_the_role_that_serves])
def test_a_restore_is_rejected_and_then_accepted(
    database_url: str, postgres_url: str, tmp_path: Path, login: Any
) -> None:
    data, url = tmp_path / "data", login(database_url)
    with serving(data, database_url=url) as server:
        assert _log(server).status_code == 200
    with _backup(database_url, postgres_url) as backup:
        restored = login(backup)
        with serving(data, database_url=url) as server:
            assert [_log(server).status_code for _ in range(3)] == [200] * 3

        doctor = _synap(data, restored, "doctor")
        with serving(data, database_url=restored) as server:
            refused = _log(server)
            accepted = _synap(data, restored, "node", "accept-rollback")
            taken = _log(server)
            export = server.query("ledger.entries", {"limit": 10}).json()
        again = _synap(data, restored, "node", "accept-rollback")
        healthy = _synap(data, restored, "doctor")

    assert doctor.returncode == 1
    assert "wrong: The log default has 1 events, but had 4 when the checkpoint was signed" in doctor.stdout
    assert refused.status_code == 503
    assert "synap node accept-rollback" in refused.json()["error"]["message"]
    assert accepted.returncode == 0, accepted.stderr
    assert "The log default continues without its checkpoint of 4 events." in accepted.stdout
    assert taken.status_code == 200
    types = [event["type"] for event in export["result"]["data"]["events"]]
    assert types == ["note.created", "synap.log.rolledback", "note.created"]
    assert again.stdout == "Every log extends its kept checkpoint: there is nothing to accept.\n"
    assert "Every log extends its kept checkpoint (" in healthy.stdout


def test_a_long_log_that_was_restored_is_accepted_by_the_role_that_serves(
    database_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """The role must delete the stored tree, which has nodes in a long log."""
    data, url = tmp_path / "data", _as_the_role_that_serves(database_url)
    batch = [{"type": "note.created", "data": {}}] * 100
    with serving(data, database_url=url) as server:
        for _ in range(6):
            assert server.mutate("events.logBatch", {"events": batch}).status_code == 200
        assert server.query("ledger.checkpoint", {}).status_code == 200
    with _backup(database_url, postgres_url) as backup:
        restored = url_of_server(backup)
        with serving(data, database_url=url) as server:
            assert _log(server).status_code == 200
        with serving(data, database_url=restored) as server:
            refused = _log(server)

        accepted = _synap(data, restored, "node", "accept-rollback")
        events = check_log(backup)

    assert refused.status_code == 503
    assert accepted.returncode == 0, accepted.stderr
    assert [event["type"] for event in events[600:]] == ["synap.log.rolledback"]


@pytest.mark.usefixtures("started_before")
@pytest.mark.parametrize("serves", [True, False], ids=["while a server runs", "while none runs"])
def test_a_restored_folder_of_the_embedded_database_is_accepted(
    data_dir: Path, tmp_path: Path, *, serves: bool
) -> None:
    with serving(data_dir) as server:
        assert _log(server).status_code == 200
    subprocess.run(["cp", "-a", data_dir / "postgres", tmp_path / "backup"], check=True)
    with serving(data_dir) as server:
        assert [_log(server).status_code for _ in range(3)] == [200] * 3
    shutil.rmtree(data_dir / "postgres")
    subprocess.run(["mv", tmp_path / "backup", data_dir / "postgres"], check=True)

    with serving(data_dir) as server:
        refused = _log(server)
        accepted = _synap(data_dir, None, "node", "accept-rollback") if serves else None
    accepted = accepted or _synap(data_dir, None, "node", "accept-rollback")
    with serving(data_dir) as server:
        taken = _log(server)

    assert refused.status_code == 503
    assert accepted.returncode == 0, accepted.stderr
    assert "The log default continues without its checkpoint of 4 events." in accepted.stdout
    assert taken.status_code == 200


def test_a_server_keeps_its_first_checkpoints_and_doctor_says_so(database_url: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    _synap(data, database_url, "init")

    before = _synap(data, database_url, "doctor")
    with serving(data, database_url=database_url):
        until(lambda: list(data.glob("checkpoints/z*/default.json")))
    after = _synap(data, database_url, "doctor")

    assert "ok: No checkpoint is kept in" in before.stdout
    assert "ok: Every log extends its kept checkpoint (2 in " in after.stdout
