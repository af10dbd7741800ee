"""The publish door's shapes (`docs/api/publish.md`)."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from schemas.base import Input, Instant, InstantText, Output, RawRecord, Section, ShortText
from schemas.event import EventPage, EventType, ListEvents, LogEvent, SynapEvent, TypePattern
from schemas.event_data import carrier

DEFAULT_LIMIT = 20


class PublishMetadata(Section, frozen=True, kw_only=True):
    """The optional metadata of an event to publish. `orgId` names the workspace."""

    correlation_id: ShortText | None = None
    user_id: ShortText | None = None
    org_id: ShortText | None = None
    tags: list[ShortText] | None = None


@carrier
class PublishEvent(Input, frozen=True, kw_only=True):
    """An event to publish (section Publish Event, Request Body). `source` is the originating service."""

    type: EventType
    source: ShortText
    data: RawRecord
    metadata: PublishMetadata | None = None

    @property
    def org_id(self) -> str | None:
        """The workspace that the event names."""
        return None if self.metadata is None else self.metadata.org_id

    def to_log(self, id: UUID | None) -> LogEvent:
        """The input of `events.log`."""
        about = self.metadata or PublishMetadata()
        return LogEvent(
            id=id,
            type=self.type,
            data=self.data,
            metadata=Raw(msgspec.json.encode({"custom": {"tags": about.tags}})) if about.tags else Raw(b"null"),
            user_id=about.user_id,
            producer=self.source,
            correlation_id=about.correlation_id,
        )


class Published(Output, frozen=True, kw_only=True):
    """The result of publishing an event (section Publish Event, Response)."""

    event_id: UUID
    type: str
    timestamp: InstantText
    status: Literal["published"]
    workflows_triggered: int

    @classmethod
    def of(cls, event: SynapEvent, workflows_triggered: int) -> "Published":
        """The result for the event that was logged."""
        return cls(
            event_id=event.id,
            type=event.type,
            timestamp=event.timestamp,
            status="published",
            workflows_triggered=workflows_triggered,
        )


class PublishedEventsQuery(Input, frozen=True, kw_only=True):
    """What to query (section Query Events, Query Parameters). `source` is the originating service."""

    type: TypePattern | None = None
    source: ShortText | None = None
    org_id: ShortText | None = None
    from_: Instant | None = None
    to: Instant | None = None
    correlation_id: ShortText | None = None
    limit: Annotated[int, Meta(ge=1, le=100, extra={"message": "must be a whole number from 1 to 100"})] = DEFAULT_LIMIT
    offset: Annotated[int, Meta(ge=0, le=2**53 - 1, extra={"message": "must be a whole number, 0 or more"})] = 0

    def to_list(self) -> ListEvents:
        """The input of `events.page`."""
        return ListEvents(
            type=self.type,
            producer=self.source,
            from_=self.from_,
            to=self.to,
            correlation_id=self.correlation_id,
            limit=self.limit,
            offset=self.offset,
        )


class FoundMetadata(Output, frozen=True, kw_only=True):
    """The metadata of a published event."""

    correlation_id: str | None = None
    user_id: str
    tags: list[Any] | None = None


class _Custom(Struct, frozen=True):
    """The part of `metadata.custom` that the publish door shows."""

    tags: Raw | UnsetType = UNSET


class _Tagged(Struct, frozen=True):
    """The part of an event's metadata that this door shows. The decoder skips the rest, which may be large."""

    custom: _Custom = _Custom()


_tagged = msgspec.json.Decoder(_Tagged)


class FoundPublished(Output, frozen=True, kw_only=True):
    """A published event (section Query Events, Response). `erased` is true if its body was erased."""

    event_id: UUID
    type: str
    source: str
    org_id: str
    timestamp: InstantText
    data: RawRecord
    metadata: FoundMetadata
    erased: bool = False

    @classmethod
    def of(cls, event: SynapEvent, workspace: str) -> "FoundPublished":
        """An event of `workspace` as the publish door shows it. `tags` is `metadata.custom.tags` if that is a list."""
        return cls(
            event_id=event.id,
            type=event.type,
            source=event.producer or event.source,
            org_id=workspace,
            timestamp=event.timestamp,
            data=event.data,
            metadata=FoundMetadata(
                correlation_id=event.correlation_id,
                user_id=event.user_id,
                tags=_tags(event),
            ),
            erased=event.erased,
        )


def _tags(event: SynapEvent) -> list[Any] | None:
    if event.metadata is UNSET:
        return None
    tags = _tagged.decode(event.metadata).custom.tags
    if tags is UNSET or not bytes(tags).startswith(b"["):
        return None
    found: list[Any] = msgspec.json.decode(tags)
    return found


class PublishedPage(Output, frozen=True, kw_only=True):
    """A page of published events, newest first. `total` counts every match."""

    events: list[FoundPublished]
    total: int
    offset: int
    limit: int

    @classmethod
    def of(cls, page: EventPage, query: PublishedEventsQuery, workspace: str) -> "PublishedPage":
        """The page for the answer of `events.page`."""
        return cls(
            events=[FoundPublished.of(event, workspace) for event in page.events],
            total=page.total,
            offset=query.offset,
            limit=query.limit,
        )
