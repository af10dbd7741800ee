"""The browse door, at `/api` (the document "Events"): a workspace's events, by pages in any order."""

from litestar import Response, Router, get
from litestar.di import Provide

from app.surfaces.operation import Operation
from app.surfaces.rest import Caller, RestDoor, answer, refusal
from procedures.call import call
from procedures.events.browse import browse
from procedures.events.get import get as get_event
from procedures.events.trace import trace as trace_event
from schemas.browse import BrowsedEvent
from schemas.errors import ProcedureError
from schemas.event import GetEvent, SynapEvent
from schemas.wire.browse import BrowseQuery, QueryEvents, TraceQuery, shown

MOUNT = "/api"

FIELDS = {"eventId": "id", "workspace": "workspace_id"}
"""What the procedures call `eventId` is `id` here."""

EVENTS = Operation(procedure=browse, query=QueryEvents, workspace="workspace_id")
EVENT = Operation(procedure=get_event, query=BrowseQuery, workspace="workspace_id", answer=BrowsedEvent)
TRACE = Operation(procedure=trace_event, query=TraceQuery, workspace="workspace_id")


@get("/events", operation=EVENTS)
async def events(request: Caller, door: RestDoor) -> Response[bytes]:
    """A page of the events that match (section GET /api/events)."""
    context, wanted = await door.read(request, EVENTS)
    return answer(request, await call(browse, context, wanted.to_browse), EVENTS.status)


@get("/events/{event_id:str}", operation=EVENT)
async def event(request: Caller, door: RestDoor, event_id: str) -> Response[bytes]:
    """One event (section GET /api/events/{id})."""
    context, _ = await door.read(request, EVENT)
    found: SynapEvent = (await call(get_event, context, lambda: GetEvent(event_id=event_id))).read(SynapEvent)
    return answer(request, shown(found, context.workspace), EVENT.status)


@get("/events/{event_id:str}/trace", operation=TRACE)
async def trace(request: Caller, door: RestDoor, event_id: str) -> Response[bytes]:
    """What led to an event, what it led to, and its correlation set."""
    context, wanted = await door.read(request, TRACE)
    return answer(request, await call(trace_event, context, lambda: wanted.to_trace(event_id)), TRACE.status)


def browse_router(door: RestDoor) -> Router:
    """The routes of the door."""
    return Router(
        MOUNT,
        route_handlers=[events, event, trace],
        opt={"door": "browse"},
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={ProcedureError: _refused},
    )


def _refused(request: Caller, error: ProcedureError) -> Response[bytes]:
    error.field = FIELDS.get(error.field or "", error.field)
    return refusal(request, error)
