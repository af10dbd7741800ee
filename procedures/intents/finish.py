"""intents.finish."""

from app.store.intents.acts import Finish
from procedures.context import Context
from procedures.procedure import mutation
from procedures.reference import one_event_id
from procedures.viewers import caller_of
from schemas.errors import Conflict, Forbidden, IntentEnded, NotFound, PayloadTooLarge
from schemas.event import SynapEvent
from schemas.intents import FinishIntent
from schemas.principal import Scope


@mutation(
    "intents.finish",
    scope=Scope.EVENTS_WRITE,
    errors=(Conflict, Forbidden, IntentEnded, NotFound, PayloadTooLarge),
    large_input=True,
)
async def finish(wanted: FinishIntent, context: Context) -> SynapEvent:
    """Report how a use of an intent ended, and return the event that says so.

    Only the user who started it may do that (Forbidden). The report is accepted whatever it says: if
    `data.parameters` differ from what was approved, the event says `differs`. After the server has logged that the
    outcome is unknown, one late report is still accepted. Sent again it returns the same event; another outcome is a
    Conflict. InvalidInput if `data` does not fit what is registered for the event's type.
    """
    data = bytes(wanted.data)
    return await context.services.intents.finish(
        context.workspace,
        await one_event_id(wanted.start_id, context, field="startId"),
        Finish(wanted.outcome, b"{}" if data == b"null" else data),
        caller_of(context),
    )
