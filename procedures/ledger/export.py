"""ledger.export (`docs/api/ledger.md`, GET /v1/events/export)."""

from app.store.ledger.export import Export
from procedures.context import Context
from procedures.procedure import download
from schemas.errors import Forbidden, NotFound, RateLimited
from schemas.ledger import ExportLog
from schemas.principal import Scope


@download("ledger.export", scope=Scope.LEDGER_READ, errors=(Forbidden, NotFound, RateLimited))
async def export(wanted: ExportLog, context: Context) -> Export:
    """Return the log, or its part from `fromSeq` to `toSeq`, as a signed bundle: text in pieces.

    Forbidden if the key may read only its own user's events, because a bundle cannot omit any. InvalidInput if the log
    does not have the requested part.
    """
    if context.principal.delivers_only is not None:
        raise Forbidden("An export has every user's events, but the key may read only its own user's")
    opened = await context.services.exports.open(context.workspace, wanted.from_seq, wanted.to_seq)
    detail = {"exportId": opened.id, "fromSeq": opened.first, "toSeq": opened.last}
    await context.services.audit.record(context.act("log.exported", detail))
    return opened
