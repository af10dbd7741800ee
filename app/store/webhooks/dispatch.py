"""The dispatch looks through a log for its webhook subscriptions. Each match becomes a delivery."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import msgspec
from msgspec import Struct
from psycopg.pq import TransactionStatus

from app.capacity.turns import Turns
from app.filters.cost import cost, weight
from app.filters.event import FoundEvent
from app.filters.matches import matches
from app.store.events.rows import EVENT_BYTES, EVENT_JSON, FOUND, array, to_found
from app.store.postgres.database import BEGIN, COMMIT, LOST, ROLLBACK, Database, is_broken, unavailable
from app.store.postgres.pipe import Call, PipedConnection, Row
from app.store.postgres.walk import Entry, Walk, each_sql, fitting_types
from app.store.webhooks.subscribers import Subscriber, Subscribers
from app.store.webhooks.subscriptions import LOCK_SUBSCRIPTIONS
from schemas.errors import InvalidInput
from schemas.event import SynapEvent
from schemas.filter import Node

MAX_EVENTS = 1000
"""How many events one step looks through."""

MAX_MATCHES = 5000
"""How many deliveries one step writes, unless its first event has more."""

MAX_JUDGED = 250
MAX_JUDGED_BYTES = 2**20
MAX_JUDGED_COST = 2**26
"""How many events the filters are applied to in one step, their size, and the cost of all filters on them. The first
event is always included."""

MAX_UNTRIED = 10_000
"""How many deliveries may wait for their first attempt. A subscription with more falls behind: its backlog is then a
place in the log instead of rows."""

SPAN = 10_000
"""How many seqs a subscription that is behind is brought forward in one step."""

GET_PLACE = "SELECT seq, version FROM dispatch WHERE workspace_id = %(workspace)s"
"""The seq up to which a log has been looked through, and the version of its subscriptions."""

LOCK_PLACE = "SELECT seq, version FROM dispatch WHERE workspace_id = %(workspace)s FOR UPDATE SKIP LOCKED"
"""The place of a dispatch, locked. No row if another process has the lock: one at a time looks through a log."""

LIST_NEXT_EVENTS = f"""
SELECT seq, type, user_id FROM event
WHERE workspace_id = %(workspace)s AND seq > (SELECT seq FROM dispatch WHERE workspace_id = %(workspace)s)
ORDER BY seq LIMIT {MAX_EVENTS}
"""
"""The next events of the log that have not been looked through."""

LIST_WHOLE_EVENTS = f"""
SELECT {FOUND}, convert_to({EVENT_JSON}, 'UTF8')
FROM (
    SELECT event.*, sum({EVENT_BYTES}) OVER oldest AS bytes, row_number() OVER oldest AS place
    FROM {each_sql("seq", "%(seqs)s::bigint[]")} WINDOW oldest AS (ORDER BY seq)
) AS asked WHERE bytes <= %(max_bytes)s::bigint OR place = 1 ORDER BY seq
"""
"""The given events with their JSON, as filters read them, up to a size."""

LIST_SUBSCRIBERS = """
SELECT id, event_types, only_user, filter FROM subscription
WHERE workspace_id = %(workspace)s AND state = 'active' AND (cursor IS NULL OR %(all)s::boolean)
"""
"""The active subscriptions that take part in the dispatch; with `all` also those that are behind."""

_ADVANCE = """
UPDATE subscription AS s SET delivery_seq = s.delivery_seq + counted.matches, cursor = {cursor}
FROM (SELECT id, count(*) AS matches, array_agg(seq ORDER BY seq) AS seqs FROM matched GROUP BY id) AS counted
WHERE s.workspace_id = %(workspace)s AND s.id = counted.id AND s.state = 'active'
RETURNING s.id, s.delivery_seq - counted.matches, s.ordered, counted.seqs, s.cursor IS NOT NULL
"""
"""Numbers the matches on from each subscription's last delivery."""

WRITE_DELIVERIES = """
INSERT INTO delivery (workspace_id, subscription_id, delivery_seq, seq, ordered, replay, created_at, due_at)
SELECT %(workspace)s, id, number, seq, ordered, %(replay)s::boolean, now(),
    now() + make_interval(secs => %(first_seconds)s::float8)
FROM unnest(%(ids)s::text[], %(numbers)s::bigint[], %(seqs)s::bigint[], %(ordered)s::boolean[])
    AS owed (id, number, seq, ordered)
"""
"""Writes deliveries. It is a statement of its own: beside an UPDATE in a WITH clause, a distributed database would need
nodes that do not have the workspace."""

_PLACE_IF_BEHIND = f"CASE WHEN s.delivery_seq + counted.matches - s.attempted > {MAX_UNTRIED} THEN %(seq)s::bigint END"
"""The place of its own that a subscription gets if too many of its deliveries wait for a first attempt."""

ADVANCE_ALL = f"""
WITH matched AS (
    SELECT * FROM unnest(%(ids)s::text[], %(seqs)s::bigint[]) AS matched (id, seq)
)
{_ADVANCE.format(cursor=_PLACE_IF_BEHIND)}"""
"""Numbers the matches of a step. Returns of each subscription the number of its last delivery before, whether it is
ordered, the seqs that it gets, and whether it has fallen behind."""

MOVE_PLACE = "UPDATE dispatch SET seq = %(seq)s, version = version + %(changes)s WHERE workspace_id = %(workspace)s"
"""Moves the place of a dispatch, and its version if subscriptions have fallen behind."""

LOCK_PLACE_AND_WAIT = "SELECT seq FROM dispatch WHERE workspace_id = %(workspace)s FOR UPDATE"
"""The place of a dispatch, locked. Waits for a process that has the lock."""

_IS_BEHIND = "workspace_id = %(workspace)s AND id = %(id)s AND state = 'active' AND cursor IS NOT NULL"
"""True of the subscription if it is active and has a place of its own."""

GET_SUBSCRIPTION_BEHIND = f"""
SELECT cursor, delivery_seq - attempted, event_types, only_user, filter FROM subscription WHERE {_IS_BEHIND}
"""
"""A subscription that is behind: its place, its untried deliveries, and what it wants."""

LOCK_SUBSCRIPTION_BEHIND = f"SELECT cursor FROM subscription WHERE {_IS_BEHIND} FOR NO KEY UPDATE"
"""The place of a subscription that is behind, locked."""

_FITS = "type ~ %(types)s"

_SPAN = Walk(low=["%(after)s::bigint + 1"], high=["%(until)s::bigint"])

_WALKS = (
    msgspec.structs.replace(_SPAN, entry=fitting_types("%(types)s"), plain=_FITS),
    msgspec.structs.replace(_SPAN, entry=Entry(column="user_id", value="%(only_user)s"), rest=[_FITS]),
)

LIST_MATCHES, LIST_MATCHES_OF_USER = (
    f"SELECT seq FROM ({walk.rows(descending=False, limit=MAX_EVENTS)}) AS matched" for walk in _WALKS
)
"""The seqs of events whose type matches: of all users, and of one user."""

ADVANCE_ONE = f"""
WITH matched AS (
    SELECT %(id)s::text AS id, seq FROM unnest(%(seqs)s::bigint[]) AS matched (seq)
)
{_ADVANCE.format(cursor="s.cursor")}"""
"""Numbers the matches of one subscription that is behind, and returns the same."""

MOVE_SUBSCRIPTION = "UPDATE subscription SET cursor = %(cursor)s WHERE workspace_id = %(workspace)s AND id = %(id)s"
"""Moves the place of a subscription that is behind."""

NOTE_JOINED = "UPDATE dispatch SET version = version + 1 WHERE workspace_id = %(workspace)s"
"""Records that a subscription takes part again."""


class DispatchResult(Struct, frozen=True):
    """The result of a step: the seq up to which the log is dispatched, and the subscriptions with new deliveries."""

    seq: int
    owed: set[str]


class UnreadableFilterError(Exception):
    """Subscriptions have filters that are no longer valid. Nothing is dispatched until they are disabled."""

    def __init__(self, subscriptions: Sequence[str]) -> None:
        super().__init__(*subscriptions)
        self.subscriptions = subscriptions


class Dispatch:
    """Looks through the logs of all workspaces, for one process. Every method may raise Unavailable."""

    def __init__(self, database: Database, *, first_seconds: float) -> None:
        """`first_seconds` is the wait before the first attempt of a delivery."""
        self._database = database
        self._first_seconds = first_seconds
        self._taking_part: dict[str, tuple[int, Subscribers]] = {}
        self._active: dict[str, tuple[int, Subscribers]] = {}
        self._turns = Turns()

    async def subscribers(self, workspace: str) -> Subscribers:
        """All subscribers to a workspace's events, including those that are behind."""
        rows = await self._database.rows(GET_PLACE, {"workspace": workspace})
        if not rows:
            return Subscribers([], workspace)
        [(_, version)] = rows
        known = self._active.get(workspace)
        if known is None or known[0] != version:
            found = await self._database.rows_alone(LIST_SUBSCRIBERS, {"workspace": workspace, "all": True})
            known = self._active[workspace] = version, _subscribers(found, workspace)
        return known[1]

    async def told(self, subscribers: Subscribers, event: SynapEvent) -> list[str]:
        """The ids of the subscribers that get an event that was just logged."""
        found = subscribers.needed(event)
        work = partial(subscribers.of, event.seq, event.type, event.user_id, found)
        return await self._turns.run(subscribers.workspace, cost(subscribers.weight, found.values()), work)

    async def step(self, workspace: str) -> DispatchResult | None:
        """Write deliveries of the next events of a log for its subscribers. Returns None if another process does so.

        Filters are applied before anything is locked, because they may take long. Raises UnreadableFilterError.
        """
        key = {"workspace": workspace}
        place, events = await self._database.atomic([(GET_PLACE, key), (LIST_NEXT_EVENTS, key)])
        if not place:
            return None
        if not events:
            return DispatchResult(place[0][0], set())
        matches = await self._matches(key, place[0], events)
        owed = set(matches.ids)
        async with self._transaction() as connection:
            _, locked = await connection.trip([BEGIN, (LOCK_PLACE, key)])
            if locked != place:
                return None
            advanced: list[Row] = []
            if owed:
                calls: list[Call] = [
                    (LOCK_SUBSCRIPTIONS, key | {"ids": array(owed)}),
                    (ADVANCE_ALL, key | matches.written()),
                ]
                _, advanced = await connection.trip(calls)
            changes = sum(is_behind for *_, is_behind in advanced)
            written = [write_deliveries(key, advanced, self._first_seconds)] if advanced else []
            await connection.trip([*written, (MOVE_PLACE, key | {"seq": matches.end, "changes": changes}), COMMIT])
        return DispatchResult(matches.end, owed)

    async def _matches(self, key: Mapping[str, str], place: Row, events: Sequence[Row]) -> "_Matches":
        """Which subscribers get which of these events, from the first event on."""
        workspace, (end, version) = key["workspace"], place
        known = self._taking_part.get(workspace)
        if known is None or known[0] != version:
            rows = await self._database.rows_alone(LIST_SUBSCRIBERS, {**key, "all": False})
            known = self._taking_part[workspace] = version, _subscribers(rows, workspace)
        subscribers = known[1]
        if subscribers.unreadable:
            raise UnreadableFilterError(subscribers.unreadable)
        found, stop = await self._whole(key, subscribers.judged(events), subscribers.weight)
        work = partial(_matching, subscribers, events, found, stop=stop, end=end)
        return await self._turns.run(workspace, cost(subscribers.weight, found.values()), work)

    async def catch_up(self, workspace: str, id: str) -> bool:
        """Bring a subscription that is behind forward by one piece. Returns whether more pieces may follow.

        Its filter is applied before anything is locked, because it may take long. Raises UnreadableFilterError.
        """
        key = {"workspace": workspace, "id": id}
        places, found = await self._database.atomic([(GET_PLACE, key), (GET_SUBSCRIPTION_BEHIND, key)])
        if not places or not found:
            return False
        [(end, _)], [(cursor, untried, *about)] = places, found
        if cursor > end or untried > MAX_UNTRIED // 2:
            return False
        until, matches = await self._matches_behind(key, Subscriber(id, *about), cursor, min(end, cursor + SPAN))
        async with self._transaction() as connection:
            _, [(end,)], found = await connection.trip(
                [BEGIN, (LOCK_PLACE_AND_WAIT, key), (LOCK_SUBSCRIPTION_BEHIND, key)]
            )
            if not found or found[0][0] != cursor:
                return bool(found)
            calls: list[Call] = []
            if matches:
                [advanced] = await connection.trip([(ADVANCE_ONE, key | {"seqs": array(matches)})])
                calls += [write_deliveries(key, advanced, self._first_seconds)] if advanced else []
            has_joined = until == end
            calls.append((MOVE_SUBSCRIPTION, key | {"cursor": None if has_joined else until}))
            if has_joined:
                calls.append((NOTE_JOINED, key))
            await connection.trip([*calls, COMMIT])
        return not has_joined

    async def _matches_behind(
        self, key: Mapping[str, str], subscriber: Subscriber, cursor: int, until: int
    ) -> tuple[int, list[int]]:
        """The seq up to which the log was looked through from `cursor`, at most `until`, and the seqs that match."""
        wanted = {"after": cursor, "until": until, "types": subscriber.types, "only_user": subscriber.only_user}
        sql = LIST_MATCHES if subscriber.only_user is None else LIST_MATCHES_OF_USER
        seqs: list[int] = [seq for (seq,) in await self._database.rows_alone(sql, {**key, **wanted})]
        if len(seqs) == MAX_EVENTS:
            until = seqs[-1]
        if (node := _node(subscriber)) is None:
            return until, seqs
        whole, stop = await self._whole(key, seqs, weight(node))
        work = partial(_meeting, matches(node, key["workspace"]), whole)
        seqs = await self._turns.run(key["workspace"], cost(weight(node), whole.values()), work)
        return until if stop is None else stop - 1, seqs

    async def _whole(
        self, key: Mapping[str, str], seqs: Sequence[int], weight: int
    ) -> tuple[Mapping[int, FoundEvent], int | None]:
        """The events with these seqs, in order, and the first seq that did not fit this step (None: all did).

        `weight` is the weight of the filters that will be applied to them.
        """
        if not seqs:
            return {}, None
        max_bytes = min(MAX_JUDGED_COST // max(weight, 1), MAX_JUDGED_BYTES)
        wanted = {**key, "seqs": array(seqs[:MAX_JUDGED]), "max_bytes": max_bytes}
        found = {row[0]: to_found(row) for row in await self._database.rows_alone(LIST_WHOLE_EVENTS, wanted)}
        return found, next((seq for seq in seqs if seq not in found), None)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[PipedConnection]:
        """Yield a connection. A transaction that is open at the end of the block is rolled back. Raises Unavailable."""
        try:
            async with self._database.pool.connection() as connection:
                try:
                    yield connection
                finally:
                    if connection.info.transaction_status != TransactionStatus.IDLE:
                        await connection.trip([ROLLBACK])
        except LOST as error:
            if is_broken(error):
                await self._database.discard_broken()
            raise unavailable(error) from error


def write_deliveries(
    key: Mapping[str, object], advanced: Sequence[Row], first_seconds: float, *, replay: bool = False
) -> Call:
    """The statement that writes the deliveries of subscriptions that a statement has advanced, with its rows."""
    owed = [
        (id_, number, seq, "t" if ordered else "f")
        for id_, before, ordered, seqs, _ in advanced
        for number, seq in enumerate(seqs, before + 1)
    ]
    ids, numbers, seqs, ordered = (array([each[place] for each in owed]) for place in range(4))
    arrays = {"ids": ids, "numbers": numbers, "seqs": seqs, "ordered": ordered}
    return WRITE_DELIVERIES, {"workspace": key["workspace"], "first_seconds": first_seconds, "replay": replay, **arrays}


def _subscribers(rows: Sequence[Row], workspace: str) -> Subscribers:
    return Subscribers([Subscriber(*row) for row in rows], workspace)


def _node(subscriber: Subscriber) -> Node | None:
    """The subscriber's filter, if there is one. Raises UnreadableFilterError."""
    try:
        return subscriber.node
    except InvalidInput as error:
        raise UnreadableFilterError([subscriber.id]) from error


def _meeting(meets: Callable[[FoundEvent], bool], whole: Mapping[int, FoundEvent]) -> list[int]:
    return [seq for seq, event in whole.items() if meets(event)]


class _Matches(Struct, frozen=True):
    """The matches as pairs of a subscription and an event, and the last event that was examined."""

    ids: list[str]
    seqs: list[int]
    end: int

    def written(self) -> dict[str, object]:
        """The matches as parameters of a statement."""
        return {"ids": array(self.ids), "seqs": array(self.seqs), "seq": self.end}


def _matching(
    subscribers: Subscribers, events: Sequence[Row], found: Mapping[int, FoundEvent], *, stop: int | None, end: int
) -> _Matches:
    """The matches of these events, which begin after `end`: those before `stop`, or fewer if there are many matches."""
    ids: list[str] = []
    seqs: list[int] = []
    for seq, type_, user_id in events:
        if seq == stop:
            break  # the next step begins with this event
        matching = subscribers.of(seq, type_, user_id, found)
        if ids and len(ids) + len(matching) > MAX_MATCHES:
            break  # the next step begins with this event
        ids += matching
        seqs += [seq] * len(matching)
        end = seq
    return _Matches(ids, seqs, end)
