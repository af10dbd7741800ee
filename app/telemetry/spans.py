"""What a tracer is, whichever library makes its spans."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

Attributes = Mapping[str, str | int | bool]

Kind = Literal["server", "internal", "client"]


class Span(Protocol):
    """Something that has begun."""

    def end(self, attributes: Attributes, *, failed: bool) -> None:
        """It has ended; `failed`: by a fault of the server, or of whom it called."""

    def traceparent(self) -> str:
        """What is told to whom it calls (W3C Trace Context)."""


class Tracer(Protocol):
    """Makes spans, and sends them in a thread of its own."""

    def begin(
        self, name: str, kind: Kind, attributes: Attributes, traceparent: str | None, callers: Sequence[Any]
    ) -> Span:
        """A span from now on, as `tracing.begin` has it."""

    def current(self) -> Any:
        """The span that the running task is in, as `tracing.current` has it."""

    def stop(self, seconds: float) -> None:
        """Send what is left, for so long at most."""
