"""events.logBatch."""

from procedures.context import Context
from procedures.procedure import mutation
from schemas.errors import Conflict, Forbidden, InvalidInput, NotFound, PayloadTooLarge
from schemas.event import LogEvents, SynapEvent
from schemas.issues import MAX_ISSUES
from schemas.principal import Scope


@mutation("events.logBatch", scope=Scope.EVENTS_WRITE, errors=(Conflict, Forbidden, NotFound, PayloadTooLarge))
async def log_batch(batch: LogEvents, context: Context) -> list[SynapEvent]:
    """Append 1 to 1000 events in their order, all or nothing, except that some may be stored already.

    Answers and errors are those of `events.log`; the issues name every invalid place of every event.
    """
    services = context.services
    drafts, issues = [], []
    for place, event in enumerate(batch.events):
        try:
            drafts.append(services.drafting.draft(event, context.principal, f"events.{place}"))
        except InvalidInput as error:
            issues += error.issues
    if issues:
        raise InvalidInput(issues[:MAX_ISSUES])
    return await services.log.append(context.workspace, drafts)
