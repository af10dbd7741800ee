"""The browse door's parameters, and the form in which it shows an event (`docs/api/browse.md`)."""

from schemas.base import Input, Instant, ShortText
from schemas.browse import DEFAULT_LIMIT, MAX_IDS, BrowsedEvent, BrowseEvents, Limit
from schemas.errors import InvalidInput, Issue
from schemas.event import SynapEvent, TypePattern
from schemas.jsontext import read_parameter
from schemas.trace import DEFAULT_DEPTH, DEFAULT_NODES, NodeLimit, TraceEvent


class BrowseQuery(Input, frozen=True, kw_only=True, rename=None):
    """The parameter of every call: `workspace_id` names the workspace."""

    workspace_id: ShortText | None = None


class BrowsedEventsQuery(BrowseQuery, frozen=True, kw_only=True, rename={"order_by": "orderBy"}):
    """Section GET /api/events, Query parameters. `filter` and `orderBy` are JSON; commas separate `ids`."""

    limit: Limit = DEFAULT_LIMIT
    after: str | None = None
    before: str | None = None
    ids: str | None = None
    filter: str | None = None
    order_by: str | None = None
    type: TypePattern | None = None
    subject_id: ShortText | None = None
    parent_id: ShortText | None = None
    created_at_after: Instant | None = None
    created_at_before: Instant | None = None
    user_id: ShortText | None = None

    def to_browse(self) -> BrowseEvents:
        """The input of `events.browse`. Raises InvalidInput for too many ids, and for text that is not JSON."""
        return BrowseEvents(
            limit=self.limit,
            after=self.after,
            before=self.before,
            ids=None if self.ids is None else _ids(self.ids),
            filter=None if self.filter is None else read_parameter(self.filter, "filter"),
            order_by=None if self.order_by is None else read_parameter(self.order_by, "orderBy"),
            type=self.type,
            subject_id=self.subject_id,
            parent_id=self.parent_id,
            created_at_after=self.created_at_after,
            created_at_before=self.created_at_before,
            user_id=self.user_id,
        )


class TraceQuery(BrowseQuery, frozen=True, kw_only=True):
    """How far a trace goes from the event in the path."""

    limit: NodeLimit = DEFAULT_NODES
    depth: NodeLimit = DEFAULT_DEPTH

    def to_trace(self, event_id: str) -> TraceEvent:
        """The input of `events.trace`."""
        return TraceEvent(event_id=event_id, limit=self.limit, depth=self.depth)


def shown(event: SynapEvent, workspace: str) -> BrowsedEvent:
    """An event of `workspace` as the browse door shows it (section GET /api/events/{id})."""
    return BrowsedEvent(
        id=event.id,
        type=event.type,
        subject_id=event.subject_id,
        user_id=event.user_id,
        workspace_id=workspace,
        parent_id=event.causation_id,
        data=event.data,
        created_at=event.timestamp,
    )


def _ids(text: str) -> list[str]:
    names = text.split(",")
    if len(names) > MAX_IDS:
        raise InvalidInput([Issue("ids", f"must have at most {MAX_IDS} ids, not {len(names)}")])
    return names
