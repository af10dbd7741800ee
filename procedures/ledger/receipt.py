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
    """Return an event with all that belongs to it, and their proofs, as one file. `synap verify` explains it offline.

    If the event belongs to an intent, the receipt has who asked, for what, who decided, what started and how it ended.
    Any other event comes alone. Both come with up to 64 causes. For a key that may read only its own user's events,
    causes of other users have a header only; NotFound if the event is another user's. PayloadTooLarge if the receipt
    would have more than 8 MiB.
    """
    only_user = context.principal.delivers_only
    return await context.services.receipts.make(context.workspace, event_reference(wanted.event_id), only_user)
