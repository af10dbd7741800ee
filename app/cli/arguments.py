"""What the arguments of several commands have in common."""

from typing import Annotated

import msgspec
from cyclopts import Parameter

from app.store.install.workspaces import no_workspace
from schemas.base import ShortText
from schemas.principal import WorkspaceSlug

Flag = Annotated[bool, Parameter(negative="")]


class UsageError(Exception):
    """The command cannot be carried out. The message is one sentence."""


def check_workspace(slug: str) -> None:
    """Raise WorkspaceError if no workspace can have this slug."""
    try:
        msgspec.convert(slug.removeprefix("_"), WorkspaceSlug)  # the server's own log is _node
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise no_workspace(slug) from None


def check_user(user: str) -> None:
    """Raise UsageError for an invalid user id."""
    try:
        msgspec.convert(user.encode().decode(), ShortText)
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise UsageError("--user must have 1 to 256 characters.") from None
