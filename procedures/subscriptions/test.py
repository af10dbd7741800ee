"""subscriptions.test."""

from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import NotFound, RateLimited
from schemas.principal import Scope
from schemas.subscription import SubscriptionReference, TestedSubscription


@mutation("subscriptions.test", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound, RateLimited))
async def test(wanted: SubscriptionReference, context: Context) -> TestedSubscription:
    """Post one event of type `synap.webhook.test`, signed like any other, and return the result.

    The event is not logged, has no `seq`, `hash` and `deliverySeq`, is not retried, and changes no state of the
    webhook. RateLimited if four tests of the workspace run in this server process and eight more wait.
    """
    webhooks = context.services.webhooks
    act = context.act("subscription.tested", {"subscriptionId": wanted.subscription_id})
    async with webhooks.turn_to_test(context.workspace):
        secrets = await webhooks.subscriptions.secrets(
            context.workspace, wanted.subscription_id, context.principal.delivers_only, act
        )
        outcome = await webhooks.test(context.workspace, wanted.subscription_id, secrets)
    return TestedSubscription(
        delivered=outcome.error is None,
        status=outcome.status,
        error=outcome.error,
        elapsed_ms=round(outcome.elapsed_seconds * 1000),
        body=outcome.body.decode(errors="replace"),
    )
