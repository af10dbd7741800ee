"""subscriptions.deliveries."""

from app.cursor import Cursor
from procedures.context import Context
from procedures.procedure import query
from schemas.errors import NotFound
from schemas.principal import Scope
from schemas.subscription import DEFAULT_DELIVERIES, DeliveryPage, ListDeliveries

ORDER = "deliveries"
"""The order that this list's cursors are bound to."""


@query("subscriptions.deliveries", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound,))
async def deliveries(wanted: ListDeliveries, context: Context) -> DeliveryPage:
    """What a webhook was and is owed, newest first, each with its last 20 attempts.

    `limit` 1 to 200, default 50. What ended is kept for 30 days. An answer's body is kept up to 20,000 bytes.
    """
    webhooks, workspace, id_ = context.services.webhooks, context.workspace, wanted.subscription_id
    await webhooks.subscriptions.get(workspace, id_, context.principal.delivers_only)
    list_of = f"{id_} {wanted.status or ''}".encode()
    before = None
    if wanted.cursor is not None:
        place = webhooks.cursors.open(wanted.cursor, order=ORDER, workspace=workspace)
        before = place.seq if place.filter == list_of else 0
    limit = wanted.limit or DEFAULT_DELIVERIES
    found = await webhooks.subscriptions.deliveries(workspace, id_, state=wanted.status, before=before, limit=limit + 1)
    page = found[:limit]
    is_last = len(found) <= limit
    return DeliveryPage(
        deliveries=page,
        next_cursor=None
        if is_last
        else webhooks.cursors.seal(Cursor(ORDER, workspace, page[-1].delivery_seq, list_of, 0)),
    )
