"""Two callers use one id at the same moment, among other callers who are not affected."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

from app.ledger.draft import Draft
from app.store.events.event_log import EventLog
from app.store.events.linker import LOCK_TIP
from schemas.errors import Conflict, InvalidInput
from schemas.event import SynapEvent
from tests.acceptance.conftest import Pair
from tests.acceptance.logs import draft, event_log
from tests.acceptance.processes import waiting_for_the_tip
from tests.kit.checks import check_log
from tests.kit.servers import until

NEIGHBOURS = 50

Answer = list[SynapEvent] | BaseException


def test_equal_content_shares_one_place(pair: Pair, workspace: str) -> None:
    event = {"id": str(uuid4()), "type": "note.created", "data": {"n": 1}}

    neighbours, twins = _log_at_once(pair, workspace, event, event)

    assert {answer.status_code for answer in neighbours + twins} == {200}
    assert twins[0].json() == twins[1].json()
    assert len(check_log(pair.database_url, workspace)) == NEIGHBOURS + 1


def test_only_the_other_content_conflicts(pair: Pair, workspace: str) -> None:
    event = {"id": str(uuid4()), "type": "note.created", "data": {"n": 1}}

    neighbours, twins = _log_at_once(pair, workspace, event, event | {"data": {"n": 2}})

    assert {answer.status_code for answer in neighbours} == {200}
    stored, refused = sorted(twins, key=lambda answer: answer.status_code)
    assert (stored.status_code, refused.status_code) == (200, 409)
    data = refused.json()["error"]["data"]
    assert data["code"] == "CONFLICT"
    assert data["hash"] == stored.json()["result"]["data"]["hash"]
    log = check_log(pair.database_url, workspace)
    assert len(log) == NEIGHBOURS + 1
    assert [event["hash"] for event in log if event["event_id"] == stored.json()["result"]["data"]["id"]] == [
        data["hash"]
    ]


def test_equal_content_in_one_group_shares_the_answer(database_url: str, data_dir: Path) -> None:
    id_ = uuid4()

    neighbours, twins = _append_at_once(database_url, data_dir, [draft({"n": 1}, id=id_)], [draft({"n": 1}, id=id_)])

    assert all(isinstance(answer, list) for answer in neighbours)
    assert isinstance(twins[0], list)
    assert twins[0] == twins[1]
    assert _transactions(database_url) == 1
    assert len(check_log(database_url)) == NEIGHBOURS + 1


def test_in_one_group_only_the_other_content_conflicts(database_url: str, data_dir: Path) -> None:
    id_ = uuid4()

    neighbours, twins = _append_at_once(database_url, data_dir, [draft({"n": 1}, id=id_)], [draft({"n": 2}, id=id_)])

    assert all(isinstance(answer, list) for answer in neighbours)
    first, second = twins
    assert isinstance(first, list)
    assert isinstance(second, Conflict)
    assert second.hash == first[0].hash
    assert _transactions(database_url) == 1
    assert [event["payload"] for event in check_log(database_url) if event["event_id"] == str(id_)] == [{"n": 1}]


def test_batch_with_a_conflict_is_not_stored_at_all(database_url: str, data_dir: Path) -> None:
    id_ = uuid4()
    batch = [draft({"n": 2}), draft({"n": 3}, id=id_), draft({"n": 4})]

    neighbours, twins = _append_at_once(database_url, data_dir, [draft({"n": 1}, id=id_)], batch)

    assert all(isinstance(answer, list) for answer in neighbours)
    assert isinstance(twins[0], list)
    assert isinstance(twins[1], Conflict)
    assert _transactions(database_url) == 1
    assert len(check_log(database_url)) == NEIGHBOURS + 1


def test_only_a_batch_that_contradicts_itself_is_rejected(database_url: str, data_dir: Path) -> None:
    id_ = uuid4()
    batch = [draft({"n": 1}), draft({"n": 2}, id=id_), draft({"n": 3}, id=id_)]

    neighbours, twins = _append_at_once(database_url, data_dir, batch, [draft({"n": 4}, id=id_)])

    assert all(isinstance(answer, list) for answer in neighbours)
    assert isinstance(twins[0], InvalidInput)
    assert isinstance(twins[1], list)
    assert len(check_log(database_url)) == NEIGHBOURS + 1


@pytest.mark.parametrize("other", [{"type": "note.deleted"}, {"subjectId": "s"}, {"userId": "u"}, {"source": "sync"}])
def test_every_part_of_an_event_counts_as_content(database_url: str, data_dir: Path, other: dict[str, str]) -> None:
    id_ = uuid4()

    _, twins = _append_at_once(database_url, data_dir, [draft({}, id=id_)], [draft({}, id=id_, **other)])

    assert isinstance(twins[1], Conflict)


def _log_at_once(pair: Pair, workspace: str, *twins: object) -> tuple[list[httpx.Response], list[httpx.Response]]:
    """The answers to neighbours and to twins, who call different servers while a lock holds both back."""
    events = [{"type": "note.created", "data": {"neighbour": n}} for n in range(NEIGHBOURS)]
    mixed = [*events[: NEIGHBOURS // 2], *twins, *events[NEIGHBOURS // 2 :]]
    with ThreadPoolExecutor(len(mixed)) as pool:
        with (
            psycopg.connect(pair.database_url) as connection,
            psycopg.connect(pair.database_url, autocommit=True) as watcher,
        ):
            connection.execute(LOCK_TIP, {"workspace": workspace})
            sent = [
                pool.submit(pair.servers[n % 2].mutate, "events.log", event, **{"x-workspace-id": workspace})
                for n, event in enumerate(mixed)
            ]
            until(lambda: len(waiting_for_the_tip(watcher)) == 2)
        answers = [one.result() for one in sent]
    place = NEIGHBOURS // 2
    return answers[:place] + answers[place + len(twins) :], answers[place : place + len(twins)]


def _append_at_once(database_url: str, data_dir: Path, *twins: Sequence[Draft]) -> tuple[list[Answer], list[Answer]]:
    """The answers to neighbours and to twins, who all call in one turn of one event loop."""
    calls = [[draft({"neighbour": n})] for n in range(NEIGHBOURS)]
    place = NEIGHBOURS // 2

    async def append(log: EventLog) -> list[Answer]:
        mixed = [*calls[:place], *twins, *calls[place:]]
        return await asyncio.gather(*(log.append("default", call) for call in mixed), return_exceptions=True)

    async def run() -> list[Answer]:
        async with event_log(database_url, data_dir) as log:
            return await append(log)

    answers = asyncio.run(run())
    return answers[:place] + answers[place + len(twins) :], answers[place : place + len(twins)]


def _transactions(database_url: str) -> int:
    """In how many transactions the events of a database were stored."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(DISTINCT xmin::text) FROM event").fetchone()
    assert row is not None
    return int(row[0])
