"""Keys for links into the console. They expire soon, and their ids begin with `console`.

A new one takes the row of one that has ended, so that their number never exceeds how many are valid at once.
"""

from datetime import UTC, datetime, timedelta

import psycopg

from app.store.audit.log import enter
from app.store.install.keys import INSERT_KEY, IS_VALID, created, new_key_id, new_token, token_hash
from schemas.principal import EVERY, Scope

LIFETIME = timedelta(hours=8)
"""For how long such a key is valid."""

ID_PREFIX = "console"

ID_CHARACTERS = 10
"""How many characters follow the prefix. So no other key has an id of this form."""

SCOPES = [scope for scope in Scope if scope is not Scope.ALL]

REUSE_ENDED_KEY = f"""
UPDATE api_key SET id = %(id)s, token_sha256 = %(token_sha256)s, user_id = %(user_id)s, scopes = %(scopes)s,
    workspaces = %(workspaces)s, created_at = %(created_at)s, expires_at = %(expires_at)s, revoked_at = NULL,
    must_name = false
WHERE id = (
    SELECT id FROM api_key WHERE id LIKE '{ID_PREFIX}{"_" * ID_CHARACTERS}' AND NOT ({IS_VALID})
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
)
"""
"""Makes a new key for the console of one that has ended, if there is one."""


def issue_console_key(connection: psycopg.Connection, user_id: str) -> str:
    """Create a key with every scope except `*`, for every workspace. Returns its token."""
    key_id = f"{ID_PREFIX}{new_key_id()}"
    token, now = new_token(key_id), datetime.now(UTC)
    key = {
        "id": key_id,
        "token_sha256": token_hash(token),
        "user_id": user_id,
        "scopes": [str(scope) for scope in SCOPES],
        "workspaces": [EVERY],
        "created_at": now,
        "expires_at": now + LIFETIME,
    }
    with connection.transaction():
        if not connection.execute(REUSE_ENDED_KEY, key).rowcount:
            connection.execute(INSERT_KEY, key)
        enter(connection, "key.created", created(key_id, SCOPES, [EVERY], now + LIFETIME), [EVERY])
    return token
