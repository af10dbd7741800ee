"""subscriptions.delete (`docs/api/publish.md`, Manage Subscriptions)."""

from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import NotFound
from schemas.principal import Scope
from schemas.subscription import SubscriptionDeleted, SubscriptionReference


@mutation("subscriptions.delete", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound,))
async def delete(wanted: SubscriptionReference, context: Context) -> SubscriptionDeleted:
    """Delete a webhook and its pending deliveries. Only attempts that have already begun are still sent."""
    webhooks = context.services.webhooks
    act = context.act("subscription.deleted", {"subscriptionId": wanted.subscription_id})
    await webhooks.subscriptions.delete(context.workspace, wanted.subscription_id, context.principal.delivers_only, act)
    webhooks.changed(context.workspace)
    return SubscriptionDeleted(subscription_id=wanted.subscription_id, deleted=True)
