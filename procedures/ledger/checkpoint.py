"""ledger.checkpoint."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import NotFound
from schemas.ledger import DescribeLedger, SignedCheckpoint
from schemas.principal import Scope


@query("ledger.checkpoint", scope=Scope.LEDGER_READ, errors=(NotFound,))
async def checkpoint(_wanted: DescribeLedger, context: Context) -> SignedCheckpoint:
    """Return the newest signed checkpoint of the log. Keep it elsewhere: it reveals any later change of the log.

    It covers all events of now. That of a witnessed `_node` is the newest that a quorum of its witnesses cosigned, and
    may cover fewer. Source: C2SP tlog-checkpoint.
    """
    return await context.services.ledger.checkpoint(context.workspace)
