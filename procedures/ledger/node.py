"""ledger.node."""

from procedures.context import Context
from procedures.procedure import query
from schemas.ledger import DescribeLedger, LedgerNode
from schemas.principal import Scope


@query("ledger.node", scope=Scope.LEDGER_READ)
async def node(_wanted: DescribeLedger, context: Context) -> LedgerNode:
    """Who signs: the node id, the key in force, and every key that there was."""
    return await context.services.ledger.node()
