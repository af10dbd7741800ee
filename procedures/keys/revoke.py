"""keys.revoke."""

from datetime import UTC, datetime

from procedures.context import Context
from procedures.grants import current_caller, managed_key, refuse_wider
from procedures.procedure import mutation
from schemas.errors import Forbidden, NotFound, Unauthorized
from schemas.keys import ApiKey, RevokeKey
from schemas.principal import Scope


@mutation("keys.revoke", scope=Scope.KEYS_MANAGE, errors=(Forbidden, NotFound, Unauthorized))
async def revoke(wanted: RevokeKey, context: Context) -> ApiKey:
    """End a key for good: within five seconds every server refuses it. One that was revoked is answered as it is.

    A key of workspaces that the caller lacks is NotFound, one with scopes that it lacks Forbidden. A key may end
    itself. The control key has every scope and workspace, so that only its like may end it; the command `synap keys
    create` makes another.
    """
    caller = await current_caller(context)
    key = await managed_key(wanted.key_id, caller, context)
    refuse_wider(caller, key)
    act = context.act("key.revoked", {"keyId": key.id}, key.workspaces)
    return (await context.services.keys.revoke(key.id, datetime.now(UTC), act)).shown()
