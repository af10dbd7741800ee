"""Appending in line: what gathers while a process waits for the lock joins its group, and no call is lost."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest
from psycopg import OperationalError

from app.ledger.draft import Draft
from app.store.events.event_log import EventLog
from app.store.events.linker import LOCK_TIP
from schemas.errors import Conflict
from schemas.event import SynapEvent
from tests.kit.servers import until
from tests.store.opened import Store, draft
from tests.store.watched import (
    ID,
    TERMINATE_IDLE,
    WAITING,
    asked,
    end,
    log_of,
    other,
    store,
    watched,
    way,
)

__all__ = ["end", "other", "store", "way"]


@pytest.fixture
def waiting(store: Store) -> Callable[..., list[Any]]:
    """Appends one call in line, and others while it waits for the lock; returns the answer or error of each."""

    async def append(first: Draft, later: Sequence[Draft]) -> list[Any]:
        calls = [asyncio.create_task(store.log.append("default", [first]))]
        with psycopg.connect(store.url) as connection:
            connection.execute(LOCK_TIP, {"workspace": "default"})
            await asyncio.to_thread(until, lambda: asked(store, WAITING))
            calls += [asyncio.create_task(store.log.append("default", [each])) for each in later]
            await asyncio.sleep(0)  # they are in the queue
        return await asyncio.gather(*calls, return_exceptions=True)

    return lambda first, later: store.run(append(first, later))


in_line = pytest.mark.parametrize("way", ["in line"], indirect=True)


@in_line
def test_calls_that_come_while_a_process_waits_join_its_group(store: Store, waiting: Any, end: int) -> None:
    answers = waiting(draft(), [draft(id=ID), draft(data={"n": 1}), draft(id=ID)])

    assert watched(store).ways() == ["in line"]
    assert [event.seq for [event] in answers] == [end, end + 1, end + 2, end + 1]
    assert len(log_of(store)) == end + 3


@in_line
def test_a_call_that_needs_more_does_not_join(store: Store, waiting: Any, end: int) -> None:
    answers = waiting(draft(), [draft(), draft("note.changed"), draft()])

    assert watched(store).ways() == ["in line", "locked"]
    assert [event.seq for [event] in answers] == [end, end + 1, end + 2, end + 3]
    assert len(log_of(store)) == end + 4


@in_line
def test_an_id_that_joins_and_is_taken_is_found(store: Store, waiting: Any, end: int) -> None:
    [first] = store.append(draft(id=ID))
    watched(store).ways()

    answers = waiting(draft(), [draft(id=ID), draft(id=ID, data={"n": 1}), draft()])

    assert watched(store).ways() == ["in line", "locked"]
    assert answers[1] == [first]
    assert isinstance(answers[2], Conflict)
    assert [answers[0][0].seq, answers[3][0].seq] == [end + 1, end + 2]
    assert len(log_of(store)) == end + 3


@in_line
@pytest.mark.parametrize("moment", ["under_lock", "after"])
def test_a_connection_that_is_lost_in_line_loses_no_call(store: Store, waiting: Any, end: int, moment: str) -> None:
    async def lose() -> None:
        raise OperationalError("server closed the connection unexpectedly")

    getattr(watched(store), moment).append(lose)

    answers = waiting(draft(), [draft(), draft(id=ID)])

    assert [event.seq for [event] in answers] == [end, end + 1, end + 2]
    assert log_of(store)[end:] == [str(event.id) for [event] in answers]


@in_line
def test_who_waits_in_line_goes_on_when_the_one_before_it_is_killed(store: Store, other: EventLog, end: int) -> None:
    async def race() -> tuple[list[SynapEvent], list[SynapEvent]]:
        first = asyncio.create_task(store.log.append("default", [draft()]))
        is_locked, may_go_on = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            is_locked.set()
            await may_go_on.wait()

        watched(store).under_lock.append(hold)
        await is_locked.wait()
        second = asyncio.create_task(other.append("default", [draft()]))
        await asyncio.to_thread(until, lambda: asked(store, WAITING))
        asked(store, TERMINATE_IDLE)
        may_go_on.set()
        return await first, await second

    [first], [second] = store.run(race())

    assert sorted([first.seq, second.seq]) == [end, end + 1]
    assert len(log_of(store)) == end + 2
