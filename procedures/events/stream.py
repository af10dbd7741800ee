"""events.stream."""

from procedures.context import Context
from procedures.procedure import Stream, subscription
from schemas.errors import NotFound
from schemas.event import CaughtUp, StreamEvents, SynapEvent
from schemas.principal import Scope


@subscription("events.stream", scope=Scope.EVENTS_READ, errors=(NotFound,))
async def stream(wanted: StreamEvents, context: Context) -> Stream[SynapEvent, CaughtUp]:
    """Every event that matches, in the order in which they were logged, for as long as the reader stays.

    The stream begins behind `start` (default: now) and resumes behind the last id that was received: nothing twice,
    nothing missed. A start that is no place of this log is InvalidInput.
    """
    return await context.services.feed.follow(
        context.workspace, wanted, context.principal.reads_only, caller=context.principal.key_id
    )
