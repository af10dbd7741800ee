"""The declaration of a REST route: its handler reads and answers by it, and the API document is made from it."""

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct

from procedures.procedure import Procedure
from schemas.base import Input
from schemas.principal import Scope

Q = TypeVar("Q", bound=Input)


class Operation(Struct, Generic[Q], frozen=True, kw_only=True):
    """A route that calls a procedure, and may fail with the procedure's errors.

    Declare it as `@get(path, operation=OPERATION)`.
    """

    procedure: Procedure
    query: type[Q]
    """The route's parameters. The procedure's input says what their types cannot, such as that a filter is JSON."""
    workspace: str = ""
    """The parameter that names the workspace, if one does."""
    body: type[Struct] | None = None
    answer: Any = None
    """The type of the answer, if it is not the procedure's output."""
    other_bodies: Mapping[str, Any] = {}
    """Types of alternative bodies, by media type."""
    other_answers: Mapping[str, Any] = {}
    """Types of alternative answers that `Accept` may choose, by media type."""
    status: int = 200
    """The status of success. 204 is an answer without content."""
    allowance: Literal["publish", "query", "webhooks"] | None = None
    """The allowance that calls count against, and whose rest every answer shows in its `X-RateLimit-*` headers."""
    request_headers: tuple[str, ...] = ()
    """The request headers that the route accepts in addition to those of every call."""
    answer_headers: tuple[str, ...] = ()

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Operation[Q]":
        """The operation itself: Litestar copies handlers with their options, but a procedure cannot be copied."""
        return self


class Probe(Struct, frozen=True):
    """A route that reports the server's state: the types of its answers by status."""

    answers: Mapping[int, Any]
    media_types: tuple[str, ...] = ("application/json",)
    """The media types that `Accept` may choose."""
    scope: Scope | None = None
    """The scope that a key needs; None if no key is needed."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Probe":
        """The probe itself: Litestar copies handlers with their options, but types cannot be copied."""
        return self


class Route(Struct, frozen=True):
    """An operation or a probe with its address."""

    door: str
    method: str
    path: str
    name: str
    """The name of its handler, unique within the door."""
    description: str
    operation: Operation[Any] | Probe
