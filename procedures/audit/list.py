"""audit.list."""

from procedures.context import Context
from procedures.procedure import query
from schemas.audit import DEFAULT_ACTS, AuditPage, ListAudit
from schemas.principal import Scope
from schemas.written import Written


@query("audit.list", scope=Scope.AUDIT_READ)
async def list_(wanted: ListAudit, context: Context) -> Written[AuditPage]:
    """The workspace's administrative acts, oldest first: who did what, each linked to the one before it.

    `limit` 1 to 1000, default 100. The read is entered itself, as `audit.read`, behind what it answers. A key for
    everything may name the workspace `_node`, whose acts are the install's: starts of servers, and keys of every
    workspace. Source: "Event Log", section GET /v1/audit.
    """
    asked = {"since": wanted.since, "action": wanted.action}
    read = context.act("audit.read", {name: value for name, value in asked.items() if value is not None})
    return await context.services.audit.entries(
        context.workspace,
        since=wanted.since,
        action=wanted.action,
        limit=wanted.limit or DEFAULT_ACTS,
        read=read,
    )
