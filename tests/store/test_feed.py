"""Following a log: every match once and in order, from any start, however fast the reader and the log are."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import feed as feed_module
from app.feed import LARGE_BYTES, TIMER_SECONDS, WINDOW_EVENTS, Feed, Reader
from app.filters.cost import weight
from app.filters.fields import known_fields
from app.filters.matches import matcher
from app.filters.parse import parse_filter
from app.sealing.cursors import Cursor, Cursors
from app.store.events.event_log import EventLog
from app.store.events.follower import MAX_BYTES, MAX_EVENTS, SPAN, EventFollower
from app.store.postgres.database import Database
from app.store.postgres.pipe import Call, CallResult
from schemas.errors import InvalidInput, NotFound
from schemas.event import CaughtUp, StreamEvents
from schemas.written import Tracked
from tests.kit.examples import examples
from tests.store.corpus import USERS, WORKSPACES, Corpus, queries
from tests.store.opened import ANY_SKEW_SECONDS, SECRET, Store, draft


class Read:
    """What a reader received: seqs in order, and markers with the number of events before them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.markers: list[tuple[int, CaughtUp]] = []

    @property
    def seqs(self) -> list[int]:
        """The seqs in the order of arrival."""
        return [event["seq"] for event in self.events]

    def take(self, batch: list[Any]) -> None:
        """Record a batch."""
        for item in batch:
            if isinstance(item, Tracked):
                event = json.loads(item.json)
                assert item.id == event["id"]
                self.events.append(event)
            else:
                self.markers.append((len(self.events), item))


@asynccontextmanager
async def following(store: Store, only_user: str | None = None, **query: Any) -> AsyncIterator[Reader]:
    """A reader of the test's log."""
    asked = msgspec.convert(query, StreamEvents)
    reader = await store.feed.follow(store.workspace, asked, only_user)
    try:
        yield reader
    finally:
        await reader.aclose()


async def read_until(reader: Reader, done: Callable[[Read], bool]) -> Read:
    """Read until `done`."""
    read = Read()
    async with asyncio.timeout(60):
        while not done(read):
            read.take(await anext(reader))
    return read


def run_following(store: Store, count: int, only_user: str | None = None, **query: Any) -> Read:
    """Read the first `count` events of a stream."""

    async def run() -> Read:
        async with following(store, only_user, **query) as reader:
            return await read_until(reader, lambda read: len(read.events) >= count)

    read: Read = store.run(run())
    return read


def backlog(store: Store, only_user: str | None = None, **query: Any) -> Read:
    """Read a stream until it has caught up."""

    async def run() -> Read:
        async with following(store, only_user, **query, markers=True) as reader:
            return await read_until(reader, lambda read: bool(read.markers))

    read: Read = store.run(run())
    return read


@settings(max_examples=examples(250), deadline=None)
@given(data=st.data())
def test_a_stream_from_the_beginning_equals_a_plain_search(corpus: Corpus, data: st.DataObject) -> None:
    workspace = data.draw(st.sampled_from(WORKSPACES))
    query = data.draw(queries(corpus, workspace))
    only_user = data.draw(st.sampled_from([None, None, *USERS, "u3"]))
    store = msgspec.structs.replace(corpus.store, workspace=workspace)

    read = backlog(store, only_user, **query, start="beginning")

    expected = [event["seq"] for event in reversed(corpus.matching(workspace, query, only_user))]
    assert read.seqs == expected
    assert [place for place, _ in read.markers] == [len(expected)]


@settings(max_examples=examples(250), deadline=None)
@given(data=st.data())
def test_filters_in_memory_equal_filters_in_sql(corpus: Corpus, data: st.DataObject) -> None:
    """The test above compares the naive search with SQL. This one compares it with the filter in memory."""
    workspace = data.draw(st.sampled_from(WORKSPACES))
    query = data.draw(queries(corpus, workspace))
    only_user = data.draw(st.sampled_from([None, *USERS]))
    follower = EventFollower(corpus.store.database)

    async def everything() -> list[Any]:
        end, place, found = await follower.tip(workspace), -1, []
        while place < end:
            piece = await follower.next(workspace, place, end)
            found += piece.events
            place = piece.seq
        return found

    matches = matcher(msgspec.convert(query, StreamEvents), "default", only_user)
    seqs = [event.seq for event in corpus.store.run(everything()) if matches(event)]

    assert seqs == [event["seq"] for event in reversed(corpus.matching(workspace, query, only_user))]


def test_a_stream_begins_now_unless_it_says(store: Store) -> None:
    store.append(draft("before.it"))

    async def run() -> Read:
        async with following(store) as reader:
            await store.log.append(store.workspace, [draft("after.it")])
            return await read_until(reader, lambda read: bool(read.events))

    assert [event["type"] for event in store.run(run()).events] == ["after.it"]


def test_a_stream_begins_behind_an_event_or_a_cursor(store: Store) -> None:
    events = store.append(*(draft() for _ in range(5)))
    marker = backlog(store, start="beginning").markers[0][1]
    store.append(*(draft() for _ in range(2)))

    assert run_following(store, 4, start=str(events[2].id)).seqs == [3, 4, 5, 6]
    assert run_following(store, 4, start=str(events[2].id).upper()).seqs == [3, 4, 5, 6]
    assert run_following(store, 2, start=marker.cursor).seqs == [5, 6]
    assert run_following(store, 1, start="beginning", lastEventId=str(events[4].id)).seqs[0] == 5


def test_what_is_no_place_of_the_log_is_rejected_by_name(store: Store) -> None:
    event = store.append(draft(user_id="u1"))[0]
    foreign = store.append(draft(), workspace=store.other)[0]
    store.append(draft())
    cursors = Cursors(SECRET)
    places = {
        "garbage": "nosuch",
        "another log's event": str(foreign.id),
        "another log's cursor": cursors.seal(Cursor("oldest", store.other, 0, b"", 0)),
        "a list's cursor": store.page(limit=1)["nextCursor"],
        "beyond the end": cursors.seal(Cursor("oldest", store.workspace, 99, b"", 0)),
        "forged": Cursors(b"x" * 32).seal(Cursor("oldest", store.workspace, 0, b"", 0)),
    }

    for place in places.values():
        for field in ("start", "lastEventId"):
            with pytest.raises(InvalidInput) as refused:
                run_following(store, 1, **{field: place})
            assert [(issue.path, issue.code) for issue in refused.value.issues] == [(field, "invalid_cursor")]
    with pytest.raises(InvalidInput):  # callers that may not see the event do not learn that it exists
        run_following(store, 1, "u2", start=str(event.id))


def test_an_unknown_workspace_has_no_stream(store: Store) -> None:
    with pytest.raises(NotFound):
        store.run(store.feed.follow("nosuch", StreamEvents(), None))


def test_a_key_that_reads_its_own_follows_its_own(store: Store) -> None:
    store.append(*(draft(user_id=user) for user in ("u1", "u2", "u1")))

    async def run() -> Read:
        async with following(store, "u1", start="beginning") as reader:
            read = await read_until(reader, lambda read: len(read.events) == 2)
            await store.log.append(store.workspace, [draft(user_id="u2"), draft(user_id="u1")])
            live = await read_until(reader, lambda read: bool(read.events))
            read.events += live.events
            return read

    read = store.run(run())
    assert [(event["seq"], event["userId"]) for event in read.events] == [(0, "u1"), (2, "u1"), (4, "u1")]


def test_the_marker_comes_once_after_the_backlog_even_without_matches(store: Store) -> None:
    store.append(*(draft("a.b") for _ in range(3)))

    async def run() -> Read:
        async with following(store, start="beginning", type="c.d", markers=True) as reader:
            read = await read_until(reader, lambda read: bool(read.markers))
            await store.log.append(store.workspace, [draft("a.b"), draft("c.d")])
            live = await read_until(reader, lambda read: bool(read.events))
            return Read() if read.events or live.markers else live

    assert store.run(run()).seqs == [4]


def test_backfill_and_live_meet_without_a_gap(store: Store) -> None:
    """Readers start anywhere and at any time, while others append."""
    random_ = random.Random(7)
    total, readers = 1500, 12

    async def append() -> None:
        done = 0
        while done < total:
            size = min(random_.choice([1, 1, 2, 7, 60]), total - done)
            done += size
            await store.log.append(store.workspace, [draft("a.b", {"n": n}) for n in range(size)])
            await asyncio.sleep(random_.choice([0, 0, 0.005]))

    async def follow(number: int) -> list[int]:
        await asyncio.sleep(random_.random() * 0.4)
        start = random_.choice(["beginning", "beginning", "now"])
        query = {"type": "a.*"} if number % 2 else {}
        async with following(store, start=start, **query) as reader:
            read = Read()
            async with asyncio.timeout(120):
                while not read.events or read.seqs[-1] < total - 1:
                    read.take(await anext(reader))
                    if number % 3 == 0:
                        await asyncio.sleep(0.02)  # a slow reader
            return read.seqs

    async def run() -> list[list[int]]:
        appending = asyncio.create_task(append())
        followed = await asyncio.gather(*(follow(number) for number in range(readers)))
        await appending
        return followed

    for seqs in store.run(run()):
        assert seqs == list(range(seqs[0], total))


def test_a_reader_that_falls_behind_the_window_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "WINDOW_EVENTS", 10)

    async def run() -> tuple[Read, int]:
        async with following(store) as slow, following(store) as fast:
            for _ in range(20):
                await store.log.append(store.workspace, [draft() for _ in range(5)])
                await read_until(fast, lambda read: len(read.events) == 5)
            window = len(slow.tail.window)
            return await read_until(slow, lambda read: len(read.events) == 100), window

    read, window = store.run(run())
    assert read.seqs == list(range(100))
    assert window <= 10 < WINDOW_EVENTS


def test_what_every_reader_has_received_is_released(store: Store) -> None:
    async def run() -> int:
        async with following(store) as reader:
            for _ in range(5):
                await store.log.append(store.workspace, [draft() for _ in range(5)])
                await read_until(reader, lambda read: len(read.events) == 5)
            return len(reader.tail.window)

    assert store.run(run()) == 5


def test_batches_stay_small(store: Store) -> None:
    large = json.dumps({"text": "x" * (MAX_BYTES // 3)}).encode()
    store.append(*(draft(data=large) for _ in range(7)), *(draft() for _ in range(MAX_EVENTS * 2)))

    async def run() -> list[list[Any]]:
        async with following(store, start="beginning") as reader:
            batches: list[list[Any]] = []
            while sum(map(len, batches)) < 7 + MAX_EVENTS * 2:
                batches.append(await anext(reader))
            return batches

    batches = store.run(run())
    assert max(map(len, batches)) <= MAX_EVENTS
    assert max(sum(len(event.json) for event in batch) for batch in batches) < 2 * MAX_BYTES


def test_an_event_larger_than_a_batch_is_sent_alone(store: Store) -> None:
    store.append(draft(), draft(data=json.dumps({"text": "x" * 2 * MAX_BYTES}).encode()), draft())

    assert run_following(store, 3, start="beginning").seqs == [0, 1, 2]


def test_slow_readers_of_a_key_hold_a_bounded_size(store: Store) -> None:
    size = LARGE_BYTES // 8
    store.append(draft(data=json.dumps({"text": "x" * size}).encode()), draft())
    query = StreamEvents(start="beginning")

    async def run() -> tuple[int, list[int], bool]:
        readers = [await store.feed.follow(store.workspace, query, None, caller="one") for _ in range(12)]
        other = await store.feed.follow(store.workspace, query, None, caller="two")
        reading = [asyncio.create_task(anext(reader)) for reader in readers]
        async with asyncio.timeout(60):
            while sum(task.done() for task in reading) < 7:
                waiting = [task for task in reading if not task.done()]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            is_served = bool(await anext(other))  # a reader of another key; events arrive in order
            held = sum(task.done() for task in reading)
            for reader, task in zip(readers, reading, strict=True):
                if task.done():
                    await reader.aclose()  # its client is gone
            rest = [reader for reader, task in zip(readers, reading, strict=True) if not task.done()]
            read = [len(await task) for task in reading]
            for reader in [*rest, other]:
                await reader.aclose()
        return held, read, is_served

    held, read, is_served = store.run(run())

    assert held == 7, "the eighth does not fit, because an event takes more than its text"
    assert read == [1] * 12
    assert is_served


def test_a_reader_that_continues_releases_what_it_held(store: Store) -> None:
    large = json.dumps({"text": "x" * (LARGE_BYTES // 2)}).encode()
    store.append(*(draft(data=large) for _ in range(3)))

    assert run_following(store, 3, start="beginning").seqs == [0, 1, 2]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ({"type": "a.b"}, 1),
        ({"OR": [{"data.a": 1}, {"NOT": {"data.b": {"in": [1, 2, 3]}}}]}, 1 + 1 + 1 + 3),
        ({"data.a": {"gt": 1, "lt": 5}}, 3),
    ],
    ids=["one", "several", "two of a field"],
)
def test_a_filter_weighs_what_it_compares(filter_: dict[str, Any], expected: int) -> None:
    assert weight(parse_filter(filter_, "filter", known_fields())) == expected


def test_a_live_reader_with_a_heavy_filter_misses_nothing(store: Store) -> None:
    asked = [{"data.text": {"contains": f"no{number}"}} for number in range(97)]
    query = msgspec.convert({"filter": {"OR": [*asked, {"data.text": {"endsWith": "y"}}]}}, StreamEvents)
    drafts = [draft(data=json.dumps({"text": "x" * 100_000 + end}).encode()) for end in "yzyz"]

    async def run() -> Read:
        readers = [await store.feed.follow(store.workspace, query, None, caller=key) for key in ("one", "one", "two")]
        await store.log.append(store.workspace, drafts)
        reads = [await read_until(reader, lambda read: len(read.events) == 2) for reader in readers]
        for reader in readers:
            await reader.aclose()
        assert reads[0].seqs == reads[1].seqs
        return reads[2]

    assert store.run(run()).seqs == [0, 2]


def test_a_filter_that_seldom_matches_is_read_in_spans(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.events.follower.SPAN", 7)
    store.append(*(draft("c.d" if n in {20, 49} else "a.b") for n in range(50)))

    assert backlog(store, start="beginning", type="c.d").seqs == [20, 49]
    assert SPAN > 7


def test_without_notices_commits_of_others_are_found_by_the_timer(store: Store) -> None:
    """The other writer sends no notices."""

    async def run() -> Read:
        deaf = EventLog(store.database, store.keys, store.node, store.clock, max_skew_seconds=ANY_SKEW_SECONDS)
        async with following(store) as reader:
            await deaf.append(store.workspace, [draft()])
            return await read_until(reader, lambda read: bool(read.events))

    assert store.run(run()).seqs == [0]


def test_idle_readers_cost_no_query_each(store: Store) -> None:
    class Counting(Database):
        reads = 0

        async def _trip(self, calls: Sequence[Call], **options: bool) -> Sequence[CallResult]:
            self.reads += len(calls)
            return await super()._trip(calls, **options)

    async def run() -> int:
        database = Counting(store.url)
        await database.open()
        feed = Feed(EventFollower(database), Cursors(SECRET))
        queries = [StreamEvents(subject_id=f"s{number}") for number in range(300)]
        readers = [await feed.follow(store.workspace, query, None) for query in queries]
        waiting = [asyncio.ensure_future(anext(reader)) for reader in readers]
        opened = database.reads
        await asyncio.sleep(2 * TIMER_SECONDS)
        asked = database.reads - opened
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await feed.close()
        await database.close()
        return asked

    assert store.run(run()) < 30, "300 readers wait"  # a cluster is asked a few times more than one PostgreSQL
