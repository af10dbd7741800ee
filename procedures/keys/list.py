"""keys.list."""

from procedures.context import Context
from procedures.grants import sees
from procedures.paging import neighbours, way_from
from procedures.procedure import query
from schemas.errors import InvalidInput, Issue
from schemas.keys import DEFAULT_KEYS, KeyPage, ListKeys
from schemas.principal import Scope


@query("keys.list", scope=Scope.KEYS_MANAGE)
async def list_(wanted: ListKeys, context: Context) -> KeyPage:
    """Return one page of the keys that have only workspaces of the caller's key, oldest first, without tokens.

    Only a key for every workspace sees keys for every workspace. `limit` is 1 to 1000, default 100. `nextCursor` is
    absent on the last page.
    """
    keys, place = context.services.keys, None
    if wanted.cursor is not None:
        place = await keys.find(wanted.cursor)
        if place is None or not sees(context.principal, place):
            message = "is not a cursor of this list; send one from an earlier page, unchanged"
            raise InvalidInput([Issue("cursor", message, "invalid_cursor")])
    way = way_from(wanted.cursor, wanted.direction)
    found, more = await keys.page(
        context.principal.workspaces,
        with_ended=bool(wanted.include_ended),
        place=place,
        way=way,
        limit=wanted.limit or DEFAULT_KEYS,
    )
    has_next, has_previous = neighbours(way, more=more, is_first=place is None)
    return KeyPage(
        keys=[key.shown() for key in found],
        next_cursor=found[-1].id if found and has_next else None,
        previous_cursor=found[0].id if found and has_previous else None,
    )
