"""events.types."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import RateLimited
from schemas.event_types import DEFAULT_TYPES, ListTypes, TypePage
from schemas.principal import Scope


@query("events.types", scope=Scope.EVENTS_READ, errors=(RateLimited,))
async def types(wanted: ListTypes, context: Context) -> TypePage:
    """List the event types of the workspace, with the number of their events and the time of the newest.

    Erased events count, because they keep their type. In a workspace with more than 10,000 types or producers, each
    type is counted up to 1,000 events. A key limited to its own user gets the types of that user's newest 10,000
    events, without erased ones. `exact` is false if such a limit was reached: the counts are minimums then.
    """
    return await context.services.type_counts.page(
        context.workspace,
        wanted.prefix or "",
        wanted.after or "",
        wanted.limit or DEFAULT_TYPES,
        context.principal.reads_only,
    )
