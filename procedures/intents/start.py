"""intents.start."""

from app.capacity.parsing import parse
from app.ledger.canonical import canonical
from app.store.intents.standing import Start
from procedures.context import Context
from procedures.procedure import mutation
from procedures.reference import one_event_id
from procedures.viewers import caller_of
from schemas.errors import (
    Conflict,
    Forbidden,
    IntentEnded,
    NotApproved,
    NotFound,
    ParametersDiffer,
    PayloadTooLarge,
    UsedUp,
)
from schemas.intents import StartedIntent, StartIntent
from schemas.principal import Scope


@mutation(
    "intents.start",
    scope=Scope.EVENTS_WRITE,
    errors=(
        Conflict,
        Forbidden,
        IntentEnded,
        NotApproved,
        NotFound,
        ParametersDiffer,
        PayloadTooLarge,
        UsedUp,
    ),
    large_input=True,
)
async def start(wanted: StartIntent, context: Context) -> StartedIntent:
    """Take one use of an approved intent, right before the act. Call `intents.finish` after it.

    Only the user who asked may start (Forbidden). `parameters` must equal those that were approved (ParametersDiffer).
    NotApproved before the approval, IntentEnded after the intent's end, UsedUp if no use is left. The same `requestId`
    returns the first start again, with `replayed: true`: do not act again then, because that start has its own outcome.
    If the outcome does not come within the intent's `timeoutSeconds`, the server logs that it is unknown.
    """
    size = len(bytes(wanted.parameters))
    parameters = await parse(size, canonical, bytes(wanted.parameters), "parameters")
    begun = await context.services.intents.start(
        context.workspace,
        await one_event_id(wanted.event_id, context),
        Start(wanted.hash, parameters, wanted.request_id),
        caller_of(context),
    )
    return StartedIntent(event=begun.event, use=begun.use, replayed=begun.replayed)
