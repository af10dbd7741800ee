"""subscriptions.resume."""

import msgspec
from msgspec import UNSET

from app.filters.parse import kept_filter
from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import NotFound, RateLimited
from schemas.principal import Scope
from schemas.subscription import Subscription, SubscriptionReference


@mutation("subscriptions.resume", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound, RateLimited))
async def resume(wanted: SubscriptionReference, context: Context) -> Subscription:
    """Go on where a paused or disabled webhook stopped: it gets all that was logged meanwhile, and retries at once.

    RateLimited where as many are active as may be. InvalidInput where its filter is not understood any more.
    """
    webhooks = context.services.webhooks
    found = await webhooks.subscriptions.get(context.workspace, wanted.subscription_id, context.principal.delivers_only)
    if found.filter is not UNSET:
        kept_filter(msgspec.json.decode(found.filter))  # else the dispatcher would stop it again
    act = context.act("subscription.resumed", {"subscriptionId": wanted.subscription_id})
    resumed = await webhooks.subscriptions.resume(
        context.workspace, wanted.subscription_id, context.principal.delivers_only, webhooks.max_active, act
    )
    if resumed.status != "active":
        raise webhooks.too_many_active()
    webhooks.changed(context.workspace)
    return resumed
