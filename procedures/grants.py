"""The rules that the procedures of `keys` share: a key grants and manages no more than it has.

A key grants its own scopes, in its own workspaces, for no longer than it is valid itself. A key of another user acts in
that user's name, so its creator needs the scopes that reach every user.
"""

from collections.abc import Collection
from datetime import datetime

from app.access.authenticator import INVALID
from app.store.install.keys import Key
from procedures.context import Context
from schemas.errors import Forbidden, NotFound, Unauthorized
from schemas.principal import EVERY, Principal, Scope

BY_NAME = {
    Scope.EVENTS_WRITE: Scope.EVENTS_WRITE_AS,
    Scope.EVENTS_READ_OWN: Scope.EVENTS_READ,
}
"""Scopes that reach only the key's user, each with the scope that reaches every user."""

CONFINED = {Scope.EVENTS_ERASE, Scope.SUBSCRIPTIONS_MANAGE, Scope.LEDGER_READ, Scope.AUDIT_READ}
"""Scopes that show or erase every user's events; if the key may read only its own user's, they reach only those."""


async def current_caller(context: Context) -> Principal:
    """The caller's key as the database has it now. The cached one may be seconds old, too old to grant by.

    Raises Unauthorized if the key has ended, Unavailable.
    """
    caller = await context.services.keys.principal(context.principal.key_id)
    if caller is None:
        raise Unauthorized(INVALID)
    return caller


async def managed_key(key_id: str, caller: Principal, context: Context) -> Key:
    """The key with this id. Raises NotFound for one that `caller` does not see, Unavailable."""
    key = await context.services.keys.find(key_id)
    if key is None or not sees(caller, key):
        raise NotFound("Key not found; keys.list returns the keys that the caller may manage", field="keyId")
    return key


def sees(caller: Principal, key: Key) -> bool:
    """Whether `caller` has all workspaces of `key`. Only keys for every workspace see a key for every workspace."""
    return all(caller.reaches(workspace) for workspace in key.workspaces)


def refuse_wider(caller: Principal, key: Key) -> None:
    """Raise Forbidden if `key` has scopes that `caller` cannot grant, or may log what other authors sign."""
    if lacking := [scope for scope in key.scopes if not caller.grants(scope)]:
        raise Forbidden(f"The key has scopes that the caller's lacks: {', '.join(lacking)}", field="keyId")
    if not caller.grants_authors(key.authors, author_required=key.author_required):
        raise Forbidden("The caller's key is bound to authors, and this one is not bound to them", field="keyId")


def lacking_for(caller: Principal, user_id: str, scopes: Collection[str]) -> list[Scope]:
    """The scopes that `caller` needs, but lacks, to create a key of `user_id` with `scopes`."""
    if user_id == caller.user_id:
        return []
    lacking = [BY_NAME[own] for own in BY_NAME if own in scopes and not caller.grants(BY_NAME[own])]
    decides = Scope.INTENTS_DECIDE in scopes or EVERY in scopes
    return lacking + [Scope.INTENTS_DECIDE_OWN] * (decides and not caller.allows(Scope.INTENTS_DECIDE_OWN))


def remedy_for(caller: Principal, needed: Collection[Scope]) -> str:
    """How `caller` gets to act with scopes that it lacks: `*` does not stand for all of them, but may grant them."""
    if all(caller.grants(scope) for scope in needed):
        scopes = " and ".join([EVERY, *needed] if EVERY in caller.scopes else needed)
        return f"create a key of your own with {scopes}, and call with that key"
    return "call with a key that has it"


def escapes(caller: Principal, scopes: Collection[str]) -> bool:
    """Whether a key with `scopes` would see every user's events although `caller` sees only its own user's."""
    is_confined = Scope.EVENTS_READ_OWN in caller.scopes and caller.reads_only is not None
    return is_confined and Scope.EVENTS_READ_OWN not in scopes and not CONFINED.isdisjoint(scopes)


def outlives(caller: Principal, until: datetime | None) -> bool:
    """Whether a key that ends at `until` (None: never) would end after `caller`."""
    return caller.expires_at is not None and (until is None or until > caller.expires_at)
