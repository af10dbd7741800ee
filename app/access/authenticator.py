"""Finds the principal of a token, and the workspace in which a call acts."""

import time
from asyncio import Task, create_task, shield, sleep
from collections.abc import Callable
from datetime import UTC, datetime

from app.ledger.chain import NODE_LOG
from app.store.install.keys import find_principal, token_hash, valid_keys
from app.store.install.workspaces import DEFAULT_WORKSPACE, workspace_exists
from app.store.postgres.database import Database
from app.telemetry.metrics import UNAUTHORIZED
from schemas.errors import Forbidden, InvalidInput, Issue, NotFound, Unauthorized, Unavailable
from schemas.principal import EVERY, Principal, Scope, is_token

REMEMBER_SECONDS = 3.0
"""How long a key is trusted without asking again, and so the time until a revocation works in every process."""

MAX_REMEMBERED = 10_000

WATCH_SECONDS = 3.0
"""The time between two checks of the keys of open streams, all in one query."""

INVALID = "The token is unknown, expired or revoked"

MALFORMED = "The token is unknown: this is not a whole token; send exactly what keys.create returned"


class Authenticator:
    """Finds principals, and remembers them for some seconds. For any number of tasks of one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._asking: dict[bytes, Task[Principal | None]] = {}
        self._workspaces: dict[str, float] = {}
        self._watched: dict[str, dict[Callable[[], None], datetime | None]] = {}
        self._watching: Task[None] | None = None

    async def principal(self, token: str | None) -> Principal:
        """The principal of `token`. Raises Unauthorized, Unavailable."""
        if not token:
            UNAUTHORIZED.add()
            raise Unauthorized("A token is required: send it as 'Authorization: Bearer <token>'")
        key = token_hash(token)
        known = self._known.get(key)
        principal = known[1] if known is not None and known[0] > time.monotonic() else await self._ask(key)
        if principal is None or (principal.expires_at is not None and principal.expires_at <= datetime.now(UTC)):
            UNAUTHORIZED.add()
            raise Unauthorized(INVALID if is_token(token) else MALFORMED)
        return principal

    async def workspace(self, principal: Principal, named: str | None) -> str:
        """The workspace in which a call acts: the named one, otherwise the key's first.

        Raises Forbidden, NotFound, Unavailable, and InvalidInput if the key's first workspace was deleted.
        """
        if named is None and principal.must_name:
            issue = (
                f"is required, because the key's first workspace was deleted; it has: {', '.join(principal.workspaces)}"
            )
            raise InvalidInput([Issue("X-Workspace-Id", issue)])
        if named is None:
            first = principal.workspaces[0]
            return DEFAULT_WORKSPACE if first == EVERY else first
        if named == NODE_LOG and principal.allows(Scope.ALL) and EVERY in principal.workspaces:
            return named
        if not principal.reaches(named):
            raise Forbidden("The key does not belong to the workspace that the call names", field="workspace")
        # A workspace that a key lists existed when the key was made; a key for every workspace may name any.
        if EVERY in principal.workspaces and self._workspaces.get(named, 0.0) < time.monotonic():
            if "\x00" in named or named == NODE_LOG or not await workspace_exists(self._database, named):
                raise NotFound("There is no such workspace", field="workspace")
            self._workspaces[named] = time.monotonic() + REMEMBER_SECONDS
        return named

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        """Call `ended` once, soon after the key of `principal` expires or is revoked. Returns a function that stops it.

        While the database is not reachable, a key that was valid remains valid until it expires.
        """
        watchers = self._watched.setdefault(principal.key_id, {})
        watchers[ended] = principal.expires_at
        if self._watching is None:
            self._watching = create_task(self._watch())

        def stop() -> None:
            watchers.pop(ended, None)
            if not watchers and self._watched.get(principal.key_id) is watchers:
                del self._watched[principal.key_id]

        return stop

    async def _watch(self) -> None:
        """Check the watched keys until no key is watched."""
        while self._watched:
            await sleep(WATCH_SECONDS)
            asked = list(self._watched)
            try:
                valid = await valid_keys(self._database, asked)
            except Unavailable:
                valid = set(asked)
            now = datetime.now(UTC)
            for key_id in asked:
                for ended, expires_at in list(self._watched.get(key_id, {}).items()):
                    if key_id not in valid or (expires_at is not None and expires_at <= now):
                        self._watched[key_id].pop(ended)
                        ended()
                if not self._watched.get(key_id, True):
                    del self._watched[key_id]
        self._watching = None

    async def _ask(self, key: bytes) -> Principal | None:
        """Ask the database, once for all that wait for the same answer."""
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = create_task(self._fetch(key))
            asking.add_done_callback(lambda _: self._asking.pop(key))
        return await shield(asking)

    async def _fetch(self, key: bytes) -> Principal | None:
        found = await find_principal(self._database, key)
        if found is None:
            self._known.pop(key, None)
        else:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = (time.monotonic() + REMEMBER_SECONDS, found)
        return found
