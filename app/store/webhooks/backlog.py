"""The work that processes look for now and then: logs to dispatch, subscriptions behind, and deliveries due.

The check of every two seconds uses indexes of what is owed, so it costs nothing if nothing is owed. The list of logs
that have subscriptions is read as a whole, and therefore seldom.
"""

from msgspec import Struct

from app.store.postgres.database import PLANNER_DECIDES, Database
from app.store.postgres.nodes import OWN, Spanning, each, spanning
from app.store.webhooks.dispatch import MAX_UNTRIED

LIST_SUBSCRIBED_LOGS = spanning("""
SELECT workspace_id, CASE WHEN bool_or(s.cursor IS NULL) THEN max(t.seq) ELSE -1 END
FROM subscription AS s JOIN event_tip AS t USING (workspace_id)
WHERE s.state = 'active' AND {part:s} AND {part:t} GROUP BY workspace_id
""")
"""The logs with active subscriptions, and the seq up to which each must be dispatched; -1 if all its subscriptions are
behind."""

LIST_SUBSCRIPTIONS_BEHIND = spanning(
    f"""
SELECT s.workspace_id, s.id FROM subscription AS s JOIN dispatch AS d USING (workspace_id)
WHERE s.state = 'active' AND s.cursor IS NOT NULL AND s.cursor <= d.seq
    AND s.delivery_seq - s.attempted <= {MAX_UNTRIED // 2} AND {{part:s}} AND {{part:d}}
ORDER BY s.cursor
"""
)
"""The active subscriptions with a place of their own that can be brought forward, the furthest behind first."""

WITH_FIRST_OPEN = """
WITH RECURSIVE owed AS (
    (SELECT workspace_id, subscription_id, due_at FROM delivery WHERE due_at IS NOT NULL
        ORDER BY workspace_id, subscription_id, due_at LIMIT 1)
    UNION ALL
    SELECT following.* FROM owed CROSS JOIN LATERAL (
        SELECT workspace_id, subscription_id, due_at FROM delivery
        WHERE due_at IS NOT NULL AND (workspace_id, subscription_id) > (owed.workspace_id, owed.subscription_id)
        ORDER BY workspace_id, subscription_id, due_at LIMIT 1
    ) AS following
)
"""
"""The first open delivery of each subscription that has one, as `owed`. The index is entered once for each
subscription."""

JOIN_STATE = """
CROSS JOIN LATERAL (
    SELECT state FROM subscription
    WHERE workspace_id = owed.workspace_id AND id >= owed.subscription_id AND id <= owed.subscription_id
    ORDER BY id LIMIT 1
) AS s
"""
"""Joins the state of the subscription to each row of `owed`."""

LIST_SUBSCRIPTIONS_DUE = Spanning(
    whole=f"""
{WITH_FIRST_OPEN}
SELECT workspace_id, subscription_id FROM owed {JOIN_STATE} WHERE owed.due_at <= now() AND s.state = 'active'
""",
    part=f"""
SELECT workspace_id, id FROM subscription AS s WHERE state = 'active' AND {OWN} AND EXISTS (
    SELECT 1 FROM delivery WHERE workspace_id = s.workspace_id AND subscription_id = s.id AND due_at <= now() AND {OWN})
""",
)
"""The active subscriptions that have a delivery which is due. A recursion cannot span the parts of a node."""

GET_BACKLOG = f"""
SELECT CASE WHEN EXISTS (
        SELECT FROM subscription WHERE workspace_id = d.workspace_id AND state = 'active' AND cursor IS NULL)
    THEN t.seq ELSE -1 END,
    array(SELECT id FROM subscription WHERE workspace_id = d.workspace_id AND state = 'active' AND cursor <= d.seq
        AND delivery_seq - attempted <= {MAX_UNTRIED // 2}),
    array(SELECT id FROM subscription AS s WHERE workspace_id = d.workspace_id AND state = 'active' AND (
        SELECT true FROM delivery WHERE workspace_id = s.workspace_id AND subscription_id = s.id AND due_at <= now()
        ORDER BY due_at LIMIT 1))
FROM dispatch AS d JOIN event_tip AS t USING (workspace_id)
WHERE d.workspace_id = %(workspace)s
    AND EXISTS (SELECT FROM subscription WHERE workspace_id = d.workspace_id AND state = 'active')
"""
"""What one workspace waits for, as `Backlog` has it. No row if it has no active subscription."""

Named = tuple[str, str]
"""A workspace, and a subscription of it."""


class Backlog(Struct, frozen=True):
    """What a workspace's subscriptions wait for."""

    end: int
    """The seq up to which the log must be dispatched to the subscriptions that take part; -1 if none does."""
    behind: list[str]
    """The subscriptions that are behind their workspace's dispatch, and may be brought forward."""
    due: list[str]
    """The subscriptions that have deliveries that are due."""


class Ends(Struct, frozen=True):
    """The logs that have active subscriptions, and the workspaces of which nothing is known now."""

    of: dict[str, int]
    """The seq up to which to dispatch each log (-1: not at all)."""
    unknown: set[str]
    """The workspaces of nodes that do not answer."""


async def logs(database: Database) -> Ends:
    """The workspaces with active subscriptions, and the seq up to which to dispatch each log."""
    answers = await each(database, lambda part: database.atomic([PLANNER_DECIDES, part.call(LIST_SUBSCRIBED_LOGS)]))
    return Ends({workspace: end for _planned, found in answers.found for workspace, end in found}, answers.unknown)


async def owed(database: Database) -> tuple[list[Named], list[Named]]:
    """The subscriptions of all workspaces that may be brought forward, and those that have deliveries due."""
    answers = await each(
        database,
        lambda part: database.atomic([part.call(LIST_SUBSCRIPTIONS_BEHIND), part.call(LIST_SUBSCRIPTIONS_DUE)]),
    )
    behind, due = ([named for found in answers.found for named in found[place]] for place in (0, 1))
    return [(workspace, id_) for workspace, id_ in behind], [(workspace, id_) for workspace, id_ in due]


async def backlog_of(database: Database, workspace: str) -> Backlog | None:
    """What one workspace waits for; None if it has no active subscription."""
    rows = await database.rows_alone(GET_BACKLOG, {"workspace": workspace})
    return Backlog(*rows[0]) if rows else None
