"""One operation, declared once. Its doors, its contract and its documentation are made from the declaration."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from app.capacity.rates import Rate
from app.contract.operation import Declaration, Kind
from procedures.context import Context
from schemas.base import Marker
from schemas.errors import Internal, InvalidInput, PayloadTooLarge, ProcedureError, RateLimited, Unavailable
from schemas.principal import Scope
from schemas.written import Tracked, Written

T = TypeVar("T")
M = TypeVar("M", bound=Marker)


class Stream(Protocol[T, M]):
    """The stream that a subscription returns: batches of tracked `T`, with markers `M` between them.

    It sends markers only if the input asks for them with `markers`.
    """

    async def __anext__(self) -> list[Tracked[T] | M]:
        """The next batch; waits for one. Raises StopAsyncIteration when the stream ends by itself."""

    async def aclose(self) -> None:
        """Stop listening."""

    @property
    def place(self) -> str:
        """The cursor of the stream's current place."""


class Sent(Struct, Generic[T], frozen=True):
    """The input of a procedure that also runs on invalid input, and answers with its faults instead of raising them."""

    json: bytes
    """The bytes that were sent; empty if nothing could be read."""
    value: T | None
    """The input; None if it is invalid."""
    errors: list[InvalidInput | PayloadTooLarge]
    """All errors that another procedure would have raised for this input."""


SMALL_INPUT_BYTES = 262_144
"""The maximum size of an input, unless its procedure is declared with `large_input`."""


COMMON_ERRORS: tuple[type[ProcedureError], ...] = (
    InvalidInput,
    PayloadTooLarge,
    RateLimited,
    Unavailable,
    Internal,
)
"""The errors that every procedure may raise without declaring them."""


class Procedure(Declaration, frozen=True, kw_only=True, eq=False):
    """An operation as it is declared, and the function that runs it."""

    run: Callable[[Any, Context], Awaitable[Any]]
    decoder: msgspec.json.Decoder[Any]
    takes_sent: bool
    """Whether it takes `Sent`, so that it runs on invalid input too."""
    large_input: bool = False
    """Whether its input may be as large as a request (`SYNAP_MAX_BODY_BYTES`)."""
    waits: bool = False
    """Whether it waits for something on purpose, so that a long call is not slow."""

    def max_input_bytes(self, max_body_bytes: int) -> int:
        """The maximum size of its input if a request may have `max_body_bytes`."""
        return max_body_bytes if self.large_input else min(SMALL_INPUT_BYTES, max_body_bytes)

    @property
    def rate(self) -> Rate:
        """The rate limit of the caller's key that its calls count against."""
        return "write" if self.kind is Kind.MUTATION else "read"

    @property
    def is_administrative(self) -> bool:
        """Whether it manages keys, workspaces or webhooks, or erases events. Every such call is logged."""
        scope = self.scope or ""
        return self.kind is Kind.MUTATION and (scope.endswith(":manage") or scope == Scope.EVENTS_ERASE)

    @property
    def is_audited(self) -> bool:
        """Whether the audit records its calls: administrative ones, reads of the audit, and exports."""
        return self.is_administrative or self.scope == Scope.AUDIT_READ or self.kind is Kind.DOWNLOAD

    @property
    def reads_node_log(self) -> bool:
        """Whether a key with every scope and workspace may call it on the log `_node`, which is the install's own."""
        return self.scope in {Scope.LEDGER_READ, Scope.AUDIT_READ}


def query(
    name: str,
    *,
    scope: Scope | None,
    errors: tuple[type[ProcedureError], ...] = (),
    large_input: bool = False,
    waits: bool = False,
) -> Callable[[Any], Procedure]:
    """Declare the decorated function as a query: it reads, and may be called by GET.

    Its input has at most 256 KiB; with `large_input` it may be as large as a request (`SYNAP_MAX_BODY_BYTES`). With
    `waits` its duration is neither logged as slow nor measured.
    """
    return lambda run: _declare(name, Kind.QUERY, scope, errors, run, large_input=large_input, waits=waits)


def mutation(
    name: str, *, scope: Scope | None, errors: tuple[type[ProcedureError], ...] = (), large_input: bool = False
) -> Callable[[Any], Procedure]:
    """Declare the decorated function as a mutation: it writes, and may only be called by POST.

    Its input has at most 256 KiB; with `large_input` it may be as large as a request (`SYNAP_MAX_BODY_BYTES`).
    """
    return lambda run: _declare(name, Kind.MUTATION, scope, errors, run, large_input=large_input)


def subscription(
    name: str, *, scope: Scope | None, errors: tuple[type[ProcedureError], ...] = ()
) -> Callable[[Any], Procedure]:
    """Declare the decorated function as a subscription: it returns a Stream."""
    return lambda run: _declare(name, Kind.SUBSCRIPTION, scope, errors, run)


def download(
    name: str, *, scope: Scope | None, errors: tuple[type[ProcedureError], ...] = ()
) -> Callable[[Any], Procedure]:
    """Declare the decorated function as a download: it returns text in pieces. Only REST doors serve it."""
    return lambda run: _declare(name, Kind.DOWNLOAD, scope, errors, run)


def _declare(
    name: str,
    kind: Kind,
    scope: Scope | None,
    errors: tuple[type[ProcedureError], ...],
    run: Callable[[Any, Context], Awaitable[Any]],
    *,
    large_input: bool = False,
    waits: bool = False,
) -> Procedure:
    hints = get_type_hints(run, include_extras=True)
    output, marker = hints.pop("return"), None
    if get_origin(output) is Written:
        [output] = get_args(output)
    elif get_origin(output) is Stream:
        output, marker = get_args(output)
    wanted = next(iter(hints.values()))
    if takes_sent := get_origin(wanted) is Sent:
        [wanted] = get_args(wanted)
    fields = msgspec.structs.fields(wanted)
    return Procedure(
        name=name,
        kind=kind,
        scope=scope,
        errors=(*errors, *COMMON_ERRORS),
        description=inspect.getdoc(run) or "",
        run=run,
        input=wanted,
        output=output,
        marker=marker,
        decoder=msgspec.json.Decoder(wanted),
        optional=not getattr(wanted, "__one_of__", ()) and not any(field.required for field in fields),
        takes_sent=takes_sent,
        large_input=large_input,
        waits=waits,
    )
