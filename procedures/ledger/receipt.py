"""ledger.receipt."""

from procedures.context import Context
from procedures.procedure import query
from procedures.reference import event_reference
from schemas.errors import NotFound, PayloadTooLarge
from schemas.ledger import ProveEvent, Receipt
from schemas.principal import Scope
from schemas.written import Written


@query("ledger.receipt", scope=Scope.LEDGER_READ, errors=(NotFound, PayloadTooLarge))
async def receipt(wanted: ProveEvent, context: Context) -> Written[Receipt]:
    """Return an event with all that belongs to it, and their proofs, as one file that `synap verify` explains offline.

    An event of an intent brings the whole chain, any other only itself; both bring up to 64 causes. To a key with
    `events:read-own` other users' events are not found, and of causes it sees the header. PayloadTooLarge above 8 MiB.
    """
    only_user = context.principal.delivers_only
    return await context.services.receipts.make(context.workspace, event_reference(wanted.event_id), only_user)
