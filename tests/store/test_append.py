"""Appending: seqs, times, idempotency by id, groups, and failures."""

import asyncio
import random
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from app.ledger.draft import Draft
from app.ledger.keyring import Keyring
from app.ledger.signer import Signer
from app.store.events.event_log import EventLog
from app.store.events.linker import PART_EVENTS
from app.store.postgres.database import Database
from schemas.errors import Conflict, InvalidInput, NotFound, Unavailable
from schemas.event import SynapEvent
from tests.kit.checks import check_log
from tests.store.opened import Store, draft

ID = "01938c1e-0000-7000-8000-000000000001"
OTHER_ID = "01938c1e-0000-7000-8000-000000000002"


def _stored(store: Store) -> list[str]:
    """The ids of the log, oldest first."""
    return [event["id"] for event in reversed(store.list(limit=1000))]


def _as_json(event: SynapEvent) -> Any:
    return msgspec.json.decode(msgspec.json.encode(event))


def test_events_get_their_places_in_the_order_of_the_call(store: Store) -> None:
    drafts = [draft(data={"n": n}) for n in range(250)]

    events = store.append(*drafts)

    assert [event.seq for event in events] == list(range(250))
    assert [event.id for event in events] == [each.id for each in drafts]
    assert [event["event_id"] for event in check_log(store.url, store.workspace)] == [str(each.id) for each in drafts]


def test_an_answer_is_what_is_read_later(store: Store) -> None:
    (answered,) = store.append(
        draft(
            "a.b",
            {"nul": "a\x00b", "\U0001f600": 1.0, "big": 1e21, "deep": {"x": [None, True]}},
            id=ID,
            user_id='u "2"\\\n\x1f\u2028\U0001f600',
            subject_id="s\x7f</script>",
            producer="p",
            source="intelligence",
            correlation_id="c\tc",
            causation_id="\x01",
            metadata={"custom": {"null": None, "nul": "\x00"}},
            occurred_at=datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        )
    )

    (read,) = store.list()
    assert read == _as_json(answered)
    assert read["data"] == {"nul": "a\x00b", "\U0001f600": 1, "big": 1e21, "deep": {"x": [None, True]}}
    assert read["userId"] == 'u "2"\\\n\x1f\u2028\U0001f600'
    assert read["occurredAt"] == "0001-01-01T00:00:00.000001Z"
    check_log(store.url, store.workspace)


def test_an_event_with_nothing_optional_reads_without_it(store: Store) -> None:
    (answered,) = store.append(draft(id=ID))

    (read,) = store.list()
    assert read == _as_json(answered)
    assert read.keys() == {"id", "version", "type", "data", "userId", "source", "timestamp", "seq", "hash"}


def test_logs_of_two_workspaces_are_apart(store: Store) -> None:
    (first,) = store.append(draft(id=ID, data={"of": "default"}))
    (second,) = store.append(draft(id=ID, data={"of": "other"}), workspace=store.other)

    assert (first.seq, second.seq) == (0, 0)
    assert [event["data"] for event in store.list()] == [{"of": "default"}]
    assert [event["data"] for event in store.list(store.other)] == [{"of": "other"}]
    assert (store.page()["total"], store.page(store.other)["total"]) == (1, 1)
    check_log(store.url, store.workspace)
    check_log(store.url, store.other)


def test_an_unknown_workspace_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.append(draft(), workspace="nosuch")


CLOCKS = {
    "stands still": [0] * 6,
    "goes backwards": [0, -1, -3600, -86400 * 365, -5, 0],
    "jumps": [0, 3600, 1, 3600, 7200, 0],
    "ticks": [0, 1, 2, 3, 4, 5],
}


@pytest.mark.parametrize("seconds", CLOCKS.values(), ids=list(CLOCKS))
def test_times_strictly_increase_whatever_the_clock_does(store: Store, seconds: list[int]) -> None:
    start = store.clock.at
    recorded = []

    for offset in seconds:
        store.clock.at = start + timedelta(seconds=offset)
        recorded += [datetime.fromisoformat(event.timestamp) for event in store.append(draft(), draft())]

    assert recorded[0] == start
    assert all(after > before for before, after in pairwise(recorded))
    highest = start + timedelta(seconds=max(seconds))
    assert highest <= recorded[-1] <= highest + timedelta(microseconds=len(recorded))
    check_log(store.url, store.workspace)


SAME = {
    "as it was": {},
    "keys in another order, numbers written otherwise": {"data": b'{"b": 1.0, "a": -0.0, "\\u0063": "\\u0078"}'},
    "a time in another zone": {"occurred_at": datetime.fromisoformat("2024-12-09T02:00:00+01:00")},
    "with nulls": {"metadata": {"sync": None, "custom": {"x": None}, "ai": {"agent": "a", "reasoning": None}}},
    "with the default source": {"source": "api"},
    "with the caller's own userId": {"user_id": "u1"},
}

FIRST: dict[str, Any] = {
    "data": b'{"a":0,"b":1,"c":"x"}',
    "id": ID,
    "metadata": {"custom": {"x": None}, "ai": {"agent": "a"}},
    "occurred_at": datetime(2024, 12, 9, 1, tzinfo=UTC),
}


@pytest.mark.parametrize("change", SAME.values(), ids=list(SAME))
def test_the_same_event_again_is_the_first(store: Store, change: dict[str, Any]) -> None:
    (first,) = store.append(draft(**FIRST))

    (again,) = store.append(draft(**{**FIRST, **change}))

    assert _as_json(again) == _as_json(first)
    assert _stored(store) == [ID]


OTHER = {
    "type": {"type_": "note.updated"},
    "data": {"data": b'{"a":0,"b":1,"c":"y"}'},
    "data with one more member": {"data": b'{"a":0,"b":1,"c":"x","d":null}'},
    "user": {"user_id": "u2"},
    "source": {"source": "sync"},
    "subject": {"subject_id": "s"},
    "producer": {"producer": "p"},
    "metadata": {"metadata": {"custom": {"x": None}}},
    "no metadata": {"metadata": None},
    "correlation": {"correlation_id": "c"},
    "causation": {"causation_id": "c"},
    "time": {"occurred_at": datetime(2024, 12, 9, 1, 0, 0, 1, tzinfo=UTC)},
    "no time": {"occurred_at": None},
}


@pytest.mark.parametrize("change", OTHER.values(), ids=list(OTHER))
def test_other_content_under_an_id_conflicts(store: Store, change: dict[str, Any]) -> None:
    (first,) = store.append(draft(**FIRST))

    with pytest.raises(Conflict) as refused:
        store.append(draft(**{**FIRST, **change}))

    assert (refused.value.hash, refused.value.field) == (first.hash, "id")
    assert _stored(store) == [ID]


def test_a_batch_that_conflicts_stores_nothing(store: Store) -> None:
    (first,) = store.append(draft(id=ID))

    with pytest.raises(Conflict) as refused:
        store.append(draft(), draft(id=ID, data={"other": 1}), draft())

    assert refused.value.hash == first.hash
    assert _stored(store) == [ID]
    assert store.page()["total"] == 1


def test_a_batch_may_be_stored_in_part_already(store: Store) -> None:
    (first,) = store.append(draft(id=ID))

    events = store.append(draft(id=OTHER_ID), draft(id=ID))

    assert [str(event.id) for event in events] == [OTHER_ID, ID]
    assert [event.seq for event in events] == [1, 0]
    assert events[1].hash == first.hash
    check_log(store.url, store.workspace)


def test_the_same_event_twice_in_a_batch_is_one(store: Store) -> None:
    events = store.append(draft(id=ID, data={"n": 1}), draft(), draft(id=ID, data={"n": 1.0}))

    assert [event.seq for event in events] == [0, 1, 0]
    assert len(_stored(store)) == 2
    check_log(store.url, store.workspace)


@pytest.mark.parametrize("stored", [False, True], ids=["new", "stored already"])
def test_an_id_twice_in_a_batch_with_other_content_is_invalid(store: Store, stored: bool) -> None:  # noqa: FBT001
    if stored:
        store.append(draft(id=ID, data={"n": 1}))

    with pytest.raises(InvalidInput) as refused:
        store.append(draft(), draft(id=ID, data={"n": 1}), draft(id=ID, data={"n": 2}))

    assert [issue.path for issue in refused.value.issues] == ["events.2.id"]
    assert _stored(store) == [ID] * stored


def test_within_a_group_the_first_wins(store: Store) -> None:
    first, equal, unequal, neighbour, batch = store.append_at_once(
        [draft(id=ID, data={"n": 1})],
        [draft(id=ID, data={"n": 1.0})],
        [draft(id=ID, data={"n": 2})],
        [draft(id=OTHER_ID)],
        [draft(), draft(id=OTHER_ID, data={"n": 3})],
    )

    assert _as_json(first[0]) == _as_json(equal[0])
    assert isinstance(unequal, Conflict)
    assert unequal.hash == first[0].hash
    assert isinstance(batch, Conflict)
    assert batch.hash == neighbour[0].hash
    assert _stored(store) == [ID, OTHER_ID]
    check_log(store.url, store.workspace)


def test_a_group_that_is_stored_in_parts_is_one_log(store: Store) -> None:
    known = [draft(data={"n": n}) for n in range(2 * PART_EVENTS)]
    store.append(*known[::3])

    answers = store.append_at_once(
        [draft() for _ in range(PART_EVENTS - 1)],
        known[:PART_EVENTS],
        [draft(), draft(id=str(known[0].id), data={"n": "other"})],
        known[::-1],
    )

    assert [type(answer) for answer in answers] == [list, list, Conflict, list]
    assert answers[3][::-1][:PART_EVENTS] == answers[1]
    ids = [event["event_id"] for event in check_log(store.url, store.workspace)]
    assert len(ids) == len(set(ids)) == PART_EVENTS - 1 + 2 * PART_EVENTS


def test_a_group_that_fails_in_one_part_stores_none(store: Store) -> None:
    too_long = draft(subject_id=random.Random(7).randbytes(5000).hex())  # too long for an index; every door rejects it
    batch = [draft() for _ in range(3 * PART_EVENTS)]

    for place in (0, PART_EVENTS + 1, len(batch)):
        with pytest.raises((Unavailable, psycopg.InternalError)):  # a node of a cluster names its error differently
            store.append(*batch[:place], too_long, *batch[place:])

    assert _stored(store) == []
    assert [event.seq for event in store.append(*batch)] == list(range(len(batch)))
    check_log(store.url, store.workspace)


def test_appends_of_several_processes_make_one_log(store: Store) -> None:
    random_ = random.Random(7)
    known = [uuid4() for _ in range(60)]
    databases = [store.run(_open(store.url)) for _ in range(2)]
    logs = [store.log, *(EventLog(database, store.keys, store.node) for database in databases)]

    def drafts() -> list[Draft]:
        chosen = (random_.choice(known) for _ in range(random_.randrange(1, 6)))
        return [draft(id=id_, data={"n": random_.randrange(2) if random_.random() < 0.2 else 0}) for id_ in chosen]

    async def appends() -> list[Any]:
        calls: list[Awaitable[Any]] = [random_.choice(logs).append(store.workspace, drafts()) for _ in range(150)]
        return await asyncio.gather(*calls, return_exceptions=True)

    answers = store.run(appends())
    for database in databases:
        store.run(database.close())

    assert {type(answer) for answer in answers} <= {list, Conflict, InvalidInput}
    hashes: dict[UUID, str] = {}
    for event in (event for answer in answers if isinstance(answer, list) for event in answer):
        assert hashes.setdefault(event.id, event.hash) == event.hash
    assert {event["event_id"] for event in check_log(store.url, store.workspace)} == {str(id_) for id_ in hashes}


async def _open(url: str) -> Database:
    database = Database(url)
    await database.open()
    return database


def test_more_events_than_may_wait_are_rejected_at_once(store: Store) -> None:
    many = [draft()] * 1000

    answers = store.append_at_once(*([many] * 21), [draft()])

    assert {type(answer) for answer in answers[:20]} == {list}
    for refused in answers[20:]:
        assert isinstance(refused, Unavailable)
        assert refused.retry_after_seconds > 0
        assert "nothing was stored" in refused.message
    assert len(_stored(store)) == 1


def test_more_bytes_than_may_wait_are_rejected_at_once(store: Store) -> None:
    large = draft(data={"text": "x" * 1_000_000})

    answers = store.append_at_once([large] * 60, [large] * 8, [draft()])

    assert [type(answer) for answer in answers] == [list, Unavailable, list]
    assert len(_stored(store)) == 2


def test_the_queue_is_free_again_after_errors(store: Store) -> None:
    store.append(draft(id=ID))
    wrong = [*[draft()] * 999, draft(id=ID, data={"other": 1})]

    for _ in range(3):
        answers = store.append_at_once(*([wrong] * 20))
        assert {type(answer) for answer in answers} == {Conflict}

    assert _stored(store) == [ID]
    assert store.append(draft())[0].seq == 1


def test_a_caller_that_leaves_affects_no_other(store: Store) -> None:
    async def leaving() -> list[Any]:
        tasks = [asyncio.ensure_future(store.log.append(store.workspace, [draft(data={"n": n})])) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await store.log.drain()
        return answers

    first, left, last = store.run(leaving())

    assert isinstance(left, asyncio.CancelledError)
    assert {first[0].seq, last[0].seq} <= {0, 1, 2}
    check_log(store.url, store.workspace)


def test_another_key_than_the_one_in_force_appends_nothing(store: Store, tmp_path: Path) -> None:
    Signer.create(tmp_path / "node.key")
    stranger = EventLog(store.database, Keyring(tmp_path / "node.key"), store.node)

    with pytest.raises(Unavailable, match="nothing was stored"):
        store.run(stranger.append(store.workspace, [draft()]))

    assert _stored(store) == []


def test_an_unreachable_database_is_unavailable(store: Store) -> None:
    async def append() -> None:
        database = Database("postgresql://127.0.0.1:1/nosuch", wait_seconds=0.2)
        await database.open()
        try:
            await EventLog(database, store.keys, store.node).append(store.workspace, [draft()])
        finally:
            await database.close()

    with pytest.raises(Unavailable) as refused:
        store.run(append())

    assert refused.value.retry_after_seconds > 0
