"""Appending in one statement: whatever other processes do meanwhile, nothing is stored twice, lost or miscounted."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from psycopg import OperationalError

from app.ledger.draft import Draft
from app.ledger.keyring import Keyring
from app.store.audit.log import Act
from app.store.events.alone import ALONE_AFTER, append_call
from app.store.events.commits import tip_of
from app.store.events.erasure import ErasureRequest
from app.store.events.event_log import SETTLE_SECONDS, EventLog
from app.store.events.linker import GET_TIP, Linker
from app.store.install.deletion import delete_workspace
from app.store.install.install import connect
from app.store.install.rotation import rotate_key
from app.store.install.workspaces import create_workspace
from app.store.postgres.clock import Clock, utc_now
from app.store.postgres.pipe import Call, PipedConnection
from schemas.errors import Conflict, NotFound, Unavailable
from schemas.event import SynapEvent
from tests.kit.servers import until
from tests.store.opened import START, Store, draft
from tests.store.watched import (
    ID,
    TERMINATE,
    WAITING,
    asked,
    end,
    log_of,
    other,
    store,
    tried,
    watched,
    way,
)

__all__ = ["end", "other", "store", "way"]

STORED = """
SELECT (SELECT count(*) FROM event), (SELECT sum(events) FROM event_count), (SELECT sum(events) FROM producer_count),
    (SELECT max(seq) FROM event_tip)
"""


@pytest.mark.parametrize("way", ["in line"], indirect=True)
def test_a_process_that_finds_what_it_left_soon_needs_one_statement(store: Store, end: int) -> None:
    events = [store.append(draft(data={"n": n}))[0] for n in range(ALONE_AFTER + 2)]

    assert watched(store).ways() == [*["in line"] * (ALONE_AFTER - 1), *["alone"] * 3]
    assert log_of(store)[end:] == [str(event.id) for event in events]


def test_types_that_are_new_are_counted_under_the_lock(store: Store, way: str) -> None:
    for _ in range(2):
        store.append(draft("note.changed", producer="github"))

    assert watched(store).ways() == ["locked", way]
    log_of(store)


def test_nothing_is_stored_or_counted_if_the_tip_does_not_move(store: Store, other: EventLog) -> None:
    tip = tip_of("default", store.run(store.database.rows(GET_TIP, {"workspace": "default"})))
    signer = store.keys.signer(tip.kid)
    assert signer is not None
    linker = Linker(signer, store.node, "default", tip, {}, START)
    linker.link([draft(), draft()])
    store.run(other.append("default", [draft()]))
    before = asked(store, STORED)

    rows = store.run(store.database.atomic([append_call(linker, [], Clock().around(utc_now()))]))

    assert rows == [[]]
    assert asked(store, STORED) == before
    log_of(store)


def _changed(key: str) -> str:
    return f"UPDATE event_tip SET {key} WHERE workspace_id = 'default'"


@pytest.mark.parametrize(
    "change",
    [_changed("kid = 'z6Mk'"), _changed("lost_size = 9"), _changed("hash = sha256('')")],
    ids=["key", "stopped", "hash"],
)
def test_a_tip_that_is_not_the_expected_one_does_not_move(store: Store, change: str) -> None:
    tip = tip_of("default", store.run(store.database.rows(GET_TIP, {"workspace": "default"})))
    signer = store.keys.signer(tip.kid)
    assert signer is not None
    linker = Linker(signer, store.node, "default", tip, {}, START)
    linker.link([draft()])
    asked(store, change)
    before = asked(store, STORED)

    assert store.run(store.database.atomic([append_call(linker, [], Clock().around(utc_now()))])) == [[]]

    assert asked(store, STORED) == before


def test_a_process_that_froze_before_it_sent_finds_the_others_there(
    store: Store, other: EventLog, way: str, end: int
) -> None:
    async def others() -> None:
        for _ in range(3):
            await other.append("default", [draft()])

    watched(store).before.append(others)

    event = store.append(draft())[0]

    assert event.seq == end + 3
    assert watched(store).ways() == tried(way)
    assert len(log_of(store)) == end + 4


def test_a_statement_that_waited_for_the_lock_finds_the_others_there(
    store: Store, other: EventLog, way: str, end: int
) -> None:
    async def race() -> tuple[list[SynapEvent], list[SynapEvent]]:
        is_locked, may_commit = asyncio.Event(), asyncio.Event()

        async def prepare(_: PipedConnection, _at: datetime) -> tuple[list[Draft], list[Call]]:
            is_locked.set()
            await may_commit.wait()
            return [draft()], []

        first = asyncio.create_task(other.append_with("default", prepare))
        await is_locked.wait()
        second = asyncio.create_task(store.log.append("default", [draft()]))
        await asyncio.to_thread(until, lambda: asked(store, WAITING))
        may_commit.set()
        return await first, await second

    [first], [second] = store.run(race())

    assert (first.seq, second.seq) == (end, end + 1)
    assert watched(store).ways() == tried(way)
    log_of(store)


def test_processes_that_race_make_one_log(store: Store, other: EventLog, end: int) -> None:
    async def write(log: EventLog) -> list[SynapEvent]:
        return [event for _ in range(60) for event in await log.append("default", [draft()])]

    async def race() -> list[SynapEvent]:
        alone = await write(store.log)
        raced = await asyncio.gather(write(store.log), write(other), write(store.log))
        return [*alone, *raced[0], *raced[1], *raced[2]]

    events = store.run(race())

    assert sorted(str(event.id) for event in events) == sorted(log_of(store)[end:])
    assert sorted(event.seq for event in events) == list(range(end, end + 240))


def test_an_id_that_is_sent_twice_in_one_instant_is_stored_once(store: Store, other: EventLog, end: int) -> None:
    async def twice(one: Draft) -> tuple[list[SynapEvent], list[SynapEvent]]:
        return await asyncio.gather(store.log.append("default", [one]), other.append("default", [one]))

    drafts = [draft(id=uuid4()) for _ in range(40)]
    answers = [store.run(twice(one)) for one in drafts]

    for [first], [second] in answers:
        assert first == second
    assert log_of(store)[end:] == [str(one.id) for one in drafts]


def test_an_id_that_another_process_stored_meanwhile_is_found(store: Store, other: EventLog) -> None:
    sent = draft(id=ID)
    store.append(draft(id=uuid4()))
    stored: list[SynapEvent] = []

    async def by_other() -> None:
        stored.extend(await other.append("default", [sent]))

    watched(store).before.append(by_other)

    assert store.append(sent) == stored
    assert log_of(store).count(ID) == 1


@pytest.mark.parametrize("data", [{}, {"other": 1}], ids=["equal", "other"])
def test_an_id_that_this_process_stored_is_found(store: Store, data: object, way: str, end: int) -> None:
    [first] = store.append(draft(id=ID))
    watched(store).ways()

    answers = store.append_at_once([draft()], [draft(id=ID, data=data)], [draft()])

    assert [type(answer) for answer in answers] == [list, Conflict if data else list, list]
    assert answers[1] == [first] if not data else answers[1].hash == first.hash
    assert watched(store).ways() == [way, "locked"]
    assert len(log_of(store)) == end + 3


def test_events_that_are_sent_again_are_not_linked_in_vain(store: Store, way: str) -> None:
    sent = [draft(id=uuid4()) for _ in range(4)]
    first = [store.append(one) for one in sent]
    watched(store).sent.clear()

    again = [store.append(one) for one in sent]

    assert again == first
    assert watched(store).ways().count(way) == 1
    log_of(store)


def test_a_new_id_that_is_taken_all_the_same_is_found(store: Store, end: int) -> None:
    [first] = store.append(draft())
    by_chance = msgspec.structs.replace(draft(), id=first.id)
    other = msgspec.structs.replace(draft(data={"n": 1}), id=first.id)

    answers = store.append_at_once([by_chance], [draft()], [other])

    assert [type(answer) for answer in answers] == [list, list, Conflict]
    assert answers[0] == [first]
    assert len(log_of(store)) == end + 2


@pytest.mark.parametrize("sent", [{}, {"id": ID}], ids=["our id", "a caller's id"])
def test_a_connection_that_is_lost_at_the_commit_is_settled(
    store: Store, sent: dict[str, Any], way: str, end: int
) -> None:
    async def lose() -> None:
        raise OperationalError("server closed the connection unexpectedly")

    watched(store).after.append(lose)

    [event] = store.append(draft(**sent))

    assert event.seq == end
    assert watched(store).ways() == [way]
    assert log_of(store)[end:] == [str(event.id)]


def test_a_connection_that_is_lost_late_is_settled_all_the_same(store: Store, end: int) -> None:
    """A group may wait for seconds until it has the lock."""

    async def lose() -> None:
        await asyncio.sleep(SETTLE_SECONDS)
        raise OperationalError("server closed the connection unexpectedly")

    watched(store).after.append(lose)

    [event] = store.append(draft())

    assert log_of(store)[end:] == [str(event.id)]


def test_connections_that_ended_in_between_are_replaced(store: Store, end: int) -> None:
    for _ in range(3):
        asked(store, TERMINATE)

        store.append(draft())

    assert len(log_of(store)) == end + 3


def test_a_key_that_was_rotated_in_between_signs(store: Store, end: int) -> None:
    async def rotate() -> None:
        with connect(store.url) as connection:
            rotate_key(connection, Keyring(store.keys.path))

    watched(store).before.append(rotate)

    event = store.append(draft())[0]

    assert event.seq == end + 1
    assert log_of(store)[end + 1 :] == [str(event.id)]


def test_an_erasure_in_between_leaves_every_count_right(store: Store, end: int) -> None:
    [erased] = store.append(draft(id=ID, metadata={"custom": {}}, producer="p"))

    async def erase() -> None:
        act = Act.of("events.erased", "k", {}, ["default"])
        await store.erasure().erase("default", ErasureRequest("ids", ids=[erased.id]), lambda _events, _seq: act)

    watched(store).before.append(erase)

    events = [store.append(draft())[0] for _ in range(3)]

    assert [event.seq for event in events] == [end + 2, end + 3, end + 4]
    [tombstone] = store.append(draft(id=ID, data={"whatever": 1}))
    assert tombstone.erased
    assert len(log_of(store)) == end + 5


def test_an_event_of_the_servers_own_in_between_has_its_place(store: Store, end: int) -> None:
    async def prepare(_: PipedConnection, _at: datetime) -> tuple[list[Draft], list[Call]]:
        return [draft()], []

    async def disable() -> None:
        await store.log.append_with("default", prepare)

    watched(store).before.append(disable)

    assert store.append(draft())[0].seq == end + 1
    assert len(log_of(store)) == end + 2


def test_a_workspace_that_was_deleted_in_between_is_not_found(store: Store) -> None:
    async def delete() -> None:
        with connect(store.url) as connection:
            create_workspace(connection, "kept", Keyring(store.keys.path))
            delete_workspace(connection, "default")

    watched(store).before.append(delete)

    with pytest.raises(NotFound):
        store.append(draft())


def test_a_log_that_was_stopped_in_between_takes_nothing(store: Store, end: int) -> None:
    async def stop() -> None:
        asked(store, _changed("lost_size = 9"))

    watched(store).before.append(stop)

    with pytest.raises(Unavailable, match="has lost or changed events"):
        store.append(draft())
    assert len(log_of(store)) == end


def test_a_distributed_database_is_appended_to_under_the_lock_alone(store: Store, end: int) -> None:
    watched(store).is_many_nodes = True

    for _ in range(3):
        store.append(draft())

    assert watched(store).ways() == ["locked"] * 3
    assert len(log_of(store)) == end + 3
