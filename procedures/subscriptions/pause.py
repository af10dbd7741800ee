"""subscriptions.pause."""

from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import NotFound
from schemas.principal import Scope
from schemas.subscription import Subscription, SubscriptionReference


@mutation("subscriptions.pause", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound,))
async def pause(wanted: SubscriptionReference, context: Context) -> Subscription:
    """Stop deliveries to a webhook, which keeps its place in the log. A stopped one is returned unchanged."""
    webhooks = context.services.webhooks
    act = context.act("subscription.paused", {"subscriptionId": wanted.subscription_id})
    paused = await webhooks.subscriptions.pause(
        context.workspace, wanted.subscription_id, context.principal.delivers_only, act
    )
    webhooks.changed(context.workspace)
    return paused
