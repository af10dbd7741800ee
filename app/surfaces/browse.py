"""The browse door, at `/api` (the document "Events"): a workspace's events, by pages in any order."""

from litestar import Response, Router, get
from litestar.di import Provide

from app.surfaces.rest import Caller, RestDoor, answer, refusal
from procedures.call import call
from procedures.events.browse import browse
from procedures.events.get import get as get_event
from schemas.errors import ProcedureError
from schemas.event import GetEvent, SynapEvent
from schemas.wire.browse import BrowseQuery, QueryEvents, shown

MOUNT = "/api"

FIELDS = {"eventId": "id", "workspace": "workspace_id"}
"""What the procedures call `eventId` is `id` here."""


@get("/events")
async def events(request: Caller, door: RestDoor) -> Response[bytes]:
    """A page of the events that match (section GET /api/events)."""
    context, wanted = await door.read(request, QueryEvents, "workspace_id")
    return answer(request, await call(browse, context, wanted.to_browse), 200)


@get("/events/{event_id:str}")
async def event(request: Caller, door: RestDoor, event_id: str) -> Response[bytes]:
    """One event (section GET /api/events/{id})."""
    context, _ = await door.read(request, BrowseQuery, "workspace_id")
    found: SynapEvent = (await call(get_event, context, lambda: GetEvent(event_id=event_id))).read(SynapEvent)
    return answer(request, shown(found, context.workspace), 200)


def browse_router(door: RestDoor) -> Router:
    """The routes of the door."""
    return Router(
        MOUNT,
        route_handlers=[events, event],
        dependencies={"door": Provide(lambda: door, sync_to_thread=False)},
        exception_handlers={ProcedureError: _refused},
    )


def _refused(request: Caller, error: ProcedureError) -> Response[bytes]:
    error.field = FIELDS.get(error.field or "", error.field)
    return refusal(request, error)
