"""The declaration of an operation. Documents are written from it; `procedures/procedure.py` adds how it runs."""

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
