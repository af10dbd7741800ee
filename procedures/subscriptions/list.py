"""subscriptions.list."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import InvalidInput, Issue, NotFound, PayloadTooLarge
from schemas.principal import Scope
from schemas.subscription import MAX_LISTED, ListSubscriptions, Subscription


@query("subscriptions.list", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(PayloadTooLarge,))
async def list_(wanted: ListSubscriptions, context: Context) -> list[Subscription]:
    """Every webhook of the workspace, oldest first. Source: "Events API", section Manage Subscriptions.

    `limit` (1 to 200) and `after` (the `subscriptionId` that the page before ended with) ask for a page. Without
    `limit` all are returned; PayloadTooLarge if they are more than 200.
    """
    subscriptions, only_user = context.services.webhooks.subscriptions, context.principal.delivers_only
    if wanted.after is not None:
        try:
            await subscriptions.get(context.workspace, wanted.after, only_user)
        except NotFound:
            message = "is not a subscription of this workspace any more; begin again without it"
            raise InvalidInput([Issue("after", message)]) from None
    asked = wanted.limit or MAX_LISTED + 1
    found = await subscriptions.page(context.workspace, only_user, after=wanted.after, limit=asked)
    if len(found) > MAX_LISTED:
        raise PayloadTooLarge(
            f"These are more than {MAX_LISTED} subscriptions; set limit, and go on with after", field="limit"
        )
    return found
