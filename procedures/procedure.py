"""One operation, declared once: what its doors, its contract and its documentation are made from."""

import inspect
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from procedures.context import Context
from schemas.base import Input
from schemas.errors import Internal, InvalidInput, PayloadTooLarge, ProcedureError, Unavailable
from schemas.principal import Scope
from schemas.written import Written


class Kind(StrEnum):
    """tRPC's kinds of procedure."""

    QUERY = "query"
    MUTATION = "mutation"
    SUBSCRIPTION = "subscription"


COMMON_ERRORS: tuple[type[ProcedureError], ...] = (InvalidInput, PayloadTooLarge, Unavailable, Internal)
"""What every procedure may raise, declared or not."""


class Procedure(Struct, frozen=True, kw_only=True, eq=False):
    """An operation: its wire name, kind, scope, types (read off the annotations) and the errors that it may raise."""

    name: str
    kind: Kind
    scope: Scope
    errors: tuple[type[ProcedureError], ...]
    run: Callable[[Any, Context], Awaitable[Any]]
    input: type[Input]
    output: Any
    decoder: msgspec.json.Decoder[Any]
    optional: bool
    """Whether a call may leave the input out, because no field is required."""

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0]


def query(name: str, *, scope: Scope, errors: tuple[type[ProcedureError], ...] = ()) -> Callable[[Any], Procedure]:
    """Declare the decorated function as a query: it reads, and may be called by GET."""
    return lambda run: _declare(name, Kind.QUERY, scope, errors, run)


def mutation(name: str, *, scope: Scope, errors: tuple[type[ProcedureError], ...] = ()) -> Callable[[Any], Procedure]:
    """Declare the decorated function as a mutation: it writes, and is called by POST only."""
    return lambda run: _declare(name, Kind.MUTATION, scope, errors, run)


def _declare(
    name: str,
    kind: Kind,
    scope: Scope,
    errors: tuple[type[ProcedureError], ...],
    run: Callable[[Any, Context], Awaitable[Any]],
) -> Procedure:
    hints = get_type_hints(run, include_extras=True)
    output = hints.pop("return")
    if get_origin(output) is Written:
        [output] = get_args(output)
    wanted = next(iter(hints.values()))
    return Procedure(
        name=name,
        kind=kind,
        scope=scope,
        errors=(*errors, *COMMON_ERRORS),
        run=run,
        input=wanted,
        output=output,
        decoder=msgspec.json.Decoder(wanted),
        optional=not any(field.required for field in msgspec.structs.fields(wanted)),
    )
