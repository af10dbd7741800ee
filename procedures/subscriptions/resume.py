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
    """Resume a paused or disabled webhook at its place in the log. It gets all events logged meanwhile.

    Pending deliveries are retried at once. RateLimited if the workspace has its maximum of active webhooks.
    InvalidInput if the server no longer accepts the webhook's filter.
    """
    webhooks = context.services.webhooks
    found = await webhooks.subscriptions.get(context.workspace, wanted.subscription_id, context.principal.delivers_only)
    if found.filter is not UNSET:
        kept_filter(msgspec.json.decode(found.filter))  # otherwise the dispatcher would stop it again
    act = context.act("subscription.resumed", {"subscriptionId": wanted.subscription_id})
    resumed = await webhooks.subscriptions.resume(
        context.workspace, wanted.subscription_id, context.principal.delivers_only, webhooks.max_active, act
    )
    if resumed.status != "active":
        raise webhooks.too_many_active()
    webhooks.changed(context.workspace)
    return resumed
