"""Browsing: pages of events in any order (`docs/api/browse.md`, GET /api/events)."""

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta

from schemas.base import EventTypeName, Input, Instant, InstantText, Output, RawRecord, ShortText
from schemas.event import TypePattern
from schemas.filter import FilterObject
from schemas.reference import EventName

DEFAULT_LIMIT = 100

MAX_IDS = 100

Limit = Annotated[int, Meta(ge=1, le=100, extra={"message": "must be a whole number from 1 to 100"})]

Ids = Annotated[list[EventName], Meta(max_length=MAX_IDS, extra={"message": f"must have at most {MAX_IDS} ids"})]


OrderObject = Annotated[dict[str, Any], Meta(extra={"shape": "order", "message": "must be a JSON object"})]

OrderObjects = list[OrderObject]
"""An order as its caller wrote it. `app/filters` reads it."""


class BrowseEvents(Input, frozen=True, kw_only=True):
    """Filters, all of which must match, an order, and a place in that order.

    The page begins after the cursor `after`, or ends right before the cursor `before`; both have the same order.
    `ids` only narrows the result. `parentId` is the event's `causationId`. Both bounds of `createdAt` are included.
    Texts in metadata are ordered by their first 256 characters.
    """

    limit: Limit | None = DEFAULT_LIMIT
    after: str | None = None
    before: str | None = None
    ids: Ids | None = None
    filter: FilterObject | None = None
    order_by: OrderObjects | None = None
    type: TypePattern | None = None
    subject_id: ShortText | None = None
    parent_id: ShortText | None = None
    created_at_after: Instant | None = None
    created_at_before: Instant | None = None
    user_id: ShortText | None = None


class BrowsedEvent(Output, frozen=True, kw_only=True):
    """An event as the browse door shows it. If the event was erased, `data` and `userId` are empty."""

    id: UUID
    type: EventTypeName
    subject_id: str | None
    user_id: str
    workspace_id: str
    parent_id: str | None
    data: RawRecord
    created_at: InstantText


class PageInfo(Output, frozen=True, kw_only=True):
    """The place of a page. `total` counts the matches when the first page was read. An empty page has no cursors."""

    total: int
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


class BrowsedPage(Output, frozen=True, kw_only=True):
    """One page of events. It ends early at 32 MiB."""

    data: list[BrowsedEvent]
    page_info: PageInfo
