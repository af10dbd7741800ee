"""keys.current."""

from app.ledger.chain import instant
from procedures.context import Context
from procedures.procedure import query
from schemas.keys import CurrentKey, ShowCurrentKey
from schemas.principal import EVERY, Scope

MAX_WORKSPACES = 1000


@query("keys.current", scope=None)
async def current(_wanted: ShowCurrentKey, context: Context) -> CurrentKey:
    """Return the caller's key: its user, scopes, workspaces, expiry and authors. Any valid key may call it."""
    principal, keys = context.principal, context.services.keys
    if EVERY in principal.workspaces:
        workspaces = await keys.first_workspaces(MAX_WORKSPACES + 1)
    else:
        known = await keys.known_workspaces(principal.workspaces)
        workspaces = [slug for slug in principal.workspaces if slug in known]
    return CurrentKey(
        id=principal.key_id,
        user_id=principal.user_id,
        scopes=sorted(Scope(scope) for scope in principal.scopes),
        workspace=context.workspace,
        workspaces=workspaces[:MAX_WORKSPACES],
        has_more_workspaces=len(workspaces) > MAX_WORKSPACES,
        reads_own=principal.reads_only is not None,
        node=context.services.drafting.node,
        expires_at=None if principal.expires_at is None else instant(principal.expires_at),
        authors=list(principal.authors) or None,
        author_required=principal.author_required or None,
    )
