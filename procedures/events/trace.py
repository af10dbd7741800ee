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
    """Return the causes and effects of an event, and the other events with its correlation.

    An event's cause is the event of the workspace whose UUID, in lower case, is its `causationId`. A cycle ends before
    it would repeat an event. `limit` counts causes first, then effects, then the others; `truncated` names each list
    that a bound cut. The trace shows the log at one moment. A key limited to its own user does not see other users'
    events, and the tree stops at them.
    """
    found = await context.services.causal_tree.trace(
        context.workspace,
        event_reference(wanted.event_id),
        context.principal.reads_only,
        limit=wanted.limit or DEFAULT_NODES,
        depth=wanted.depth or DEFAULT_DEPTH,
    )
    if found is None:
        raise NotFound("Event not found", field="eventId")
    return found
