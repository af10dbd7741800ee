"""intents.withdraw."""

from procedures.context import Context
from procedures.procedure import mutation
from procedures.reference import one_event_id
from procedures.viewers import caller_of
from schemas.errors import Conflict, Forbidden, IntentEnded, NotFound, UsedUp
from schemas.event import SynapEvent
from schemas.intents import WithdrawIntent
from schemas.principal import Scope


@mutation("intents.withdraw", scope=Scope.EVENTS_WRITE, errors=(Conflict, Forbidden, IntentEnded, NotFound, UsedUp))
async def withdraw(wanted: WithdrawIntent, context: Context) -> SynapEvent:
    """Withdraw an intent, and return the event that says so. Nothing starts afterwards; what has started may finish.

    Only the user who asked may do that (Forbidden), before the intent is decided, or after an approval while uses
    remain (UsedUp, IntentEnded). Sent again it returns the same event.
    """
    intent_id = await one_event_id(wanted.event_id, context)
    return await context.services.intents.withdraw(context.workspace, intent_id, wanted.reason, caller_of(context))
