"""ledger.consistency."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import InvalidInput, Issue, NotFound
from schemas.ledger import ConsistencyProof, ProveConsistency
from schemas.principal import Scope


@query("ledger.consistency", scope=Scope.LEDGER_READ, errors=(NotFound,))
async def consistency(wanted: ProveConsistency, context: Context) -> ConsistencyProof:
    """Return the proof that the log of `fromSize` events is the unchanged beginning of the log of `toSize` events.

    `toSize` defaults to the size of the log now; the answer then contains the checkpoint of the log. `synap verify`
    checks the answer against the earlier checkpoint. InvalidInput if a size is too large. Source: RFC 6962, section
    2.1.2.
    """
    ledger, workspace = context.services.ledger, context.workspace
    tip = await ledger.tip(workspace)
    size = tip[0] + 1
    new = size if wanted.to_size is None else wanted.to_size
    if new > size:
        raise InvalidInput([Issue("toSize", f"is larger than the log, which has {size} events")])
    if wanted.from_size > new:
        raise InvalidInput([Issue("fromSize", f"is larger than the later tree, which has {new} events")])
    return await ledger.consistency(workspace, wanted.from_size, new, tip)
