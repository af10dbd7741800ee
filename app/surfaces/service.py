"""The service door: whether the process is alive, and whether it can serve."""

from typing import Literal

from litestar import Response, Router, get
from litestar.di import Provide

from app.store.postgres.readiness import Readiness
from app.surfaces.shared.operation import Probe
from schemas.base import Output


class Alive(Output, frozen=True, kw_only=True):
    """The process answers."""

    status: Literal["ok"]


class Ready(Output, frozen=True, kw_only=True):
    """The server can serve."""

    status: Literal["ready"]


class Unready(Output, frozen=True, kw_only=True):
    """The server cannot serve, and why."""

    status: Literal["unready"]
    reason: str


@get("/healthz", sync_to_thread=False, operation=Probe({200: Alive}))
def healthz() -> Alive:
    """The process answers."""
    return Alive(status="ok")


@get("/readyz", operation=Probe({200: Ready, 503: Unready}))
async def readyz(readiness: Readiness) -> Response[Ready | Unready]:
    """Return 200 if the server can serve; otherwise 503 with the reason."""
    problem = await readiness.problem()
    if problem is None:
        return Response(Ready(status="ready"))
    return Response(Unready(status="unready", reason=problem), status_code=503)


def service_router(readiness: Readiness) -> Router:
    """The routes of the door."""
    return Router(
        "/",
        route_handlers=[healthz, readyz],
        opt={"door": "service"},
        dependencies={"readiness": Provide(lambda: readiness, sync_to_thread=False)},
    )
