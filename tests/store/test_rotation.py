"""Changes of the signing key: every log and every export of it shows them, and none is half done."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest

from app.ledger.chain import NODE_LOG
from app.ledger.keyring import Keyring
from app.ledger.signer import Signer
from app.ledger.verify import Verdict, verify_bundle
from app.store.events.event_log import EventLog
from app.store.install.install import InstallError, connect, set_up
from app.store.install.rotation import adopt_key, rotate_key
from app.store.install.workspaces import WorkspaceError, create_workspace
from schemas.errors import Unavailable
from schemas.ledger import Rotation
from tests.kit.checks import check_log
from tests.kit.databases import require_one_postgresql
from tests.store.opened import Store, draft, files, opened

LOGS = ["default", "other", NODE_LOG]

AUDIT = """
SELECT action, actor, detail::json FROM audit_entry WHERE workspace_id = '_node' AND action ~ '^node' ORDER BY seq
"""


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """An install of the test's own, with the workspaces `default` and `other`."""
    with opened(database_url, tmp_path, workspaces=["other"]) as store:
        yield store


def _rotate(store: Store) -> Rotation:
    with connect(store.url) as connection:
        return rotate_key(connection, Keyring(store.keys.path))


def _adopt(store: Store) -> Rotation:
    with connect(store.url) as connection:
        return adopt_key(connection, Keyring(store.keys.path))


def _create(store: Store, slug: str, keys: Keyring | None = None) -> bool:
    with connect(store.url) as connection:
        return create_workspace(connection, slug, keys or Keyring(store.keys.path))


def _rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    with connect(store.url) as connection:
        return connection.execute(query).fetchall()


def _in_force(store: Store) -> str:
    """The key in force, which must be that of the install, of every tip and of the key file."""
    kids = {kid for (kid,) in _rows(store, "SELECT kid FROM event_tip UNION ALL SELECT kid FROM install")}
    loaded = Signer.load(store.keys.path)
    assert loaded is not None
    assert kids == {loaded.kid}
    return loaded.kid


def _files(store: Store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.keys.path.parent.glob("node.key*")}


def _verdict(store: Store, log: str, first: int | None = None, last: int | None = None) -> Verdict:
    """The verdict on an export, which must not be broken."""

    async def export() -> bytes:
        made = await store.exports().open(log, first, last)
        return b"".join([piece async for piece in made])

    verdict = verify_bundle(store.run(export()))
    assert verdict.broken is None, str(verdict.broken)
    return verdict


def test_every_log_continues_under_the_new_key(store: Store) -> None:
    first = _in_force(store)
    store.append(draft(), draft())

    rotation = _rotate(store)
    store.append(draft())
    store.append(draft(), workspace="other")

    assert rotation.kid_old == first
    assert _in_force(store) == rotation.kid_new != first
    events = check_log(store.url)
    assert [event["kid"] for event in events] == [first] * 3 + [rotation.kid_new]
    assert [event["type"] for event in events][2] == "synap.key.rotated"
    assert [event["kid"] for event in check_log(store.url, "other")] == [first, rotation.kid_new]
    assert [event["kid"] for event in check_log(store.url, NODE_LOG)] == [first]
    assert [_verdict(store, log).breaks for log in LOGS] == [[], [], []]


def test_the_audit_says_who_changed_which_key(store: Store) -> None:
    rotation = _rotate(store)

    detail = {"kid_old": rotation.kid_old, "kid_new": rotation.kid_new}
    assert _rows(store, AUDIT) == [("node.key_rotated", store.node, detail)]


def test_keys_change_again_and_a_log_opened_later_tells_of_all(store: Store) -> None:
    first = _in_force(store)
    store.append(draft())
    changes = [_rotate(store) for _ in range(3)]
    assert _create(store, "later")
    assert not _create(store, "later")
    store.append(draft(), workspace="later")
    changes.append(_rotate(store))
    store.append(draft(), workspace="later")

    kids = [first, *(change.kid_new for change in changes)]
    assert [change.kid_old for change in changes] == kids[:-1]
    later = check_log(store.url, "later")
    assert [rotation["kid_new"] for rotation in later[0]["payload"]["rotations"]] == kids[1:4]
    assert [event["kid"] for event in later] == [kids[3], kids[3], kids[3], kids[4]]
    assert {Signer.load(path).kid for path in store.keys.path.parent.glob("node.key*")} == set(kids)  # type: ignore[union-attr]
    for log in [*LOGS, "later"]:
        check_log(store.url, log)
        assert _verdict(store, log).breaks == []
    # Parts that begin and end under each of the keys.
    for end in range(5):
        assert _verdict(store, "default", 0, end).count == end + 1
        assert _verdict(store, "default", end, None).count == 5 - end


def test_a_log_is_not_opened_without_the_key_in_force(store: Store, tmp_path: Path) -> None:
    stale = Keyring(Path(shutil.copy(store.keys.path, tmp_path / "stale")))
    kid = _rotate(store).kid_new

    with connect(store.url) as connection:
        for keys in (None, stale):
            with pytest.raises(WorkspaceError, match=f"Opening a log needs the signing key {kid}, which"):
                create_workspace(connection, "later", keys)

    assert _rows(store, "SELECT FROM workspace WHERE id = 'later'") == []
    assert _rows(store, "SELECT FROM event_tip WHERE workspace_id = 'later'") == []


def test_a_machine_with_the_old_file_rejects_until_it_has_the_new_one(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Path(shutil.copy(store.keys.path, tmp_path / "elsewhere" / "node.key"))
    log = EventLog(store.database, Keyring(elsewhere), store.node)
    store.run(log.append("default", [draft()]))
    _rotate(store)
    late = draft()

    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            store.run(log.append("default", [late]))
        assert refused.value.retry_after_seconds > 0
    shutil.copy(store.keys.path, elsewhere)
    (event,) = store.run(log.append("default", [late]))

    assert event.seq == 2
    assert len(check_log(store.url)) == 3


CRASHES = {"before the files change": False, "between their two steps": True}


@pytest.mark.parametrize("linked", CRASHES.values(), ids=list(CRASHES))
def test_the_next_start_finishes_what_a_crash_left(store: Store, linked: bool) -> None:  # noqa: FBT001
    path = store.keys.path
    rotation = _rotate(store)
    path.rename(store.keys.beside(rotation.kid_new))
    if linked:
        shutil.copy(store.keys.beside(rotation.kid_old), path)
    else:
        store.keys.beside(rotation.kid_old).rename(path)

    store.append(draft())  # a running server continues, because the key is in a file beside
    with connect(store.url) as connection:
        set_up(connection, files(path.parent))
        set_up(connection, files(path.parent))

    assert _in_force(store) == rotation.kid_new
    assert set(_files(store)) == {"node.key", f"node.key.{rotation.kid_old}"}
    store.append(draft())
    assert [event["kid"] for event in check_log(store.url)[1:]] == [rotation.kid_new] * 2


def test_a_change_that_fails_leaves_all_as_it_was(store: Store) -> None:
    first = _in_force(store)
    store.append(draft())
    with connect(store.url) as connection:
        connection.execute("ALTER TABLE key_rotation ADD CONSTRAINT none CHECK (kid_new = '')")

    with pytest.raises(psycopg.errors.CheckViolation):
        _rotate(store)

    assert _in_force(store) == first
    store.append(draft())
    assert [event["kid"] for event in check_log(store.url)] == [first] * 2
    assert check_log(store.url, NODE_LOG) == []
    assert _rows(store, AUDIT) == []
    with connect(store.url) as connection:
        connection.execute("ALTER TABLE key_rotation DROP CONSTRAINT none")
    _rotate(store)
    assert _verdict(store, "default").count == 3


def test_changes_at_once_follow_each_other_and_no_log_is_passed_over(store: Store) -> None:
    require_one_postgresql("waiting for another change of the install, not a deadlock with it,")
    barrier = Barrier(6)

    def at_once(place: int) -> Rotation | bool:
        barrier.wait(timeout=20)
        return _rotate(store) if place < 3 else _create(store, f"w{place}")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(at_once, range(6)))

    history = _rows(store, "SELECT number, kid_old, kid_new FROM key_rotation ORDER BY number")
    assert answers[3:] == [True] * 3
    assert {answer.kid_new for answer in answers[:3] if isinstance(answer, Rotation)} == {kid for _, _, kid in history}
    assert [number for number, _, _ in history] == [1, 2, 3]
    assert [old for _, old, _ in history[1:]] == [new for _, _, new in history[:-1]]
    in_force = {kid for (kid,) in _rows(store, "SELECT kid FROM event_tip UNION ALL SELECT kid FROM install")}
    assert in_force == {history[-1][2]}
    for log in [*LOGS, "w3", "w4", "w5"]:
        store.append(draft(), workspace=log)
        check_log(store.url, log)
        assert _verdict(store, log).breaks == []
    with connect(store.url) as connection:
        set_up(connection, files(store.keys.path.parent))
    assert _in_force(store) == history[-1][2]


def test_a_key_that_is_not_here_is_not_rotated(store: Store) -> None:
    kid = _in_force(store)
    store.keys.path.unlink()

    with pytest.raises(InstallError, match=f"^The signing key in force, {kid}, is not in .*adopt-key"):
        _rotate(store)

    assert _files(store) == {}
    assert _rows(store, "SELECT FROM key_rotation") == []


# A lost key.


@pytest.mark.parametrize("given", [False, True], ids=["a new one is made", "the operator has one"])
def test_a_lost_key_is_followed_by_a_break_that_stays(store: Store, tmp_path: Path, given: bool) -> None:  # noqa: FBT001
    first = _in_force(store)
    store.append(draft())
    store.keys.path.unlink()
    made = Signer.create(store.keys.path) if given else None

    adopted = _adopt(store)
    with ExitStack() as stack:
        again = stack.enter_context(opened(store.url, tmp_path))
        again.append(draft())
        later = _rotate(again)
        _create(again, "later")

        assert (adopted.kid_old, adopted.signature_old) == (first, None)
        assert made is None or adopted.kid_new == made.kid
        assert [event["kid"] for event in check_log(store.url)] == [first, *[adopted.kid_new] * 3]
        assert _in_force(store) == later.kid_new
        for log in [*LOGS, "later"]:
            check_log(store.url, log)
            (lost,) = _verdict(again, log).breaks
            assert (lost.kid_old, lost.kid_new, lost.rotated_at) == (first, adopted.kid_new, adopted.rotated_at)
    detail = {"kid_old": first, "kid_new": adopted.kid_new}
    assert _rows(store, AUDIT)[0] == ("node.key_adopted", store.node, detail)


def test_a_key_that_is_at_hand_is_not_given_up(store: Store) -> None:
    before = _files(store)

    with pytest.raises(InstallError, match=r"is not lost; to replace it, run: synap node rotate-key\.$"):
        _adopt(store)

    assert _files(store) == before
    assert _rows(store, "SELECT FROM key_rotation") == []
    assert check_log(store.url) == []


def test_a_key_that_went_out_of_force_does_not_come_back(store: Store) -> None:
    rotation = _rotate(store)
    store.keys.beside(rotation.kid_old).replace(store.keys.path)

    with pytest.raises(InstallError, match=rf"is {rotation.kid_old}, which this install used before"):
        _adopt(store)

    assert len(_rows(store, "SELECT FROM key_rotation")) == 1


@pytest.mark.parametrize("change", [_rotate, _adopt])
def test_a_file_that_is_no_key_is_one_sentence(store: Store, change: Any) -> None:
    store.keys.path.write_text("s3cr3t\n")

    with pytest.raises(InstallError, match=r"^The signing keys cannot be read or written: [^\n]*\.$") as refused:
        change(store)

    assert "s3cr3t" not in str(refused.value)
    assert _rows(store, "SELECT FROM key_rotation") == []
