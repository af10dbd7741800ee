"""The MCP door over HTTP, as an ASGI application. It checks the caller; the official package speaks the protocol."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import MediaType, Response, asgi
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import HTTPScope, Receive, Scope, Send
from litestar.types import Message as Event

from app.capacity.parsing import parse
from app.surfaces.mcp.message import Message, MessageError, read_message
from app.surfaces.shared.body import Body
from app.surfaces.shared.requests import header_map, is_loopback, refuse_malformed
from app.surfaces.shared.rest import Caller, RestDoor, request_id
from app.surfaces.shared.statuses import (
    BAD_REQUEST,
    INTERNAL,
    METHOD_NOT_SUPPORTED,
    PARSE_ERROR,
    UNSUPPORTED_MEDIA_TYPE,
    headers_of,
    status_of,
)
from procedures.call import log_call
from procedures.procedure import SMALL_INPUT_BYTES, Procedure
from schemas.errors import Forbidden, Internal, InvalidInput, PayloadTooLarge, ProcedureError, Unavailable

if TYPE_CHECKING:
    from app.surfaces.mcp.server import ToolServer

MOUNT = "/mcp"


class McpDoor:
    """Serves the procedures as tools, at `/mcp`, without sessions: any process answers any request."""

    def __init__(self, door: RestDoor, *, procedures: Mapping[str, Procedure], origins: Sequence[str]) -> None:
        self._door = door
        self._procedures = procedures
        self._origins = origins
        self._server: ToolServer | None = None
        self._loading = asyncio.Lock()

    def handler(self) -> ASGIRouteHandler:
        """The route of the door."""

        @asgi(MOUNT, door="mcp")
        async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == ScopeType.HTTP:
                await self(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1000, "reason": None})

        return mcp

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with ExitStack() as held:
            await self._answer(scope, receive, send, held)

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send, held: ExitStack) -> None:
        started = time.perf_counter()
        headers, request = header_map(scope), ASGIConnection[Any, Any, Any, Any](scope)
        own_id = request_id(request)

        async def named(event: Event) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [*event["headers"], (b"x-request-id", own_id.encode())]
            await send(event)

        async def refuse(number: int, http: int, reason: str, message: str, *more: tuple[bytes, bytes]) -> None:
            log_call("(mcp)", own_id, time.perf_counter() - started, reason)
            await _send(named, http, more, _error(number, reason, message))

        try:
            _check_method(scope["method"])
            refuse_malformed(scope, headers)
            self._check_origin(headers)
            principal = await self._door.principal(request)
            context = await self._door.context(request, principal, None, "X-Workspace-Id")
            room = held.enter_context(self._door.services.bodies.room(principal.key_id))
            message = await _message(headers, Body(receive, headers, self._door.max_body_bytes, room))
        except MessageError as error:
            status = error.status
            more = [(b"allow", b"POST")] if status is METHOD_NOT_SUPPORTED else []
            await refuse(status.number, status.http, status.name, error.message, *more)
            return
        except ProcedureError as error:
            more = [(name.encode(), value.encode()) for name, value in headers_of(error).items()]
            await refuse(_number(error), status_of(error).http, error.code, error.message, *more)
            return
        if self._server is None:
            async with self._loading:  # otherwise each request would load it, and block every other thread
                if self._server is None:
                    self._server = await asyncio.to_thread(self._load)
        await self._server.handle(context, message, scope, receive, named)

    def _load(self) -> "ToolServer":
        from app.surfaces.mcp.server import ToolServer  # noqa: PLC0415 - it is large, and many never need it

        return ToolServer(self._procedures, max_body_bytes=self._door.max_body_bytes)

    def _check_origin(self, headers: dict[bytes, bytes]) -> None:
        """Reject a page whose origin is neither this machine nor listed, whatever its `Host` (DNS rebinding).

        MCP, "Streamable HTTP", Security Warning. Raises Forbidden.
        """
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin or "*" in self._origins or origin in self._origins:
            return
        if not is_loopback(origin.partition("//")[2]):
            raise Forbidden("Pages of this origin may not call; add it to SYNAP_CORS_ORIGINS")


def refusal(request: Caller, error: ProcedureError) -> Response[bytes]:
    """The answer to a request that failed before its call was known."""
    return Response(
        _error(_number(error), error.code, error.message),
        status_code=status_of(error).http,
        media_type=MediaType.JSON,
        headers={"x-request-id": request_id(request), **headers_of(error)},
    )


def _number(error: ProcedureError) -> int:
    """The JSON-RPC number of a failure. Some of our failures have other numbers in this protocol."""
    return INTERNAL.number if isinstance(error, Unavailable | Internal) else BAD_REQUEST.number


def _error(number: int, reason: str, message: str) -> bytes:
    error = {"code": number, "message": message, "data": {"reason": reason}}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": error})


def _check_method(method: str) -> None:
    """Reject methods that would open a stream without a request or end a session. Raises MessageError."""
    if method != "POST":
        raise MessageError(METHOD_NOT_SUPPORTED, "Send a POST")


async def _message(headers: dict[bytes, bytes], body: Body) -> Message:
    """The message that was sent. Raises PayloadTooLarge, UnsupportedMedia, InvalidInput, MessageError."""
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        raise MessageError(UNSUPPORTED_MEDIA_TYPE, "Send JSON: content-type must be application/json")
    try:
        sent = await body.json() or b""
        message = await parse(len(sent), read_message, sent)
    except InvalidInput as error:
        if error.reason in {"malformed_json", "too_deep"}:
            raise MessageError(PARSE_ERROR, error.message) from None
        raise
    if len(message.body) > SMALL_INPUT_BYTES:  # without the arguments of its call
        raise PayloadTooLarge(f"The message exceeds {SMALL_INPUT_BYTES} bytes, not counting the arguments of its call")
    return message


async def _send(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], content: bytes) -> None:
    length = (b"content-length", str(len(content)).encode())
    json = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [json, length, *headers]})
    await send({"type": "http.response.body", "body": content, "more_body": False})
