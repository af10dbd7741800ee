"""The event: what a caller logs, asks for and gets back (the document "Events API", section Event Structure)."""

import re
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from schemas.base import Input, Instant, InstantText, Marker, Output, RawMetadata, RawRecord, ShortText, Way
from schemas.filter import FilterObject, LiveFilterObject
from schemas.reference import EventName

Source = Literal["api", "automation", "sync", "migration", "system", "intelligence"]

DEFAULT_SOURCE: Source = "api"

DEFAULT_LIMIT = 100
"""Events in a list that does not say how many."""

RESERVED_PREFIX = "synap."
"""Types that the server alone writes."""

TYPE_MESSAGE = "Event type must follow dot notation (e.g., 'code.analysis.complete')"

EventType = Annotated[
    str,
    Meta(
        pattern=rf"\A(?!{re.escape(RESERVED_PREFIX)})([A-Za-z0-9_-]+\.)+[A-Za-z0-9_-]+\Z",
        max_length=128,
        extra={
            "message": f"{TYPE_MESSAGE}, in at most 128 characters of A-Z, a-z, 0-9, '_', '-' and '.'",
            "prefixes": {RESERVED_PREFIX: f"must not begin with '{RESERVED_PREFIX}': the server writes those"},
            "code": "invalid_event_type",
        },
    ),
]

TypePattern = Annotated[
    str,
    Meta(
        pattern=r"\A(\*|[A-Za-z0-9_-]+)(\.(\*|[A-Za-z0-9_-]+))*\Z",
        max_length=128,
        extra={"message": "must be an event type in which '*' may stand for a whole segment (e.g., 'code.*')"},
    ),
]
"""`*` stands for one whole segment; as the last for one or more; alone for every type."""


START_MESSAGE = (
    "must be 'now', 'beginning', the id of an event, a cursor of a stream of this log, or an RFC 3339 time with a UTC "
    "offset"
)

LogStart = Annotated[str, Meta(min_length=1, max_length=512, extra={"message": START_MESSAGE})]
"""Where in the log a stream or a subscription begins."""


class LogEvent(Input, frozen=True, kw_only=True):
    """An event to append."""

    id: UUID | None = None
    type: EventType
    subject_id: ShortText | None = None
    data: RawRecord
    metadata: RawMetadata = Raw(b"null")  # msgspec knows no optional Raw; null is absent
    user_id: ShortText | None = None
    source: Source | None = None
    producer: ShortText | None = None
    correlation_id: ShortText | None = None
    causation_id: ShortText | None = None
    occurred_at: Instant | None = None

    @classmethod
    def oversized(cls, sent: bytes, max_event_bytes: int) -> str | None:
        """The event is the input."""
        return "" if len(sent) > max_event_bytes else None


class LogEvents(Input, frozen=True, kw_only=True):
    """A batch to append: all of it or nothing."""

    events: Annotated[
        list[LogEvent], Meta(min_length=1, max_length=1000, extra={"message": "must have 1 to 1000 events"})
    ]

    @classmethod
    def oversized(cls, sent: bytes, max_event_bytes: int) -> str | None:
        """Each event counts by itself."""
        if len(sent) <= max_event_bytes:
            return None
        sizes = map(len, map(bytes, msgspec.json.decode(sent, type=_SentEvents).events))
        return next((f"events.{place}" for place, size in enumerate(sizes) if size > max_event_bytes), None)


class _SentEvents(Struct, frozen=True):
    """A batch, each event as its bytes."""

    events: list[Raw]


class GetEvent(Input, frozen=True, kw_only=True):
    """One event, by its UUID or its ledger id `evt_<hash>`."""

    event_id: EventName


class EventQuery(Input, frozen=True, kw_only=True):
    """Filters, all of which must hold; none given: every event."""

    type: TypePattern | None = None
    source: Source | None = None
    producer: ShortText | None = None
    """The originating service; of an event that names none, its source."""
    has_metadata: bool | None = None
    subject_id: ShortText | None = None
    correlation_id: ShortText | None = None
    causation_id: ShortText | None = None
    user_id: ShortText | None = None
    from_: Instant | None = None
    to: Instant | None = None
    filter: FilterObject | None = None


class ListEvents(EventQuery, frozen=True, kw_only=True):
    """Filters, all of which must hold, and a place in the newest-first order.

    The page begins behind `cursor`; with `direction: "backward"` it ends right before it. Without a `cursor` the
    `direction` changes nothing.
    """

    limit: Annotated[int, Meta(ge=1, le=1000, extra={"message": "must be a whole number from 1 to 1000"})] | None = (
        DEFAULT_LIMIT
    )
    offset: Annotated[int, Meta(ge=0, le=2**53 - 1, extra={"message": "must be a whole number, 0 or more"})] | None = 0
    cursor: str | None = None
    direction: Way | None = None


class StreamEvents(EventQuery, frozen=True, kw_only=True):
    """Filters, all of which must hold, and where the stream begins.

    `start` is `now` (the default), `beginning`, the id of an event or a cursor (behind it), or a time.
    `lastEventId` overrules it; clients set it when they resume. With `markers` the stream also says when the backlog
    is through.
    """

    filter: LiveFilterObject | None = None
    start: LogStart | None = None
    last_event_id: LogStart | None = None
    markers: bool | None = None


class SynapEvent(Output, frozen=True, kw_only=True):
    """An event as stored. `seq` is its place in the workspace's log, `hash` its link in the chain."""

    id: UUID
    version: Literal["v1"]
    type: str
    subject_id: str | None = None
    data: RawRecord
    metadata: RawMetadata | UnsetType = UNSET
    user_id: str
    source: Source
    producer: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    occurred_at: InstantText | None = None
    timestamp: InstantText
    seq: int
    hash: str
    erased: bool = False


class EventPage(Output, frozen=True, kw_only=True):
    """One page, newest first. `total` counts every match; `nextCursor` is absent on the last page.

    `previousCursor`, sent with `direction: "backward"`, leads to the page before; it is absent on the first page.
    """

    events: list[SynapEvent]
    total: int
    next_cursor: str | None = None
    previous_cursor: str | None = None


class CaughtUp(Marker, frozen=True, kw_only=True):
    """Says that everything logged before the stream was opened has been sent. The stream resumes behind `cursor`."""

    caught_up: Literal[True]
    cursor: str
