"""The log `_node` says how far the other logs have come: once for each growth, whatever fails meanwhile."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from app.ledger.chain import NODE_LOG, TREE_HEADS_TYPE
from app.ledger.heads import SALT_BYTES, Head, is_anchored, root_of
from app.ledger.kept import KeptNotes
from app.store.install.deletion import delete_workspace
from app.store.install.heads_check import HeadsFound, examine_heads
from app.store.install.install import connect
from app.store.install.rollback import Comparison, accept_losses
from app.store.install.workspaces import create_workspace
from app.store.ledger.anchor import Anchor
from app.store.ledger.heads import MAX_NEW, Heads
from app.store.ledger.trees import Trees
from tests.kit.checks import check_log
from tests.kit.databases import require_one_postgresql
from tests.kit.last_release import put_back
from tests.store.opened import Store, draft, opened

LEAVES = "SELECT log, size, root, salt, hash FROM tree_leaf WHERE seq = %s ORDER BY place"
HASHES = "SELECT hash FROM event WHERE workspace_id = %s AND seq < %s ORDER BY seq"


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> Iterator[Store]:
    """An install of the test's own, with the empty logs `acme`, `b` and `default`."""
    with opened(database_url, tmp_path, workspaces=["acme", "b"]) as store:
        yield store


def _heads(store: Store) -> Heads:
    return Heads(store.database, Trees(store.database))


def _anchor(store: Store, heads: Heads | None = None, *, seconds: float = 0) -> int:
    """Anchor, as a process does that has no memory of what was anchored before."""
    heads = heads or _heads(store)
    leased_at = store.run(heads.lease(seconds))
    if leased_at is None:
        return 0
    found: int = store.run(Anchor(heads, store.log, node=store.node).anchor(leased_at))
    return found


def _said(store: Store) -> list[dict[str, Any]]:
    """Verify `_node`, and return its heads. Each one's root is that of its leaves, and each leaf is that of its log."""
    events = [event for event in check_log(store.url, NODE_LOG) if event["type"] == TREE_HEADS_TYPE]
    said = []
    with psycopg.connect(store.url) as connection:
        for event in events:
            leaves = connection.execute(LEAVES, [event["seq"]]).fetchall()
            heads = [Head(*row[:4]) for row in leaves if row[0] is not None]
            hashes = [row[4] for row in leaves]
            assert event["payload"] == {"count": len(leaves), "root": f"sha256:{root_of(hashes).hex()}"}
            assert [head.leaf for head in heads] == [row[4] for row in leaves if row[0] is not None]
            for head in heads:
                assert head.root == root_of([hash_ for (hash_,) in connection.execute(HASHES, [head.log, head.size])])
            said.append({head.log: head.size for head in heads})
    return said


def test_logs_that_grew_are_anchored_in_the_order_of_their_names(store: Store) -> None:
    store.append(draft(), draft(), workspace="default")
    store.append(draft(), workspace="acme")

    anchored = [_anchor(store)]
    store.append(draft(), workspace="b")
    store.append(draft(), workspace="default")
    anchored += [_anchor(store), _anchor(store)]

    assert anchored == [2, 2, 0]
    said = _said(store)
    assert said == [{"acme": 1, "default": 2}, {"b": 1, "default": 3}]
    assert [list(each) for each in said] == [["acme", "default"], ["b", "default"]]
    with psycopg.connect(store.url) as connection:
        salts = [salt for (salt,) in connection.execute("SELECT salt FROM tree_leaf")]
    assert len(set(salts)) == 4
    assert {len(salt) for salt in salts} == {SALT_BYTES}


def test_roots_are_right_however_much_a_log_grew(store: Store) -> None:
    sizes: list[int] = []
    for grown in (1, 300, MAX_NEW + 1, 3):  # one is taken from the stored tree
        store.append(*(draft() for _ in range(grown)))
        _anchor(store)
        sizes.append(grown + sum(sizes[-1:]))

    assert _said(store) == [{"default": size} for size in sizes]


def test_heads_are_appended_once_in_the_time_of_a_turn(store: Store) -> None:
    store.append(draft())
    first = _anchor(store, seconds=60)
    store.append(draft())

    assert (first, _anchor(store, seconds=60)) == (1, 0)
    assert _said(store) == [{"default": 1}]
    assert _anchor(store) == 1


class _Slow(Heads):
    """A process that does something else between reading what grew and appending."""

    def __init__(self, store: Store, between: Any) -> None:
        super().__init__(store.database, Trees(store.database))
        self._between = between

    async def grown(self) -> Any:
        found = await super().grown()
        await asyncio.to_thread(self._between)
        return found


@contextmanager
def _connected(store: Store) -> Iterator[psycopg.Connection]:
    with connect(store.url) as connection:
        yield connection


def _another_turn(store: Store) -> None:
    with _connected(store) as connection:
        connection.execute("UPDATE install SET headed_at = now()")


def _deletion(store: Store) -> None:
    with _connected(store) as connection:
        require_one_postgresql("deleting a workspace without a login of its own")
        delete_workspace(connection, "acme")


def _loss(store: Store) -> None:
    """The log loses its last event, as in a restored backup."""
    with _connected(store) as connection:
        require_one_postgresql("switching off the triggers of a table at one place")
        connection.execute("ALTER TABLE event DISABLE TRIGGER ALL")
        connection.execute("DELETE FROM event WHERE workspace_id = 'acme' AND seq = 1")


BETWEEN = {"another process has its turn": _another_turn, "a log is deleted": _deletion, "a log loses events": _loss}


@pytest.mark.parametrize("between", BETWEEN.values(), ids=list(BETWEEN))
def test_nothing_is_said_that_is_no_longer_so(store: Store, between: Any) -> None:
    store.append(draft(), draft(), workspace="acme")
    store.append(draft())

    anchored = _anchor(store, _Slow(store, lambda: between(store)))

    assert anchored == 0
    with _connected(store) as connection:
        assert connection.execute("SELECT count(*) FROM tree_leaf").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM tree_head").fetchone() == (0,)
    assert [event for event in check_log(store.url, NODE_LOG) if event["type"] == TREE_HEADS_TYPE] == []


def test_a_turn_that_fails_leaves_nothing_and_the_next_one_anchors(store: Store) -> None:
    store.append(draft())
    with _connected(store) as connection:  # the last statement of the transaction fails
        connection.execute("ALTER TABLE tree_head ADD CONSTRAINT full_disk CHECK (size < 0)")
    with pytest.raises(psycopg.errors.CheckViolation):
        _anchor(store)
    assert _said(store) == []
    with _connected(store) as connection:
        assert connection.execute("SELECT count(*) FROM tree_leaf").fetchone() == (0,)
        connection.execute("ALTER TABLE tree_head DROP CONSTRAINT full_disk")

    assert _anchor(store) == 1
    assert _said(store) == [{"default": 1}]


def test_a_log_that_is_not_what_was_anchored_is_anchored_from_its_events(store: Store) -> None:
    store.append(*(draft() for _ in range(3)))
    _anchor(store)
    store.append(draft())
    with _connected(store) as connection:
        connection.execute("UPDATE tree_head SET hash = 'another', peaks = 'another'")

    _anchor(store)

    assert _said(store) == [{"default": 3}, {"default": 4}]


def test_a_stopped_log_is_not_anchored(store: Store) -> None:
    store.append(draft())
    with _connected(store) as connection:
        connection.execute("UPDATE event_tip SET lost_size = 9, lost_root = '' WHERE workspace_id = 'default'")

    assert _anchor(store) == 0


def test_a_proof_shows_one_log_and_its_event(store: Store) -> None:
    for workspace in ("acme", "b", "default", "acme"):
        store.append(draft(), workspace=workspace)
    _anchor(store)
    store.append(draft(), workspace="acme")
    _anchor(store)

    first = store.run(_heads(store).anchored("acme", 1))
    later = store.run(_heads(store).anchored("acme", 2))

    for anchored, size, count in ((first, 2, 3), (later, 3, 1)):
        said = json.loads(bytes(anchored.event.payload))
        whole = bytes.fromhex(said["root"].removeprefix("sha256:"))
        assert (anchored.head.log, anchored.head.size, anchored.count) == ("acme", size, count)
        assert is_anchored(anchored.head, anchored.place, anchored.count, anchored.path, whole)
    assert store.run(_heads(store).anchored("acme", 3)) is None
    assert store.run(_heads(store).anchored("no-such", 0)) is None


def test_a_deleted_log_leaves_its_hash_for_the_proofs_of_others(store: Store) -> None:
    for workspace in ("acme", "b"):
        store.append(draft(), workspace=workspace)
    _anchor(store)

    _deletion(store)

    assert _said(store) == [{"b": 1}]
    other = store.run(_heads(store).anchored("b", 0))
    assert (other.count, other.place, len(other.path)) == (2, 1, 1)
    assert store.run(_heads(store).anchored("acme", 0)) is None


def test_a_schema_without_heads_has_none(store: Store) -> None:
    store.append(draft())
    put_back(store.url)

    assert _anchor(store) == 0
    assert store.run(_heads(store).anchored("default", 0)) is None


def test_a_late_turn_is_known_by_its_time(store: Store) -> None:
    first = store.run(_heads(store).lease(0))
    second = store.run(_heads(store).lease(0))

    assert isinstance(first, datetime)
    assert first < second


def test_many_logs_make_one_small_event(store: Store) -> None:
    with connect(store.url) as connection:
        for number in range(20):
            create_workspace(connection, f"w{number}")
    for number in range(20):
        store.append(draft(), workspace=f"w{number}")

    assert _anchor(store) == 20
    anchored = store.run(_heads(store).anchored("w7", 0))
    assert len(msgspec.json.encode(anchored.event)) < 1024


def _faults(store: Store) -> list[str]:
    with _connected(store) as connection:
        return examine_heads(connection).faults


def test_a_doctor_finds_logs_and_leaves_as_they_were_anchored(store: Store) -> None:
    for workspace in ("acme", "b"):
        store.append(draft(), draft(), workspace=workspace)
        _anchor(store)
    _deletion(store)

    with _connected(store) as connection:
        assert examine_heads(connection) == HeadsFound(2, [])


CHANGED = {
    "a leaf": ("UPDATE tree_leaf SET hash = root WHERE log = 'acme'", "The leaves of heads 0 are not those"),
    "a leaf is gone": ("DELETE FROM tree_leaf WHERE log = 'acme'", "The leaves of heads 0 are not those"),
    "a size": ("UPDATE tree_leaf SET size = 1 WHERE log = 'acme'", "The leaf of acme in heads 0 does not have"),
    "an event": ("UPDATE event SET hash = body_hash WHERE workspace_id = 'acme' AND seq = 0", "The log acme does not"),
    "the last event": ("DELETE FROM event WHERE workspace_id = 'acme' AND seq = 1", "The log acme does not begin"),
    "heads are gone": ("DELETE FROM event WHERE workspace_id = '_node'", "The leaves of heads 0 are stored, but _node"),
}


@pytest.mark.parametrize(("statement", "fault"), CHANGED.values(), ids=list(CHANGED))
def test_a_doctor_finds_what_was_changed(store: Store, statement: str, fault: str) -> None:
    for workspace in ("acme", "b"):
        store.append(draft(), draft(), workspace=workspace)
    _anchor(store)
    with _connected(store) as connection:
        require_one_postgresql("switching off the triggers of a table at one place")
        connection.execute("ALTER TABLE event DISABLE TRIGGER ALL")
        connection.execute(statement)

    assert [found[: len(fault)] for found in _faults(store)][:1] == [fault]


CUT = (
    "ALTER TABLE event DISABLE TRIGGER ALL",
    "DELETE FROM event WHERE workspace_id = %(log)s AND seq >= 2",
    """UPDATE event_tip AS t SET seq = 1, hash = e.hash FROM event AS e
    WHERE t.workspace_id = %(log)s AND e.workspace_id = t.workspace_id AND e.seq = 1""",
)
"""A log goes back to its first two events, as in a restored backup."""


@pytest.mark.parametrize("log", ["acme", NODE_LOG])
def test_after_an_accepted_loss_logs_are_anchored_as_they_are_then(store: Store, tmp_path: Path, log: str) -> None:
    require_one_postgresql("switching off the triggers of a table at one place")
    store.append(*(draft() for _ in range(4)), workspace="acme")
    store.append(*(draft() for _ in range(3)), workspace=NODE_LOG)
    assert _anchor(store) == 1
    notes, origin = KeptNotes(tmp_path, store.node), store.node.removeprefix("did:key:")
    comparison = Comparison(store.database, Trees(store.database), store.ledger(), notes)
    assert store.run(comparison.run(keep=True)) == []
    with _connected(store) as connection:
        connection.execute("UPDATE install SET cosigned_size = 4")
        for statement in CUT:
            connection.execute(statement, {"log": log})
        store.run(comparison.run(keep=True))
        lost = accept_losses(store.url, connection, notes, store.keys, origin)
        [(cosigned,)] = connection.execute("SELECT cosigned_size FROM install").fetchall()

    assert [(each.log, each.checkpoint.size) for each in lost] == [(log, 4)]
    assert cosigned == (None if log == NODE_LOG else 4)
    assert _faults(store) == []
    assert _anchor(store) == 1
    assert _said_of(store, "acme") == (4 if log == NODE_LOG else 3)
    assert _faults(store) == []
    store.append(*(draft() for _ in range(2)), workspace="acme")
    _anchor(store)
    anchored = store.run(_heads(store).anchored("acme", 3))
    assert anchored.head.size == (4 if log == NODE_LOG else 5), "no leaf of the lost history proves an event"


def _said_of(store: Store, log: str) -> int:
    """The size of a log in its newest leaf, whose root is that of the log."""
    with _connected(store) as connection:
        [(size, root)] = connection.execute(
            "SELECT size, root FROM tree_leaf WHERE log = %s ORDER BY seq DESC LIMIT 1", [log]
        ).fetchall()
        assert root == root_of([hash_ for (hash_,) in connection.execute(HASHES, [log, size])])
    return int(size)
