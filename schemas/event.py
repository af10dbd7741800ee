"""The event: what a caller logs, asks for and gets back (`docs/api/trpc.md`, Event Structure)."""

import re
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from schemas.base import (
    EventTypeName,
    Input,
    Instant,
    InstantText,
    Marker,
    Output,
    RawMetadata,
    RawRecord,
    ShortText,
    Way,
)
from schemas.filter import FilterObject, LiveFilterObject
from schemas.reference import EventName

Source = Literal["api", "automation", "sync", "migration", "system", "intelligence"]

DEFAULT_SOURCE: Source = "api"

DEFAULT_LIMIT = 100
"""The default number of events in a list."""

RESERVED_PREFIX = "synap."
"""The prefix of types that only the server writes."""

TYPE_MESSAGE = "Event type must follow dot notation (e.g., 'code.analysis.complete')"

EventType = Annotated[
    str,
    Meta(
        pattern=rf"\A(?!{re.escape(RESERVED_PREFIX)})([A-Za-z0-9_-]+\.)+[A-Za-z0-9_-]+\Z",
        max_length=128,
        extra={
            "message": f"{TYPE_MESSAGE}, in at most 128 characters of A-Z, a-z, 0-9, '_', '-' and '.'",
            "prefixes": {RESERVED_PREFIX: f"must not begin with '{RESERVED_PREFIX}': only the server logs those"},
            "code": "invalid_event_type",
            "named": "EventType",
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
"""An event type pattern. `*` matches one whole segment; at the end, one or more. `*` by itself matches every type."""


START_MESSAGE = (
    "must be 'now', 'beginning', the id of an event, a cursor of a stream of this log, or an RFC 3339 time with a UTC "
    "offset"
)

LogStart = Annotated[str, Meta(min_length=1, max_length=512, extra={"message": START_MESSAGE})]
"""The place in the log at which a stream or a subscription begins."""


class LogEvent(Input, frozen=True, kw_only=True):
    """An event to append. Defaults: `id` a new UUIDv7, `userId` the key's user, `source` `api`."""

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
        """The path of the whole input if it exceeds the limit of one event: the input is the event."""
        return "" if len(sent) > max_event_bytes else None


class LogEvents(Input, frozen=True, kw_only=True):
    """A batch of 1 to 1000 events. The server appends all of them or none."""

    events: Annotated[
        list[LogEvent], Meta(min_length=1, max_length=1000, extra={"message": "must have 1 to 1000 events"})
    ]

    @classmethod
    def oversized(cls, sent: bytes, max_event_bytes: int) -> str | None:
        """The path of the first event that exceeds the limit of one event."""
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
    """Filters, all of which must match. Without filters every event matches."""

    type: TypePattern | None = None
    source: Source | None = None
    producer: ShortText | None = None
    """The originating service. For events without a `producer` it is compared with their `source`."""
    has_metadata: bool | None = None
    subject_id: ShortText | None = None
    correlation_id: ShortText | None = None
    causation_id: ShortText | None = None
    user_id: ShortText | None = None
    from_: Instant | None = None
    to: Instant | None = None
    filter: FilterObject | None = None


class ListEvents(EventQuery, frozen=True, kw_only=True):
    """Filters, all of which must match, and a place in the newest-first order.

    The page begins after `cursor`; with `direction: "backward"` it ends right before it. Without `cursor` the server
    ignores `direction`.
    """

    limit: Annotated[int, Meta(ge=1, le=1000, extra={"message": "must be a whole number from 1 to 1000"})] | None = (
        DEFAULT_LIMIT
    )
    offset: Annotated[int, Meta(ge=0, le=2**53 - 1, extra={"message": "must be a whole number, 0 or more"})] | None = 0
    cursor: str | None = None
    direction: Way | None = None


class StreamEvents(EventQuery, frozen=True, kw_only=True):
    """Filters, all of which must match, and where the stream begins.

    `start` is `now` (the default), `beginning`, a time, or the id of an event or a cursor after which to begin.
    `lastEventId` overrides `start`; clients set it when they resume. With `markers` the stream also sends a marker
    when it has sent the backlog.
    """

    filter: LiveFilterObject | None = None
    start: LogStart | None = None
    last_event_id: LogStart | None = None
    markers: bool | None = None


class SynapEvent(Output, frozen=True, kw_only=True):
    """An event as stored. `seq` is its place in the workspace's log, from 0. `hash` is its link in the chain."""

    id: UUID
    version: Literal["v1"]
    type: EventTypeName
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
    """One page, newest first. `total` counts every match. `nextCursor` is absent on the last page.

    Send `previousCursor` with `direction: "backward"` for the previous page. It is absent on the first page.
    """

    events: list[SynapEvent]
    total: int
    next_cursor: str | None = None
    previous_cursor: str | None = None


class CaughtUp(Marker, frozen=True, kw_only=True):
    """A marker: the stream has sent every event that was logged before it was opened. Resume after `cursor`."""

    caught_up: Literal[True]
    cursor: str
