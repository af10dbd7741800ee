"""Counts what an install contains and still has to deliver, over all processes and machines, for its operator."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial

from msgspec import Struct

from app.ledger.chain import NODE_LOG
from app.store.events.intents import HAS_INTENTS
from app.store.install.sizes import MEASURES, RelationSize, to_sizes
from app.store.postgres.clock import GET_CLOCK, skew_seconds, utc_now
from app.store.postgres.database import PLANNER_DECIDES, Database
from app.store.postgres.nodes import OWN, Part, Spanning, each, spanning
from app.store.webhooks.backlog import JOIN_STATE, WITH_FIRST_OPEN
from schemas.errors import Unavailable

COUNT_WORKSPACES_AND_EVENTS = spanning("""
SELECT count(*), coalesce(sum(seq + 1), 0)::bigint FROM event_tip AS t JOIN workspace AS w ON w.id = workspace_id
WHERE w.deleted_at IS NULL AND w.id <> %(node_log)s AND {part:t}
""")
"""How many workspaces there are, and how many events they have together."""

COUNT_SUBSCRIPTIONS = spanning(
    "SELECT state, count(*) FROM subscription WHERE state <> 'deleted' AND {part} GROUP BY state"
)
"""How many subscriptions each state has."""

COUNT_PENDING_DELIVERIES = Spanning(
    whole=f"""
{WITH_FIRST_OPEN}
SELECT coalesce(sum(open.deliveries), 0)::bigint,
    greatest(coalesce(extract(epoch FROM now() - min(owed.due_at)), 0), 0)::float8
FROM owed {JOIN_STATE} CROSS JOIN LATERAL (
    SELECT count(*) AS deliveries FROM delivery
    WHERE workspace_id = owed.workspace_id AND subscription_id = owed.subscription_id AND due_at IS NOT NULL
) AS open
WHERE s.state = 'active'
""",
    part=f"""
SELECT coalesce(sum(open.deliveries), 0)::bigint,
    greatest(coalesce(extract(epoch FROM now() - min(open.due_at)), 0), 0)::float8
FROM subscription AS s CROSS JOIN LATERAL (
    SELECT count(*) AS deliveries, min(due_at) AS due_at FROM delivery
    WHERE workspace_id = s.workspace_id AND subscription_id = s.id AND due_at IS NOT NULL AND {OWN}
) AS open
WHERE s.state = 'active' AND s.workspace_id = ANY(%(workspaces)s::text[])
""",
)
"""How many deliveries of active subscriptions have not ended, and for how many seconds the oldest has been due."""

COUNT_EVENTS_BEHIND = spanning("""
SELECT greatest(0,
    (SELECT max(t.seq - s.cursor) FROM subscription AS s JOIN event_tip AS t USING (workspace_id)
        WHERE s.state = 'active' AND s.cursor IS NOT NULL AND {part:s} AND {part:t}),
    (SELECT max(t.seq - d.seq) FROM dispatch AS d JOIN event_tip AS t USING (workspace_id)
        WHERE t.seq > d.seq AND {part:d} AND {part:t} AND EXISTS (
            SELECT 1 FROM subscription
            WHERE workspace_id = d.workspace_id AND state = 'active' AND cursor IS NULL AND {part}))
)::bigint
""")
"""How many events the slowest active subscription is behind its log."""

COUNT_CONNECTIONS = """
SELECT sum(numbackends)::int, current_setting('max_connections')::int FROM pg_stat_database
"""
"""The connections of the database's server, and how many it allows."""

COUNT_WAITING_INTENTS = spanning(
    """
SELECT count(*), coalesce(extract(epoch FROM now() - min(e.recorded_at)), 0)::float8
FROM intent AS i JOIN event AS e ON e.workspace_id = i.workspace_id AND e.id = i.id
WHERE i.due_at IS NOT NULL AND i.state = 'open' AND {part:i} AND {part:e}
"""
)
"""How many intents wait for a decision, and for how many seconds the oldest has waited."""

ANSWER_SECONDS = 5.0
"""The time that the database may take. Prometheus waits for ten seconds, and otherwise gets no numbers at all."""


class Counts(Struct, frozen=True, kw_only=True):
    """What is counted in the logs of an install, or of some of its workspaces."""

    workspaces: int
    events: int
    subscriptions: dict[str, int]
    """How many subscriptions are in each state."""
    pending: int
    """Deliveries of active subscriptions that have not ended."""
    overdue_seconds: float
    """For how many seconds the oldest of these deliveries has been due."""
    behind: int
    """How many events the slowest active subscription is behind its log."""
    waiting: int
    """How many intents nobody has decided."""
    oldest_seconds: float
    """For how many seconds the oldest of these intents has waited."""


class Standing(Counts, frozen=True, kw_only=True):
    """The totals of an install."""

    database_bytes: int
    """On all nodes that answer, as `sizes`."""
    connections: int
    """How many connections the database server has, from all of its clients."""
    max_connections: int
    sizes: list[RelationSize]
    """Of every table and index."""
    clock_skew_seconds: float
    """By how much this machine's clock is ahead of the database's; 0 if it may be right."""
    nodes: Mapping[str, bool]
    """Whether each node of a distributed database answers. The numbers are those of the nodes that do."""


class Totals:
    """Counts the totals of an install. Callers that ask at the same time share one count. For one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asking: asyncio.Task[Standing] | None = None

    async def standing(self) -> Standing:
        """The current totals. Raises Unavailable."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(_standing(self._database))
            self._asking.add_done_callback(lambda asked: asked.cancelled() or asked.exception())  # nobody may wait
        return await asyncio.shield(self._asking)

    async def standing_in_time(self) -> Standing | None:
        """The current totals. None if the database does not answer within `ANSWER_SECONDS`."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.standing()
        except (Unavailable, TimeoutError):
            return None


async def _standing(database: Database) -> Standing:
    counts_intents = await database.holds(HAS_INTENTS)
    get_bytes, list_sizes = MEASURES[await database.is_distributed()]
    asked_at = utc_now()
    clock, _, [connected], [measured], sizes = await database.atomic(
        [(GET_CLOCK, {}), PLANNER_DECIDES, (COUNT_CONNECTIONS, {}), (get_bytes, {}), (list_sizes, {})]
    )
    answered_at = utc_now()
    answers = await each(database, partial(_count, database, counts_intents=counts_intents))
    counts, subscriptions = answers.found, Counter[str]()
    for count in counts:
        subscriptions.update(count.subscriptions)
    return Standing(
        workspaces=sum(count.workspaces for count in counts),
        events=sum(count.events for count in counts),
        subscriptions=dict(subscriptions),
        pending=sum(count.pending for count in counts),
        overdue_seconds=max(count.overdue_seconds for count in counts),
        behind=max(count.behind for count in counts),
        database_bytes=measured[0],
        connections=connected[0],
        max_connections=connected[1],
        sizes=to_sizes(sizes),
        clock_skew_seconds=skew_seconds(asked_at, clock[0][0], answered_at),
        waiting=sum(count.waiting for count in counts),
        oldest_seconds=max(count.oldest_seconds for count in counts),
        nodes=answers.nodes,
    )


async def _count(database: Database, part: Part, *, counts_intents: bool) -> Counts:
    """The totals of a part. No intents wait if the schema does not know intents."""
    calls = [
        part.call(COUNT_PENDING_DELIVERIES),
        PLANNER_DECIDES,
        part.call(COUNT_WORKSPACES_AND_EVENTS, {"node_log": NODE_LOG}),
        part.call(COUNT_SUBSCRIPTIONS),
        part.call(COUNT_EVENTS_BEHIND),
    ]
    if counts_intents:
        calls.append(part.call(COUNT_WAITING_INTENTS))
    [owed], _, [logs], subscriptions, [behind], *intents = await database.atomic(calls)
    [waiting] = intents[0] if intents else [(0, 0.0)]
    return Counts(
        workspaces=logs[0],
        events=logs[1],
        subscriptions=dict(subscriptions),
        pending=owed[0],
        overdue_seconds=owed[1],
        behind=behind[0],
        waiting=waiting[0],
        oldest_seconds=max(waiting[1], 0.0),
    )
