"""Claims give a delivery to one process at a time, which attempts it and records the result.

A claimed delivery becomes due again when the claim ends, so it is attempted at least once. An attempt is recorded only
if the delivery is still in the state in which it was attempted, so of two processes that attempted it, only one decides
what comes next.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from app.store.events.rows import array
from app.store.postgres.database import Database
from app.store.postgres.instants import INSTANT
from app.store.postgres.pipe import Call
from app.store.postgres.walk import one_sql
from app.store.webhooks.subscriptions import LOCK_SUBSCRIPTIONS

MAX_SUBSCRIPTIONS = 200
"""How many subscriptions one statement claims deliveries of."""

FAILING_AFTER_SECONDS = 60
"""A receiver counts as failing if all attempts of this time have failed. A receiver that fails now and then does
not."""

_FIND_DELIVERY = """
(SELECT ctid FROM delivery WHERE workspace_id = %(workspace)s AND subscription_id = {0}.subscription_id
    AND delivery_seq >= {0}.delivery_seq AND delivery_seq <= {0}.delivery_seq ORDER BY delivery_seq LIMIT 1)
"""
"""Finds a delivery by its primary key, as its `ctid`. The planner might choose the index of what is due if the delivery
were named in the outer statement. A row that another process has changed since is not found."""

LOCK_ATTEMPTED = """
SELECT FROM json_to_recordset(%(made)s::json) AS made (subscription_id text, delivery_seq bigint)
CROSS JOIN LATERAL (
    SELECT FROM delivery WHERE workspace_id = %(workspace)s AND subscription_id = made.subscription_id
        AND delivery_seq >= made.delivery_seq AND delivery_seq <= made.delivery_seq
    ORDER BY delivery_seq LIMIT 1 FOR UPDATE
) AS locked
"""
"""Locks the deliveries that were attempted, before their subscriptions."""

_MADE = """
json_to_recordset(%(made)s::json) AS made (subscription_id text, delivery_seq bigint, attempts int, at timestamptz,
    elapsed_ms int, status int, error text, body text, wait_seconds float8)
JOIN subscription AS s ON s.workspace_id = %(workspace)s AND s.id = made.subscription_id AND s.state <> 'deleted'
"""
"""The attempts whose subscriptions still exist."""

WRITE_ATTEMPTS = f"""
INSERT INTO attempt (workspace_id, subscription_id, delivery_seq, number, at, elapsed_ms, status, error, body)
SELECT %(workspace)s, made.subscription_id, made.delivery_seq, made.attempts + 1, made.at, made.elapsed_ms, made.status,
    made.error, CASE WHEN e.erased THEN '' ELSE decode(made.body, 'hex') END
FROM {_MADE} CROSS JOIN LATERAL (
    SELECT seq FROM delivery WHERE workspace_id = %(workspace)s AND subscription_id = made.subscription_id
        AND delivery_seq >= made.delivery_seq AND delivery_seq <= made.delivery_seq AND attempts = made.attempts
        AND due_at IS NOT NULL
    ORDER BY delivery_seq LIMIT 1
) AS d CROSS JOIN LATERAL ({one_sql("seq", "d.seq")}) AS e
"""
"""Stores attempts, if each delivery is still in the state in which it was attempted. The answer to an event that was
erased meanwhile is not stored, because the receiver may have repeated the event. Erasure locks the subscription too, so
it ran before this, or finds what this wrote."""

RECORD_ATTEMPTS = f"""
WITH tried AS (
    SELECT made.*, now() + make_interval(secs => wait_seconds) AS due_at,
        CASE WHEN wait_seconds IS NULL THEN now() END AS ended_at
    FROM {_MADE}
), moved AS (
    UPDATE delivery AS d SET attempts = d.attempts + 1, due_at = tried.due_at, ended_at = tried.ended_at, state = CASE
        WHEN tried.error IS NULL THEN 'delivered' WHEN tried.wait_seconds IS NULL THEN 'failed' ELSE 'pending' END
    FROM tried CROSS JOIN LATERAL {_FIND_DELIVERY.format("tried")} AS found
    WHERE d.workspace_id = %(workspace)s AND d.ctid = found.ctid AND d.attempts = tried.attempts
        AND d.due_at IS NOT NULL
    RETURNING tried.subscription_id, tried.attempts, tried.error, tried.at
), judged AS (
    UPDATE subscription AS s SET attempted = s.attempted + told.firsts,
        failing_since = CASE WHEN told.is_delivered THEN NULL ELSE coalesce(s.failing_since, told.first_at) END
    FROM (
        SELECT subscription_id, count(*) FILTER (WHERE attempts = 0) AS firsts, bool_or(error IS NULL) AS is_delivered,
            min(at) AS first_at
        FROM moved GROUP BY subscription_id
    ) AS told
    WHERE s.workspace_id = %(workspace)s AND s.id = told.subscription_id
    RETURNING s.id, s.failing_since
)
SELECT id, extract(epoch FROM now() - failing_since)::float8 FROM judged
"""
"""Moves deliveries on after their attempts, each if it is still in the state in which it was attempted. Returns for how
long each subscription has seen only failures."""

RELEASE_CLAIMS = f"""
UPDATE delivery AS d SET due_at = now()
FROM unnest(%(ids)s::text[], %(numbers)s::bigint[], %(attempts)s::int[])
    AS claimed (subscription_id, delivery_seq, attempts)
CROSS JOIN LATERAL {_FIND_DELIVERY.format("claimed")} AS found
WHERE d.workspace_id = %(workspace)s AND d.ctid = found.ctid AND d.attempts = claimed.attempts
    AND d.due_at IS NOT NULL
"""
"""Makes claimed deliveries due again, if nobody else has changed them."""

CLAIM_DUE = f"""
WITH asked AS (
    SELECT * FROM unnest(%(ids)s::text[], %(capacity)s::int[]) AS asked (id, room)
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
    coalesce(s.failing_since < now() - interval '{FAILING_AFTER_SECONDS} seconds', false),
    e.seq, e.id::text, e.type, coalesce(e.producer, e.source), {INSTANT.format("e.recorded_at")}, e.data,
    encode(e.hash, 'hex'), e.erased
FROM claimed AS c
JOIN subscription AS s ON s.workspace_id = %(workspace)s AND s.id = c.subscription_id
CROSS JOIN LATERAL ({one_sql("seq", "c.seq")}) AS e
ORDER BY c.subscription_id, c.delivery_seq
"""
"""Claims deliveries that are due, up to the capacity of each subscription. An ordered subscription has one at most: its
first open delivery, which is the last attempted one or the next. That one is found in a snapshot that may be old, but
its lock shows it as it is now. If another process has ended or claimed it meanwhile, nothing is claimed."""


class Claim(Struct, frozen=True):
    """A delivery that this process must attempt, with everything that an attempt needs. `attempts` were made before."""

    subscription: str
    delivery_seq: int
    attempts: int
    url: str
    secret: bytes
    previous_secret: bytes | None
    is_failing: bool
    """Whether all attempts of this subscription have failed for a minute."""
    seq: int
    event_id: str
    type: str
    source: str
    timestamp: str
    data: str
    hash: str
    is_erased: bool


class AttemptRecord(Struct, frozen=True):
    """An attempt, made after `attempts` others.

    The next one is due `wait_seconds` from now (None: there is no next one).
    """

    subscription_id: str
    delivery_seq: int
    attempts: int
    at: datetime
    elapsed_ms: int
    status: int | None
    error: str | None
    body: str
    """The body of the answer, in hex."""
    wait_seconds: float | None


class Claims:
    """Claims due deliveries of all workspaces, for one process. Every method may raise Unavailable."""

    def __init__(self, database: Database, *, claim_seconds: float) -> None:
        """`claim_seconds` is how long a claim lasts."""
        self._database = database
        self._claim_seconds = claim_seconds

    async def exchange(
        self, workspace: str, made: Sequence[AttemptRecord], capacity: Mapping[str, int], max_bytes: int
    ) -> tuple[dict[str, float | None], list[Claim]]:
        """Record attempts, and claim due deliveries, up to each subscription's `capacity` and `max_bytes` of data.

        Returns two things: for each subscription with recorded attempts, for how many seconds all of its attempts have
        failed (None: one has succeeded); and the claims.
        """
        key = {"workspace": workspace}
        calls: dict[str, Call] = {}
        if made:
            attempted = {"ids": array({attempt.subscription_id for attempt in made})}
            record = key | {"made": msgspec.json.encode(made).decode()}
            calls["lock subscriptions"] = LOCK_SUBSCRIPTIONS, key | attempted
            calls["lock deliveries"] = LOCK_ATTEMPTED, record
            calls["write"] = WRITE_ATTEMPTS, record
            calls["record"] = RECORD_ATTEMPTS, record
        if capacity:
            asked = {"ids": array(capacity), "capacity": array(capacity.values()), "max_bytes": max_bytes}
            calls["claim"] = CLAIM_DUE, key | asked | {"claim_seconds": self._claim_seconds}
        rows = await self._database.atomic_by_name(calls)
        return dict(rows.get("record", ())), [Claim(*row) for row in rows.get("claim", ())]

    async def release(self, workspace: str, claims: Sequence[Claim]) -> None:
        """Give back claimed deliveries that were not attempted."""
        parameters = {
            "workspace": workspace,
            "ids": array([claim.subscription for claim in claims]),
            "numbers": array([claim.delivery_seq for claim in claims]),
            "attempts": array([claim.attempts for claim in claims]),
        }
        await self._database.atomic([(RELEASE_CLAIMS, parameters)])
