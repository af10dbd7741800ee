"""ledger.proof."""

from procedures.context import Context
from procedures.procedure import query
from procedures.reference import event_reference
from schemas.errors import NotFound
from schemas.ledger import InclusionProof, ProveEvent
from schemas.principal import Scope


@query("ledger.proof", scope=Scope.LEDGER_READ, errors=(NotFound,))
async def proof(wanted: ProveEvent, context: Context) -> InclusionProof:
    """One event, and the proof that it is in the log: offline, against a checkpoint of the log now.

    A key that may read its own user's events alone can prove those. Source: RFC 6962, section 2.1.1.
    """
    ledger, workspace = context.services.ledger, context.workspace
    found = await ledger.find(workspace, event_reference(wanted.event_id))
    if found is None or context.principal.delivers_only not in {None, found.user_id}:
        raise NotFound("Event not found", field="eventId")
    return await ledger.inclusion(workspace, found)
