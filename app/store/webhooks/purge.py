"""The purge deletes deliveries that ended long ago, and the rows of deleted subscriptions and their deliveries."""

from collections import defaultdict

from app.store.events.rows import array
from app.store.postgres import nodes
from app.store.postgres.database import Database
from app.store.postgres.nodes import spanning

KEPT_DAYS = 30
"""How many days a delivery that has ended can be looked up."""

PURGED = 1000
"""How many rows one statement deletes."""

_LOCK_SOME = f"LIMIT {PURGED} FOR UPDATE SKIP LOCKED"
"""Locks some rows, without those that another process is deleting."""

LIST_ENDED = spanning(f"""
SELECT workspace_id, subscription_id, delivery_seq FROM delivery
WHERE ended_at < now() - interval '{KEPT_DAYS} days' AND {{part}} ORDER BY ended_at LIMIT {PURGED}
""")
"""The deliveries that ended long ago, the oldest first."""

LIST_DELETED = spanning(f"""
SELECT workspace_id, id FROM subscription WHERE state = 'deleted' AND {{part}} ORDER BY stopped_at LIMIT {PURGED}
""")
"""The deleted subscriptions."""

_DELETE_DELIVERIES = """
WITH old AS ({old}), gone AS (
    DELETE FROM attempt AS a USING old WHERE a.workspace_id = %(workspace)s
        AND a.subscription_id = old.subscription_id AND a.delivery_seq = old.delivery_seq
)
DELETE FROM delivery AS d USING old WHERE d.workspace_id = %(workspace)s AND d.ctid = old.place
RETURNING d.delivery_seq
"""
"""Deletes deliveries of a workspace with their attempts."""

PURGE_ENDED = _DELETE_DELIVERIES.format(
    old="""
    SELECT found.* FROM unnest(%(ids)s::text[], %(numbers)s::bigint[]) AS asked (id, number) CROSS JOIN LATERAL (
        SELECT ctid AS place, subscription_id, delivery_seq FROM delivery
        WHERE workspace_id = %(workspace)s AND subscription_id = asked.id
            AND delivery_seq >= asked.number AND delivery_seq <= asked.number
        ORDER BY delivery_seq LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS found
"""
)
"""Deletes the given deliveries of a workspace."""

PURGE_UNSENT = _DELETE_DELIVERIES.format(
    old=f"""
    SELECT found.* FROM unnest(%(ids)s::text[]) AS asked (id) CROSS JOIN LATERAL (
        SELECT ctid AS place, subscription_id, delivery_seq FROM delivery
        WHERE workspace_id = %(workspace)s AND subscription_id = asked.id ORDER BY delivery_seq {_LOCK_SOME}
    ) AS found LIMIT {PURGED}
"""
)
"""Deletes the deliveries of deleted subscriptions of a workspace."""

PURGE_SUBSCRIPTIONS = """
DELETE FROM subscription AS s USING (
    SELECT found.* FROM unnest(%(ids)s::text[]) AS asked (id) CROSS JOIN LATERAL (
        SELECT ctid AS place, id FROM subscription
        WHERE workspace_id = %(workspace)s AND id >= asked.id AND id <= asked.id ORDER BY id LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) AS found
) AS old
WHERE s.workspace_id = %(workspace)s AND s.ctid = old.place AND (
    SELECT true FROM delivery WHERE workspace_id = %(workspace)s AND subscription_id = old.id
    ORDER BY delivery_seq LIMIT 1) IS NULL
RETURNING s.id
"""
"""Deletes the deleted subscriptions of a workspace that have no deliveries left."""


async def purge(database: Database) -> bool:
    """Delete some old deliveries and some rows of deleted subscriptions. Returns whether there may be more.

    Indexes find what must be deleted, so the purge costs nothing if there is nothing to delete.
    """
    ended: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for workspace, id_, number in await nodes.rows(database, LIST_ENDED):
        ended[workspace].append((id_, number))
    deleted: dict[str, list[str]] = defaultdict(list)
    for workspace, id_ in await nodes.rows(database, LIST_DELETED):
        deleted[workspace].append(id_)
    purged = [
        await _purge(database, PURGE_ENDED, workspace, [id_ for id_, _ in found], [number for _, number in found])
        for workspace, found in ended.items()
    ]
    unsent = [await _purge(database, PURGE_UNSENT, workspace, ids) for workspace, ids in deleted.items()]
    gone = [await _purge(database, PURGE_SUBSCRIPTIONS, workspace, ids) for workspace, ids in deleted.items()]
    return any(sum(piece) >= PURGED for piece in (purged, unsent, gone))


async def _purge(database: Database, sql: str, workspace: str, ids: list[str], numbers: list[int] | None = None) -> int:
    """Delete rows of a workspace, and return how many."""
    asked = {"workspace": workspace, "ids": array(ids), "numbers": array(numbers or [])}
    return len(await database.rows_alone(sql, asked))
