"""subscriptions.resume."""

from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import NotFound, RateLimited
from schemas.principal import Scope
from schemas.subscription import Subscription, SubscriptionReference


@mutation("subscriptions.resume", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound, RateLimited))
async def resume(wanted: SubscriptionReference, context: Context) -> Subscription:
    """Go on where a paused or disabled webhook stopped: it gets all that was logged meanwhile, and retries at once.

    RateLimited where as many are active as may be.
    """
    webhooks = context.services.webhooks
    act = context.act("subscription.resumed", {"subscriptionId": wanted.subscription_id})
    resumed = await webhooks.subscriptions.resume(
        context.workspace, wanted.subscription_id, context.principal.delivers_only, webhooks.max_active, act
    )
    if resumed.status != "active":
        raise webhooks.too_many()
    webhooks.changed()
    return resumed
