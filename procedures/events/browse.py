"""events.browse (`docs/api/browse.md`, GET /api/events)."""

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
    """Return one page of the workspace's events that match, in the requested order (default: newest first).

    `filter` and `orderBy` use the filter language. `limit` is 1 to 100, default 100. Send a page's `endCursor` as
    `after` for the next page, or its `startCursor` as `before` for the previous one, with the same order and filter.
    Cursors stay valid while events are appended. `ids` that name no event are ignored. A key with `events:read-own`
    but not `events:read` sees only its own user's events.
    """
    if wanted.ids is not None:
        ids = await event_ids(wanted.ids, context)
        wanted = replace(wanted, ids=[str(id_) for id_ in ids if id_ is not None])
    return await context.services.browser.page(context.workspace, wanted, context.principal.reads_only)
