"""subscriptions.list."""

from procedures.context import Context
from procedures.procedure import query
from schemas.principal import Scope
from schemas.subscription import ListSubscriptions, Subscription


@query("subscriptions.list", scope=Scope.SUBSCRIPTIONS_MANAGE)
async def list_(_wanted: ListSubscriptions, context: Context) -> list[Subscription]:
    """Every webhook of the workspace, oldest first. Source: "Events API", section Manage Subscriptions."""
    return await context.services.webhooks.subscriptions.all(context.workspace, context.principal.delivers_only)
