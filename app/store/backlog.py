"""What an install has and what it still owes, over all of its processes and machines: for whoever operates it."""

from msgspec import Struct

from app.store.database import Database
from app.store.workspaces import NODE_LOG

LOGS = """
SELECT count(*), coalesce(sum(seq + 1), 0)::bigint FROM event_tip JOIN workspace AS w ON w.id = workspace_id
WHERE w.deleted_at IS NULL AND w.id <> %(node_log)s
"""

SUBSCRIPTIONS = "SELECT state, count(*) FROM subscription WHERE state <> 'deleted' GROUP BY state"

OWED = """
SELECT coalesce(sum(pending), 0)::bigint,
    greatest(coalesce(extract(epoch FROM now() - min(due_at)), 0), 0)::float8,
    coalesce(max(t.seq - coalesce(s.cursor, d.seq)), 0)::bigint
FROM subscription AS s JOIN dispatch AS d USING (workspace_id) JOIN event_tip AS t USING (workspace_id),
    LATERAL (
        SELECT count(*) AS pending, min(due_at) AS due_at FROM (
            SELECT due_at FROM delivery
            WHERE workspace_id = s.workspace_id AND subscription_id = s.id AND due_at IS NOT NULL ORDER BY due_at
        ) AS open
    ) AS owed
WHERE s.state = 'active'
"""
"""Of active subscriptions: deliveries that have not ended, for how long the oldest has been due, and how far the
furthest is behind its log."""


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


async def standing(database: Database) -> Standing:
    """How it stands now. Raises Unavailable."""
    logs, subscriptions, owed = await database.atomic([(LOGS, {"node_log": NODE_LOG}), (SUBSCRIPTIONS, {}), (OWED, {})])
    [(workspaces, events)] = logs
    [(pending, overdue_seconds, behind)] = owed
    return Standing(
        workspaces=workspaces,
        events=events,
        subscriptions=dict(subscriptions),
        pending=pending,
        overdue_seconds=overdue_seconds,
        behind=behind,
    )
