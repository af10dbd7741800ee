"""Erasure removes bodies and everything stored of them. Seqs, hashes and counts are right at every moment."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from app.ledger.draft import Draft, server_draft
from app.store.audit.log import Act
from app.store.events.erasure import MAX_BYTES, MAX_EVENTS, Erasure, ErasureRequest
from app.store.events.event_log import EventLog
from schemas.erasure import Erased
from schemas.errors import InvalidInput, NotFound, Unavailable
from schemas.event import StreamEvents
from schemas.written import Tracked
from tests.kit.checks import check_log, verdicts_on
from tests.store.opened import Store, draft

ID = "01938c1e-0000-7000-8000-000000000001"

FULL: dict[str, Any] = {
    "subject_id": "s1",
    "producer": "p1",
    "metadata": {"custom": {"tags": ["t"]}},
    "user_id": "u2",
    "source": "sync",
    "correlation_id": "c1",
    "causation_id": "d1",
    "occurred_at": datetime(2024, 12, 9, tzinfo=UTC),
}

GONE = ("subjectId", "producer", "metadata", "correlationId", "causationId")


def erase(store: Store, by: Any, value: str | Sequence[UUID], only_user: str | None = None) -> Erased:
    """Erase events in the store's workspace, and return the result."""
    return _erased(store, store.erasure(), _wanted(by, value, only_user))


def _wanted(by: Any, value: str | Sequence[UUID], only_user: str | None = None) -> ErasureRequest:
    if isinstance(value, str):
        return ErasureRequest(by, value=value, only_user=only_user)
    return ErasureRequest(by, ids=value, only_user=only_user)


def _erased(
    store: Store, erasure: Erasure, wanted: ErasureRequest, also: Callable[[], object] = lambda: None
) -> Erased:
    def act(events: int, seq: int) -> Act:
        also()
        return Act.of("events.erased", "k", {"by": wanted.by, "events": events, "seq": seq}, [store.workspace])

    answer: Erased = store.run(erasure.erase(store.workspace, wanted, act))
    return answer


def _audit(store: Store) -> list[dict[str, Any]]:
    with psycopg.connect(store.url, row_factory=dict_row) as connection:
        query = "SELECT action, actor, detail FROM audit_entry WHERE workspace_id = %s ORDER BY seq"
        return connection.execute(query, [store.workspace]).fetchall()


def _tombstone(event: dict[str, Any]) -> dict[str, Any]:
    """What readers see of an erased event."""
    kept = {name: value for name, value in event.items() if name not in GONE}
    return kept | {"data": {}, "userId": "", "erased": True}


def test_what_is_erased_leaves_a_tombstone_in_its_place(store: Store) -> None:
    full, bare, other = store.append(draft(data={"n": 1}, **FULL), draft(data={"n": 2}), draft(data={"n": 3}))
    before = store.list()

    answer = erase(store, "ids", [full.id, bare.id])

    said, *events = store.list()
    assert answer.erased == 2
    assert answer.events == [UUID(said["id"])]
    assert events == [before[0], _tombstone(before[1]), _tombstone(before[2])]
    assert events[2]["occurredAt"] == "2024-12-09T00:00:00.000000Z"
    assert events[2]["source"] == "sync"
    assert said["data"] == {
        "erased": [{"seq": event.seq, "id": str(event.id), "hash": event.hash} for event in (full, bare)]
    }
    assert (said["type"], said["source"], said["userId"]) == ("synap.event.erased", "system", store.node)
    assert other.seq == 2
    check_log(store.url, store.workspace)


@pytest.mark.parametrize(("by", "value"), [("userId", "u2"), ("subjectId", "s1")])
def test_all_of_a_user_or_a_subject_is_erased(store: Store, by: str, value: str) -> None:
    store.append(*(draft(data={"n": n}, **(FULL if n % 3 else {})) for n in range(30)))
    store.append(draft(**FULL), workspace=store.other)
    camel = {"userId": "user_id", "subjectId": "subject_id"}[by]
    wanted = [event["id"] for event in store.list(**{by: value})]

    answer = erase(store, by, value)

    assert (answer.erased, len(wanted), len(answer.events)) == (20, 20, 1)
    assert [event["id"] for event in store.list() if event.get("erased")] == wanted
    assert store.page(**{by: value}) == {"events": [], "total": 0}
    assert store.page()["total"] == 31
    assert [event.get(by) for event in store.list(store.other)] == [FULL[camel]]
    check_log(store.url, store.workspace)
    check_log(store.url, store.other)


def test_nothing_is_left_anywhere(store: Store) -> None:
    secret = "s3cr3t-of-nobody-else"
    members = dict.fromkeys(("subject_id", "producer", "user_id", "correlation_id", "causation_id"), secret)
    store.append(draft(data={secret: secret}, metadata={"custom": {secret: secret}}, **members))

    erase(store, "userId", secret)

    with psycopg.connect(store.url) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in tables.fetchall():
            found = connection.execute(
                f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE %s",
                [f"%{secret}%"],
            ).fetchone()
            assert found == (0,), table


def test_an_erasure_is_audited_without_whom_it_was_about(store: Store) -> None:
    store.append(*(draft(**FULL) for _ in range(3)), draft(id=ID))

    erase(store, "userId", "u2")
    erase(store, "ids", [UUID(ID)])

    assert [(entry["action"], json.loads(entry["detail"])) for entry in _audit(store)] == [
        ("events.erased", {"by": "userId", "events": 3, "seq": 4}),
        ("events.erased", {"by": "ids", "events": 1, "seq": 5}),
    ]
    assert [event["seq"] for event in store.list(type="synap.event.erased")] == [5, 4]


def test_an_erasure_again_does_nothing(store: Store) -> None:
    (event,) = store.append(draft(**FULL))
    first = erase(store, "ids", [event.id])
    before = store.list()

    again = [erase(store, "ids", [event.id, event.id]), erase(store, "userId", "u2"), erase(store, "subjectId", "s1")]

    assert (first.erased, len(first.events)) == (1, 1)
    assert again == [Erased(erased=0, events=[])] * 3
    assert store.list() == before
    assert len(_audit(store)) == 1


def test_what_was_erased_before_does_not_count(store: Store) -> None:
    events = store.append(*(draft() for _ in range(4)))
    ids = [event.id for event in events]
    erase(store, "ids", ids[1:2])

    answer = erase(store, "ids", [*ids, *ids])

    assert answer.erased == 3
    said = store.list()[0]["data"]["erased"]
    assert [name["seq"] for name in said] == [0, 2, 3]
    check_log(store.url, store.workspace)


def test_ids_that_are_not_to_be_erased_are_named_and_nothing_is(store: Store) -> None:
    own = server_draft("synap.webhook.disabled", {}, id=draft().id, node=store.node)
    first, _ = store.append(draft(), own)
    (elsewhere,) = store.append(draft(), workspace=store.other)
    before = store.list()

    with pytest.raises(InvalidInput) as refused:
        erase(store, "ids", [first.id, own.id, UUID(ID), elsewhere.id])

    assert [(issue.path, issue.message.split(";")[0]) for issue in refused.value.issues] == [
        ("ids.1", "names an event that the server wrote, which is never erased"),
        ("ids.2", "names no event of this workspace"),
        ("ids.3", "names no event of this workspace"),
    ]
    assert store.list() == before
    assert _audit(store) == []


def test_the_servers_own_events_stay_whoever_their_user_is(store: Store) -> None:
    own = server_draft("synap.webhook.disabled", {"a": 1}, id=draft().id, node=store.node)
    store.append(own, draft(user_id=store.node))

    answer = erase(store, "userId", store.node)

    assert answer.erased == 1
    assert [event.get("erased") for event in store.list()] == [None, True, None]
    check_log(store.url, store.workspace)


def test_a_confined_caller_erases_its_own_users_events(store: Store) -> None:
    mine, theirs, mine_too = store.append(
        draft(user_id="mine", subject_id="s"), draft(user_id="theirs", subject_id="s"), draft(user_id="mine")
    )

    with pytest.raises(InvalidInput) as refused:
        erase(store, "ids", [mine.id, theirs.id], "mine")
    with pytest.raises(InvalidInput) as unknown:
        erase(store, "ids", [mine.id, UUID(ID)], "mine")
    answers = [
        erase(store, "userId", "theirs", "mine"),
        erase(store, "subjectId", "s", "mine"),
        erase(store, "ids", [mine.id, mine_too.id], "mine"),
    ]

    assert refused.value.issues == unknown.value.issues
    assert [answer.erased for answer in answers] == [0, 1, 1]
    assert [event["userId"] for event in store.list() if event["type"] == "note.created"] == ["", "theirs", ""]


def test_an_erased_id_returns_its_tombstone(store: Store) -> None:
    store.append(draft(id=ID, **FULL))
    erase(store, "userId", "u2")
    tombstone = store.list()[-1]

    again, _ = store.append(draft(id=ID, **FULL), draft())
    (other,) = store.append(draft("other.type", {"other": "content"}, id=ID))

    assert [msgspec.json.decode(msgspec.json.encode(event)) for event in (again, other)] == [tombstone] * 2
    assert store.page()["total"] == 3
    check_log(store.url, store.workspace)


def test_streams_and_lookups_get_the_tombstone(store: Store) -> None:
    (event,) = store.append(draft(**FULL))
    erase(store, "ids", [event.id])
    (tombstone,) = store.list(type="note.*")

    async def first(only_user: str | None, **query: str) -> Any:
        asked = msgspec.convert({"start": "beginning", "type": "note.*"} | query, StreamEvents)
        stream = await store.feed.follow(store.workspace, asked, only_user)
        try:
            async with asyncio.timeout(0.3 if query or only_user else 10):
                return [json.loads(item.json) for item in await anext(stream) if isinstance(item, Tracked)]
        except TimeoutError:
            return None
        finally:
            await stream.aclose()

    found = store.run(store.reader.get(store.workspace, event.id))
    by_hash = store.run(store.reader.get(store.workspace, bytes.fromhex(event.hash.removeprefix("sha256:"))))
    assert json.loads(found.event.json) == json.loads(by_hash.event.json) == tombstone
    assert found.user_id == ""
    assert store.run(first(None)) == [tombstone]
    assert store.run(first(None, userId="u2")) is None
    assert store.run(first("u2")) is None


def test_an_unknown_workspace_is_not_found(store: Store) -> None:
    nowhere = msgspec.structs.replace(store, workspace="nosuch")

    for by, value in (("userId", "u2"), ("ids", [UUID(ID)])):
        with pytest.raises(NotFound):
            erase(nowhere, by, value)


def test_more_than_a_transaction_takes_are_erased_thousand_by_thousand(store: Store) -> None:
    for _ in range(3):
        store.append(*(draft(**FULL) for _ in range(700)), draft())

    answer = erase(store, "userId", "u2")

    said = store.list(type="synap.event.erased")[::-1]
    assert answer.erased == 2100
    assert answer.events == [UUID(event["id"]) for event in said]
    assert [len(event["data"]["erased"]) for event in said] == [MAX_EVENTS, MAX_EVENTS, 100]
    assert [json.loads(entry["detail"])["events"] for entry in _audit(store)] == [1000, 1000, 100]
    assert store.page(userId="u2")["total"] == 0
    check_log(store.url, store.workspace)


def test_large_bodies_are_erased_few_by_few(store: Store) -> None:
    large = {"text": "x" * 2**20}
    events = [store.append(draft(data=large)) for _ in range(MAX_BYTES // 2**20 + 3)]

    answer = erase(store, "ids", [event.id for (event,) in events])

    assert answer.erased == len(events)
    assert [len(event["data"]["erased"]) for event in store.list(type="synap.event.erased")] == [4, len(events) - 4]


def test_a_call_that_is_cut_short_leaves_whole_transactions_and_is_completed_by_another(store: Store) -> None:
    for _ in range(3):
        store.append(*(draft(**FULL) for _ in range(500)))
    calls: list[None] = []

    def fail_the_second_time() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise Unavailable("cut short")

    erasure = store.erasure()
    with pytest.raises(Unavailable, match=r"^1000 events were erased"):
        _erased(store, erasure, _wanted("userId", "u2"), fail_the_second_time)

    assert store.page(userId="u2")["total"] == 500
    assert store.page(type="synap.event.erased")["total"] == 1
    check_log(store.url, store.workspace)
    assert _erased(store, erasure, _wanted("userId", "u2")).erased == 500
    check_log(store.url, store.workspace)


def test_what_is_logged_meanwhile_is_not_part_of_it(store: Store) -> None:
    for _ in range(3):
        store.append(*(draft(**FULL) for _ in range(500)))
    tasks: list[asyncio.Task[Any]] = []

    def log_another() -> None:
        tasks.append(asyncio.get_running_loop().create_task(store.log.append(store.workspace, [draft(**FULL)])))

    answer = _erased(store, store.erasure(), _wanted("userId", "u2"), log_another)

    store.run(asyncio.wait_for(_all(tasks), 60))
    assert answer.erased == 1500
    assert store.page(userId="u2")["total"] == len(tasks) == 2
    check_log(store.url, store.workspace)


async def _all(tasks: Sequence[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks)


def test_appends_and_erasures_at_once(store: Store) -> None:
    erasures = [store.erasure(EventLog(store.database, store.keys, store.node)) for _ in range(3)]

    def act(events: int, seq: int) -> Act:
        return Act.of("events.erased", "k", {"events": events, "seq": seq}, [store.workspace])

    async def write(user: str) -> None:
        for _ in range(30):
            await store.log.append(
                store.workspace, [draft(user_id=user, producer=user, metadata={"custom": {"u": user}})]
            )

    async def forget(erasure: Erasure, user: str) -> int:
        return sum([(await erasure.erase(store.workspace, _wanted("userId", user), act)).erased for _ in range(10)])

    async def at_once() -> list[Any]:
        writers = [write(user) for user in ("a", "b", "c")]
        return await asyncio.gather(*writers, *(forget(erasure, user) for erasure in erasures for user in ("a", "b")))

    erased = sum(count or 0 for count in store.run(at_once()))
    erased += erase(store, "userId", "a").erased + erase(store, "userId", "b").erased

    assert erased == 60
    assert store.page(userId="c")["total"] == 30
    check_log(store.url, store.workspace)


def test_names_of_producers_go_if_counting_has_stopped(store: Store) -> None:
    store.append(*(draft(**FULL) for _ in range(3)), draft(producer="p1"))
    with psycopg.connect(store.url, autocommit=True) as connection:
        connection.execute("UPDATE event_tip SET counted = false WHERE workspace_id = %s", [store.workspace])

    erase(store, "userId", "u2")

    with psycopg.connect(store.url) as connection:
        counted = connection.execute(
            "SELECT producer FROM producer_count WHERE workspace_id = %s ORDER BY 1", [store.workspace]
        ).fetchall()
    assert ("p1",) not in counted
    assert store.page(producer="p1")["total"] == 1
    assert store.page(producer="sync")["total"] == 3
    assert store.page(hasMetadata=True)["total"] == 0


def test_counts_and_the_chain_stay_true_whatever_is_appended_and_erased(store: Store) -> None:
    draw = random.Random(1)
    kept: list[dict[str, Any]] = []

    def some() -> Draft:
        members: dict[str, Any] = {
            "user_id": draw.choice(["u1", "u2", "u3"]),
            "subject_id": draw.choice([None, "s1", "s2"]),
            "producer": draw.choice([None, "p1", "p2", "sync"]),
            "source": draw.choice(["api", "sync"]),
        }
        if draw.random() < 0.5:
            members["metadata"] = {"custom": {"n": draw.random()}}
        return draft(draw.choice(["a.b", "a.c", "d.e"]), {"n": draw.random()}, **members)

    for step in range(60):
        store.append(*(some() for _ in range(draw.randint(1, 8))))
        kept = [event for event in store.list(limit=1000) if not event["type"].startswith("synap.")]
        match draw.choice(["ids", "userId", "subjectId", None]):
            case "ids":
                erase(store, "ids", [UUID(event["id"]) for event in draw.sample(kept, min(len(kept), 3))])
            case "userId":
                erase(store, "userId", draw.choice(["u1", "u2", "u3", "u4"]))
            case "subjectId":
                erase(store, "subjectId", draw.choice(["s1", "s2"]))
        _check_totals(store)
        if step % 20 == 19:
            check_log(store.url, store.workspace)


def _check_totals(store: Store) -> None:
    """Check that every total from a counter is the number of events that match."""
    events = store.list(limit=1000)
    with_metadata = {has: [event for event in events if ("metadata" in event) == has] for has in (True, False)}
    totals: dict[str, dict[Any, int]] = {
        "type": {name: sum(event["type"] == name for event in events) for name in ("a.b", "d.e", "synap.event.erased")},
        "source": {name: sum(event["source"] == name for event in events) for name in ("api", "sync", "system")},
        "hasMetadata": {has: len(found) for has, found in with_metadata.items()},
        "producer": {
            name: sum(event.get("producer", event["source"]) == name for event in events)
            for name in ("p1", "p2", "api", "sync", "system")
        },
    }
    for name, counts in totals.items():
        for value, count in counts.items():
            assert store.page(**{name: value}, limit=1)["total"] == count, (name, value)
    for has, found in with_metadata.items():
        for source in ("api", "sync"):
            count = sum(event["source"] == source and event["type"].startswith("a.") for event in found)
            assert store.page(hasMetadata=has, source=source, type="a.*", limit=1)["total"] == count


def test_a_verifier_accepts_an_erasure_and_finds_a_removed_body(store: Store) -> None:
    events = store.append(*(draft(data={"n": n}) for n in range(6)))
    erase(store, "ids", [events[1].id, events[3].id])
    log = check_log(store.url, store.workspace)
    empty: dict[str, Any] = {"payload": {}, "context": {}, "erased": True}
    named = log[6]["payload"]["erased"]

    def with_(seq: int, **members: Any) -> list[dict[str, Any]]:
        return [*log[:seq], log[seq] | members, *log[seq + 1 :]]

    assert [event.get("erased") for event in log] == [None, True, None, True, None, None, None]
    assert named == [{name: log[seq][field] for name, field in NAMES.items()} for seq in (1, 3)]
    missing = "the body is missing, and no later event says that it was erased"
    assert verdicts_on(
        log, with_(2, **empty), log[:6], with_(6, **empty), with_(1, erased=False), with_(3, payload={"n": 3})
    ) == [
        "7 events verify",
        f"seq 2: {missing}",
        f"seq 1: {missing}",
        "seq 6: an event of the server was erased",
        "seq 1: it is erased, but has a body",
        "seq 3: it is erased, but has a body",
    ]


NAMES = {"seq": "seq", "id": "event_id", "hash": "hash"}
