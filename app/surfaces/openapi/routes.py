"""The routes of a server, without one."""

from typing import Any

from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send

from app.surfaces.browse import browse_router
from app.surfaces.ledger.door import MOUNT, ledger_router
from app.surfaces.metrics import metrics_router
from app.surfaces.publish.door import publish_router
from app.surfaces.service import service_router
from app.surfaces.shared.operation import Route
from app.surfaces.shared.rest import routes


def routes_alone() -> list[Route]:
    """Every route of the main listener. They have no implementation, because they are only read, never called."""

    @asgi("/stream")
    async def stream(scope: Scope, receive: Receive, send: Send) -> None: ...

    nothing: Any = None
    routers = [
        publish_router(nothing),
        browse_router(nothing),
        ledger_router(MOUNT, nothing, stream),
        service_router(nothing),
        metrics_router(nothing),
    ]
    return routes(Litestar(routers, openapi_config=None, logging_config=None))
