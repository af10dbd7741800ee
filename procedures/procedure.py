"""One operation, declared once: what its doors, its contract and its documentation are made from."""

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
    """What a subscription returns once it is listening: batches of tracked `T`, and of `M` between them.

    The markers come only where the input's `markers` asked for them. `place` is the cursor of where the stream is.
    """

    async def __anext__(self) -> list[Tracked[T] | M]:
        """The next batch; waits for one. StopAsyncIteration: the stream has ended by itself."""

    async def aclose(self) -> None:
        """Stop listening."""

    @property
    def place(self) -> str:
        """The cursor of where the stream is."""


class Sent(Struct, Generic[T], frozen=True):
    """An input of a procedure that takes it as it comes: what is wrong with it is then an answer, not an error."""

    json: bytes
    """As it was sent; empty where nothing could be read."""
    value: T | None
    """None where it does not fit."""
    errors: list[InvalidInput | PayloadTooLarge]
    """What any other procedure would have raised; of several, all."""


SMALL_INPUT_BYTES = 262_144
"""What the input of a procedure may have, unless it declares that its input is large."""


COMMON_ERRORS: tuple[type[ProcedureError], ...] = (
    InvalidInput,
    PayloadTooLarge,
    RateLimited,
    Unavailable,
    Internal,
)
"""What every procedure may raise, declared or not."""


class Procedure(Declaration, frozen=True, kw_only=True, eq=False):
    """An operation as it is declared, and the function that runs it."""

    run: Callable[[Any, Context], Awaitable[Any]]
    decoder: msgspec.json.Decoder[Any]
    takes_sent: bool
    """Whether it takes `Sent`: an input that does not fit is run too."""
    large_input: bool = False
    """Whether its input may be as large as a request may be (`SYNAP_MAX_BODY_BYTES`)."""

    def max_input_bytes(self, max_body_bytes: int) -> int:
        """What its input may have where a request may have `max_body_bytes`."""
        return max_body_bytes if self.large_input else min(SMALL_INPUT_BYTES, max_body_bytes)

    @property
    def rate(self) -> Rate:
        """Which rate of its caller's key it counts against."""
        return "write" if self.kind is Kind.MUTATION else "read"

    @property
    def is_administrative(self) -> bool:
        """Whether it changes who may do what, what leaves the server or what is erased: every such call is logged."""
        scope = self.scope or ""
        return self.kind is Kind.MUTATION and (scope.endswith(":manage") or scope == Scope.EVENTS_ERASE)

    @property
    def is_audited(self) -> bool:
        """Whether its calls are in the audit: the administrative ones, reads of the audit, and exports."""
        return self.is_administrative or self.scope == Scope.AUDIT_READ or self.kind is Kind.DOWNLOAD

    @property
    def reads_node_log(self) -> bool:
        """Whether a key for everything may call it on the log `_node`, which is no workspace's."""
        return self.scope in {Scope.LEDGER_READ, Scope.AUDIT_READ}


def query(
    name: str, *, scope: Scope | None, errors: tuple[type[ProcedureError], ...] = (), large_input: bool = False
) -> Callable[[Any], Procedure]:
    """Declare the decorated function as a query: it reads, and may be called by GET.

    Its input has at most 256 KiB, unless it has a `large_input`: then as much as a request may have.
    """
    return lambda run: _declare(name, Kind.QUERY, scope, errors, run, large_input=large_input)


def mutation(
    name: str, *, scope: Scope | None, errors: tuple[type[ProcedureError], ...] = (), large_input: bool = False
) -> Callable[[Any], Procedure]:
    """Declare the decorated function as a mutation: it writes, and is called by POST only.

    `large_input` is that of `query`.
    """
    return lambda run: _declare(name, Kind.MUTATION, scope, errors, run, large_input=large_input)


def subscription(
    name: str, *, scope: Scope | None, errors: tuple[type[ProcedureError], ...] = ()
) -> Callable[[Any], Procedure]:
    """Declare the decorated function as a subscription: it returns a Stream when it is listening."""
    return lambda run: _declare(name, Kind.SUBSCRIPTION, scope, errors, run)


def download(
    name: str, *, scope: Scope | None, errors: tuple[type[ProcedureError], ...] = ()
) -> Callable[[Any], Procedure]:
    """Declare the decorated function as a download: it returns text in pieces, which REST doors alone serve."""
    return lambda run: _declare(name, Kind.DOWNLOAD, scope, errors, run)


def _declare(
    name: str,
    kind: Kind,
    scope: Scope | None,
    errors: tuple[type[ProcedureError], ...],
    run: Callable[[Any, Context], Awaitable[Any]],
    *,
    large_input: bool = False,
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
        optional=not any(field.required for field in msgspec.structs.fields(wanted)),
        takes_sent=takes_sent,
        large_input=large_input,
    )
