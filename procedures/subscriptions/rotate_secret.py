"""subscriptions.rotateSecret."""

from app.delivery.signature import is_weak, new_secret, standard_secret
from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import NotFound
from schemas.principal import Scope
from schemas.subscription import DEFAULT_GRACE_SECONDS, RotatedSecret, RotateSecret


@mutation("subscriptions.rotateSecret", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound,))
async def rotate_secret(wanted: RotateSecret, context: Context) -> RotatedSecret:
    """Replace a webhook's secret. Without `secret` the server makes one, which only this answer contains.

    For `graceSeconds` (0 to 604,800, default 86,400) the old secret signs too: `webhook-signature` carries both
    signatures, `X-Signature` only the old one's. Secrets from before the old one no longer sign.
    """
    webhooks = context.services.webhooks
    secret = wanted.secret or new_secret()
    grace = DEFAULT_GRACE_SECONDS if wanted.grace_seconds is None else wanted.grace_seconds
    rotated = await webhooks.subscriptions.rotate(
        context.workspace,
        wanted.subscription_id,
        context.principal.delivers_only,
        secret=webhooks.sealer.seal(secret, context.workspace, wanted.subscription_id),
        weak_secret=is_weak(secret),
        grace_seconds=grace,
        act=context.act(
            "subscription.secret_rotated", {"subscriptionId": wanted.subscription_id, "graceSeconds": grace}
        ),
    )
    return RotatedSecret(
        secret=None if wanted.secret else secret,
        standard_webhooks_secret=standard_secret(secret),
        weak_secret=rotated.weak_secret,
        previous_secret_until=rotated.previous_secret_until,
    )
