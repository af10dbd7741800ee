"""ledger.export."""

from app.store.ledger.export import Export
from procedures.context import Context
from procedures.procedure import download
from schemas.errors import Forbidden, NotFound, RateLimited
from schemas.ledger import ExportLog
from schemas.principal import Scope


@download("ledger.export", scope=Scope.LEDGER_READ, errors=(Forbidden, NotFound, RateLimited))
async def export(wanted: ExportLog, context: Context) -> Export:
    """The log, or the part of it from `fromSeq` to `toSeq`, as a signed bundle: text in pieces.

    A key that may read its own user's events alone gets none: a part of a chain cannot be left out. A part that the log
    does not have is InvalidInput. Source: "Event Log", section GET /v1/events/export.
    """
    if context.principal.delivers_only is not None:
        raise Forbidden("An export has every user's events, and the key may read its own user's alone")
    opened = await context.services.exports.open(context.workspace, wanted.from_seq, wanted.to_seq)
    detail = {"exportId": opened.id, "fromSeq": opened.first, "toSeq": opened.last}
    await context.services.audit.record(context.act("log.exported", detail))
    return opened
