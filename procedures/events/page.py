"""events.page."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import RateLimited
from schemas.event import EventPage, ListEvents
from schemas.principal import Scope
from schemas.written import Written


@query("events.page", scope=Scope.EVENTS_READ, errors=(RateLimited,))
async def page(wanted: ListEvents, context: Context) -> Written[EventPage]:
    """Return one page of events that match every filter, newest first, with the exact `total` and cursors.

    `nextCursor` is absent on the last page, as `useInfiniteQuery` expects. A page ends early at 32 MiB.
    """
    return await context.services.reader.page(context.workspace, wanted, context.principal.reads_only)
