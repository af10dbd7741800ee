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
    """Revoke a key permanently. Within five seconds every server rejects it. A revoked key is returned unchanged.

    NotFound if the key has a workspace that the caller's key lacks; Forbidden if it has a scope that the caller's key
    lacks. A key may revoke itself. Only a key with every scope and workspace may revoke the control key; the command
    `synap keys create` makes another.
    """
    caller = await current_caller(context)
    key = await managed_key(wanted.key_id, caller, context)
    refuse_wider(caller, key)
    act = context.act("key.revoked", {"keyId": key.id}, key.workspaces)
    return (await context.services.keys.revoke(key.id, datetime.now(UTC), act)).shown()
