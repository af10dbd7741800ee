"""What an install has and what it still owes, over all of its processes and machines: for whoever operates it."""

import asyncio

from msgspec import Struct

from app.ledger.chain import NODE_LOG
from app.store.postgres.database import PLANNER_DECIDES, Database
from app.store.webhooks.backlog import IS_ACTIVE
from app.store.webhooks.backlog import OWED as WALK

LOGS = """
SELECT count(*), coalesce(sum(seq + 1), 0)::bigint FROM event_tip JOIN workspace AS w ON w.id = workspace_id
WHERE w.deleted_at IS NULL AND w.id <> %(node_log)s
"""

SUBSCRIPTIONS = "SELECT state, count(*) FROM subscription WHERE state <> 'deleted' GROUP BY state"

OWED = f"""
{WALK}
SELECT coalesce(sum(open.deliveries), 0)::bigint,
    greatest(coalesce(extract(epoch FROM now() - min(owed.due_at)), 0), 0)::float8
FROM owed {IS_ACTIVE} CROSS JOIN LATERAL (
    SELECT count(*) AS deliveries FROM delivery
    WHERE workspace_id = owed.workspace_id AND subscription_id = owed.subscription_id AND due_at IS NOT NULL
) AS open
WHERE s.state = 'active'
"""
"""Of active subscriptions: deliveries that have not ended, and for how long the oldest has been due."""

BEHIND = """
SELECT greatest(0,
    (SELECT max(t.seq - s.cursor) FROM subscription AS s JOIN event_tip AS t USING (workspace_id)
        WHERE s.state = 'active' AND s.cursor IS NOT NULL),
    (SELECT max(t.seq - d.seq) FROM dispatch AS d JOIN event_tip AS t USING (workspace_id)
        WHERE t.seq > d.seq AND EXISTS (
            SELECT FROM subscription WHERE workspace_id = d.workspace_id AND state = 'active' AND cursor IS NULL))
)::bigint
"""
"""How far the furthest active subscription is behind its log."""


class Standing(Struct, frozen=True):
    """How an install stands."""

    workspaces: int
    events: int
    subscriptions: dict[str, int]
    """By their state."""
    pending: int
    """Deliveries of active subscriptions that have not ended."""
    overdue_seconds: float
    """For how long the oldest of them has been due."""
    behind: int
    """Events of a log that the furthest active subscription has not looked at."""


class Totals:
    """Asks the database how the install stands: once, however many ask at the same time. For one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asking: asyncio.Task[Standing] | None = None

    async def standing(self) -> Standing:
        """How it stands now. Raises Unavailable."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(_standing(self._database))
            self._asking.add_done_callback(lambda asked: asked.cancelled() or asked.exception())  # nobody may wait
        return await asyncio.shield(self._asking)


async def _standing(database: Database) -> Standing:
    owed, _, logs, subscriptions, behind = await database.atomic(
        [(OWED, {}), PLANNER_DECIDES, (LOGS, {"node_log": NODE_LOG}), (SUBSCRIPTIONS, {}), (BEHIND, {})]
    )
    [(pending, overdue_seconds)] = owed
    [(workspaces, events)] = logs
    return Standing(
        workspaces=workspaces,
        events=events,
        subscriptions=dict(subscriptions),
        pending=pending,
        overdue_seconds=overdue_seconds,
        behind=behind[0][0],
    )
