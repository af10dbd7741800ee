"""Who calls: a key becomes a principal, a principal has scopes and workspaces."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

WorkspaceSlug = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9][a-z0-9_-]{0,62}\Z",
        extra={"message": "must be 1 to 63 of a-z, 0-9, '_' and '-', the first a letter or digit"},
    ),
]

EVERY = "*"
"""Stands for every scope, or for every workspace, present and future."""


class Scope(StrEnum):
    """What a key may do."""

    EVENTS_READ = "events:read"
    EVENTS_READ_OWN = "events:read-own"
    EVENTS_WRITE = "events:write"
    EVENTS_WRITE_AS = "events:write-as"
    EVENTS_ERASE = "events:erase"
    SUBSCRIPTIONS_MANAGE = "subscriptions:manage"
    LEDGER_READ = "ledger:read"
    AUDIT_READ = "audit:read"
    KEYS_MANAGE = "keys:manage"
    WORKSPACES_MANAGE = "workspaces:manage"
    ALL = EVERY


class Principal(Struct, frozen=True, kw_only=True):
    """A valid key, as the procedures see it: never its token."""

    key_id: str
    user_id: str
    scopes: frozenset[str]
    workspaces: tuple[str, ...]
    expires_at: datetime | None = None
    must_name: bool = False
    """Whether each call must name its workspace: the one in which the key acted otherwise was deleted."""

    def allows(self, scope: Scope) -> bool:
        """Whether the key has `scope`; `events:read-own` opens what `events:read` opens, for its own rows only."""
        return (
            scope in self.scopes
            or EVERY in self.scopes
            or (scope is Scope.EVENTS_READ and Scope.EVENTS_READ_OWN in self.scopes)
        )

    def may_call(self, scope: Scope | None) -> bool:
        """Whether the key may call what needs `scope`; None: what any valid key may call."""
        return scope is None or self.allows(scope)

    def grants(self, scope: str) -> bool:
        """Whether a key that this one hands out may have `scope`: unlike `allows`, never more than it has itself."""
        return (
            scope in self.scopes
            or EVERY in self.scopes
            or (scope == Scope.EVENTS_READ_OWN and Scope.EVENTS_READ in self.scopes)
        )

    @property
    def reads_only(self) -> str | None:
        """The one user id whose rows this key may see, or None where it may see all."""
        return None if Scope.EVENTS_READ in self.scopes or EVERY in self.scopes else self.user_id

    @property
    def delivers_only(self) -> str | None:
        """The one user id whose events this key's webhooks get, or None for all.

        Managing webhooks is leave to have events sent out, but not for a key that may read its own user's alone.
        """
        return self.reads_only if Scope.EVENTS_READ_OWN in self.scopes else None

    def reaches(self, workspace: str) -> bool:
        """Whether the key may act in `workspace`."""
        return workspace in self.workspaces or EVERY in self.workspaces
