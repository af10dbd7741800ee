"""What webhook subscriptions are owed: written from the log by cursor, claimed, and brought to an end.

Three promises hold over any crash. A subscription's deliveries and its place in the log move in one transaction, so no
match is missed and none is numbered twice. A delivery that is claimed becomes due again when the claim ends, so it is
attempted at least once. An attempt is recorded for the state that it was made in, so of two processes that both made
it, one alone decides what comes next.

Locks are taken in one order: the workspace's row in `dispatch`, subscriptions by id, deliveries.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec
from msgspec import Struct
from psycopg.pq import TransactionStatus

from app.filter import FoundEvent, Subscriber, Subscribers, judge
from app.store.database import BEGIN, COMMIT, LOST, ROLLBACK, Database, is_broken, unavailable
from app.store.pipe import Call, PipedConnection, Row
from app.store.rows import EVENT_BYTES, EVENT_JSON, FOUND, INSTANT, to_found
from app.store.walk import Entry, Walk, each_sql, fitting_types, one_sql
from schemas.errors import InvalidInput

MAX_EVENTS = 1000
"""Events that are looked through in one step."""

MAX_MATCHES = 5000
"""Deliveries that one step writes, unless its first event alone has more."""

MAX_JUDGED = 250
MAX_JUDGED_BYTES = 2**20
"""Events that filters judge in one step, and their size, unless the first alone is larger: nobody else in this process
is served meanwhile."""

MAX_UNTRIED = 10_000
"""Deliveries that wait for their first attempt: a subscription with more falls behind, and its backlog stays a place
in the log in place of rows."""

SPAN = 10_000
"""Places that a subscription which is behind is brought forward in one step, while its workspace waits."""

MAX_SUBSCRIPTIONS = 200
"""Subscriptions whose deliveries are claimed at once."""

FAILING_SECONDS = 60
"""A receiver from which nothing but failures came for as long is called failing: one that fails now and then is not."""

KEPT_DAYS = 30
"""How long a delivery that has ended can be looked up."""

PURGED = 1000

LOCK = "SELECT seq, version FROM dispatch WHERE workspace_id = %(workspace)s FOR UPDATE SKIP LOCKED"
"""One process at a time looks through a log; another has nothing to wait for."""

EVENTS = f"""
SELECT seq, type, user_id FROM event
WHERE workspace_id = %(workspace)s AND seq > (SELECT seq FROM dispatch WHERE workspace_id = %(workspace)s)
ORDER BY seq LIMIT {MAX_EVENTS}
"""

WHOLE = f"""
SELECT {FOUND}, convert_to({EVENT_JSON}, 'UTF8')
FROM (
    SELECT event.*, sum({EVENT_BYTES}) OVER oldest AS bytes, row_number() OVER oldest AS place
    FROM {each_sql("seq", "%(seqs)s::bigint[]")} WINDOW oldest AS (ORDER BY seq)
) AS asked WHERE bytes <= {MAX_JUDGED_BYTES} OR place = 1 ORDER BY seq
"""
"""What filters judge."""

VERSION = "SELECT version FROM dispatch WHERE workspace_id = %(workspace)s"

SUBSCRIBERS = """
SELECT id, event_types, only_user, filter FROM subscription
WHERE workspace_id = %(workspace)s AND state = 'active' AND (cursor IS NULL OR %(all)s::boolean)
"""

LOCK_SUBSCRIPTIONS = f"""
SELECT FROM (SELECT unnest(%(ids)s::text[]) ORDER BY 1) AS asked (value) CROSS JOIN LATERAL (
    {one_sql("id", "asked.value", table="subscription")} FOR NO KEY UPDATE
) AS locked
"""

_PLACE = """
(SELECT ctid FROM delivery WHERE workspace_id = %(workspace)s AND subscription_id = {0}.subscription_id
    AND delivery_seq >= {0}.delivery_seq AND delivery_seq <= {0}.delivery_seq ORDER BY delivery_seq LIMIT 1)
"""
"""Where a delivery is. Found so, and then by its `ctid`, it is the primary key that finds it: the planner may expect
less of an index of what is due. A row that another process has changed since is not found any more."""

LOCK_MADE = """
SELECT FROM json_to_recordset(%(made)s::json) AS made (subscription_id text, delivery_seq bigint)
CROSS JOIN LATERAL (
    SELECT FROM delivery WHERE workspace_id = %(workspace)s AND subscription_id = made.subscription_id
        AND delivery_seq >= made.delivery_seq AND delivery_seq <= made.delivery_seq
    ORDER BY delivery_seq LIMIT 1 FOR UPDATE
) AS locked
"""

_ADVANCED = """
advanced AS (
    UPDATE subscription AS s SET delivery_seq = s.delivery_seq + counted.matches, cursor = {cursor}
    FROM (SELECT id, count(*) AS matches, array_agg(seq ORDER BY seq) AS seqs FROM matched GROUP BY id) AS counted
    WHERE s.workspace_id = %(workspace)s AND s.id = counted.id AND s.state = 'active'
    RETURNING s.id, s.delivery_seq - counted.matches AS before, s.ordered, s.cursor, counted.seqs
), written AS (
    INSERT INTO delivery (workspace_id, subscription_id, delivery_seq, seq, ordered, created_at, due_at)
    SELECT %(workspace)s, id, before + place, seq, ordered, now(),
        now() + make_interval(secs => %(first_seconds)s::float8)
    FROM advanced CROSS JOIN LATERAL unnest(seqs) WITH ORDINALITY AS matched (seq, place)
)
"""

_BEHIND = f"CASE WHEN s.delivery_seq + counted.matches - s.attempted > {MAX_UNTRIED} THEN %(seq)s::bigint END"

OWE = f"""
WITH matched AS (
    SELECT * FROM unnest(%(ids)s::text[], %(seqs)s::bigint[]) AS matched (id, seq)
), {_ADVANCED.format(cursor=_BEHIND)}
SELECT count(*) FROM advanced WHERE cursor IS NOT NULL
"""
"""One delivery for each match, numbered on from the subscription's last. Answers how many subscriptions fall behind."""

MOVE = "UPDATE dispatch SET seq = %(seq)s, version = version + %(changes)s WHERE workspace_id = %(workspace)s"

LOCK_AND_WAIT = "SELECT seq FROM dispatch WHERE workspace_id = %(workspace)s FOR UPDATE"

BEHIND = """
SELECT cursor, delivery_seq - attempted, event_types, only_user, filter FROM subscription
WHERE workspace_id = %(workspace)s AND id = %(id)s AND state = 'active' AND cursor IS NOT NULL FOR NO KEY UPDATE
"""

_FITS = "type ~ %(types)s"

_SPAN = Walk(low=["%(after)s::bigint + 1"], high=["%(until)s::bigint"])

_WALKS = (
    msgspec.structs.replace(_SPAN, entry=fitting_types("%(types)s"), plain=_FITS),
    msgspec.structs.replace(_SPAN, entry=Entry(column="user_id", value="%(only_user)s"), rest=[_FITS]),
)

MATCHES, MATCHES_OF_USER = (
    f"SELECT seq FROM ({walk.rows(descending=False, limit=MAX_EVENTS)}) AS matched" for walk in _WALKS
)

OWE_BEHIND = f"""
WITH matched AS (
    SELECT %(id)s::text AS id, seq FROM unnest(%(seqs)s::bigint[]) AS matched (seq)
), {_ADVANCED.format(cursor="s.cursor")}
SELECT count(*) FROM advanced
"""

MOVE_BEHIND = "UPDATE subscription SET cursor = %(cursor)s WHERE workspace_id = %(workspace)s AND id = %(id)s"

CHANGED = "UPDATE dispatch SET version = version + 1 WHERE workspace_id = %(workspace)s"

WORK = f"""
SELECT d.workspace_id, CASE WHEN EXISTS (
        SELECT FROM subscription WHERE workspace_id = d.workspace_id AND state = 'active' AND cursor IS NULL)
    THEN t.seq ELSE -1 END,
    array(SELECT id FROM subscription WHERE workspace_id = d.workspace_id AND state = 'active' AND cursor <= d.seq
        AND delivery_seq - attempted <= {MAX_UNTRIED // 2}),
    array(SELECT id FROM subscription AS s WHERE workspace_id = d.workspace_id AND state = 'active' AND (
        SELECT true FROM delivery WHERE workspace_id = s.workspace_id AND subscription_id = s.id AND due_at <= now()
        ORDER BY due_at LIMIT 1))
FROM dispatch AS d JOIN event_tip AS t USING (workspace_id)
WHERE EXISTS (SELECT FROM subscription WHERE workspace_id = d.workspace_id AND state = 'active')
"""

TRIED = f"""
WITH made AS (
    SELECT * FROM json_to_recordset(%(made)s::json) AS made (subscription_id text, delivery_seq bigint, attempts int,
        at timestamptz, elapsed_ms int, status int, error text, body text, wait_seconds float8)
), moved AS (
    UPDATE delivery AS d SET attempts = d.attempts + 1, due_at = now() + make_interval(secs => made.wait_seconds),
        ended_at = CASE WHEN made.wait_seconds IS NULL THEN now() END, state = CASE
            WHEN made.error IS NULL THEN 'delivered' WHEN made.wait_seconds IS NULL THEN 'failed' ELSE 'pending' END
    FROM made JOIN subscription AS s
        ON s.workspace_id = %(workspace)s AND s.id = made.subscription_id AND s.state <> 'deleted'
    CROSS JOIN LATERAL {_PLACE.format("made")} AS found
    WHERE d.workspace_id = %(workspace)s AND d.ctid = found.ctid AND d.attempts = made.attempts
        AND d.due_at IS NOT NULL
    RETURNING made.*, d.seq
), written AS (
    INSERT INTO attempt (workspace_id, subscription_id, delivery_seq, number, at, elapsed_ms, status, error, body)
    SELECT %(workspace)s, subscription_id, delivery_seq, attempts + 1, at, elapsed_ms, status, error,
        CASE WHEN e.erased THEN '' ELSE decode(body, 'hex') END
    FROM moved CROSS JOIN LATERAL ({one_sql("seq", "moved.seq")}) AS e
)
UPDATE subscription AS s SET attempted = s.attempted + told.firsts,
    failing_since = CASE WHEN told.is_delivered THEN NULL ELSE coalesce(s.failing_since, told.first_at) END
FROM (
    SELECT subscription_id, count(*) FILTER (WHERE attempts = 0) AS firsts, bool_or(error IS NULL) AS is_delivered,
        min(at) AS first_at
    FROM moved GROUP BY subscription_id
) AS told
WHERE s.workspace_id = %(workspace)s AND s.id = told.subscription_id
RETURNING s.id, extract(epoch FROM now() - s.failing_since)::float8
"""
"""Record attempts, each for the state in which it was made. Answers for how long nothing but failures came.

What was answered to an event that was erased meanwhile is not kept: its receiver may have repeated it. Erasure takes
the lock on the subscription too, so it was either before this or finds what this wrote.
"""

RELEASE = f"""
UPDATE delivery AS d SET due_at = now()
FROM unnest(%(ids)s::text[], %(numbers)s::bigint[], %(attempts)s::int[])
    AS claimed (subscription_id, delivery_seq, attempts)
CROSS JOIN LATERAL {_PLACE.format("claimed")} AS found
WHERE d.workspace_id = %(workspace)s AND d.ctid = found.ctid AND d.attempts = claimed.attempts
    AND d.due_at IS NOT NULL
"""

CLAIM = f"""
WITH asked AS (
    SELECT * FROM unnest(%(ids)s::text[], %(rooms)s::int[]) AS asked (id, room)
), due AS MATERIALIZED (
    SELECT d.* FROM asked
    JOIN subscription AS s ON s.workspace_id = %(workspace)s AND s.id = asked.id AND s.state = 'active'
        AND NOT s.ordered
    CROSS JOIN LATERAL (
        SELECT ctid AS place_in_table, subscription_id, delivery_seq, seq, attempts FROM delivery
        WHERE workspace_id = %(workspace)s AND subscription_id = s.id AND due_at <= now()
        ORDER BY due_at LIMIT asked.room FOR UPDATE SKIP LOCKED
    ) AS d
    UNION ALL
    SELECT d.* FROM asked
    JOIN subscription AS s ON s.workspace_id = %(workspace)s AND s.id = asked.id AND s.state = 'active'
        AND s.ordered
    CROSS JOIN LATERAL (
        SELECT delivery_seq FROM delivery
        WHERE workspace_id = %(workspace)s AND subscription_id = s.id AND delivery_seq >= s.attempted AND ordered
            AND due_at IS NOT NULL
        ORDER BY delivery_seq LIMIT 1
    ) AS open CROSS JOIN LATERAL (
        SELECT ctid AS place_in_table, subscription_id, delivery_seq, seq, attempts FROM delivery
        WHERE workspace_id = %(workspace)s AND subscription_id = s.id AND due_at <= now()
            AND delivery_seq >= open.delivery_seq AND delivery_seq <= open.delivery_seq
        ORDER BY delivery_seq LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS d
), fitting AS (
    SELECT due.*, sum(octet_length(e.data)) OVER (ORDER BY due.attempts, due.seq, due.subscription_id) AS bytes,
        row_number() OVER (ORDER BY due.attempts, due.seq, due.subscription_id) AS place
    FROM due CROSS JOIN LATERAL ({one_sql("seq", "due.seq")}) AS e
), claimed AS (
    UPDATE delivery AS d SET due_at = now() + make_interval(secs => %(claim_seconds)s::float8)
    FROM fitting WHERE d.workspace_id = %(workspace)s AND d.ctid = fitting.place_in_table
        AND (fitting.bytes <= %(max_bytes)s::bigint OR fitting.place = 1)
    RETURNING d.subscription_id, d.delivery_seq, d.seq, d.attempts
)
SELECT c.subscription_id, c.delivery_seq, c.attempts, s.url, s.secret,
    CASE WHEN s.previous_until > now() THEN s.previous_secret END,
    coalesce(s.failing_since < now() - interval '{FAILING_SECONDS} seconds', false),
    e.seq, e.id::text, e.type, coalesce(e.producer, e.source), {INSTANT.format("e.recorded_at")}, e.data,
    encode(e.hash, 'hex'), e.erased
FROM claimed AS c
JOIN subscription AS s ON s.workspace_id = %(workspace)s AND s.id = c.subscription_id
CROSS JOIN LATERAL ({one_sql("seq", "c.seq")}) AS e
ORDER BY c.subscription_id, c.delivery_seq
"""
"""Claim what is due, so much of each subscription. Of an ordered one, only what everything before it has ended for.

An ordered subscription's first open delivery is its last attempted one or the next: so many are attempted, each when
those before it have ended. It is found by a snapshot that may be old, but what is locked is judged again as it is now:
where another process has ended or claimed it meanwhile, nothing is claimed.
"""

PURGE = f"""
WITH old AS (
    SELECT d.place, d.workspace_id, d.subscription_id, d.delivery_seq
    FROM subscription AS s CROSS JOIN LATERAL (
        SELECT *, ctid AS place FROM delivery WHERE workspace_id = s.workspace_id AND subscription_id = s.id
        ORDER BY delivery_seq LIMIT {PURGED}
    ) AS d
    WHERE s.state = 'deleted' OR d.ended_at < now() - interval '{KEPT_DAYS} days' LIMIT {PURGED}
), gone AS (
    DELETE FROM attempt AS a USING old WHERE a.workspace_id = old.workspace_id
        AND a.subscription_id = old.subscription_id AND a.delivery_seq = old.delivery_seq
)
DELETE FROM delivery AS d USING old WHERE d.workspace_id = old.workspace_id AND d.ctid = old.place
RETURNING d.delivery_seq
"""

PURGE_DELETED = """
DELETE FROM subscription AS s WHERE state = 'deleted' AND NOT EXISTS (
    SELECT FROM delivery WHERE workspace_id = s.workspace_id AND subscription_id = s.id)
"""


class Work(Struct, frozen=True):
    """What a workspace's subscriptions wait for."""

    workspace: str
    end: int
    """Up to where the log is to be looked through for those who take part; -1 where nobody does."""
    behind: list[str]
    """Subscriptions that are behind their workspace, and may be brought forward."""
    due: list[str]
    """Subscriptions that have deliveries that are due."""


class Step(Struct, frozen=True):
    """What looking through a log came to: the place up to which, and the subscriptions that are owed something now."""

    seq: int
    owed: set[str]


class Claim(Struct, frozen=True):
    """A delivery that is this process's to attempt, `attempts` of which were made before, with what it takes."""

    subscription: str
    delivery_seq: int
    attempts: int
    url: str
    secret: bytes
    previous_secret: bytes | None
    is_failing: bool
    """Nothing but failures came from this subscription's receiver for a minute."""
    seq: int
    event_id: str
    type: str
    source: str
    timestamp: str
    data: str
    hash: str
    is_erased: bool


class Made(Struct, frozen=True):
    """An attempt that was made, after `attempts` others; the next is due `wait_seconds` from now (None: none is)."""

    subscription_id: str
    delivery_seq: int
    attempts: int
    at: datetime
    elapsed_ms: int
    status: int | None
    error: str | None
    body: str
    """The answer's, in hex."""
    wait_seconds: float | None


class UnreadableFilterError(Exception):
    """Subscriptions have filters that are none any more; nothing was done until they are stopped."""

    def __init__(self, subscriptions: Sequence[str]) -> None:
        super().__init__(*subscriptions)
        self.subscriptions = subscriptions


class Deliveries:
    """What the subscriptions of all workspaces are owed, for one process. Everything may raise Unavailable."""

    def __init__(self, database: Database, *, first_seconds: float, claim_seconds: float) -> None:
        """`first_seconds` is the wait before a first attempt, `claim_seconds` how long a claim holds."""
        self._database = database
        self._first_seconds = first_seconds
        self._claim_seconds = claim_seconds
        self._taking_part: dict[str, tuple[int, Subscribers]] = {}
        self._active: dict[str, tuple[int, Subscribers]] = {}

    async def subscribers(self, workspace: str) -> Subscribers:
        """Everybody who is told of a workspace's events, whether or not they are behind."""
        rows = await self._database.rows(VERSION, {"workspace": workspace})
        if not rows:
            return Subscribers([], workspace)
        [(version,)] = rows
        known = self._active.get(workspace)
        if known is None or known[0] != version:
            found = await self._database.rows_alone(SUBSCRIBERS, {"workspace": workspace, "all": True})
            known = self._active[workspace] = version, _subscribers(found, workspace)
        return known[1]

    async def work(self) -> list[Work]:
        """Where something waits, of all workspaces with active subscriptions."""
        return [Work(*row) for row in await self._database.rows_alone(WORK, {})]

    async def dispatch(self, workspace: str) -> Step | None:
        """Owe the next events of a log to those who take part; None where another process is at it.

        Raises UnreadableFilterError.
        """
        key = {"workspace": workspace}
        async with self._transaction() as connection:
            _, locked, events = await connection.trip([BEGIN, (LOCK, key), (EVENTS, key)])
            if not locked:
                return None
            if not events:
                return Step(locked[0][0], set())
            [(end, version)] = locked
            known = self._taking_part.get(workspace)
            if known is None or known[0] != version:
                [rows] = await connection.trip([(SUBSCRIBERS, key | {"all": False})])
                known = self._taking_part[workspace] = version, _subscribers(rows, workspace)
            subscribers = known[1]
            if subscribers.unreadable:
                raise UnreadableFilterError(subscribers.unreadable)
            found, stop = await _whole(connection, key, subscribers.judged(events))
            ids: list[str] = []
            seqs: list[int] = []
            for seq, type_, user_id in events:
                if seq == stop:
                    break  # this one is the next step's first
                matching = subscribers.of(seq, type_, user_id, found)
                if ids and len(ids) + len(matching) > MAX_MATCHES:
                    break  # so is this one
                ids += matching
                seqs += [seq] * len(matching)
                end = seq
            owed = set(ids)
            changes = 0
            if owed:
                matches = {"ids": _array(ids), "seqs": _array(seqs), "seq": end, "first_seconds": self._first_seconds}
                _, [(changes,)] = await connection.trip(
                    [(LOCK_SUBSCRIPTIONS, key | {"ids": _array(owed)}), (OWE, key | matches)]
                )
            await connection.trip([(MOVE, key | {"seq": end, "changes": changes}), COMMIT])
        return Step(end, owed)

    async def catch_up(self, workspace: str, id: str) -> bool:
        """Bring a subscription that is behind forward, a piece at a time. True where that is to be gone on with.

        Raises UnreadableFilterError.
        """
        key = {"workspace": workspace, "id": id}
        async with self._transaction() as connection:
            _, [(end,)], found = await connection.trip([BEGIN, (LOCK_AND_WAIT, key), (BEHIND, key)])
            if not found:
                return False
            [(cursor, untried, *about)] = found
            subscriber = Subscriber(id, *about)
            if cursor > end or untried > MAX_UNTRIED // 2:
                return False
            until = min(end, cursor + SPAN)
            wanted = {"after": cursor, "until": until, "types": subscriber.types, "only_user": subscriber.only_user}
            sql = MATCHES if subscriber.only_user is None else MATCHES_OF_USER
            [rows] = await connection.trip([(sql, key | wanted)])
            matches: list[int] = [seq for (seq,) in rows]
            if len(matches) == MAX_EVENTS:
                until = matches[-1]
            if (meets := _judge(subscriber, workspace)) is not None:
                whole, stop = await _whole(connection, key, matches)
                until = until if stop is None else stop - 1
                matches = [seq for seq, event in whole.items() if meets(event)]
            calls: list[Call] = []
            if matches:
                seqs = {"seqs": _array(matches), "first_seconds": self._first_seconds}
                calls.append((OWE_BEHIND, key | seqs))
            has_joined = until == end
            calls.append((MOVE_BEHIND, key | {"cursor": None if has_joined else until}))
            if has_joined:
                calls.append((CHANGED, key))
            await connection.trip([*calls, COMMIT])
        return not has_joined

    async def exchange(
        self, workspace: str, made: Sequence[Made], rooms: Mapping[str, int], max_bytes: int
    ) -> tuple[dict[str, float | None], list[Claim]]:
        """Record attempts, and claim what is due: so many of each subscription, and so many bytes of data in all.

        Of the subscriptions that attempts were recorded of: for how many seconds nothing but failures came, or None.
        """
        key = {"workspace": workspace}
        calls: list[Call] = []
        if made:
            told = {"ids": _array({attempt.subscription_id for attempt in made})}
            calls.append((LOCK_SUBSCRIPTIONS, key | told))
            record = key | {"made": msgspec.json.encode(made).decode()}
            calls += [(LOCK_MADE, record), (TRIED, record)]
        if rooms:
            asked = {"ids": _array(rooms), "rooms": _array(rooms.values())}
            calls.append((CLAIM, key | asked | {"claim_seconds": self._claim_seconds, "max_bytes": max_bytes}))
        outcomes = await self._database.atomic(calls)
        failing: dict[str, float | None] = dict(outcomes[2]) if made else {}
        return failing, [Claim(*row) for row in outcomes[-1]] if rooms else []

    async def release(self, workspace: str, claims: Sequence[Claim]) -> None:
        """Give back what was claimed and not attempted."""
        parameters = {
            "workspace": workspace,
            "ids": _array([claim.subscription for claim in claims]),
            "numbers": _array([claim.delivery_seq for claim in claims]),
            "attempts": _array([claim.attempts for claim in claims]),
        }
        await self._database.atomic([(RELEASE, parameters)])

    async def purge(self) -> bool:
        """Let go of what ended long ago and of what was deleted; True where there may be more."""
        gone = await self._database.rows_alone(PURGE, {})
        await self._database.rows_alone(PURGE_DELETED, {})
        return len(gone) == PURGED

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[PipedConnection]:
        """A connection; the transaction that is open on it at the end of the block is given up. Raises Unavailable."""
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


def _subscribers(rows: Sequence[Row], workspace: str) -> Subscribers:
    return Subscribers([Subscriber(*row) for row in rows], workspace)


def _judge(subscriber: Subscriber, workspace: str) -> Callable[[FoundEvent], bool] | None:
    """Says of an event whether it meets the subscriber's filter, if there is one. Raises UnreadableFilterError."""
    try:
        node = subscriber.node
    except InvalidInput as error:
        raise UnreadableFilterError([subscriber.id]) from error
    return None if node is None else judge(node, workspace)


async def _whole(
    connection: PipedConnection, key: Mapping[str, object], seqs: Sequence[int]
) -> tuple[Mapping[int, FoundEvent], int | None]:
    """The events at these places, in order, and the first place whose event was too much for one step (None: none)."""
    if not seqs:
        return {}, None
    [rows] = await connection.trip([(WHOLE, {**key, "seqs": _array(seqs[:MAX_JUDGED])})])
    found = {row[0]: to_found(row) for row in rows}
    return found, next((seq for seq in seqs if seq not in found), None)


def _array(values: Iterable[str | int]) -> str:
    """An array literal, of our own ids or of numbers: psycopg adapts a list element by element, which is slow."""
    return f"{{{','.join(map(str, values))}}}"
