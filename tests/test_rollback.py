"""What an administrator of the database takes away or a restore loses is found, and stops the log until accepted."""

import itertools
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.ledger.kept import KeptNote, KeptNotes
from app.ledger.keyring import Keyring
from app.ledger.verify import verify_bundle
from app.ledger.verify.verdict import LostCheckpoint
from app.store.audit import Act, AuditLog
from app.store.audit_check import audit_faults
from app.store.deletion import delete_workspace
from app.store.install import InstallError, connect
from app.store.rollback import Comparison, Loss, accept_losses
from app.store.rotation import adopt_key, rotate_key
from app.store.trees import Trees
from app.witness import Witness
from schemas.errors import Unavailable
from tests.checks import check_log
from tests.servers import SYNAP, Server, cloned, environment, serving, until
from tests.store.opened import Store, draft, opened

_numbers = itertools.count()


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """An install of the test's own with 300 events in `default` and one in `acme`."""
    with opened(database_url, tmp_path, workspaces=["acme"]) as store:
        store.append(*[draft() for _ in range(300)])
        store.append(draft(), workspace="acme")
        yield store


def _notes(store: Store, machine: str = "") -> KeptNotes:
    folder = store.keys.path.parent / machine
    folder.mkdir(exist_ok=True)
    return KeptNotes(folder, store.node)


def _comparison(store: Store, machine: str = "") -> Comparison:
    """As a process of a machine that was just started makes it."""
    return Comparison(store.database, Trees(store.database), store.ledger(), _notes(store, machine))


def _keep(store: Store, machine: str = "") -> list[Loss]:
    losses: list[Loss] = store.run(_comparison(store, machine).run(keep=True))
    return losses


def _accept(store: Store, machine: str = "") -> list[str]:
    origin = store.node.removeprefix("did:key:")
    with connect(store.url) as connection:
        losses = accept_losses(store.url, connection, _notes(store, machine), Keyring(store.keys.path), origin)
    return [loss.log for loss in losses]


def _kept(store: Store, log: str = "default", machine: str = "") -> KeptNote:
    note = _notes(store, machine).read()[log]
    assert isinstance(note, KeptNote)
    return note


def _tamper(store: Store, *statements: str) -> None:
    """Change the database as its administrator can, triggers off."""
    with psycopg.connect(store.url) as connection:
        for table in ("event", "audit_entry"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            connection.execute(statement)


MOVE_TIP = """
UPDATE event_tip SET (seq, hash, recorded_at) = (
    SELECT seq, hash, recorded_at FROM event WHERE workspace_id = 'default' ORDER BY seq DESC LIMIT 1)
WHERE workspace_id = 'default'
"""

CUT = (
    "DELETE FROM event WHERE workspace_id = 'default' AND seq > 296",
    MOVE_TIP,
    "UPDATE event_count SET events = 297 WHERE workspace_id = 'default'",
    "UPDATE producer_count SET events = 297 WHERE workspace_id = 'default'",
)
"""The last three events are removed, and the tip is moved back."""

TAMPERINGS: dict[str, tuple[str, ...]] = {
    "the last three events are removed": CUT,
    "the last event is removed, the tip is not moved": (
        "DELETE FROM event WHERE workspace_id = 'default' AND seq = 299",
    ),
    "an event is replaced": ("UPDATE event SET hash = sha256(hash) WHERE workspace_id = 'default' AND seq = 290",),
    "the first event is replaced, and the stored tree with it": (
        "UPDATE event SET hash = sha256(hash) WHERE workspace_id = 'default' AND seq = 0",
        "UPDATE merkle_node SET hash = sha256(hash) WHERE workspace_id = 'default'",
    ),
}


@pytest.mark.parametrize("statements", TAMPERINGS.values(), ids=list(TAMPERINGS))
def test_what_was_taken_from_a_log_stops_it_in_every_process(store: Store, statements: tuple[str, ...]) -> None:
    assert _keep(store) == []
    kept = _kept(store)

    _tamper(store, *statements)
    losses = _keep(store)

    assert [(loss.log, loss.checkpoint.size) for loss in losses] == [("default", 300)]
    assert _kept(store) == kept, "a failing comparison never overwrites the kept note"
    with pytest.raises(Unavailable, match=r"does not extend the checkpoint of its first 300 events.*accept-rollback"):
        store.append(draft())
    with pytest.raises(Unavailable, match="accept-rollback"):
        store.run(store.log.preview("default", draft()))
    store.append(draft(), workspace="acme")


def test_a_log_that_went_on_is_kept_anew_and_only_if_it_has_moved(store: Store) -> None:
    comparison = _comparison(store)
    store.run(comparison.run(keep=True))
    first = {path.name: path.stat().st_ino for path in _notes(store).path.iterdir()}

    store.append(draft(), draft())
    assert store.run(comparison.run(keep=True)) == []

    second = {path.name: path.stat().st_ino for path in _notes(store).path.iterdir()}
    assert {name for name in first if first[name] != second[name]} == {"default.json"}
    assert set(second) == {"default.json", "acme.json", "_node.json"}
    assert _kept(store).checkpoint.size == 302
    assert {stat.S_IMODE(path.stat().st_mode) for path in _notes(store).path.iterdir()} == {0o600}
    assert stat.S_IMODE(_notes(store).path.stat().st_mode) == 0o700


def test_a_loss_that_was_accepted_stands_in_the_log_for_ever(store: Store) -> None:
    _keep(store)
    lost = _kept(store).checkpoint
    _tamper(store, *CUT)

    accepted = _accept(store)
    again = _accept(store)
    losses = _keep(store)
    store.append(*[draft() for _ in range(10)])
    events = check_log(store.url, "default")

    assert (accepted, again, losses) == (["default"], [], [])
    said = [event for event in events if event["type"] == "synap.log.rolledback"]
    assert [(event["seq"], event["payload"]) for event in said] == [
        (297, {"size": 300, "root": f"sha256:{lost.root.hex()}"})
    ]
    assert (said[0]["context"]["source"], said[0]["context"]["userId"]) == ("system", store.node)
    assert _kept(store).accepted == [said[0]["event_id"]]
    assert _keep(store) == []


def test_verifiers_report_an_accepted_loss(store: Store, tmp_path: Path) -> None:
    _keep(store)
    lost = _kept(store).checkpoint
    _tamper(store, *CUT)
    _accept(store)
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(_bundle(store))

    verdict = verify_bundle(bundle.read_bytes())
    python = _run("verify", str(bundle))
    javascript = _javascript(str(bundle))

    root = f"sha256:{lost.root.hex()}"
    assert verdict.broken is None
    assert verdict.lost == [LostCheckpoint(297, 300, root)]
    line = f"seq 297: lost events: the log does not extend a checkpoint of 300 events, root {root}"
    assert (python.returncode, python.stdout.splitlines()[1:]) == (3, [line])
    assert (javascript.returncode, javascript.stdout.splitlines()[1:]) == (3, [line])


def _bundle(store: Store, log: str = "default") -> bytes:
    async def made() -> bytes:
        export = await store.exports().open(log, None, None)
        return b"".join([piece async for piece in export])

    text: bytes = store.run(made())
    return text


def test_notes_of_other_machines_are_settled_up_to_the_accepted_size(store: Store) -> None:
    _keep(store, "behind")
    store.append(draft())
    _keep(store)
    store.append(draft())
    _keep(store, "ahead")
    _tamper(store, *CUT)

    _accept(store)
    behind = _keep(store, "behind")
    ahead = _keep(store, "ahead")

    assert behind == []
    assert _kept(store, machine="behind").checkpoint.size == 298
    assert [loss.checkpoint.size for loss in ahead] == [302]
    with pytest.raises(Unavailable, match="its first 302 events"):
        store.append(draft())
    assert _accept(store, "ahead") == ["default"]
    assert _keep(store, "ahead") == []
    store.append(draft())


def test_an_accepted_loss_hides_no_later_one(store: Store) -> None:
    _keep(store)
    _tamper(store, *CUT)
    _accept(store)
    _keep(store)  # 298 events, fewer than the loss of 300 that was accepted

    _tamper(store, "DELETE FROM event WHERE workspace_id = 'default' AND seq > 295", MOVE_TIP)

    assert [loss.checkpoint.size for loss in _keep(store)] == [298]


def test_a_deleted_workspace_is_no_loss_if_the_audit_says_so(store: Store) -> None:
    _keep(store)
    with connect(store.url) as connection:
        delete_workspace(connection, "acme")
    assert _keep(store) == []
    assert "acme" not in _notes(store).read()

    _tamper(store, "DELETE FROM event_tip WHERE workspace_id = 'default'")
    [loss] = _keep(store)

    assert (loss.log, loss.is_gone) == ("default", True)
    assert "default" in _notes(store).read()


def test_the_key_changes_only_if_no_log_is_stopped_or_it_is_lost(store: Store) -> None:
    _keep(store)
    _tamper(store, *CUT)
    _keep(store)
    keys = Keyring(store.keys.path)
    with connect(store.url) as connection:
        with pytest.raises(InstallError, match=r"The log default has lost events.*node accept-rollback\.$"):
            rotate_key(connection, keys)
        store.keys.path.unlink()
        adopt_key(connection, Keyring(store.keys.path))

    assert _accept(store) == ["default"]


def test_a_note_that_cannot_be_read_is_left_alone(store: Store) -> None:
    _keep(store)
    path = _notes(store).path / "acme.json"
    path.write_bytes(b"{")

    assert _keep(store) == []

    assert path.read_bytes() == b"{"


def test_one_process_of_a_machine_keeps_checkpoints(store: Store) -> None:
    held = _notes(store).take()

    assert held is not None
    assert _notes(store).take() is None


# With a server.


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return _command(str(SYNAP), *arguments, **variables)


def _command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | variables
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=120, env=environ)


def _synap(data_dir: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(*arguments, **environment(data_dir, database_url=url))


@contextmanager
def _backup(url: str, admin_url: str) -> Iterator[str]:
    """A copy of a database to which nobody is connected."""
    with cloned(admin_url, url.split("?", maxsplit=1)[0].rsplit("/", 1)[1], f"test_rollback_{next(_numbers)}") as copy:
        yield copy


def _log(server: Server) -> Any:
    return server.mutate("events.log", {"type": "note.created", "data": {}})


def test_a_restore_is_refused_and_then_accepted(database_url: str, postgres_url: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data, database_url=database_url) as server:
        assert _log(server).status_code == 200
    with _backup(database_url, postgres_url) as restored:
        with serving(data, database_url=database_url) as server:
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
    assert "The log default goes on without what its checkpoint of 4 events covers." in accepted.stdout
    assert taken.status_code == 200
    types = [event["type"] for event in export["result"]["data"]["events"]]
    assert types == ["note.created", "synap.log.rolledback", "note.created"]
    assert again.stdout == "Every log extends its kept checkpoint: there is nothing to accept.\n"
    assert "logs extend the checkpoints kept in" in healthy.stdout


def test_a_server_keeps_its_first_checkpoints_and_doctor_says_so(database_url: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    _synap(data, database_url, "migrate")

    before = _synap(data, database_url, "doctor")
    with serving(data, database_url=database_url):
        until(lambda: list(data.glob("checkpoints/z*/default.json")))
    after = _synap(data, database_url, "doctor")

    assert "ok: No checkpoint is kept in" in before.stdout
    assert "ok: The 2 logs extend the checkpoints kept in" in after.stdout


# The audit.

MOVE_AUDIT_TIP = """
UPDATE audit_tip SET (seq, hash) = (
    SELECT seq, hash FROM audit_entry WHERE workspace_id = 'acme' ORDER BY seq DESC LIMIT 1)
WHERE workspace_id = 'acme'
"""

AUDIT_TAMPERINGS: dict[str, tuple[tuple[str, ...], str]] = {
    "an entry is removed": (
        ("DELETE FROM audit_entry WHERE workspace_id = 'acme' AND seq = 1",),
        "seq 1: seq 2 stands in its place",
    ),
    "the last entry is removed and the tip moved back": (
        (
            "DELETE FROM audit_entry WHERE workspace_id = 'acme' AND seq = 2",
            MOVE_AUDIT_TIP,
        ),
        "seq 2: it is missing, but the event at seq 1 of the log says that it was there",
    ),
    "an entry is changed": (
        ("UPDATE audit_entry SET actor = 'another' WHERE workspace_id = 'acme' AND seq = 0",),
        "seq 0: its hash is not that of what it says",
    ),
}


def _audited(store: Store) -> None:
    """Enter three acts, of which the workspace's own log tells."""
    for number in range(3):
        store.run(AuditLog(store.database).record(Act.of("thing.done", "key1", {"n": number}, ["acme"])))
    store.run(Witness(AuditLog(store.database), store.log, node=store.node, tell_seconds=0).close())


def _evidence(store: Store, folder: Path) -> tuple[str, str]:
    """The files of an export of the log `acme`, and of its audit."""
    log, audit = folder / "log.json", folder / "audit.json"
    log.write_bytes(_bundle(store, "acme"))
    read = Act.of("audit.read", "key1", {}, ["acme"])
    asked: dict[str, Any] = {"since": None, "action": None, "limit": 1000, "read": read}
    audit.write_bytes(store.run(AuditLog(store.database).entries("acme", **asked)).json)
    return str(log), str(audit)


def _javascript(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _command("node", "clients/verify/verify.mjs", *arguments)


def test_an_audit_is_verified_against_the_log(store: Store, tmp_path: Path) -> None:
    _audited(store)
    log, audit = _evidence(store, tmp_path)

    python = _run("verify", log, "--audit", audit)
    javascript = _javascript("--audit", audit, log)

    line = "3 entries of the audit of acme verify: seq 0 to 2; the log covers them up to seq 2"
    assert (python.returncode, python.stdout.splitlines()[1:]) == (0, [line]), python.stderr
    assert (javascript.returncode, javascript.stdout.splitlines()[1:]) == (0, [line]), javascript.stderr
    with connect(store.url) as connection:
        assert audit_faults(connection) == []


@pytest.mark.parametrize(("statements", "fault"), AUDIT_TAMPERINGS.values(), ids=list(AUDIT_TAMPERINGS))
def test_what_was_done_to_an_audit_is_found(
    store: Store, tmp_path: Path, statements: tuple[str, ...], fault: str
) -> None:
    _audited(store)
    _tamper(store, *statements)
    with connect(store.url) as connection:
        faults = audit_faults(connection)
    log, audit = _evidence(store, tmp_path)

    python = _run("verify", log, "--audit", audit)
    javascript = _javascript("--audit", audit, log)

    assert faults
    assert all("The audit of acme" in each for each in faults)
    assert (python.returncode, python.stdout.splitlines()[1:]) == (1, [f"audit {fault}"]), python.stderr
    assert (javascript.returncode, javascript.stdout.splitlines()[1:]) == (1, [f"audit {fault}"]), javascript.stderr


def test_an_audit_of_which_the_log_does_not_tell_yet_is_said_to_be_so(store: Store, tmp_path: Path) -> None:
    store.run(AuditLog(store.database).record(Act.of("thing.done", "key1", {}, ["acme"])))
    log, audit = _evidence(store, tmp_path)

    ran = [_run("verify", log, "--audit", audit), _javascript("--audit", audit, log)]

    line = "1 entry of the audit of acme verifies: seq 0 to 0; no event synap.audit.tip of the log covers them"
    assert [(each.returncode, each.stdout.splitlines()[1:]) for each in ran] == [(3, [line])] * 2


def test_what_is_no_audit_of_the_log_is_told_apart(store: Store, tmp_path: Path) -> None:
    _audited(store)
    log, audit = _evidence(store, tmp_path)
    Path(log).write_bytes(_bundle(store))  # of the log `default`
    page = tmp_path / "page.html"
    page.write_text("<html>")

    another = [_run("verify", log, "--audit", audit), _javascript("--audit", audit, log)]
    none = [_run("verify", log, "--audit", str(page)), _javascript("--audit", str(page), log)]

    told = [(each.returncode, each.stdout.splitlines()[1:]) for each in another]
    assert told == [(1, ["audit seq 0: it is of another log"])] * 2
    assert [each.returncode for each in none] == [2, 2]
    assert all("page.html" in each.stderr for each in none)


def test_an_audit_is_read_from_a_server(database_url: str, tmp_path: Path) -> None:
    with serving(tmp_path / "data", database_url=database_url) as server:
        _log(server)
        ledger, token = f"{server.url}/ledger/v1", server.token
        ran = _run("verify", ledger, "--audit", ledger, **environment(tmp_path), SYNAP_TOKEN=token)

    assert ran.returncode == 3, ran.stderr
    assert "of the audit of default verif" in ran.stdout
