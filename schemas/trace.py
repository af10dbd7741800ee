"""Tracing: the events that caused an event, those that it caused, and those that share its correlation."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta

from schemas.base import EventTypeName, Input, InstantText, Output
from schemas.reference import EventName

DEFAULT_NODES = 200

MAX_NODES = 1000

DEFAULT_DEPTH = 64

NodeLimit = Annotated[int, Meta(ge=1, le=MAX_NODES, extra={"message": f"must be a whole number from 1 to {MAX_NODES}"})]
"""The type of a trace's two bounds: the number of other events, and the steps of causation from the first one."""

Bound = Literal["depth", "limit"]


class TraceEvent(Input, frozen=True, kw_only=True):
    """The event to begin with, by its UUID or its ledger id `evt_<hash>`, and how far to go.

    The answer has at most `limit` other events (default 200). They are at most `depth` steps of causation away (default
    64).
    """

    event_id: EventName
    limit: NodeLimit | None = DEFAULT_NODES
    depth: NodeLimit | None = DEFAULT_DEPTH


class TracedEvent(Output, frozen=True, kw_only=True):
    """An event in a trace. `agent` and `confidence` (0 to 1) come from its `metadata.ai`.

    `depth` counts the steps of causation from the requested event: negative for causes, positive for effects, 0 for
    the event itself. It is absent if the two events share only the correlation.
    """

    id: UUID
    seq: int
    type: EventTypeName
    timestamp: InstantText
    user_id: str
    subject_id: str | None = None
    causation_id: str | None = None
    correlation_id: str | None = None
    agent: str | None = None
    confidence: float | None = None
    erased: bool = False
    depth: int | None = None


class TraceEnds(Output, frozen=True, kw_only=True):
    """The lists of a trace that are incomplete, each with the bound that cut it: `depth` or `limit`."""

    ancestors: Bound | None = None
    descendants: Bound | None = None
    correlated: Bound | None = None


class Trace(Output, frozen=True, kw_only=True):
    """An event's causal tree and its correlation set. Each event appears once.

    `ancestors` are the event's cause, the cause of that, and so on. `descendants` are its effects, level by level; the
    effects of one event are oldest first, and their `causationId` is its `id`. `correlated` are the other events with
    its `correlationId`, oldest first. `truncated` is present only if a bound cut a list.
    """

    event: TracedEvent
    ancestors: list[TracedEvent]
    descendants: list[TracedEvent]
    correlated: list[TracedEvent]
    truncated: TraceEnds | None = None
