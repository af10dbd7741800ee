"""ledger.consistency."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import InvalidInput, Issue, NotFound
from schemas.ledger import ConsistencyProof, ProveConsistency
from schemas.principal import Scope


@query("ledger.consistency", scope=Scope.LEDGER_READ, errors=(NotFound,))
async def consistency(wanted: ProveConsistency, context: Context) -> ConsistencyProof:
    """The proof that a checkpoint's log is the beginning of a later one's: nothing in it was changed since.

    Without `toSize` the later one is the log now, whose checkpoint is in the answer. `synap verify` checks the answer
    against the earlier checkpoint. Source: RFC 6962, section 2.1.2.
    """
    ledger, workspace = context.services.ledger, context.workspace
    tip = await ledger.tip(workspace)
    size = tip[0] + 1
    new = size if wanted.to_size is None else wanted.to_size
    if new > size:
        raise InvalidInput([Issue("toSize", f"is more than the log has, which is {size}")])
    if wanted.from_size > new:
        raise InvalidInput([Issue("fromSize", f"is more than the later tree has, which is {new}")])
    return await ledger.consistency(workspace, wanted.from_size, new, tip)
