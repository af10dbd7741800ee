"""events.get."""

import re
from uuid import UUID

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import NotFound
from schemas.event import GetEvent, SynapEvent
from schemas.principal import Scope
from schemas.written import Written

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LEDGER_ID = re.compile(r"evt_([0-9a-f]{64})")


@query("events.get", scope=Scope.EVENTS_READ, errors=(NotFound,))
async def get(wanted: GetEvent, context: Context) -> Written[SynapEvent]:
    """One event of the workspace, by its UUID or its ledger id `evt_<hash>`.

    An id of any other form is NotFound too, as is another workspace's event, and another user's for a key that may
    read its own only. Source: "Events API", section Get Event.
    """
    if _UUID.fullmatch(wanted.event_id):
        reference: UUID | bytes = UUID(wanted.event_id)
    elif match := _LEDGER_ID.fullmatch(wanted.event_id):
        reference = bytes.fromhex(match[1])
    else:
        raise NotFound("Event not found", field="eventId")
    found = await context.services.reader.get(context.workspace, reference)
    if found is None or context.principal.reads_only not in {None, found.user_id}:
        raise NotFound("Event not found", field="eventId")
    return found.event
