"""keys.rotate."""

from datetime import UTC, datetime

from app.store.install.keys import new_key_id
from procedures.context import Context
from procedures.grants import current_caller, escapes, lacking_for, managed_key, outlives, refuse_wider
from procedures.procedure import mutation
from schemas.errors import Forbidden, InvalidInput, Issue, NotFound, Unauthorized
from schemas.keys import IssuedKey, RotateKey
from schemas.principal import Scope


@mutation("keys.rotate", scope=Scope.KEYS_MANAGE, errors=(Forbidden, NotFound, Unauthorized))
async def rotate(wanted: RotateKey, context: Context) -> IssuedKey:
    """Replace a key by one of the same user, scopes, workspaces and end, with an id and a token of its own.

    The old key is revoked at once, or ends after `graceSeconds` (0 to 604,800) if it does not end sooner. It ends only
    if the new one is there. Who rotates gets a token, so that it must be able to make such a key by `keys.create` (else
    Forbidden). NotFound as in `keys.revoke`; a key that has ended is InvalidInput. The control key is like any other:
    its successor's token stands in the answer, not in the file `control.token`.
    """
    caller = await current_caller(context)
    key = await managed_key(wanted.key_id, caller, context)
    refuse_wider(caller, key)
    if lacking := lacking_for(caller, key.user_id, key.scopes):
        raise Forbidden(f"The key is another user's: to rotate it the caller needs {', '.join(lacking)}", field="keyId")
    if escapes(caller, key.scopes):
        raise Forbidden("The key sees every user's events, the caller its own user's alone", field="keyId")
    if outlives(caller, key.expires_at):
        raise Forbidden("The key ends later than the caller's; rotate it with one that ends no sooner", field="keyId")
    new_id, grace = new_key_id(), wanted.grace_seconds or 0
    act = context.act("key.rotated", {"keyId": key.id, "newKeyId": new_id, "graceSeconds": grace}, key.workspaces)
    issued = await context.services.keys.rotate(key.id, new_id, now=datetime.now(UTC), grace_seconds=grace, act=act)
    if issued is None:
        raise InvalidInput([Issue("keyId", "is a key that expired or was revoked; make a new one with keys.create")])
    successor, token = issued
    return IssuedKey.of(successor.shown(), token)
