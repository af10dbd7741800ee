"""events.browse."""

from msgspec.structs import replace

from procedures.context import Context
from procedures.procedure import query
from procedures.reference import event_ids
from schemas.browse import BrowsedPage, BrowseEvents
from schemas.errors import RateLimited
from schemas.principal import Scope
from schemas.written import Written


@query("events.browse", scope=Scope.EVENTS_READ, errors=(RateLimited,))
async def browse(wanted: BrowseEvents, context: Context) -> Written[BrowsedPage]:
    """One page of the workspace's events that match, in the order asked for, newest first unless it is said.

    `filter` and `orderBy` are the one filter language; `limit` is 1 to 100, default 100. The cursors of a page lead to
    the pages behind it (`after`) and before it (`before`), in the same order and under the same filter; they stay good
    while events are appended. Of `ids` only those that name an event count. A key that may read its own user's events
    alone sees those. Source: "Events", section GET /api/events.
    """
    if wanted.ids is not None:
        ids = await event_ids(wanted.ids, context)
        wanted = replace(wanted, ids=[str(id_) for id_ in ids if id_ is not None])
    return await context.services.browser.page(context.workspace, wanted, context.principal.reads_only)
