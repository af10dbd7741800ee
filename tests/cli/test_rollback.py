"""Events that an administrator removes or a restore loses are found, and stop the log until the loss is accepted."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.ledger.kept import KeptNote, KeptNotes
from app.ledger.keyring import Keyring
from app.ledger.verify import verify_bundle
from app.ledger.verify.verdict import LostCheckpoint
from app.store.install.deletion import delete_workspace
from app.store.install.install import InstallError, connect
from app.store.install.rollback import Comparison, Loss, accept_losses
from app.store.install.rotation import adopt_key, rotate_key
from app.store.ledger.trees import Trees
from schemas.errors import Unavailable
from tests.kit.checks import check_log
from tests.kit.losses import MOVE_TIP, bundle, javascript, run, tamper
from tests.store.opened import Store, draft, opened


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
    """The comparison of a process on a machine that was just started."""
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
def test_removed_events_stop_the_log_in_every_process(store: Store, statements: tuple[str, ...]) -> None:
    assert _keep(store) == []
    kept = _kept(store)

    tamper(store, *statements)
    losses = _keep(store)

    assert [(loss.log, loss.checkpoint.size) for loss in losses] == [("default", 300)]
    assert _kept(store) == kept, "a failing comparison never overwrites the kept note"
    with pytest.raises(Unavailable, match=r"does not extend the checkpoint of its first 300 events.*accept-rollback"):
        store.append(draft())
    with pytest.raises(Unavailable, match="accept-rollback"):
        store.run(store.log.preview("default", draft()))
    store.append(draft(), workspace="acme")


def test_a_log_gets_a_new_checkpoint_only_if_it_has_grown(store: Store) -> None:
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


def test_an_accepted_loss_stays_in_the_log_permanently(store: Store) -> None:
    _keep(store)
    lost = _kept(store).checkpoint
    tamper(store, *CUT)

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
    tamper(store, *CUT)
    _accept(store)
    file = tmp_path / "bundle.json"
    file.write_bytes(bundle(store))

    verdict = verify_bundle(file.read_bytes())
    ours = run("verify", str(file))
    theirs = javascript(str(file))

    root = f"sha256:{lost.root.hex()}"
    assert verdict.broken is None
    assert verdict.lost == [LostCheckpoint(297, 300, root)]
    line = f"seq 297: lost events: the log does not extend a checkpoint of 300 events, root {root}"
    assert (ours.returncode, ours.stdout.splitlines()[1:]) == (3, [line])
    assert (theirs.returncode, theirs.stdout.splitlines()[1:]) == (3, [line])


def test_notes_of_other_machines_are_settled_up_to_the_accepted_size(store: Store) -> None:
    _keep(store, "behind")
    store.append(draft())
    _keep(store)
    store.append(draft())
    _keep(store, "ahead")
    tamper(store, *CUT)

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
    tamper(store, *CUT)
    _accept(store)
    _keep(store)  # 298 events, fewer than the loss of 300 that was accepted

    tamper(store, "DELETE FROM event WHERE workspace_id = 'default' AND seq > 295", MOVE_TIP)

    assert [loss.checkpoint.size for loss in _keep(store)] == [298]


def test_a_deleted_workspace_is_no_loss_if_the_audit_says_so(store: Store) -> None:
    _keep(store)
    with connect(store.url) as connection:
        delete_workspace(connection, "acme")
    assert _keep(store) == []
    assert "acme" not in _notes(store).read()

    tamper(store, "DELETE FROM event_tip WHERE workspace_id = 'default'")
    [loss] = _keep(store)

    assert (loss.log, loss.is_gone) == ("default", True)
    assert "default" in _notes(store).read()


def test_the_key_changes_only_if_no_log_is_stopped_or_it_is_lost(store: Store) -> None:
    _keep(store)
    tamper(store, *CUT)
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
