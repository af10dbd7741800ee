"""The purge deletes deliveries that ended long ago, and the rows of deleted subscriptions and their deliveries."""

from app.store.postgres.database import Database

KEPT_DAYS = 30
"""How many days a delivery that has ended can be looked up."""

PURGED = 1000
"""How many rows one statement deletes."""

_LOCK_SOME = f"LIMIT {PURGED} FOR UPDATE SKIP LOCKED"
"""Locks some rows, without those that another process is deleting."""

_DELETE_DELIVERIES = """
WITH old AS ({old}), gone AS (
    DELETE FROM attempt AS a USING old WHERE a.workspace_id = old.workspace_id
        AND a.subscription_id = old.subscription_id AND a.delivery_seq = old.delivery_seq
)
DELETE FROM delivery AS d USING old WHERE d.workspace_id = old.workspace_id AND d.ctid = old.place
RETURNING d.delivery_seq
"""
"""Deletes deliveries with their attempts."""

PURGE_ENDED = _DELETE_DELIVERIES.format(
    old=f"""
    SELECT ctid AS place, workspace_id, subscription_id, delivery_seq FROM delivery
    WHERE ended_at < now() - interval '{KEPT_DAYS} days' ORDER BY ended_at {_LOCK_SOME}
"""
)
"""Deletes deliveries that ended long ago, the oldest first."""

PURGE_UNSENT = _DELETE_DELIVERIES.format(
    old=f"""
    SELECT d.* FROM (
        SELECT workspace_id, id FROM subscription WHERE state = 'deleted' ORDER BY stopped_at LIMIT {PURGED}
    ) AS s CROSS JOIN LATERAL (
        SELECT ctid AS place, workspace_id, subscription_id, delivery_seq FROM delivery
        WHERE workspace_id = s.workspace_id AND subscription_id = s.id ORDER BY delivery_seq {_LOCK_SOME}
    ) AS d LIMIT {PURGED}
"""
)
"""Deletes the deliveries of deleted subscriptions."""

PURGE_SUBSCRIPTIONS = f"""
DELETE FROM subscription AS s USING (
    SELECT ctid AS place, workspace_id, id FROM subscription WHERE state = 'deleted' ORDER BY stopped_at {_LOCK_SOME}
) AS old
WHERE s.workspace_id = old.workspace_id AND s.ctid = old.place AND (
    SELECT true FROM delivery WHERE workspace_id = old.workspace_id AND subscription_id = old.id
    ORDER BY delivery_seq LIMIT 1) IS NULL
RETURNING s.id
"""
"""Deletes the deleted subscriptions that have no deliveries left."""


async def purge(database: Database) -> bool:
    """Delete some old deliveries and some rows of deleted subscriptions. Returns whether there may be more.

    Indexes find what must be deleted, so the purge costs nothing if there is nothing to delete.
    """
    pieces = [await database.rows_alone(sql, {}) for sql in (PURGE_ENDED, PURGE_UNSENT, PURGE_SUBSCRIPTIONS)]
    return any(len(piece) == PURGED for piece in pieces)
