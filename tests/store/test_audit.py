"""The audit chain contains every act once and in order. It verifies from what is shown, and never changes."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid5

import msgspec
import psycopg
import pytest

from app.ledger.audit import ANOTHER_LOG, HASH, LATER, LINK, PLACE, BrokenEntry, first_broken
from app.ledger.chain import AUDIT_TIP_TYPE, NODE_LOG
from app.store.audit.log import MAX_TIPS, WITNESS_INTERVAL, Act, AuditLog, enter
from app.store.events.event_log import EventLog
from app.store.install.install import connect
from app.store.install.key_authors import UNBOUND
from app.store.install.keys import Keys, new_key_id
from app.store.install.workspaces import create_workspace
from app.store.ledger.witness import CLOSE_SECONDS, Witness
from app.store.postgres.database import Database
from app.store.webhooks.deliveries import Deliveries
from app.store.webhooks.subscribers import Subscriber
from app.store.webhooks.subscriptions import Subscriptions
from schemas.audit import AuditEntry, AuditPage
from schemas.errors import NotFound
from schemas.principal import Scope
from tests.kit.checks import check_log
from tests.store.opened import Store, draft, opened

DETAILS: dict[str, Any] = {
    "nothing": {},
    "text": {"b": "é \U0001f600 \u2028 \x7f \ufeff", "a": '"quoted" \\ / \b\f\n\r\t\x01\x1f', "nul": "\x00"},
    "numbers": {"n": [0, -1, 1.5, 1e21, 1e-7, 2**53 - 1, -0.0, 333333333.33333329]},
    "nested": {"a": {"b": [{"c": [None, True, False, [], {}]}]}},
    "names beyond the basic plane": {"\ufb33": 1, "\U0001f600": 2, "": 3, "\x00": 4},
}

ACTORS = ["key1", 'a "quoted" \\ one', "é \U0001f600 \u2028 \x7f", "\t\n\x01", "", "did:key:z6Mk", "%(x)s {} ' --"]


def _enter(store: Store, *acts: Act) -> None:
    for act in acts:
        store.run(AuditLog(store.database).record(act))


def _act(store: Store, action: str = "thing.done", actor: str = "key1", **detail: object) -> Act:
    return Act.of(action, actor, detail, [store.workspace])


def _page(store: Store, workspace: str | None = None, **asked: Any) -> AuditPage:
    """Read a page, as a caller does."""
    shown: dict[str, Any] = {"since": None, "until": None, "action": None, "way": "forward", "limit": 1000}
    asked = shown | {"read": _act(store, "audit.read")} | asked
    written = store.run(AuditLog(store.database).entries(workspace or store.workspace, **asked))
    page: AuditPage = written.read(AuditPage)
    return page


def _entries(store: Store, workspace: str | None = None) -> list[AuditEntry]:
    """Read and verify a whole chain."""
    page = _page(store, workspace)
    assert page.total == len(page.entries)
    assert [entry.seq for entry in page.entries] == list(range(len(page.entries)))
    assert first_broken(page.entries) is None
    return page.entries


@pytest.mark.parametrize("detail", DETAILS.values(), ids=list(DETAILS))
def test_what_is_entered_verifies(store: Store, detail: dict[str, Any]) -> None:
    acts = [Act.of("thing.done", actor, detail, [store.workspace]) for actor in ACTORS]
    _enter(store, *acts)

    entries = _entries(store)

    assert [(entry.id, entry.action, entry.actor, entry.log) for entry in entries] == [
        (str(act.id), "thing.done", actor, store.workspace) for act, actor in zip(acts, ACTORS, strict=True)
    ]
    assert [json.loads(bytes(entry.detail)) for entry in entries] == [detail] * len(ACTORS)


def _replaced(**members: Any) -> Callable[[AuditEntry], AuditEntry]:
    return lambda entry: msgspec.structs.replace(entry, **members)


CHANGES: dict[str, tuple[Callable[[AuditEntry], AuditEntry], str]] = {
    "id": (_replaced(id="00000000-0000-7000-8000-000000000000"), HASH),
    "action": (_replaced(action="thing.undone"), HASH),
    "actor": (_replaced(actor="key2"), HASH),
    "detail": (_replaced(detail=msgspec.Raw(b'{"n":3}')), HASH),
    "timestamp": (_replaced(timestamp="2999-01-01T00:00:00.000000Z"), HASH),
    "an old timestamp": (_replaced(timestamp="2000-01-01T00:00:00.000000Z"), LATER),
    "log": (_replaced(log="another"), ANOTHER_LOG),
    "seq": (_replaced(seq=5), PLACE.format(5)),
    "prev_hash": (_replaced(prev_hash=f"sha256:{'0' * 64}"), LINK),
    "hash": (_replaced(hash=f"sha256:{'0' * 64}"), HASH),
}


@pytest.mark.parametrize(("change", "problem"), CHANGES.values(), ids=list(CHANGES))
def test_a_change_is_found(store: Store, change: Callable[[AuditEntry], AuditEntry], problem: str) -> None:
    _enter(store, *(_act(store, n=n) for n in range(4)))
    entries = _entries(store)

    changed = [*entries[:2], change(entries[2]), *entries[3:]]

    assert first_broken(changed) == BrokenEntry(2, problem)


def test_a_missing_doubled_or_swapped_entry_is_found(store: Store) -> None:
    _enter(store, *(_act(store, n=n) for n in range(4)))
    a, b, c, d = _entries(store)

    assert first_broken([a, b, d]) == BrokenEntry(2, PLACE.format(3))
    assert first_broken([a, b, b, c]) == BrokenEntry(2, PLACE.format(1))
    assert first_broken([a, c, b, d]) == BrokenEntry(1, PLACE.format(2))
    assert first_broken([msgspec.structs.replace(a, prev_hash=b.prev_hash)]) == BrokenEntry(0, LINK)
    assert first_broken([c, d]) is None  # a part


def test_an_act_entered_twice_is_stored_once(store: Store) -> None:
    act = Act.of("thing.done", "key1", {}, [store.workspace, store.other, store.workspace])

    _enter(store, act, act)

    mine, theirs = _entries(store), _entries(store, store.other)
    assert [entry.id for entry in mine] == [str(act.id)]
    assert [entry.id for entry in theirs[:1]] == [str(act.id)]
    assert (mine[0].log, theirs[0].log) == (store.workspace, store.other)
    assert mine[0].hash != theirs[0].hash


def test_acts_at_once_make_one_chain_in_each_log(store: Store) -> None:
    logs = [store.workspace, store.other, NODE_LOG]
    before = len(_entries(store, NODE_LOG))
    acts, threads = 40, 6

    def work(thread: int) -> None:
        with connect(store.url) as connection:
            for number in range(acts):
                # Each thread names the logs in another order, and sometimes all of them.
                chosen = logs[thread % 3 :] + logs[: thread % 3] if number % 3 else [logs[(thread + number) % 3]]
                enter(connection, "thing.done", {"thread": thread, "number": number}, chosen)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))

    for log in logs:
        entries = _entries(store, log)
        done = [json.loads(bytes(entry.detail)) for entry in entries if entry.action == "thing.done"]
        assert {(each["thread"], each["number"]) for each in done if each["number"] % 3} == {
            (thread, number) for thread in range(threads) for number in range(acts) if number % 3
        }
        assert all(first.timestamp < second.timestamp for first, second in pairwise(entries))
        assert len(entries) > before


def test_an_act_that_is_rolled_back_leaves_no_entry_and_no_gap(store: Store) -> None:
    with connect(store.url) as connection:
        enter(connection, "thing.done", {"n": 1}, [store.workspace])
        with connection.transaction(force_rollback=True):
            enter(connection, "thing.done", {"n": 2}, [store.workspace])
        enter(connection, "thing.done", {"n": 3}, [store.workspace])

    assert [json.loads(bytes(entry.detail))["n"] for entry in _entries(store)] == [1, 3]


CHANGING = {
    "update": "UPDATE audit_entry SET actor = 'another'",
    "update of nothing": "UPDATE audit_entry SET actor = actor",
    "delete": "DELETE FROM audit_entry",
    "truncate": "TRUNCATE audit_entry",
    "merge": "MERGE INTO audit_entry AS e USING audit_entry AS s ON e.workspace_id = s.workspace_id AND e.seq = s.seq "
    "WHEN MATCHED THEN DELETE",
}


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("statement", CHANGING.values(), ids=list(CHANGING))
def test_no_entry_is_changed_or_deleted_by_any_role(store: Store, statement: str, role: str) -> None:
    _enter(store, _act(store))
    with psycopg.connect(store.url) as connection:
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (True,)
        connection.execute(f"SET session_replication_role = {role}")

        with pytest.raises(psycopg.errors.RestrictViolation, match="never changed or deleted"):
            connection.execute(statement)

    assert len(_entries(store)) == 1


def test_entries_are_found_by_time_and_action(store: Store) -> None:
    _enter(store, *(_act(store, f"thing.{'odd' if n % 2 else 'even'}", n=n) for n in range(10)))
    entries = _entries(store)
    of = {name: [entry for entry in entries if entry.action == f"thing.{name}"] for name in ("odd", "even")}

    def at(entry: AuditEntry) -> datetime:
        return datetime.fromisoformat(entry.timestamp)

    some = _page(store, limit=3)
    assert (some.entries, some.total) == (entries[:3], 11)  # the first read is an entry too
    later = _page(store, since=at(entries[2]), limit=4)
    assert (later.entries, later.total) == (entries[3:7], 9)
    odd = _page(store, action="thing.odd", limit=2)
    assert (odd.entries, odd.total) == (of["odd"][:2], 5)
    both = _page(store, action="thing.odd", since=at(entries[4]))
    assert (both.entries, both.total) == (of["odd"][2:], 3)
    just_before = _page(store, action="thing.even", since=at(entries[4]) - timedelta(microseconds=1))
    assert (just_before.entries, just_before.total) == (of["even"][2:], 3)
    assert _page(store, since=datetime.fromisoformat("2999-01-01T00:00:00Z")) == AuditPage(entries=[], total=0)
    assert _page(store, action="no.such") == AuditPage(entries=[], total=0)


def test_a_read_is_entered_behind_its_answer_also_when_it_runs_twice(store: Store) -> None:
    _enter(store, _act(store))
    read = _act(store, "audit.read")

    first = _page(store, read=read)
    _enter(store, _act(store))
    again = _page(store, read=read)

    assert first == again
    assert [entry.action for entry in first.entries] == ["thing.done"]
    assert [entry.action for entry in _entries(store)] == ["thing.done", "audit.read", "thing.done"]


T = TypeVar("T")


class Forgetful(Database):
    """A database that runs every call twice, as after a connection that was lost behind the commit."""

    async def retried(self, run: Callable[[], Awaitable[T]]) -> T:
        await super().retried(run)
        return await super().retried(run)


def test_an_act_whose_answer_was_lost_is_entered_once(store: Store) -> None:
    forgetful = Forgetful(store.url)
    store.run(forgetful.open())
    keys, hooks, mine = Keys(forgetful), Subscriptions(forgetful), [store.workspace]
    now = datetime.now(UTC)

    def act(name: str) -> Act:
        return Act.of(name, "key1", {}, mine)

    granted: dict[str, Any] = {
        "user_id": "u1",
        "scopes": [Scope.EVENTS_READ],
        "workspaces": mine,
        "now": now,
        "until": None,
        "binding": UNBOUND,
    }
    made, _ = store.run(keys.create(new_key_id(), **granted, act=act("key.created")))
    issued = store.run(keys.rotate(made.id, new_key_id(), now=now, grace_seconds=9, act=act("key.rotated")))
    assert issued is not None
    store.run(keys.revoke(made.id, now, act("key.revoked")))
    one = store.workspace, "sub_a"
    wanted: dict[str, Any] = {
        "event_types": ["*"],
        "url": "https://receiver.example/",
        "description": None,
        "ordered": False,
    }
    sealed: dict[str, Any] = {"secret": b"sealed", "weak_secret": False}
    more: dict[str, Any] = {"only_user": None, "cursor": None, "max_active": 0, "act": act("subscription.created")}
    store.run(hooks.create(store.workspace, "sub_a", **wanted, **sealed, **more))
    store.append(draft())
    store.run(hooks.pause(*one, None, act("subscription.paused")))
    store.run(hooks.resume(*one, None, 0, act("subscription.resumed")))
    store.run(hooks.secrets(*one, None, act("subscription.tested")))
    sealed["secret"] = b"another"
    store.run(hooks.rotate(*one, None, **sealed, grace_seconds=9, act=act("subscription.secret_rotated")))
    store.run(
        Deliveries(forgetful).replay(
            store.workspace, Subscriber("sub_a", ["*"], None), 0, 9, act("subscription.replayed")
        )
    )
    store.run(hooks.disable(*one, "It is gone", None, act("subscription.disabled")))
    with suppress(NotFound):
        store.run(hooks.delete(*one, None, act("subscription.deleted")))
    store.run(forgetful.close())

    entered = [entry.action for entry in _entries(store)]
    assert entered == [
        *("key.created", "key.rotated", "key.revoked"),
        *("subscription.created", "subscription.paused", "subscription.resumed", "subscription.tested"),
        *("subscription.secret_rotated", "subscription.replayed", "subscription.disabled", "subscription.deleted"),
    ]


def test_a_workspace_without_acts_has_an_empty_audit(store: Store) -> None:
    assert _page(store) == AuditPage(entries=[], total=0)


class Witnessed:
    """A store whose log `_node` is empty, and its witnesses."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @contextmanager
    def process(self) -> Iterator[tuple[Database, EventLog]]:
        """The database and log of another process."""
        database = Database(self.store.url)
        self.store.run(database.open())
        yield database, EventLog(database, self.store.keys, self.store.node)
        self.store.run(database.close())

    def said(self) -> list[list[dict[str, Any]]]:
        """Verify the log, and return its reports of the chains, event by event."""
        events = check_log(self.store.url, NODE_LOG)
        assert {event["type"] for event in events} <= {AUDIT_TIP_TYPE}
        return [event["payload"]["tips"] for event in events]

    def tip(self, log: str) -> dict[str, Any]:
        """The end of a chain."""
        with psycopg.connect(self.store.url) as connection:
            seq, hash_ = connection.execute(
                "SELECT seq, hash FROM audit_entry WHERE workspace_id = %s ORDER BY seq DESC LIMIT 1", [log]
            ).fetchone() or (None, b"")
        return {"log": log, "seq": seq, "hash": f"sha256:{hash_.hex()}"}

    def make_it_an_hour(self) -> None:
        """Let the last report be an hour old."""
        with connect(self.store.url) as connection:
            connection.execute(f"UPDATE install SET witnessed_at = now() - interval '{WITNESS_INTERVAL}' * 1.1")


@pytest.fixture
def witnessed(database_url: str, tmp_path: Path) -> Iterator[Witnessed]:
    """The witnesses of a database of the test's own."""
    with opened(database_url, tmp_path, workspaces=["a", "b"]) as store:
        yield Witnessed(store)


async def _open(*witnesses: Witness) -> None:
    for witness in witnesses:
        witness.open()


async def _close(*witnesses: Witness) -> None:
    await asyncio.gather(*(witness.close() for witness in witnesses))


def test_a_process_that_stops_reports_the_chains_that_grew(witnessed: Witnessed) -> None:
    store = witnessed.store
    witness = Witness(AuditLog(store.database), store.log, node=store.node)

    _enter(store, Act.of("thing.done", "key1", {}, ["a", "b"]), Act.of("thing.done", "key1", {}, ["b"]))
    store.run(witness.close())
    [first] = witnessed.said()
    _enter(store, Act.of("thing.done", "key1", {}, ["a"]))
    store.run(witness.close())
    _, second = witnessed.said()
    store.run(witness.close())

    # The creation of the control key is in the install's audit.
    assert first == [{**witnessed.tip(NODE_LOG), "seq": 0}, {**first[1], "log": "a", "seq": 0}, witnessed.tip("b")]
    assert second == [witnessed.tip("a")]
    assert len(witnessed.said()) == 2
    [event, _] = check_log(store.url, NODE_LOG)
    assert (event["context"]["userId"], event["context"]["source"]) == (store.node, "system")


def test_nobody_can_take_the_id_of_the_event_about_audit_tips(witnessed: Witnessed) -> None:
    store = witnessed.store
    _enter(store, Act.of("thing.done", "key1", {}, ["a"]))
    tips = [witnessed.tip(log) for log in (NODE_LOG, "a", "default") if witnessed.tip(log)["seq"] is not None]
    foretold = uuid5(UUID("5e0c8a1b-2f1d-5c55-8b0e-6a4f9d2c7e31"), json.dumps({"tips": tips}, separators=(",", ":")))
    store.append(draft(id=foretold), workspace=NODE_LOG)

    store.run(Witness(AuditLog(store.database), store.log, node=store.node).close())

    squatter, event = check_log(store.url, NODE_LOG)
    assert squatter["event_id"] == str(foretold) != event["event_id"]
    assert event["payload"] == {"tips": tips}


def test_the_own_log_reports_a_grown_audit_once_an_hour(witnessed: Witnessed) -> None:
    store = witnessed.store
    _enter(store, Act.of("thing.done", "key1", {}, ["a"]))

    def told(tell_seconds: float) -> list[Any]:
        with witnessed.process() as one, witnessed.process() as two:
            witnesses = [
                Witness(AuditLog(database), log, node=store.node, tell_seconds=tell_seconds)
                for database, log in (one, two)
            ]
            store.run(_close(*witnesses))
        events = check_log(store.url, "a")
        assert {(event["type"], event["context"]["userId"]) for event in events} <= {(AUDIT_TIP_TYPE, store.node)}
        return [event["payload"]["tips"] for event in events]

    assert told(3600) == [], "no entry is an hour old"
    assert told(0) == [[first := witnessed.tip("a")]]
    assert told(0) == [[first]], "the audit has not grown"
    _enter(store, *(Act.of("thing.done", "key1", {"n": n}, ["a", "b"]) for n in range(3)))
    assert told(3600) == [[first]]
    assert told(0) == [[first], [witnessed.tip("a")]]
    assert [event["payload"]["tips"] for event in check_log(store.url, "b")] == [[witnessed.tip("b")]]


def test_two_processes_report_it_once(witnessed: Witnessed) -> None:
    store = witnessed.store
    with witnessed.process() as one, witnessed.process() as two:
        witnesses = [Witness(AuditLog(database), log, node=store.node) for database, log in (one, two)]
        for number in range(5):
            _enter(store, Act.of("thing.done", "key1", {"n": number}, ["a", "b"]))
            store.run(_close(*witnesses))

    said = witnessed.said()

    assert [[tip["seq"] for tip in tips if tip["log"] == "a"] for tips in said] == [[n] for n in range(5)]
    assert said[-1] == [witnessed.tip("a"), witnessed.tip("b")]


def test_it_is_reported_once_an_hour(witnessed: Witnessed) -> None:
    store = witnessed.store

    def said_after_some_looks() -> list[list[dict[str, Any]]]:
        store.run(asyncio.sleep(0.4))
        return witnessed.said()

    with witnessed.process() as one, witnessed.process() as two:
        witnesses = [
            Witness(AuditLog(database), log, node=store.node, look_seconds=0.02) for database, log in (one, two)
        ]
        store.run(_open(*witnesses))
        assert len(said_after_some_looks()) == 1  # there was no report before
        _enter(store, Act.of("thing.done", "key1", {}, ["a"]))
        assert len(said_after_some_looks()) == 1
        witnessed.make_it_an_hour()
        assert said_after_some_looks()[1:] == [[witnessed.tip("a")]]
        store.run(_close(*witnesses))

    assert len(witnessed.said()) == 2


def test_more_chains_than_one_event_holds_are_in_several(witnessed: Witnessed) -> None:
    store = witnessed.store
    logs = [f"w{number:04}" for number in range(MAX_TIPS + 20)]
    with connect(store.url) as connection, connection.transaction():
        for log in logs:
            create_workspace(connection, log)
        enter(connection, "thing.done", {}, logs)

    store.run(Witness(AuditLog(store.database), store.log, node=store.node).close())

    said = witnessed.said()
    assert len(said[0]) == MAX_TIPS
    assert [tip["log"] for tips in said for tip in tips if tip["log"] not in {NODE_LOG, "default"}] == logs


def test_a_witness_whose_database_is_away_gives_up(witnessed: Witnessed) -> None:
    away = Database("postgresql://127.0.0.1:1/nowhere", wait_seconds=0.2)
    store = witnessed.store
    store.run(away.open())

    started = time.monotonic()
    store.run(Witness(AuditLog(away), EventLog(away, store.keys, store.node), node=store.node).close())
    store.run(away.close())

    assert time.monotonic() - started < CLOSE_SECONDS


def test_a_waiting_witness_gives_up_and_the_next_one_reports(witnessed: Witnessed) -> None:
    store = witnessed.store
    with witnessed.process() as (database, log), psycopg.connect(store.url) as connection:
        connection.execute("SELECT FROM event_tip WHERE workspace_id = %s FOR UPDATE", [NODE_LOG])

        started = time.monotonic()
        store.run(Witness(AuditLog(database), log, node=store.node).close())

        assert CLOSE_SECONDS <= time.monotonic() - started < CLOSE_SECONDS + 15
    assert witnessed.said() == []
    store.run(Witness(AuditLog(store.database), store.log, node=store.node).close())
    assert len(witnessed.said()) == 1
