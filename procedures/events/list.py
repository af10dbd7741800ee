"""events.list (`docs/api/trpc.md`, List Events)."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import PayloadTooLarge, RateLimited
from schemas.event import ListEvents, SynapEvent
from schemas.principal import Scope
from schemas.written import Written


@query("events.list", scope=Scope.EVENTS_READ, errors=(PayloadTooLarge, RateLimited))
async def list_(wanted: ListEvents, context: Context) -> Written[list[SynapEvent]]:
    """Return the events of the workspace that match every filter, newest first.

    `limit` is 1 to 1000, default 100. `from` (included) and `to` (excluded) bound `timestamp`. `type` is a pattern in
    which `*` matches a segment. PayloadTooLarge if the answer exceeds 32 MiB.
    """
    return await context.services.reader.events(context.workspace, wanted, context.principal.reads_only)
