"""Tracing: which events led to an event, what it led to, and what belongs together with it."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta

from schemas.base import Input, InstantText, Output
from schemas.reference import EventName

DEFAULT_NODES = 200

MAX_NODES = 1000

DEFAULT_DEPTH = 64

NodeLimit = Annotated[int, Meta(ge=1, le=MAX_NODES, extra={"message": f"must be a whole number from 1 to {MAX_NODES}"})]
"""Of a trace's events beside the one that it begins with, and of the steps that it goes away from that."""

Bound = Literal["depth", "limit"]


class TraceEvent(Input, frozen=True, kw_only=True):
    """The event to begin with, by its UUID or its ledger id `evt_<hash>`, and how far to go.

    At most `limit` other events are answered (200 if not said), at most `depth` steps of causation away (64).
    """

    event_id: EventName
    limit: NodeLimit | None = DEFAULT_NODES
    depth: NodeLimit | None = DEFAULT_DEPTH


class TracedEvent(Output, frozen=True, kw_only=True):
    """An event in a trace. `agent` and `confidence` (0 to 1) are those of its `metadata.ai`.

    `depth` counts the steps of causation from the event that was asked for: below 0 of what led to it, above 0 of what
    it led to, 0 of itself; it is absent where the correlation is all that they share.
    """

    id: UUID
    seq: int
    type: str
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
    """Which lists of a trace end too early, and what ended each: its `depth` or its `limit`."""

    ancestors: Bound | None = None
    descendants: Bound | None = None
    correlated: Bound | None = None


class Trace(Output, frozen=True, kw_only=True):
    """An event's causal tree, and its correlation set. Each event stands in it once.

    `ancestors`: its cause, that one's cause, and so on. `descendants`: what it caused, level by level, the effects of
    one event oldest first; each one's parent is the event whose `id` is its `causationId`. `correlated`: the others
    with its `correlationId`, oldest first. `truncated` is there only where a bound cut a list.
    """

    event: TracedEvent
    ancestors: list[TracedEvent]
    descendants: list[TracedEvent]
    correlated: list[TracedEvent]
    truncated: TraceEnds | None = None
