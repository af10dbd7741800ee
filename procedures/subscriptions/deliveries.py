"""subscriptions.deliveries."""

from app.sealing.cursors import Cursor
from procedures.context import Context
from procedures.paging import neighbours, way_from
from procedures.procedure import query
from schemas.errors import NotFound
from schemas.principal import Scope
from schemas.subscription import DEFAULT_DELIVERIES, Delivery, DeliveryPage, ListDeliveries

ORDER = "deliveries"
"""The name of this list's order, to which its cursors are bound."""


@query("subscriptions.deliveries", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound,))
async def deliveries(wanted: ListDeliveries, context: Context) -> DeliveryPage:
    """Return the deliveries of a webhook, newest first, each with its last 20 attempts.

    `limit` is 1 to 200, default 50. Ended deliveries are stored for 30 days, with the first 20,000 bytes of each
    receiver's answer. A page ends early, with `nextCursor`, when its answers reach 4 MiB.
    """
    webhooks, workspace, id_ = context.services.webhooks, context.workspace, wanted.subscription_id
    await webhooks.subscriptions.get(workspace, id_, context.principal.delivers_only)
    list_of = f"{id_} {wanted.status or ''}".encode()
    place = None
    if wanted.cursor is not None:
        cursor = webhooks.cursors.open(wanted.cursor, order=ORDER, workspace=workspace)
        place = cursor.seq if cursor.filter == list_of else 0
    way = way_from(wanted.cursor, wanted.direction)
    page, more = await webhooks.deliveries.page(
        workspace, id_, state=wanted.status, place=place, way=way, limit=wanted.limit or DEFAULT_DELIVERIES
    )
    has_next, has_previous = neighbours(way, more=more, is_first=place is None)

    def sealed(delivery: Delivery) -> str:
        return webhooks.cursors.seal(Cursor(ORDER, workspace, delivery.delivery_seq, list_of, 0))

    return DeliveryPage(
        deliveries=page,
        next_cursor=sealed(page[-1]) if page and has_next else None,
        previous_cursor=sealed(page[0]) if page and has_previous else None,
    )
