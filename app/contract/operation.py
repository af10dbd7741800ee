"""The declaration of an operation. Documents are written from it; `procedures/procedure.py` adds how it runs."""

import re
from enum import StrEnum
from typing import Any

from msgspec import Struct

from schemas.base import Input, Marker
from schemas.errors import ProcedureError
from schemas.principal import Scope


class Kind(StrEnum):
    """tRPC's kinds of procedure, and `DOWNLOAD`: a text too large for tRPC, which REST doors serve."""

    QUERY = "query"
    MUTATION = "mutation"
    SUBSCRIPTION = "subscription"
    DOWNLOAD = "download"


class Declaration(Struct, frozen=True, kw_only=True, eq=False):
    """An operation's wire name, kind, scope, types (read off the annotations) and the errors that it may raise."""

    name: str
    kind: Kind
    scope: Scope | None
    """If there is none, any valid key may call it."""
    errors: tuple[type[ProcedureError], ...]
    description: str
    """The docstring."""
    input: type[Input]
    output: Any
    """Of a subscription: the type of the values that are tracked."""
    marker: type[Marker] | None = None
    optional: bool
    """Whether a call may leave the input out, because no field is required."""

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.description.partition("\n")[0]


def published(text: str) -> str:
    """A docstring for callers: each name of an error class becomes the error's `data.reason`."""
    return _CLASSES.sub(lambda found: f"`{_REASONS[found[0]]}`", text)


_REASONS = {error.__name__: error.code for error in ProcedureError.__subclasses__()}
_CLASSES = re.compile(rf"\b({'|'.join(_REASONS)})\b")
