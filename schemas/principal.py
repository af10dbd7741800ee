"""Who calls: a key becomes a principal with scopes and workspaces."""

import re
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.errors import Forbidden

WorkspaceSlug = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9][a-z0-9_-]{0,62}\Z",
        extra={"message": "must have 1 to 63 characters of a-z, 0-9, '_' and '-', and begin with a letter or digit"},
    ),
]

_TOKEN = re.compile(r"sk_[A-Za-z0-9]+_[A-Za-z0-9]{43}")
"""A token as `new_token` makes it."""

EVERY = "*"
"""Stands for every scope, or for every workspace, present and future."""


class Scope(StrEnum):
    """What a key may do."""

    EVENTS_READ = "events:read"
    EVENTS_READ_OWN = "events:read-own"
    EVENTS_WRITE = "events:write"
    EVENTS_WRITE_AS = "events:write-as"
    EVENTS_ERASE = "events:erase"
    INTENTS_DECIDE = "intents:decide"
    INTENTS_DECIDE_OWN = "intents:decide-own"
    SUBSCRIPTIONS_MANAGE = "subscriptions:manage"
    LEDGER_READ = "ledger:read"
    AUDIT_READ = "audit:read"
    KEYS_MANAGE = "keys:manage"
    WORKSPACES_MANAGE = "workspaces:manage"
    ALL = EVERY


def lacking(scope: Scope | None) -> Forbidden:
    """The error for a key that lacks `scope`. It names the narrower scope too, if that is enough."""
    narrower = f" or {Scope.EVENTS_READ_OWN}" if scope is Scope.EVENTS_READ else ""
    return Forbidden(f"The key lacks the scope {scope}{narrower}")


class Principal(Struct, frozen=True, kw_only=True):
    """A valid key, as the procedures see it. It does not hold the token."""

    key_id: str
    user_id: str
    scopes: frozenset[str]
    workspaces: tuple[str, ...]
    expires_at: datetime | None = None
    must_name: bool = False
    """Whether each call must name its workspace, because the key's default workspace was deleted."""
    authors: tuple[str, ...] = ()
    """The dids that alone may sign its events; any may if it is empty."""
    author_required: bool = False
    """Whether an author must sign each of its events."""

    def allows(self, scope: Scope) -> bool:
        """Whether the key has `scope`. `events:read-own` counts as `events:read`: it then sees only its own rows.

        `*` stands for every scope but `intents:decide-own`.
        """
        return (
            scope in self.scopes
            or (EVERY in self.scopes and scope is not Scope.INTENTS_DECIDE_OWN)
            or (scope is Scope.EVENTS_READ and Scope.EVENTS_READ_OWN in self.scopes)
        )

    def may_call(self, scope: Scope | None) -> bool:
        """Whether the key may call a procedure that needs `scope`. None stands for one that any valid key may call."""
        return scope is None or self.allows(scope)

    def grants(self, scope: str) -> bool:
        """Whether this key may grant `scope`: one of its own scopes, or `events:read-own` if it has `events:read`."""
        return (
            scope in self.scopes
            or EVERY in self.scopes
            or (scope == Scope.EVENTS_READ_OWN and Scope.EVENTS_READ in self.scopes)
        )

    @property
    def reads_only(self) -> str | None:
        """The only user id whose rows this key may see, or None if it may see all."""
        return None if Scope.EVENTS_READ in self.scopes or EVERY in self.scopes else self.user_id

    @property
    def delivers_only(self) -> str | None:
        """The only user id whose events this key's webhooks get, or None for all.

        A key that manages webhooks may have every event delivered, unless it may read only its own user's events.
        """
        return self.reads_only if Scope.EVENTS_READ_OWN in self.scopes else None

    def grants_authors(self, authors: Collection[str], *, author_required: bool) -> bool:
        """Whether a key that is bound in this way can log nothing that this key cannot."""
        is_narrower = not self.authors or (len(authors) > 0 and set(authors) <= set(self.authors))
        return is_narrower and (author_required or not self.author_required)

    def reaches(self, workspace: str) -> bool:
        """Whether the key may act in `workspace`."""
        return workspace in self.workspaces or EVERY in self.workspaces


def is_token(text: str) -> bool:
    """Whether a text has the form of a token."""
    return _TOKEN.fullmatch(text) is not None


def holds_token(text: str) -> bool:
    """Whether a token stands somewhere in a text, so that the text must not be logged."""
    return _TOKEN.search(text) is not None
