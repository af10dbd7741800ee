"""events.log."""

from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import Conflict, Forbidden, NotFound, PayloadTooLarge
from schemas.event import LogEvent, SynapEvent
from schemas.principal import Scope


@mutation("events.log", scope=Scope.EVENTS_WRITE, errors=(Conflict, Forbidden, NotFound, PayloadTooLarge))
async def log(event: LogEvent, context: Context) -> SynapEvent:
    """Append one event to the workspace's log; durable when answered.

    A retry with the same `id` and the same content answers the first event; other content under that id is Conflict,
    with the stored event's hash. `userId` is the caller's own unless its key has `events:write-as` (else Forbidden).
    At most 1 MiB (PayloadTooLarge). Source: "Events API", section Log Event.
    """
    services = context.services
    draft = services.drafting.draft(event, context.principal)
    return (await services.log.append(context.workspace, [draft]))[0]
