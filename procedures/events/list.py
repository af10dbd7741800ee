"""events.list."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import PayloadTooLarge, RateLimited
from schemas.event import ListEvents, SynapEvent
from schemas.principal import Scope
from schemas.written import Written


@query("events.list", scope=Scope.EVENTS_READ, errors=(PayloadTooLarge, RateLimited))
async def list_(wanted: ListEvents, context: Context) -> Written[list[SynapEvent]]:
    """The events of the workspace that match every filter given, newest first.

    `limit` 1 to 1000, default 100; `from` (inclusive) and `to` (exclusive) bound `timestamp`; `type` is a pattern in
    which `*` stands for a segment. Beyond 32 MiB: PayloadTooLarge. Source: "Events API", section List Events.
    """
    return await context.services.reader.events(context.workspace, wanted, context.principal.reads_only)
