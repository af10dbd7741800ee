"""events.stream."""

from procedures.context import Context
from procedures.procedure import Stream, subscription
from schemas.errors import NotFound
from schemas.event import CaughtUp, StreamEvents, SynapEvent
from schemas.principal import Scope


@subscription("events.stream", scope=Scope.EVENTS_READ, errors=(NotFound,))
async def stream(wanted: StreamEvents, context: Context) -> Stream[SynapEvent, CaughtUp]:
    """Stream every event that matches, in the order of the log, until the reader leaves.

    The stream begins after `start` (default: now) and resumes after the last received id, without gaps or repeats.
    InvalidInput if `start` is not a place of this log.
    """
    return await context.services.feed.follow(
        context.workspace, wanted, context.principal.reads_only, caller=context.principal.key_id
    )
