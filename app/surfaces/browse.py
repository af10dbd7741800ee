"""The browse door, at `/api` (`docs/api/browse.md`): a workspace's events, in pages of any order."""

from collections.abc import Callable
from typing import Any

from litestar import Response, Router, get
from litestar.di import Provide
from msgspec import Struct

from app.surfaces.shared.called import called
from app.surfaces.shared.operation import Operation
from app.surfaces.shared.rest import Caller, RestDoor, answer, named_by, refusal
from procedures.context import Context
from procedures.events.browse import browse
from procedures.events.get import get as get_event
from procedures.events.trace import trace as trace_event
from schemas.browse import BrowsedEvent
from schemas.errors import ProcedureError
from schemas.event import GetEvent, SynapEvent
from schemas.wire.browse import BrowsedEventsQuery, BrowseQuery, TraceQuery, shown

MOUNT = "/api"

FIELDS = {"eventId": "id"}
"""The procedures' member `eventId` is `id` here."""

EVENTS = Operation(procedure=browse, query=BrowsedEventsQuery, workspace="workspace_id")
EVENT = Operation(procedure=get_event, query=BrowseQuery, workspace="workspace_id", answer=BrowsedEvent)
TRACE = Operation(procedure=trace_event, query=TraceQuery, workspace="workspace_id")


@get("/events", operation=EVENTS)
async def events(request: Caller, door: RestDoor) -> Response[bytes]:
    """Return a page of the events that match (section GET /api/events)."""
    context, wanted = await door.read(request, EVENTS)
    return answer(request, await _called(request, EVENTS, context, wanted.to_browse), EVENTS.status)


@get("/events/{event_id:str}", operation=EVENT)
async def event(request: Caller, door: RestDoor, event_id: str) -> Response[bytes]:
    """Return one event (section GET /api/events/{id})."""
    context, _ = await door.read(request, EVENT)
    found = await _called(request, EVENT, context, lambda: GetEvent(event_id=event_id))
    return answer(request, shown(found.read(SynapEvent), context.workspace), EVENT.status)


@get("/events/{event_id:str}/trace", operation=TRACE)
async def trace(request: Caller, door: RestDoor, event_id: str) -> Response[bytes]:
    """Return the causes and effects of an event, and the other events with its correlation."""
    context, wanted = await door.read(request, TRACE)
    return answer(request, await _called(request, TRACE, context, lambda: wanted.to_trace(event_id)), TRACE.status)


def browse_router(door: RestDoor) -> Router:
    """The routes of the door."""
    return Router(
        MOUNT,
        route_handlers=[events, event, trace],
        opt={"door": "browse"},
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={ProcedureError: refusal},
    )


async def _called(request: Caller, operation: Operation[Any], context: Context, read: Callable[[], Struct]) -> Any:
    return await called(operation.procedure, context, read, FIELDS, named_by(request, operation))
