"""intents.list."""

from procedures.context import Context
from procedures.paging import neighbours, way_from
from procedures.procedure import query
from procedures.viewers import viewer_of
from schemas.errors import InvalidInput, Issue
from schemas.intents import DEFAULT_INTENTS, IntentPage, ListIntents
from schemas.principal import Scope


@query("intents.list", scope=Scope.EVENTS_READ)
async def list_(wanted: ListIntents, context: Context) -> IntentPage:
    """Return one page of the workspace's intents, newest first, with what their events say for those who decide.

    With `waiting` they are the open ones on which the caller's user may decide. A key that may read only its own user's
    events sees the intents that this user asked for, or is named to approve.
    """
    if wanted.waiting and wanted.state not in {None, "open"}:
        raise InvalidInput([Issue("state", "must be 'open' or absent if waiting is true: only open intents wait")])
    reader = context.services.intent_reader
    await context.services.intents.require_schema()
    way = way_from(wanted.cursor, wanted.direction)
    intents, more = await reader.page(
        context.workspace,
        viewer_of(context),
        state=wanted.state,
        waiting=bool(wanted.waiting),
        cursor=wanted.cursor,
        way=way,
        limit=wanted.limit or DEFAULT_INTENTS,
    )
    has_next, has_previous = neighbours(way, more=more, is_first=wanted.cursor is None)
    return IntentPage(
        intents=intents,
        next_cursor=reader.cursor(context.workspace, intents[-1].seq) if intents and has_next else None,
        previous_cursor=reader.cursor(context.workspace, intents[0].seq) if intents and has_previous else None,
    )
