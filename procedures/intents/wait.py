"""intents.wait."""

from uuid import UUID

from app.feed import Reader
from app.ledger.intents import following_type
from app.store.intents.reader import Viewer
from procedures.context import Context
from procedures.procedure import query
from procedures.reference import one_event_id
from procedures.viewers import viewer_of
from schemas.errors import NotFound
from schemas.event import StreamEvents
from schemas.intents import MAX_WAIT_SECONDS, IntentChain, WaitForIntent
from schemas.principal import Scope

ENDING = ("approved", "rejected", "expired", "withdrawn")
"""The last words of the types after which an intent is not open any more."""


@query("intents.wait", scope=Scope.EVENTS_READ, errors=(NotFound,), waits=True)
async def wait(wanted: WaitForIntent, context: Context) -> IntentChain:
    """Return an intent as `intents.get` does, as soon as it is decided, withdrawn or expired, or the time is up.

    If `state` is still `open`, call it again. RateLimited if as many calls of the key wait as it may have streams.
    """
    viewer, services = viewer_of(context), context.services
    intent_id = await one_event_id(wanted.event_id, context)
    await services.intents.require_schema()
    seconds = MAX_WAIT_SECONDS if wanted.timeout_seconds is None else wanted.timeout_seconds
    chain = await services.intent_reader.chain(context.workspace, intent_id, viewer)
    if chain.state != "open" or not seconds:
        return chain
    ending = {"type": {"in": [following_type(chain.event.type, word) for word in ENDING]}}
    with services.waits.opened(context.principal.key_id):
        # Only types are compared: the event that withdraws an erased intent does not name it.
        ends = await services.feed.follow(
            context.workspace, StreamEvents(filter=ending), None, caller=context.principal.key_id
        )
        try:
            await services.waits.until(_ended(ends, context, intent_id, viewer), seconds)
        finally:
            await ends.aclose()
    return await services.intent_reader.chain(context.workspace, intent_id, viewer)


async def _ended(ends: Reader, context: Context, intent_id: UUID, viewer: Viewer) -> None:
    """Return when the intent is not open any more. It looks first: `ends` has only what came after its start."""
    while (await context.services.intent_reader.state(context.workspace, intent_id, viewer)).state == "open":
        await anext(ends)
