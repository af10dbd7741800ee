"""What a key may hand out and manage: never more than it has. The rules that the procedures of `keys` share.

A key grants its own scopes, in its own workspaces, for no longer than it is valid itself. A key of another user acts by
that user's name, so whoever hands it out must be able to do by itself what the name opens.
"""

from collections.abc import Collection
from datetime import datetime

from app.access.authenticator import INVALID
from app.store.install.keys import Key
from procedures.context import Context
from schemas.errors import Forbidden, NotFound, Unauthorized
from schemas.principal import Principal, Scope

BY_NAME = {
    Scope.EVENTS_WRITE: Scope.EVENTS_WRITE_AS,
    Scope.EVENTS_READ_OWN: Scope.EVENTS_READ,
}
"""Scopes whose reach is the key's user, and the scope that reaches every user as far."""

CONFINED = {Scope.EVENTS_ERASE, Scope.SUBSCRIPTIONS_MANAGE, Scope.LEDGER_READ, Scope.AUDIT_READ}
"""Scopes that show or erase every user's events, but for a key with `events:read-own` its own user's alone."""


async def current_caller(context: Context) -> Principal:
    """The caller as its key is now: what the server remembers of it may be seconds old, too old to grant by.

    Raises Unauthorized where the key has ended, Unavailable.
    """
    caller = await context.services.keys.principal(context.principal.key_id)
    if caller is None:
        raise Unauthorized(INVALID)
    return caller


async def managed_key(key_id: str, caller: Principal, context: Context) -> Key:
    """The key with this id. Raises NotFound for one that `caller` does not see, Unavailable."""
    key = await context.services.keys.find(key_id)
    if key is None or not sees(caller, key):
        raise NotFound("Key not found; keys.list has the keys that the caller may manage", field="keyId")
    return key


def sees(caller: Principal, key: Key) -> bool:
    """Whether `caller` has all workspaces of `key`: a key of every workspace is seen by its like only."""
    return all(caller.reaches(workspace) for workspace in key.workspaces)


def refuse_wider(caller: Principal, key: Key) -> None:
    """Raise Forbidden where `key` has scopes that `caller` cannot grant."""
    if lacking := [scope for scope in key.scopes if not caller.grants(scope)]:
        raise Forbidden(f"The key can do what the caller's cannot: {', '.join(lacking)}", field="keyId")


def lacking_for(caller: Principal, user_id: str, scopes: Collection[str]) -> list[Scope]:
    """The scopes that `caller` lacks for handing out a key of `user_id` with `scopes`."""
    if user_id == caller.user_id:
        return []
    return [BY_NAME[own] for own in BY_NAME if own in scopes and not caller.grants(BY_NAME[own])]


def escapes(caller: Principal, scopes: Collection[str]) -> bool:
    """Whether a key with `scopes` would see all where `caller` sees its own user's events: it left that scope out."""
    is_confined = Scope.EVENTS_READ_OWN in caller.scopes and caller.reads_only is not None
    return is_confined and Scope.EVENTS_READ_OWN not in scopes and not CONFINED.isdisjoint(scopes)


def outlives(caller: Principal, until: datetime | None) -> bool:
    """Whether a key that ends at `until` (None: never) would end after `caller`."""
    return caller.expires_at is not None and (until is None or until > caller.expires_at)
