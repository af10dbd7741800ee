"""ledger.entries (`docs/api/ledger.md`, GET /v1/events)."""

from datetime import datetime

from app.store.events.linker import MICROSECOND
from procedures.context import Context
from procedures.procedure import query
from schemas.errors import RateLimited
from schemas.event import EventQuery
from schemas.ledger import DEFAULT_ENTRIES, LedgerPage, ReadLedger
from schemas.principal import Scope
from schemas.written import Written


@query("ledger.entries", scope=Scope.LEDGER_READ, errors=(RateLimited,))
async def entries(wanted: ReadLedger, context: Context) -> Written[LedgerPage]:
    """Return events with their hashes, links and signatures, oldest first, and the number of matches.

    `limit` is 1 to 1000, default 100. A key with `events:read-own` but not `events:read` gets only its own user's
    events.
    """
    return await context.services.ledger.entries(
        context.workspace,
        EventQuery(
            type=wanted.type,
            from_=None if wanted.since is None else _behind(wanted.since),
            filter=wanted.filter,
        ),
        wanted.limit or DEFAULT_ENTRIES,
        context.principal.delivers_only,
    )


def _behind(since: datetime) -> datetime:
    """The first moment after `since`."""
    try:
        return since + MICROSECOND
    except OverflowError:  # the last possible instant; no event is recorded then
        return since
