"""subscriptions.list (`docs/api/publish.md`, Manage Subscriptions)."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import InvalidInput, Issue, NotFound, PayloadTooLarge
from schemas.principal import Scope
from schemas.subscription import MAX_LISTED, ListSubscriptions, Subscription


@query("subscriptions.list", scope=Scope.SUBSCRIPTIONS_MANAGE, errors=(PayloadTooLarge,))
async def list_(wanted: ListSubscriptions, context: Context) -> list[Subscription]:
    """Return the webhooks of the workspace, oldest first.

    For a page, send `limit` (1 to 200) and `after`, the last `subscriptionId` of the page before. Without `limit` all
    webhooks are returned; PayloadTooLarge if there are more than 200.
    """
    subscriptions, only_user = context.services.webhooks.subscriptions, context.principal.delivers_only
    if wanted.after is not None:
        try:
            await subscriptions.get(context.workspace, wanted.after, only_user)
        except NotFound:
            message = "is not a subscription of this workspace; list from the beginning without it"
            raise InvalidInput([Issue("after", message)]) from None
    asked = wanted.limit or MAX_LISTED + 1
    found = await subscriptions.page(context.workspace, only_user, after=wanted.after, limit=asked)
    if len(found) > MAX_LISTED:
        raise PayloadTooLarge(
            f"The list has more than {MAX_LISTED} subscriptions; send limit, then after for each next page",
            field="limit",
        )
    return found
