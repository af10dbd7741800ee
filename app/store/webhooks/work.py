"""What the processes look for now and then: logs to look through, subscriptions that are behind, deliveries due."""

from msgspec import Struct

from app.store.database import Database
from app.store.webhooks.dispatch import MAX_UNTRIED

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


class Work(Struct, frozen=True):
    """What a workspace's subscriptions wait for."""

    workspace: str
    end: int
    """Up to where the log is to be looked through for those who take part; -1 where nobody does."""
    behind: list[str]
    """Subscriptions that are behind their workspace, and may be brought forward."""
    due: list[str]
    """Subscriptions that have deliveries that are due."""


async def work(database: Database) -> list[Work]:
    """Where something waits, of all workspaces with active subscriptions."""
    return [Work(*row) for row in await database.rows_alone(WORK, {})]
