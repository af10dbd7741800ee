"""Live reading: follows the logs, and gives every event to every reader once, in order.

A reader is a place in a log and a filter. Far behind the end of the log it reads pieces with its own queries, at its
own pace (backfill). Near the end it reads from a window of the last events, which all readers of the log share: one
query per commit, however many readers (live). If it falls behind the window, it returns to its own queries. So no queue
can overflow, a slow reader is only further behind, and an idle one costs nothing.

The change from backfill to live loses no event: seq has no gaps, and a reader takes from the window only events that
directly follow its place.

The end of a log moves when this process commits, when it gets the notice of another process, and when a timer finds a
lost notice with one query for all logs that have readers.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from weakref import WeakValueDictionary

import msgspec
import structlog

from app.capacity.budget import Budget
from app.capacity.turns import Turns
from app.filters.cost import cost, weight
from app.filters.event import FoundEvent
from app.filters.matches import matcher
from app.filters.parse import filter_of
from app.sealing.cursors import Cursor, Cursors
from app.store.events.follower import MAX_BYTES, MAX_EVENTS, EventFollower
from app.store.events.query import EventConditions
from app.telemetry.metrics import FEED_SECONDS
from schemas.base import Instant
from schemas.errors import InvalidInput, Issue, RateLimited, Unavailable
from schemas.event import START_MESSAGE, CaughtUp, EventQuery, StreamEvents, SynapEvent
from schemas.instants import FAR, fault_of, is_far, is_meant
from schemas.reference import named_event
from schemas.written import Tracked

TIMER_SECONDS = 2.0
"""The longest delay after a lost notice."""

RETRY_SECONDS = 0.5
"""The time between two attempts to read while the database is not reachable."""

WINDOW_EVENTS = 2000
WINDOW_BYTES = 2**22
"""The maximum of a log's window. Readers that are further behind use their own queries."""

LARGE_BYTES = 2**24
"""The maximum that all readers of a key hold at once of events larger than a piece; other readers wait."""

OLDEST_FIRST = "oldest"
"""The name of this module's order, to which its cursors are bound."""

logger = structlog.get_logger("synap.feed")


class Feed:
    """The live logs of one process. For any number of tasks of one event loop."""

    def __init__(
        self, follower: EventFollower, cursors: Cursors, readers_changed: Callable[[], None] = lambda: None
    ) -> None:
        """`readers_changed` is called when the first reader has come, and when the last one has gone."""
        self.follower = follower
        self._readers_changed = readers_changed
        self._cursors = cursors
        self._tails: dict[str, _Tail] = {}
        self._timer: asyncio.Task[None] | None = None
        self.turns = Turns()
        self._budgets: WeakValueDictionary[str, Budget] = WeakValueDictionary()

    @property
    def readers(self) -> int:
        """The number of readers."""
        return sum(len(tail.readers) for tail in self._tails.values())

    @property
    def behind(self) -> int:
        """How many events the furthest reader is behind its log."""
        return max((tail.behind for tail in self._tails.values()), default=0)

    def reached(self, workspace: str, seq: int) -> None:
        """Note that a log has reached `seq`: it is committed, and visible to every query from now on."""
        tail = self._tails.get(workspace)
        if tail is not None:
            tail.reached(seq)

    def missed(self) -> None:
        """Look at the logs now, because notices may have been lost."""
        if self._tails:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.create_task(self._tick())

    async def follow(self, workspace: str, query: StreamEvents, only_user: str | None, *, caller: str = "") -> "Reader":
        """A reader of the events that match the query, from its start; with `only_user`, of that user's events only.

        What the readers of one `caller` hold and compute at once is limited.

        The reader is listening when this returns. Raises InvalidInput for a start that is not a place of this log, or a
        filter with relations; NotFound, Unavailable.
        """
        selection = Selection(query, workspace, only_user)
        tail = self._tails.get(workspace)
        if tail is None:
            tail = self._tails[workspace] = _Tail(self.follower, workspace)
            if self._timer is None:
                self._timer = asyncio.create_task(self._tick())
        budget = self._budgets.setdefault(caller, Budget(LARGE_BYTES))
        reader = Reader(self, tail, selection, caller, budget, with_marker=bool(query.markers))
        tail.readers.add(reader)  # before the query for the end, so that later commits are noticed
        if self.readers == 1:
            self._readers_changed()
        try:
            end = await self.follower.tip(workspace)
            tail.begin(end)
            field, start = ("lastEventId", query.last_event_id) if query.last_event_id else ("start", query.start)
            reader.seq = await self.place(workspace, start or "now", only_user, field=field, end=end)
            reader.backlog_end = end
        except BaseException:
            self.forget(reader)
            raise
        return reader

    async def close(self) -> None:
        """End all reading."""
        tasks = [self._timer, *(tail.task for tail in self._tails.values())]
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)

    def cursor(self, workspace: str, seq: int) -> str:
        """The place `seq` as a cursor after which to resume."""
        return self._cursors.seal(Cursor(OLDEST_FIRST, workspace, seq, b"", 0))

    def forget(self, reader: "Reader") -> None:
        """Remove a reader. With the last reader of a log its window goes too."""
        tail = reader.tail
        tail.readers.discard(reader)
        if not tail.readers and self._tails.get(tail.workspace) is tail:
            del self._tails[tail.workspace]
            if tail.task is not None:
                tail.task.cancel()
            if not self._tails:
                self._readers_changed()

    async def place(self, workspace: str, start: str, only_user: str | None, *, field: str, end: int) -> int:
        """The seq after which a reader starts. `start` is what it sent in `field`; the log ends at `end`.

        `start` is `now`, `beginning`, the id of an event, a cursor, or a time. Raises InvalidInput if it is not a place
        of this log, Unavailable.
        """
        if start == "now":
            return end
        if start == "beginning":
            return -1
        if (reference := named_event(start)) is not None:
            place = await self.follower.place(workspace, reference)
            if place is None or only_user not in {None, place[1]}:
                message = "is not the id of an event of this log; start at 'beginning' or 'now'"
                raise InvalidInput([Issue(field, message, "invalid_cursor")])
            return place[0]
        with suppress(msgspec.ValidationError):
            at = msgspec.convert(start, Instant)
            if is_far(at):
                raise InvalidInput([Issue(field, FAR)])
            return await self.follower.before(workspace, at)
        if is_meant(start):
            raise InvalidInput([Issue(field, fault_of(start))])
        try:
            cursor = self._cursors.open(start, order=OLDEST_FIRST, workspace=workspace)
        except InvalidInput:
            raise InvalidInput([Issue(field, START_MESSAGE, "invalid_cursor")]) from None
        if cursor.seq > end:
            raise InvalidInput([Issue(field, "is a place that this log has not reached", "invalid_cursor")])
        return cursor.seq

    async def _tick(self) -> None:
        """Look for lost notices, as long as there are readers."""
        while self._tails:
            with suppress(Unavailable):
                for workspace, seq in (await self.follower.tips(list(self._tails))).items():
                    self.reached(workspace, seq)
            await asyncio.sleep(TIMER_SECONDS)
        self._timer = None


class Selection:
    """The events of a stream: as SQL for those before the window, and as a function for those in it."""

    def __init__(self, query: StreamEvents, workspace: str, only_user: str | None) -> None:
        """Raises InvalidInput for an invalid filter."""
        self.sql = EventConditions(query, workspace, only_user)
        self.matches: Callable[[FoundEvent], bool] | None = None
        if any(getattr(query, name) is not None for name in EventQuery.__struct_fields__) or only_user is not None:
            self.matches = matcher(query, workspace, only_user)
        self.weight = weight(filter_of(query))


class Reader:
    """One stream: batches of events in the order of seq, and the marker if it was asked for.

    For one task. Call `aclose` at the end, even if it was not iterated.
    """

    def __init__(
        self, feed: Feed, tail: "_Tail", selection: Selection, caller: str, budget: Budget, *, with_marker: bool
    ) -> None:
        self.tail = tail
        self.seq = tail.seq
        """Every event up to here was returned or does not match. A new reader starts with the end of the log."""
        self.backlog_end = -1
        self._feed = feed
        self._marker_due = with_marker
        self._selection = selection
        self._caller = caller
        self._budget = budget
        self._held = 0
        """The part of the budget that the last batch holds."""

    @property
    def place(self) -> str:
        """The cursor of the reader's place."""
        return self._feed.cursor(self.tail.workspace, self.seq)

    async def __anext__(self) -> list[Tracked[SynapEvent] | CaughtUp]:
        """The next batch of events that match; waits for the first of them. It never ends by itself.

        A reader that asks for the next batch has sent the last one, and no longer holds it.
        """
        self._give_back()
        while True:
            events, seq = await self._next()
            size = sum(len(event.json) for event in events)
            if size > max(self._held, MAX_BYTES):
                self._give_back()
                if not self._budget.take(size):
                    events = []  # a reader that waits holds nothing, and reads the events again
                    await self._budget.wait(size)
                    self._held = size
                    continue
                self._held = size
            self.seq = seq
            batch: list[Tracked[SynapEvent] | CaughtUp] = [*events]
            if self._marker_due and self.seq >= self.backlog_end:
                self._marker_due = False
                batch.append(CaughtUp(caught_up=True, cursor=self.place))
            if batch:
                return batch
            if self.seq >= self.tail.seq:
                await self.tail.moved()

    async def aclose(self) -> None:
        """Stop reading."""
        self._give_back()
        self._feed.forget(self)

    def _give_back(self) -> None:
        held, self._held = self._held, 0
        if held:
            self._budget.give(held)

    async def _next(self) -> tuple[list[Tracked[SynapEvent]], int]:
        """The matching events of the next piece, perhaps none, and the place after it."""
        if self.seq < self.tail.first - 1:
            try:
                piece = await self._feed.follower.matching(self._selection.sql, self.seq, self.tail.seq)
            except (RateLimited, Unavailable) as error:  # the stream continues: waiting loses nothing
                await asyncio.sleep(error.retry_after_seconds if isinstance(error, RateLimited) else RETRY_SECONDS)
                return [], self.seq
            return [found.event for found in piece.events], piece.seq
        events, matches = self._window(), self._selection.matches
        seq = events[-1].seq if events else self.seq
        if matches is not None and events:
            work = partial(_matching, events, matches)
            events = await self._feed.turns.run(self._caller, cost(self._selection.weight, events), work)
        return [found.event for found in events], seq

    def _window(self) -> list[FoundEvent]:
        """The next events of the window: at most the size of a piece, but at least one event if there is one."""
        size, begin = 0, self.seq + 1 - self.tail.first
        for count, found in enumerate(self.tail.window[begin : begin + MAX_EVENTS]):
            size += len(found.event.json)
            if size > MAX_BYTES:
                return self.tail.window[begin : begin + max(count, 1)]
        return self.tail.window[begin : begin + MAX_EVENTS]


def _matching(events: Sequence[FoundEvent], matches: Callable[[FoundEvent], bool]) -> list[FoundEvent]:
    return [found for found in events if matches(found)]


class _Tail:
    """The end of one log, and its readers."""

    def __init__(self, follower: EventFollower, workspace: str) -> None:
        self.workspace = workspace
        self.readers: set[Reader] = set()
        self.window: list[FoundEvent] = []
        """The last events, without gaps, up to `seq`."""
        self.seq = -1
        """Every event up to here has been in the window."""
        self.task: asyncio.Task[None] | None = None
        self._follower = follower
        self._end = -1
        self._begun = False
        self._moved: asyncio.Future[None] | None = None

    @property
    def first(self) -> int:
        """The first seq of the window, or of the window to come."""
        return self.seq + 1 - len(self.window)

    @property
    def behind(self) -> int:
        """How many events the furthest reader has not looked at yet."""
        return max((self._end - reader.seq for reader in self.readers), default=0) if self._begun else 0

    def begin(self, end: int) -> None:
        """Note that the log ends at `end` or later. A new window begins there."""
        if not self._begun:
            self._begun = True
            self.seq = end
        self.reached(end)

    def reached(self, seq: int) -> None:
        """Note that the log has reached `seq`."""
        self._end = max(self._end, seq)
        if self._begun and self._end > self.seq and self.task is None:
            self.task = asyncio.create_task(self._read())

    async def moved(self) -> None:
        """Wait until the window has moved."""
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._moved)

    async def _read(self) -> None:
        """Read to the end of the log, and wake the window's readers after each piece."""
        while self.seq < self._end:
            try:
                piece = await self._follower.next(self.workspace, self.seq, self._end)
            except Exception as error:  # noqa: BLE001 - the readers wait for this loop: it must go on
                if not isinstance(error, Unavailable):
                    logger.warning("defect", defect=type(error).__name__, workspace=self.workspace, seq=self.seq)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if piece.events:
                waited = datetime.now(UTC) - piece.events[0].recorded_at
                FEED_SECONDS.observe(max(waited.total_seconds(), 0.0))
            self._trim()
            self.window += piece.events
            self.seq = piece.seq
            self._bound()
            if self._moved is not None:
                self._moved.set_result(None)
                self._moved = None
        self.task = None

    def _trim(self) -> None:
        """Drop the events that every reader of the window has had."""
        slowest = min((reader.seq for reader in self.readers if reader.seq >= self.first - 1), default=self.seq)
        del self.window[: slowest + 1 - self.first]

    def _bound(self) -> None:
        """Drop the oldest events beyond the window's maximum."""
        size = 0
        for kept, found in enumerate(reversed(self.window)):
            size += len(found.event.json)
            if kept == WINDOW_EVENTS or (size > WINDOW_BYTES and kept):
                del self.window[: len(self.window) - kept]
                break
