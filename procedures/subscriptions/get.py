"""subscriptions.get."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import NotFound
from schemas.principal import Scope
from schemas.subscription import Subscription, SubscriptionReference


@query("subscriptions.get", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound,))
async def get(wanted: SubscriptionReference, context: Context) -> Subscription:
    """Return one webhook, without its secret."""
    return await context.services.webhooks.subscriptions.get(
        context.workspace, wanted.subscription_id, context.principal.delivers_only
    )
