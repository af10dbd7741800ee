"""intents.wait."""

import asyncio
from uuid import UUID

from app.store.intents.reader import Viewer
from procedures.context import Context
from procedures.procedure import query
from procedures.reference import one_event_id
from procedures.viewers import viewer_of
from schemas.errors import NotFound
from schemas.intents import MAX_WAIT_SECONDS, IntentChain, WaitForIntent
from schemas.principal import Scope

FIRST_LOOK_SECONDS, LOOK_SECONDS = 0.1, 1.0
"""The time between two looks: short at first, then longer."""


@query("intents.wait", scope=Scope.EVENTS_READ, errors=(NotFound,))
async def wait(wanted: WaitForIntent, context: Context) -> IntentChain:
    """Return an intent as `intents.get` does, as soon as it is decided, withdrawn or expired, or the time is up.

    If `state` is still `open`, call it again. RateLimited if as many calls of the key wait as it may have streams.
    """
    viewer, reader = viewer_of(context), context.services.intent_reader
    intent_id = await one_event_id(wanted.event_id, context)
    await context.services.intents.require_schema()
    seconds = MAX_WAIT_SECONDS if wanted.timeout_seconds is None else wanted.timeout_seconds
    with context.services.waits.opened(context.principal.key_id):
        await _decided(context, intent_id, viewer, seconds)
    return await reader.chain(context.workspace, intent_id, viewer)


async def _decided(context: Context, intent_id: UUID, viewer: Viewer, seconds: float) -> None:
    """Wait until the intent is not open any more, the time is up, or the server stops. Raises NotFound, Unavailable."""
    services, clock = context.services, asyncio.get_running_loop().time
    deadline, pause = clock() + seconds, FIRST_LOOK_SECONDS
    while (await services.intent_reader.state(context.workspace, intent_id, viewer)).state == "open":
        left = deadline - clock()
        if left <= 0 or not await services.waits.pause(min(pause, left)):
            return
        pause = min(pause * 2, LOOK_SECONDS)
