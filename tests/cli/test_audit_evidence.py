"""`synap verify`, `verify.mjs` and `synap doctor` check a workspace's audit against the log."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.store.audit.check import audit_faults
from app.store.audit.log import Act, AuditLog
from app.store.install.install import connect
from app.store.ledger.witness import Witness
from tests.kit.losses import bundle, javascript, run, tamper
from tests.kit.servers import environment, serving
from tests.store.opened import Store, draft, opened


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """An install of the test's own with one event in each of its logs."""
    with opened(database_url, tmp_path, workspaces=["acme"]) as store:
        for workspace in ("default", "acme"):
            store.append(draft(), workspace=workspace)
        yield store


MOVE_AUDIT_TIP = """
UPDATE audit_tip SET (seq, hash) = (
    SELECT seq, hash FROM audit_entry WHERE workspace_id = 'acme' ORDER BY seq DESC LIMIT 1)
WHERE workspace_id = 'acme'
"""

AUDIT_TAMPERINGS: dict[str, tuple[tuple[str, ...], str]] = {
    "an entry is removed": (
        ("DELETE FROM audit_entry WHERE workspace_id = 'acme' AND seq = 1",),
        "seq 1: seq 2 is in its place",
    ),
    "the last entry is removed and the tip moved back": (
        (
            "DELETE FROM audit_entry WHERE workspace_id = 'acme' AND seq = 2",
            MOVE_AUDIT_TIP,
        ),
        "seq 2: it is missing, but the event at seq 1 of the log names it",
    ),
    "an entry is changed": (
        ("UPDATE audit_entry SET actor = 'another' WHERE workspace_id = 'acme' AND seq = 0",),
        "seq 0: its hash is not that of its contents",
    ),
}


def _audited(store: Store) -> None:
    """Enter three acts, and report them in the workspace's own log."""
    for number in range(3):
        store.run(AuditLog(store.database).record(Act.of("thing.done", "key1", {"n": number}, ["acme"])))
    store.run(Witness(AuditLog(store.database), store.log, node=store.node, tell_seconds=0).close())


def _evidence(store: Store, folder: Path) -> tuple[str, str]:
    """Write an export of the log `acme` and its audit, and return the paths of the two files."""
    log, audit = folder / "log.json", folder / "audit.json"
    log.write_bytes(bundle(store, "acme"))
    read = Act.of("audit.read", "key1", {}, ["acme"])
    asked: dict[str, Any] = {
        "since": None,
        "until": None,
        "action": None,
        "way": "forward",
        "limit": 1000,
        "read": read,
    }
    audit.write_bytes(store.run(AuditLog(store.database).entries("acme", **asked)).json)
    return str(log), str(audit)


def test_an_audit_is_verified_against_the_log(store: Store, tmp_path: Path) -> None:
    _audited(store)
    log, audit = _evidence(store, tmp_path)

    ours = run("verify", log, "--audit", audit)
    theirs = javascript("--audit", audit, log)

    line = "3 entries of the audit of acme verify: seq 0 to 2; the log covers them up to seq 2"
    assert (ours.returncode, ours.stdout.splitlines()[1:]) == (0, [line]), ours.stderr
    assert (theirs.returncode, theirs.stdout.splitlines()[1:]) == (0, [line]), theirs.stderr
    with connect(store.url) as connection:
        assert audit_faults(connection) == []


@pytest.mark.parametrize(("statements", "fault"), AUDIT_TAMPERINGS.values(), ids=list(AUDIT_TAMPERINGS))
def test_every_alteration_of_an_audit_is_found(
    store: Store, tmp_path: Path, statements: tuple[str, ...], fault: str
) -> None:
    _audited(store)
    tamper(store, *statements)
    with connect(store.url) as connection:
        faults = audit_faults(connection)
    log, audit = _evidence(store, tmp_path)

    ours = run("verify", log, "--audit", audit)
    theirs = javascript("--audit", audit, log)

    assert faults
    assert all("The audit of acme" in each for each in faults)
    assert (ours.returncode, ours.stdout.splitlines()[1:]) == (1, [f"audit {fault}"]), ours.stderr
    assert (theirs.returncode, theirs.stdout.splitlines()[1:]) == (1, [f"audit {fault}"]), theirs.stderr


def test_an_audit_that_the_log_does_not_report_yet_is_named(store: Store, tmp_path: Path) -> None:
    store.run(AuditLog(store.database).record(Act.of("thing.done", "key1", {}, ["acme"])))
    log, audit = _evidence(store, tmp_path)

    ran = [run("verify", log, "--audit", audit), javascript("--audit", audit, log)]

    line = "1 entry of the audit of acme verifies: seq 0 to 0; no event synap.audit.tip of the log covers them"
    assert [(each.returncode, each.stdout.splitlines()[1:]) for each in ran] == [(3, [line])] * 2


def test_a_file_that_is_not_the_logs_audit_is_recognised(store: Store, tmp_path: Path) -> None:
    _audited(store)
    log, audit = _evidence(store, tmp_path)
    Path(log).write_bytes(bundle(store))  # of the log `default`
    page = tmp_path / "page.html"
    page.write_text("<html>")

    another = [run("verify", log, "--audit", audit), javascript("--audit", audit, log)]
    none = [run("verify", log, "--audit", str(page)), javascript("--audit", str(page), log)]

    told = [(each.returncode, each.stdout.splitlines()[1:]) for each in another]
    assert told == [(1, ["audit seq 0: it belongs to another log"])] * 2
    assert [each.returncode for each in none] == [2, 2]
    assert all("page.html" in each.stderr for each in none)


def test_an_audit_is_read_from_a_server(database_url: str, tmp_path: Path) -> None:
    with serving(tmp_path / "data", database_url=database_url) as server:
        server.mutate("events.log", {"type": "note.created", "data": {}})
        ledger, token = f"{server.url}/ledger/v1", server.token
        ran = run("verify", ledger, "--audit", ledger, **environment(tmp_path), SYNAP_TOKEN=token)

    assert ran.returncode == 3, ran.stderr
    assert "of the audit of default verif" in ran.stdout
