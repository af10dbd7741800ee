"""events.get (`docs/api/trpc.md`, Get Event)."""

from procedures.context import Context
from procedures.procedure import query
from procedures.reference import event_reference
from schemas.errors import NotFound
from schemas.event import GetEvent, SynapEvent
from schemas.principal import Scope
from schemas.written import Written


@query("events.get", scope=Scope.EVENTS_READ, errors=(NotFound,))
async def get(wanted: GetEvent, context: Context) -> Written[SynapEvent]:
    """Return one event of the workspace, by its UUID or its ledger id `evt_<hash>`.

    NotFound also if the id has another form or the event is in another workspace. A key that may read only its own
    user's events gets NotFound for other users' events.
    """
    found = await context.services.reader.get(context.workspace, event_reference(wanted.event_id))
    if found is None or context.principal.reads_only not in {None, found.user_id}:
        raise NotFound("Event not found", field="eventId")
    return found.event
