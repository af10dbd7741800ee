"""events.trace."""

from procedures.context import Context
from procedures.procedure import query
from procedures.reference import event_reference
from schemas.errors import NotFound, RateLimited
from schemas.principal import Scope
from schemas.trace import DEFAULT_DEPTH, DEFAULT_NODES, Trace, TraceEvent
from schemas.written import Written


@query("events.trace", scope=Scope.EVENTS_READ, errors=(NotFound, RateLimited))
async def trace(wanted: TraceEvent, context: Context) -> Written[Trace]:
    """Why an event is, and what came of it: its causes, its effects, and the others of its correlation set.

    An event's cause is the event of the workspace whose UUID its `causationId` is, in lower case, as for `parent` and
    `children` of a filter; any other text names none. Cycles end where they would repeat an event. Causes come first,
    then effects, then the others, up to `limit`; what a bound cut is said in `truncated`. All of it is of one moment.
    For a key that may read its own user's events alone, others are not there, and lead nowhere.
    """
    found = await context.services.tracer.trace(
        context.workspace,
        event_reference(wanted.event_id),
        context.principal.reads_only,
        limit=wanted.limit or DEFAULT_NODES,
        depth=wanted.depth or DEFAULT_DEPTH,
    )
    if found is None:
        raise NotFound("Event not found", field="eventId")
    return found
