"""intents.decide."""

from app.store.intents.standing import Decision
from procedures.context import Context
from procedures.procedure import mutation
from procedures.reference import one_event_id
from procedures.viewers import caller_of
from schemas.errors import Conflict, Forbidden, IntentEnded, NotFound
from schemas.event import SynapEvent
from schemas.intents import DecideIntent
from schemas.principal import Scope


@mutation("intents.decide", scope=Scope.INTENTS_DECIDE, errors=(Conflict, Forbidden, IntentEnded, NotFound))
async def decide(wanted: DecideIntent, context: Context) -> SynapEvent:
    """Approve or reject an intent, and return the event that says so.

    `hash` is the hash of the intent's event, so that the decision covers exactly what was looked at: Conflict if the
    intent has another. The user who asked may not decide (Forbidden), unless the key has `intents:decide-own`. If the
    intent names `approvers`, only these users may. The first decision stands: sent again it returns the same event,
    and another one is a Conflict, which names the event that stands. IntentEnded if the intent is expired or withdrawn.
    """
    return await context.services.intents.decide(
        context.workspace,
        await one_event_id(wanted.event_id, context),
        Decision(wanted.hash, wanted.decision, wanted.reason),
        caller_of(context),
    )
