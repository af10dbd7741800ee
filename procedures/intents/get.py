"""intents.get."""

from procedures.context import Context
from procedures.procedure import query
from procedures.reference import one_event_id
from procedures.viewers import viewer_of
from schemas.errors import NotFound
from schemas.intents import GetIntent, IntentChain
from schemas.principal import Scope


@query("intents.get", scope=Scope.EVENTS_READ, errors=(NotFound,))
async def get(wanted: GetIntent, context: Context) -> IntentChain:
    """Return an intent, where it stands, and what followed: the decision, each start and its outcome.

    A key that may read only its own user's events sees the intents that this user asked for, or is named to approve.
    """
    intent_id = await one_event_id(wanted.event_id, context)
    await context.services.intents.require_schema()
    return await context.services.intent_reader.chain(context.workspace, intent_id, viewer_of(context))
