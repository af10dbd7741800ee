"""`synap workspaces`: workspaces, each with a log of its own."""

import msgspec
from cyclopts import App

from app.cli.administration import administered
from app.cli.arguments import Flag, UsageError
from app.ledger.chain import NODE_LOG
from app.store.audit.log import enter
from app.store.install.deletion import delete_workspace
from app.store.install.workspaces import create_workspace, list_workspaces
from schemas.principal import WorkspaceSlug

workspaces = App(name="workspaces", help="Workspaces, each with a log of its own.")


@workspaces.command(name="create")
def make_workspace(slug: str, /) -> None:
    """Create a workspace. Its slug never changes.

    Parameters
    ----------
    slug
        1 to 63 characters of a-z, 0-9, '_' and '-'; the first is a letter or digit.
    """
    try:
        msgspec.convert(slug, WorkspaceSlug)
    except msgspec.ValidationError:
        raise UsageError(
            "A slug has 1 to 63 characters of a-z, 0-9, '_' and '-'; the first is a letter or digit."
        ) from None
    with administered() as install, install.connection.transaction():
        if not create_workspace(install.connection, slug, install.keys):
            raise UsageError(f"The workspace {slug!r} exists already.")
        enter(install.connection, "workspace.created", {"workspace": slug}, [NODE_LOG, slug])
    print(f"Created {slug}.")


@workspaces.command(name="list")
def show_workspaces() -> None:
    """Print every workspace's slug, one on each line."""
    with administered() as install:
        for slug, _ in list_workspaces(install.connection):
            print(slug)


@workspaces.command(name="delete")
def remove_workspace(slug: str, /, *, yes: Flag = False) -> None:
    """Permanently delete a workspace with all its events. Its audit stays, and its slug cannot be used again.

    Parameters
    ----------
    slug
        The slug of the workspace.
    yes
        Confirm.
    """
    if not yes:
        raise UsageError(
            f"This permanently deletes every event of the workspace {slug!r}, its webhooks, and the keys that have no "
            "other workspace; add --yes to confirm."
        )
    with administered() as install:
        events = delete_workspace(install.connection, slug)
    print(f"Deleted {slug}: {events} events.")
