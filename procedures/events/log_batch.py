"""events.logBatch."""

from procedures.context import Context
from procedures.events.log import drafts
from procedures.procedure import mutation
from schemas.errors import Conflict, Forbidden, NotFound, PayloadTooLarge
from schemas.event import LogEvents, SynapEvent
from schemas.principal import Scope


@mutation(
    "events.logBatch",
    scope=Scope.EVENTS_WRITE,
    errors=(Conflict, Forbidden, NotFound, PayloadTooLarge),
    large_input=True,
)
async def log_batch(batch: LogEvents, context: Context) -> list[SynapEvent]:
    """Append 1 to 1000 events in their order: all or none. Events that are stored already are returned as they are.

    Each event has the rules and errors of `events.log`. The issues name every invalid place of every event. The message
    of a Conflict names the `id` of the first conflicting event.
    """
    paths = [f"events.{place}" for place in range(len(batch.events))]
    made = await drafts(batch.events, paths, context)
    try:
        return await context.services.log.append(context.workspace, made)
    except Conflict as error:
        place = next(place for place, draft in enumerate(made) if draft.id == error.id)
        error.field = f"{paths[place]}.id"
        raise
