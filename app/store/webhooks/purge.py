"""Deliveries that ended long ago are deleted, and subscriptions that were deleted with all that they were owed."""

from app.store.database import Database

KEPT_DAYS = 30
"""How long a delivery that has ended can be looked up."""

PURGED = 1000

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


async def purge(database: Database) -> bool:
    """Let go of what ended long ago and of what was deleted; True where there may be more."""
    gone = await database.rows_alone(PURGE, {})
    await database.rows_alone(PURGE_DELETED, {})
    return len(gone) == PURGED
