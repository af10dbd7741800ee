"""API keys as their managers see them. A token appears only once, in the answer that creates it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.base import Input, InstantText, Output, ShortText, Way
from schemas.principal import Scope

DEFAULT_KEYS = 100
"""The default number of keys in a page."""

GrantedScope = Annotated[Scope, Meta(extra={"message": f"must be one of: {', '.join(Scope)}"})]

GrantedScopes = Annotated[
    list[GrantedScope], Meta(min_length=1, max_length=100, extra={"message": "must have 1 to 100 scopes"})
]

GrantedWorkspace = Annotated[
    str,
    Meta(
        pattern=r"\A(\*|[a-z0-9][a-z0-9_-]{0,62})\Z",
        extra={"message": "must be the slug of a workspace, or '*' for every one"},
    ),
]

GrantedWorkspaces = Annotated[
    list[GrantedWorkspace], Meta(min_length=1, max_length=100, extra={"message": "must have 1 to 100 workspaces"})
]


GrantedAuthors = Annotated[
    list[ShortText], Meta(min_length=1, max_length=100, extra={"message": "must have 1 to 100 dids"})
]


class CreateKey(Input, frozen=True, kw_only=True):
    """A key to create. `userId` defaults to the caller's, `workspaces` to the workspace of the call.

    The first of `workspaces` is the default of the key's calls; `*` stands for every workspace. No scope and no
    workspace may appear twice. Without `expiresInSeconds` the key expires when the caller's key does.

    `authors` are the dids of Ed25519 keys: one of them must sign each event (`metadata.synap.author`). With
    `authorRequired: false` they also may leave it unsigned; `true` without `authors` means that any author must sign.
    Both default to those of the caller's key.
    """

    user_id: ShortText | None = None
    scopes: GrantedScopes
    workspaces: GrantedWorkspaces | None = None
    expires_in_seconds: (
        Annotated[int, Meta(ge=1, le=2**31 - 1, extra={"message": "must be a whole number from 1 to 2147483647"})]
        | None
    ) = None
    authors: GrantedAuthors | None = None
    author_required: bool | None = None


class ListKeys(Input, frozen=True, kw_only=True):
    """Which keys to list: the valid ones, and with `includeEnded` also those that expired or were revoked.

    The page begins after `cursor`; with `direction: "backward"` it ends right before it.
    """

    include_ended: bool | None = None
    limit: Annotated[int, Meta(ge=1, le=1000, extra={"message": "must be a whole number from 1 to 1000"})] | None = (
        DEFAULT_KEYS
    )
    cursor: ShortText | None = None
    direction: Way | None = None


class RevokeKey(Input, frozen=True, kw_only=True):
    """A key to revoke, by its id: the middle part of its token."""

    key_id: ShortText


class RotateKey(Input, frozen=True, kw_only=True):
    """A key to replace, by its id. The old token keeps working for `graceSeconds`: 0 to 604,800 (a week), default 0."""

    key_id: ShortText
    grace_seconds: (
        Annotated[int, Meta(ge=0, le=604_800, extra={"message": "must be a whole number from 0 to 604800"})] | None
    ) = 0


class ApiKey(Output, frozen=True, kw_only=True):
    """A key. It is valid until `expiresAt`; if it was revoked, it ended at `revokedAt`.

    If it has `authors`, no other author may sign its events. With `authorRequired` an author must sign each of them.
    """

    id: str
    user_id: str
    scopes: list[Scope]
    workspaces: list[str]
    created_at: InstantText
    expires_at: InstantText | None = None
    revoked_at: InstantText | None = None
    authors: list[str] | None = None
    author_required: bool | None = None


class ShowCurrentKey(Input, frozen=True, kw_only=True):
    """The input of `keys.current`: it has no members."""


class CurrentKey(Output, frozen=True, kw_only=True):
    """The caller's key. It is valid until `expiresAt`; without `expiresAt` it never expires.

    `workspace` is the workspace of this call, and `node` signs its log. `workspaces` are those that a call may name, at
    most 1,000; `hasMoreWorkspaces` is true if there are more. With `readsOwn` the key reads only events of its own
    user. If it has `authors`, no other author may sign its events. With `authorRequired` an author must sign each.
    """

    id: str
    user_id: str
    scopes: list[Scope]
    workspace: str
    workspaces: list[str]
    has_more_workspaces: bool
    reads_own: bool
    node: str
    expires_at: InstantText | None = None
    authors: list[str] | None = None
    author_required: bool | None = None


class IssuedKey(ApiKey, frozen=True, kw_only=True):
    """A new key. No other answer shows its `token`."""

    token: str

    @classmethod
    def of(cls, key: ApiKey, token: str) -> "IssuedKey":
        """The key with its token."""
        return cls(**msgspec.structs.asdict(key), token=token)


class KeyPage(Output, frozen=True, kw_only=True):
    """One page, oldest first. `nextCursor` is absent on the last page, `previousCursor` on the first."""

    keys: list[ApiKey]
    next_cursor: str | None = None
    previous_cursor: str | None = None
