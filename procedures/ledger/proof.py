"""ledger.proof."""

import msgspec

from procedures.context import Context
from procedures.procedure import query
from procedures.reference import event_reference
from schemas.errors import NotFound
from schemas.ledger import InclusionProof, ProveEvent
from schemas.principal import Scope


@query("ledger.proof", scope=Scope.LEDGER_READ, errors=(NotFound,))
async def proof(wanted: ProveEvent, context: Context) -> InclusionProof:
    """Return one event, and the proof that it is in the log, with a checkpoint of the log to verify it offline.

    The checkpoint is that of `ledger.checkpoint`, or a newer one if that does not cover the event yet. With `tlogProof`
    the answer also has the proof that travels: NotFound if `_node` does not cover the event yet. NotFound also if the
    event is another user's and the key may read only its own user's events. Source: RFC 6962, section 2.1.1; C2SP
    tlog-proof.
    """
    ledger, workspace = context.services.ledger, context.workspace
    found = await ledger.find(workspace, event_reference(wanted.event_id))
    if found is None or context.principal.delivers_only not in {None, found.user_id}:
        raise NotFound("Event not found", field="eventId")
    travelling = await context.services.travelling.proof(workspace, found) if wanted.tlog_proof else None
    return msgspec.structs.replace(await ledger.inclusion(workspace, found), tlog_proof=travelling)
