"""What one REST route takes and answers, said once: its handler reads and answers by it, the API document tells it."""

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct

from procedures.procedure import Procedure
from schemas.base import Input
from schemas.principal import Scope

Q = TypeVar("Q", bound=Input)


class Operation(Struct, Generic[Q], frozen=True, kw_only=True):
    """A route that calls a procedure, and may fail with what that may fail with.

    It goes to its handler as `@get(path, operation=OPERATION)`.
    """

    procedure: Procedure
    query: type[Q]
    """Its parameters. What their types cannot say (a filter is JSON) follows from the procedure's input."""
    workspace: str = ""
    """The parameter that names the workspace, if one does."""
    body: type[Struct] | None = None
    answer: Any = None
    """The type of the answer, where it is not the procedure's output."""
    other_bodies: Mapping[str, Any] = {}
    """Types of what may be sent instead, by their media types."""
    other_answers: Mapping[str, Any] = {}
    """Types of what is answered where `Accept` asks for it, likewise."""
    status: int = 200
    """204: an answer without content."""
    allowance: Literal["publish", "query", "webhooks"] | None = None
    """What each call is counted against, and every answer tells in its `X-RateLimit-*` headers."""
    request_headers: tuple[str, ...] = ()
    """Those that it takes beside what every call may have."""
    answer_headers: tuple[str, ...] = ()

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Operation[Q]":
        """Itself: Litestar copies handlers with what they hold, and a procedure cannot be copied."""
        return self


class Probe(Struct, frozen=True):
    """A route that says how the server is: the types of its answers by their statuses."""

    answers: Mapping[int, Any]
    media_types: tuple[str, ...] = ("application/json",)
    """What `Accept` may choose from."""
    scope: Scope | None = None
    """What a key must have where one is needed; None where nobody needs one."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Probe":
        """Itself, for the same reason: its types cannot be copied."""
        return self


class Route(Struct, frozen=True):
    """An operation or a probe, where it is served."""

    door: str
    method: str
    path: str
    name: str
    """Its handler's, unique within the door."""
    description: str
    operation: Operation[Any] | Probe
