"""keys.list."""

from procedures.context import Context
from procedures.grants import sees
from procedures.procedure import query
from schemas.errors import InvalidInput, Issue
from schemas.keys import DEFAULT_KEYS, KeyPage, ListKeys
from schemas.principal import Scope


@query("keys.list", scope=Scope.KEYS_MANAGE)
async def list_(wanted: ListKeys, context: Context) -> KeyPage:
    """One page of the keys that belong to no other workspaces than the caller's, oldest first; never a token.

    Those for every workspace are seen by such keys only. `nextCursor` is absent on the last page.
    """
    keys, after = context.services.keys, None
    if wanted.cursor is not None:
        after = await keys.find(wanted.cursor)
        if after is None or not sees(context.principal, after):
            raise InvalidInput([Issue("cursor", "is not a cursor of this list; use one that an earlier page gave")])
    found, more = await keys.page(
        context.principal.workspaces,
        with_ended=bool(wanted.include_ended),
        after=after,
        limit=wanted.limit or DEFAULT_KEYS,
    )
    return KeyPage(keys=[key.shown() for key in found], next_cursor=found[-1].id if more else None)
