"""ledger.node."""

from procedures.context import Context
from procedures.procedure import query
from schemas.ledger import DescribeLedger, LedgerNode
from schemas.principal import Scope


@query("ledger.node", scope=Scope.LEDGER_READ)
async def node(_wanted: DescribeLedger, context: Context) -> LedgerNode:
    """Return the node that signs: its id, its current key, and all its keys in order."""
    return await context.services.ledger.node()
