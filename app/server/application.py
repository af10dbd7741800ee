"""Composes the application from the settings."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import structlog
from litestar import Litestar, asgi
from litestar.config.cors import CORSConfig
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import ASGIApp, ControllerRouterHandler, Message, Receive, Scope, Send

from app.access.authenticator import Authenticator
from app.access.rate_limits import RateLimits
from app.ledger.keyring import Keyring
from app.server.contracts import typescript_contract
from app.server.extensions import load_extensions
from app.server.install import ReadyInstall
from app.server.parent import before_stop, end_when_told
from app.server.process import Process
from app.server.shortcut import Shortcut
from app.settings import Settings
from app.store.install.install import head
from app.store.install.secret import read_secret
from app.store.postgres.readiness import Readiness
from app.surfaces.browse import browse_router
from app.surfaces.console.door import console_router
from app.surfaces.ledger.door import MOUNT as LEDGER_MOUNT
from app.surfaces.ledger.door import OWN_MOUNT as LEDGER_OWN_MOUNT
from app.surfaces.ledger.door import ledger_router
from app.surfaces.ledger.stream import LedgerStream
from app.surfaces.mcp.door import MOUNT as MCP_MOUNT
from app.surfaces.mcp.door import McpDoor
from app.surfaces.mcp.door import refusal as mcp_refusal
from app.surfaces.metrics import MetricsDoor, metrics_router
from app.surfaces.openapi.document import openapi
from app.surfaces.openapi.guide import llms
from app.surfaces.openapi.page import docs_router
from app.surfaces.publish.door import PublishDoor, publish_router
from app.surfaces.service import service_router
from app.surfaces.shared.connections import Live
from app.surfaces.shared.edge import Edge, Refusal, is_below, last_handlers
from app.surfaces.shared.rest import RestDoor, routes
from app.surfaces.tiles import TilesDoor, tiles_router
from app.surfaces.trpc.door import CONTRACT_HEADER, CONTRACTS, MOUNT, TrpcDoor
from app.surfaces.trpc.socket import Sockets
from app.surfaces.trpc.sse import Timing
from app.surfaces.trpc.transformer import TRANSFORMERS
from app.telemetry.logs import configure_logs
from procedures.context import Services
from procedures.registry import registry
from schemas.wire.cloudevents import ATTRIBUTES

SWITCH_SECONDS = 0.001
"""How long a thread may keep the interpreter while the event loop waits for it. With Python's 5 ms, one caller
whose large inputs are parsed in a thread more than halves the speed of all others."""

logger = structlog.get_logger("synap.server")


def create_app(
    settings: Settings, *, install: ReadyInstall, keys: Keyring, secret: bytes, ledger_alone: bool = False
) -> Litestar:
    """The application of one server process. Extensions are loaded before. It owns its pool from start to stop.

    With `ledger_alone` it serves only the ledger door, at `/v1`.
    """
    process = Process(settings, install=install, keys=keys, secret=secret)
    authenticator, live = process.authenticator, process.live
    door = RestDoor(services=process.services, authenticator=authenticator, max_body_bytes=settings.max_body_bytes)
    stream = LedgerStream(
        door=door, live=live, origins=settings.cors_origins, ping_seconds=settings.sse_ping_seconds
    ).handler()
    refusals: dict[str, Refusal] = {MCP_MOUNT: mcp_refusal}
    if ledger_alone:
        handlers: list[ControllerRouterHandler] = [ledger_router(LEDGER_OWN_MOUNT, door, stream)]
    else:
        publish = PublishDoor(
            services=process.services,
            authenticator=authenticator,
            max_body_bytes=settings.max_body_bytes,
            publish_rate=settings.rate_publish,
            secret=secret,
            limits=RateLimits(process.database, {"publish": settings.rate_publish, "query": settings.rate_query}),
        )
        trpc, refusals[MOUNT] = _trpc(settings, process.services, authenticator, live)
        handlers = [
            trpc,
            publish_router(publish),
            browse_router(door),
            ledger_router(LEDGER_MOUNT, door, stream),
            tiles_router(_tiles(settings, process, door)),
            McpDoor(door, procedures=registry(), origins=settings.cors_origins).handler(),
        ]
    measures = MetricsDoor(
        board=process.board,
        totals=process.services.totals,
        authenticator=authenticator,
        version=version("synap-events"),
    )

    app = Litestar(
        [*handlers, service_router(Readiness(process.database, head())), metrics_router(measures)],
        lifespan=[lambda _: _running(process, deliver=not ledger_alone)],
        cors_config=_cors(settings),
        exception_handlers=last_handlers(refusals),
        openapi_config=None,  # `app/surfaces/openapi/document.py` writes the document
        logging_config=None,
    )

    def document() -> dict[str, Any]:
        served = {} if ledger_alone else registry()
        return openapi(routes(app), served, version=version("synap-events"), transformer=settings.transformer)

    app.register(docs_router(document))
    if not ledger_alone:
        app.register(llms)
    if settings.console and not ledger_alone:
        app.register(console_router())
    return app


@asynccontextmanager
async def _running(process: Process, *, deliver: bool) -> AsyncIterator[None]:
    """Open a process, and close it when the server stops."""
    try:
        await process.open(deliver=deliver)
    except Exception:
        logger.exception("this process cannot start")  # granian ends it without a message
        raise
    before_stop(process.say_goodbye)
    try:
        yield
    finally:
        await process.close()


def _trpc(
    settings: Settings, services: Services, authenticator: Authenticator, live: Live
) -> tuple[ASGIRouteHandler, Refusal]:
    """The tRPC door with HTTP and WebSockets on one path, and its answer to failures."""
    procedures = registry()
    transformer = TRANSFORMERS[settings.transformer]
    door = TrpcDoor(
        procedures=procedures,
        services=services,
        authenticator=authenticator,
        transformer=transformer,
        contract=typescript_contract(settings),
        max_body_bytes=settings.max_body_bytes,
        max_batch_calls=settings.max_batch_calls,
        live=live,
        timing=Timing(settings.sse_ping_seconds, settings.sse_reconnect_seconds),
    )
    sockets = Sockets(
        procedures=procedures,
        services=services,
        authenticator=authenticator,
        transformer=transformer,
        live=live,
        origins=settings.cors_origins,
        ping_seconds=settings.sse_ping_seconds,
        max_message_bytes=settings.max_body_bytes,
        max_batch_calls=settings.max_batch_calls,
    )

    @asgi(MOUNT, is_mount=True, door="trpc")
    async def trpc(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            await door(scope, receive, send)
        else:
            await sockets(scope, receive, send)

    return trpc, door.refusal


def _tiles(settings: Settings, process: Process, rest: RestDoor) -> TilesDoor:
    return TilesDoor(
        rest=rest, ledger=process.services.ledger, tiles=process.tiles, public_logs=frozenset(settings.public_logs)
    )


def load_worker(_target: str, settings: Settings, install: ReadyInstall, *, ledger_alone: bool = False) -> ASGIApp:
    """Load what a server process needs first: its logs, extensions and application. Granian calls this."""
    end_when_told()
    sys.setswitchinterval(SWITCH_SECONDS)
    configure_logs()
    load_extensions(settings.extensions)
    secret = read_secret(settings.secret_path)
    app = create_app(
        settings, install=install, keys=Keyring(settings.node_key_path), secret=secret, ledger_alone=ledger_alone
    )
    served: ASGIApp = app if ledger_alone else Shortcut(app, MOUNT)
    answering = VaryMiddleware(served) if settings.cors_origins else served
    return Edge(answering, _answers_head, app.exception_handlers[Exception])


def _answers_head(path: str) -> bool:
    """Whether a path answers HEAD itself: every call of tRPC does (`docs/api/wire.md`, section 2)."""
    return is_below(path, MOUNT) and path.encode() not in CONTRACTS


class VaryMiddleware:
    """Adds to `vary` what answers depend on. Litestar's CORS names only the origin, and only if one was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything through, and change only that header."""
        # Read now, because routing shortens the path below a mount. Lifespan messages have no path.
        in_door = scope.get("path", "").startswith(MOUNT) and scope.get("method") != "HEAD"
        added = ["Origin", "trpc-accept", "accept"] if in_door else ["Origin"]

        async def varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [header for header in message["headers"] if header[0].lower() != b"vary"]
                set_ = [value.decode() for name, value in message["headers"] if name.lower() == b"vary"]
                own = [name for name in ", ".join(set_).split(", ") if name and name not in added]
                message["headers"] = [*kept, (b"vary", ", ".join([*added, *own]).encode())]
            await send(message)

        await self._app(scope, receive, varied)


def _cors(settings: Settings) -> CORSConfig | None:
    """The browser headers that the doors need (for the tRPC links: `docs/api/wire.md`, section 11)."""
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST", "DELETE", "HEAD", "OPTIONS"],
        allow_headers=[
            "authorization",
            "baggage",
            "cache-control",
            "content-encoding",
            "content-type",
            "idempotency-key",
            "if-none-match",
            "last-event-id",
            "mcp-method",
            "mcp-name",
            "mcp-protocol-version",
            "mcp-session-id",
            "pragma",
            "sentry-trace",
            "traceparent",
            "tracestate",
            "trpc-accept",
            "trpc-batch-mode",
            "x-api-key",
            "x-request-id",
            "x-requested-with",
            "x-workspace-id",
            *sorted(f"ce-{name}" for name in ATTRIBUTES),
            *(name.lower() for name in settings.cors_headers),
        ],
        expose_headers=[
            "accept-encoding",
            "allow",
            "content-disposition",
            "etag",
            "retry-after",
            "www-authenticate",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "x-request-id",
            CONTRACT_HEADER.decode(),
        ],
        max_age=7200,
    )
