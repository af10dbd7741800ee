"""`synap keys`: API keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from app.cli.administration import administered
from app.cli.arguments import UsageError, check_user
from app.ledger.author import NO_AUTHOR, is_author
from app.store.install.keys import insert_key, list_keys, new_key_id, new_token, revoke_key
from app.store.install.workspaces import DEFAULT_WORKSPACE, list_workspaces
from schemas.principal import EVERY, Scope

keys = App(name="keys", help="API keys.")


@keys.command(name="create")
def create_key(
    *,
    user: str,
    scope: Annotated[
        list[Scope], Parameter(negative="", name_transform=lambda name: Scope.__members__.get(name, name))
    ],
    workspace: Annotated[list[str] | None, Parameter(negative="")] = None,
    expires_in_seconds: int | None = None,
    author: Annotated[list[str] | None, Parameter(negative="")] = None,
    author_required: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Create a key and print its token, which is shown only once.

    Parameters
    ----------
    user
        The user id that the key acts for.
    scope
        What the key may do; repeat for more. `*` means everything.
    workspace
        A workspace in which the key may act; repeat for more. The first one is the default of its calls. `*` means
        every workspace. Default: `default`.
    expires_in_seconds
        The key expires after this time. Default: never.
    author
        The did (`did:key:z…`) of an author; repeat for more. One of them must sign each event of the key. Default: any
        author may sign, and none must.
    author_required
        Any author must sign each event of the key.
    """
    names = workspace or [DEFAULT_WORKSPACE]
    check_user(user)
    if expires_in_seconds is not None and not 0 < expires_in_seconds < 2**31:
        raise UsageError("--expires-in-seconds must be from 1 to 2147483647.")
    if nobody := [did for did in author or () if not is_author(did)]:
        raise UsageError(f"--author {nobody[0]!r} {NO_AUTHOR}.")
    with administered() as install:
        connection = install.connection
        known = {slug for slug, _ in list_workspaces(connection)} | {EVERY}
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"There is no workspace {unknown[0]!r}; create it: synap workspaces create {unknown[0]}.")
        key_id = new_key_id()
        token = new_token(key_id)
        expires_at = expires_in_seconds and datetime.now(UTC) + timedelta(seconds=expires_in_seconds)
        insert_key(
            connection,
            key_id,
            token,
            user_id=user,
            scopes=scope,
            workspaces=names,
            expires_at=expires_at or None,
            authors=author or (),
            author_required=author_required or author is not None,
        )
    print(token)


@keys.command(name="list")
def show_keys() -> None:
    """Print every key as one JSON object on each line, without its token."""
    with administered() as install:
        for key in list_keys(install.connection):
            print(msgspec.json.encode(key).decode())


@keys.command(name="revoke")
def revoke(key_id: str, /) -> None:
    """Revoke a key permanently. Every server rejects it within five seconds.

    Parameters
    ----------
    key_id
        The id of the key: the middle part of its token. `synap keys list` prints it.
    """
    with administered() as install:
        if not key_id.isascii() or not revoke_key(install.connection, key_id):
            raise UsageError(f"There is no key {key_id!r}; see: synap keys list.")
    print(f"Revoked {key_id}.")
