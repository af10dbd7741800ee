"""subscriptions.create (`docs/api/publish.md`, Subscribe to Events)."""

from app.delivery.guard import TargetRefused
from app.delivery.signature import is_weak, new_secret, standard_secret
from app.filters.parse import kept_filter
from app.store.install.keys import new_key_id
from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import InvalidInput, Issue, NotFound, RateLimited
from schemas.principal import Scope
from schemas.subscription import CreatedSubscription, CreateSubscription


@mutation("subscriptions.create", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound, RateLimited))
async def create(wanted: CreateSubscription, context: Context) -> CreatedSubscription:
    """Register a webhook. The server posts every matching event to it, signed, at least once.

    If the server made the secret, only this answer contains it. A webhook of a key that may read only its own user's
    events receives only those. A `filter` has at most 65,536 bytes as JSON. RateLimited if the workspace has
    `SYNAP_MAX_SUBSCRIPTIONS` active webhooks, or ten times as many in all.
    """
    webhooks, workspace = context.services.webhooks, context.workspace
    try:
        target = webhooks.guard.target(wanted.webhook_url)
    except TargetRefused as error:
        raise InvalidInput([Issue("webhookUrl", str(error))]) from error
    kept = None if wanted.filter is None else kept_filter(wanted.filter)
    only_user = context.principal.delivers_only
    cursor = None
    if wanted.start_from is not None and wanted.start_from != "now":
        end = await context.services.feed.follower.tip(workspace)
        cursor = await context.services.feed.place(workspace, wanted.start_from, only_user, field="startFrom", end=end)
    id_ = f"sub_{new_key_id()}"
    secret = wanted.secret or new_secret()
    # The audit gets only the URL's host, because the rest may hold a secret, and no filter, because it may name people.
    detail: dict[str, object] = {"subscriptionId": id_, "eventTypes": wanted.event_types, "host": target.host}
    if kept is not None:
        detail["filtered"] = True
    if only_user is not None:
        detail["ownEventsOnly"] = True
    created = await webhooks.subscriptions.create(
        workspace,
        id_,
        event_types=wanted.event_types,
        filter=kept,
        url=wanted.webhook_url,
        description=wanted.description,
        ordered=bool(wanted.ordered),
        only_user=only_user,
        secret=webhooks.sealer.seal(secret, workspace, id_),
        weak_secret=is_weak(secret),
        cursor=cursor,
        max_active=webhooks.max_active,
        act=context.act("subscription.created", detail),
    )
    if created is None:
        raise await webhooks.no_room(workspace)
    webhooks.changed(workspace)
    return CreatedSubscription(
        **{name: getattr(created, name) for name in created.__struct_fields__},
        secret=None if wanted.secret else secret,
        standard_webhooks_secret=standard_secret(secret),
    )
