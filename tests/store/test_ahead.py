"""Events that were linked while those before them were stored: whatever happens in between, the log is right."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from psycopg import OperationalError

from app.ledger.draft import Draft
from app.ledger.keyring import Keyring
from app.store.audit.log import Act
from app.store.events.erasure import ErasureRequest
from app.store.events.event_log import EventLog
from app.store.install.install import connect
from app.store.install.rotation import rotate_key
from app.store.postgres.pipe import Call, PipedConnection
from schemas.errors import Conflict
from schemas.event import SynapEvent
from tests.store.opened import Store, draft
from tests.store.watched import ID, end, log_of, other, store, watched, way

__all__ = ["end", "other", "store", "way"]

PIECE = 120
"""Drafts of a call: too many for the ways of small groups."""

pytestmark = pytest.mark.parametrize("way", ["in line"], indirect=True)


def _piece(*first: Draft) -> list[Draft]:
    return [*first, *[draft(id=uuid4()) for _ in range(PIECE - len(first))]]


def _imported(store: Store, *pieces: list[Draft]) -> list[list[SynapEvent] | Exception]:
    """The answer or error of each piece: one after the other, and the next two are foreseen while one is stored."""

    async def append() -> list[Any]:
        answers: list[Any] = []
        following = deque(pieces[1:])
        for place, piece in enumerate(pieces):
            appending = asyncio.create_task(store.log.append("default", piece))
            await asyncio.sleep(0)
            while following and len(pieces) - len(following) <= place + 2:
                store.log.foresee("default", following.popleft())
            answers += await asyncio.gather(appending, return_exceptions=True)
        return answers

    answers: list[Any] = store.run(append())
    return answers


def _before_the_second(store: Store, act: Callable[[], Any]) -> None:
    """Let something happen when the second piece is linked and not yet sent."""

    async def first() -> None:
        watched(store).before.append(act)

    watched(store).before.append(first)


def test_what_was_foreseen_is_one_statement(store: Store, end: int) -> None:
    pieces = [_piece() for _ in range(4)]

    answers = _imported(store, *pieces)

    assert watched(store).ways() == ["locked", *["alone"] * 3]
    assert [event.seq for answer in answers if isinstance(answer, list) for event in answer] == list(
        range(end, end + 4 * PIECE)
    )
    assert log_of(store)[end:] == [str(each.id) for piece in pieces for each in piece]


def test_what_was_foreseen_and_does_not_come_is_not_stored(store: Store, end: int) -> None:
    foreseen, sent = _piece(), _piece()

    async def append() -> None:
        appending = asyncio.create_task(store.log.append("default", _piece()))
        await asyncio.sleep(0)
        store.log.foresee("default", foreseen)
        await appending
        await store.log.append("default", sent)

    store.run(append())

    assert watched(store).ways() == ["locked", "locked"]
    assert log_of(store)[end + PIECE :] == [str(each.id) for each in sent]


def test_what_was_foreseen_is_linked_again_if_others_come_first(store: Store, end: int) -> None:
    first, others, foreseen = _piece(), _piece(), _piece()

    async def append() -> None:
        appending = asyncio.create_task(store.log.append("default", first))
        await asyncio.sleep(0)
        store.log.foresee("default", foreseen)
        await appending
        await store.log.append("default", others)
        await store.log.append("default", foreseen)

    store.run(append())

    assert watched(store).ways() == ["locked", "locked", "alone"]
    assert log_of(store)[end:] == [str(each.id) for piece in (first, others, foreseen) for each in piece]


def test_new_types_are_counted(store: Store, end: int) -> None:
    _imported(store, _piece(), _piece(draft("note.changed", id=ID)), _piece())

    assert watched(store).ways() == ["locked", "locked", "alone"]
    assert len(log_of(store)) == end + 3 * PIECE


def test_events_of_another_process_in_between_are_found(store: Store, other: EventLog, end: int) -> None:
    async def others() -> None:
        await other.append("default", [draft()])

    _before_the_second(store, others)

    answers = _imported(store, _piece(), _piece(), _piece())

    assert watched(store).ways()[:3] == ["locked", "alone", "locked"]
    assert [len(answer) for answer in answers if isinstance(answer, list)] == [PIECE] * 3
    assert len(log_of(store)) == end + 3 * PIECE + 1


@pytest.mark.parametrize("data", [{}, {"other": 1}], ids=["equal", "other"])
def test_an_id_that_is_taken_is_found(store: Store, data: object, end: int) -> None:
    first = _piece(draft(id=ID))

    answers = _imported(store, first, _piece(draft(id=ID, data=data)))

    assert watched(store).ways() == ["locked", "alone", *([] if data else ["locked"])]
    if data:
        assert isinstance(answers[1], Conflict)
    else:
        assert isinstance(answers[0], list)
        assert isinstance(answers[1], list)
        assert answers[1][0] == answers[0][0]
    assert len(log_of(store)) == end + (PIECE if data else 2 * PIECE - 1)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_connection_that_is_lost_is_settled(store: Store, moment: str, end: int) -> None:
    async def lose() -> None:
        raise OperationalError("server closed the connection unexpectedly")

    if moment == "before":
        _before_the_second(store, lose)
    else:
        watched(store).after.append(lose)
    pieces = [_piece() for _ in range(3)]

    _imported(store, *pieces)

    assert log_of(store)[end:] == [str(each.id) for piece in pieces for each in piece]


def test_a_key_that_was_rotated_in_between_signs(store: Store, end: int) -> None:
    async def rotate() -> None:
        with connect(store.url) as connection:
            rotate_key(connection, Keyring(store.keys.path))

    _before_the_second(store, rotate)

    answers = _imported(store, _piece(), _piece(), _piece())

    assert [len(answer) for answer in answers if isinstance(answer, list)] == [PIECE] * 3
    assert len(log_of(store)) == end + 3 * PIECE + 1


def test_an_erasure_in_between_leaves_every_count_right(store: Store, end: int) -> None:
    async def erase() -> None:
        act = Act.of("events.erased", "k", {}, ["default"])
        request = ErasureRequest("ids", ids=[first[0].id])
        await store.erasure().erase("default", request, lambda _events, _seq: act)

    first = _piece()
    _before_the_second(store, erase)

    _imported(store, first, _piece(), _piece())

    assert len(log_of(store)) == end + 3 * PIECE + 1


def test_an_event_of_the_servers_own_in_between_has_its_place(store: Store, end: int) -> None:
    async def prepare(_: PipedConnection, _at: datetime) -> tuple[list[Draft], list[Call]]:
        return [draft()], []

    async def disable() -> None:
        await store.log.append_with("default", prepare)

    _before_the_second(store, disable)

    _imported(store, _piece(), _piece(), _piece())

    assert len(log_of(store)) == end + 3 * PIECE + 1
