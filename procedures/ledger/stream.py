"""ledger.stream (`docs/api/ledger.md`, GET /v1/stream)."""

from typing import cast

from procedures.context import Context
from procedures.procedure import Stream, subscription
from schemas.errors import InvalidInput, Issue, NotFound
from schemas.event import CaughtUp, StreamEvents
from schemas.ledger import FollowLedger, LedgerEvent
from schemas.principal import Scope


@subscription("ledger.stream", scope=Scope.LEDGER_READ, errors=(NotFound,))
async def stream(wanted: FollowLedger, context: Context) -> Stream[LedgerEvent, CaughtUp]:
    """Stream every event in the ledger's form, in the order of the log, until the reader leaves.

    The stream begins after the seq `after` (default: now) and resumes after the last received id. InvalidInput if the
    log has not reached `after`.
    """
    feed = context.services.ledger_feed
    if (
        wanted.after is not None
        and wanted.last_event_id is None
        and wanted.after > await feed.follower.tip(context.workspace)
    ):
        raise InvalidInput([Issue("after", "is a seq that this log has not reached", "invalid_cursor")])
    followed = StreamEvents(
        type=wanted.type,
        filter=wanted.filter,
        start=None if wanted.after is None else feed.cursor(context.workspace, wanted.after),
        last_event_id=wanted.last_event_id,
        markers=wanted.markers,
    )
    reader = await feed.follow(
        context.workspace, followed, context.principal.delivers_only, caller=context.principal.key_id
    )
    return cast("Stream[LedgerEvent, CaughtUp]", reader)  # the feed decides the form of the events
