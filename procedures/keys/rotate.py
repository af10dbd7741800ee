"""keys.rotate."""

from datetime import UTC, datetime

from app.store.install.keys import new_key_id
from procedures.context import Context
from procedures.grants import current_caller, escapes, lacking_for, managed_key, outlives, refuse_wider, remedy_for
from procedures.procedure import mutation
from schemas.errors import Forbidden, InvalidInput, Issue, NotFound, Unauthorized
from schemas.keys import IssuedKey, RotateKey
from schemas.principal import Scope


@mutation("keys.rotate", scope=Scope.KEYS_MANAGE, errors=(Forbidden, NotFound, Unauthorized))
async def rotate(wanted: RotateKey, context: Context) -> IssuedKey:
    """Replace a key with a new one: the same user, scopes, workspaces, expiry and authors, but another id and token.

    The old token keeps working for `graceSeconds` (0 to 604,800, default 0), unless it expires sooner. Both changes
    happen in one transaction. Forbidden if the caller could not create such a key with `keys.create`. NotFound if the
    key has a workspace that the caller's key lacks; InvalidInput if it expired or was revoked. If you rotate the
    control key, only the answer has its new token: the file `control.token` does not change.
    """
    caller = await current_caller(context)
    key = await managed_key(wanted.key_id, caller, context)
    refuse_wider(caller, key)
    if lacking := lacking_for(caller, key.user_id, key.scopes):
        needed, remedy = ", ".join(lacking), remedy_for(caller, lacking)
        raise Forbidden(f"The key is another user's; to rotate it the caller needs {needed}; {remedy}", field="keyId")
    if escapes(caller, key.scopes):
        raise Forbidden("The key sees every user's events, the caller only its own user's", field="keyId")
    if outlives(caller, key.expires_at):
        raise Forbidden("The key ends later than the caller's; rotate it with one that ends no sooner", field="keyId")
    new_id, grace = new_key_id(), wanted.grace_seconds or 0
    act = context.act("key.rotated", {"keyId": key.id, "newKeyId": new_id, "graceSeconds": grace}, key.workspaces)
    issued = await context.services.keys.rotate(key.id, new_id, now=datetime.now(UTC), grace_seconds=grace, act=act)
    if issued is None:
        raise InvalidInput([Issue("keyId", "is a key that expired or was revoked; create another with keys.create")])
    successor, token = issued
    return IssuedKey.of(successor.shown(), token)
