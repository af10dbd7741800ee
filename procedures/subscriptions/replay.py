"""subscriptions.replay."""

from datetime import datetime

from app.store.webhooks.deliveries import MAX_REPLAYED
from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import InvalidInput, Issue, NotFound, RateLimited
from schemas.principal import Scope
from schemas.reference import named_event
from schemas.subscription import ReplayDeliveries, Replayed

NOWHERE = (0, -1)


@mutation("subscriptions.replay", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(NotFound, RateLimited))
async def replay(wanted: ReplayDeliveries, context: Context) -> Replayed:
    """Deliver one event again, or the matching events of a range, in their order, after the pending deliveries.

    Each gets a new `deliverySeq`. A range spans at most 10,000 places of the log. A paused or disabled webhook gets the
    events when it is resumed. RateLimited if more than 10,000 deliveries of the webhook wait for their first attempt.
    RateLimited also if nine replays of the workspace run or wait in this server process.
    """
    webhooks, workspace, only_user = context.services.webhooks, context.workspace, context.principal.delivers_only
    subscriber = await webhooks.deliveries.subscriber(workspace, wanted.subscription_id, only_user)
    first, last = await _places(wanted, context)
    if last - first >= MAX_REPLAYED:
        raise InvalidInput([Issue("", f"the range spans more than {MAX_REPLAYED:,} places; replay it in parts")])
    act = context.act("subscription.replayed", {"subscriptionId": subscriber.id, "fromSeq": first, "toSeq": last})
    async with webhooks.turn_to_replay(workspace):
        made = await webhooks.deliveries.replay(workspace, subscriber, first, last, act)
    if made is None:
        found = await webhooks.subscriptions.get(workspace, wanted.subscription_id, only_user)
        raise webhooks.too_many_untried(found.untried)
    deliveries, number = made
    if wanted.event_id is not None and deliveries == 0:
        raise InvalidInput([Issue("eventId", "is not an event that this subscription receives")])
    webhooks.changed(workspace)
    return Replayed(deliveries=deliveries, delivery_seq=number)


async def _places(wanted: ReplayDeliveries, context: Context) -> tuple[int, int]:
    """The first and the last place of the range.

    Raises InvalidInput unless exactly one kind of range was sent, and if it ends before its start.
    """
    follower = context.services.feed.follower
    match wanted.event_id, wanted.from_seq, wanted.to_seq, wanted.from_, wanted.to:
        case str() as name, None, None, None, None:
            reference = named_event(name)
            place = None if reference is None else await follower.place(context.workspace, reference)
            return (place[0], place[0]) if place else NOWHERE
        case None, int() as first, int() as last, None, None:
            if last < first:
                raise InvalidInput([Issue("toSeq", "must not be less than fromSeq")])
            return first, last
        case None, None, None, datetime() as start, datetime() as end:
            if end < start:
                raise InvalidInput([Issue("to", "must not be earlier than from")])
            return await follower.before(context.workspace, start) + 1, await follower.before(context.workspace, end)
    raise InvalidInput([Issue("", "needs either eventId, or fromSeq and toSeq, or from and to")])
