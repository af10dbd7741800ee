"""audit.list (`docs/api/ledger.md`, GET /v1/audit)."""

from procedures.context import Context
from procedures.procedure import query
from schemas.audit import DEFAULT_ACTS, AuditPage, ListAudit
from schemas.principal import Scope
from schemas.written import Written


@query("audit.list", scope=Scope.AUDIT_READ)
async def list_(wanted: ListAudit, context: Context) -> Written[AuditPage]:
    """List the workspace's administrative acts, oldest first. Each entry is linked to the one before it.

    `limit` is 1 to 1000, default 100. With `direction: "backward"` the newest entries are selected, not the oldest. The
    audit records this read as `audit.read`, after the entries it returns. A key with every scope and workspace may name
    the workspace `_node`, which has the install's acts: starts of servers, and keys for every workspace.
    """
    asked = {"since": wanted.since, "until": wanted.until, "action": wanted.action}
    read = context.act("audit.read", {name: value for name, value in asked.items() if value is not None})
    return await context.services.audit.entries(
        context.workspace,
        since=wanted.since,
        until=wanted.until,
        way=wanted.direction or "forward",
        action=wanted.action,
        limit=wanted.limit or DEFAULT_ACTS,
        read=read,
    )
