"""The outermost layer of the server: the last error handler, answers to HEAD, and the headers of every answer."""

import asyncio
from collections.abc import Callable, Mapping

from litestar import Response
from litestar.enums import HttpMethod, ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, ExceptionHandlersMap, HTTPReceiveMessage, Message, Receive, Scope, Send

from app.capacity.answers import Answers, Request
from app.surfaces.shared.exchange import Exchange
from app.surfaces.shared.failures import door_of, told
from app.surfaces.shared.requests import header_map, request_id_of
from app.surfaces.shared.rest import Caller, refusal, request_id, unrouted
from app.surfaces.shared.sending import SEND_SECONDS, SlowClientError
from app.surfaces.shared.statuses import INTERNAL
from procedures.call import log_call
from schemas.errors import InvalidInput, Issue, ProcedureError

Refusal = Callable[[Caller, ProcedureError], Response[bytes]]
"""Writes a door's answer to a request that failed."""


def last_handlers(refusals: Mapping[str, Refusal]) -> ExceptionHandlersMap:
    """The framework's handlers for failures that no door answered. `refusals` are by mount; other paths answer as REST.

    They go by mount and not by route, because the framework rejects some requests before it looks for a route.
    """

    def refusal_at(request: Caller) -> Refusal | None:
        path = _path(request.scope)
        return next((refusals[mount] for mount in refusals if is_below(path, mount)), None)

    def failed(request: Caller, error: Exception) -> Response[bytes]:
        answer = refusal_at(request) or refusal
        return answer(request, told(error, door_of(request.scope), request_id(request)))

    def refused(request: Caller, error: HTTPException) -> Response[bytes]:
        if error.status_code >= INTERNAL.http:
            return failed(request, error)
        answer = refusal_at(request)
        return unrouted(request, error) if answer is None else answer(request, InvalidInput([Issue("", error.detail)]))

    return {HTTPException: refused, Exception: failed}


class Edge:
    """The outermost application."""

    def __init__(
        self, app: ASGIApp, own_heads: Callable[[str], bool], failed: Callable[[Caller, Exception], Response[bytes]]
    ) -> None:
        """`own_heads` is true for paths that answer HEAD themselves. `failed` answers failures that no door did."""
        self._app = app
        self._own_heads = own_heads
        self._failed = failed
        self._answers = Answers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        kind: str = scope["type"]
        if kind == "lifespan":
            await self._app(scope, receive, send)
            return
        exchange = None
        if scope["type"] == ScopeType.HTTP:
            has_head = not self._own_heads(_path(scope))
            exchange = Exchange(scope, receive, send, has_head=has_head)
            receive, send = exchange.receive, exchange.send  # type: ignore[assignment] # no socket has these messages
            if has_head and scope["method"] == HttpMethod.HEAD:
                scope["method"] = HttpMethod.GET
                receive, send = _without_body(receive, send)
        try:
            with Request(self._answers).call():
                await self._app(scope, receive, send)
        except Exception as error:
            failed = error.__cause__ if isinstance(error.__cause__, Exception) else error
            if exchange is None or exchange.has_begun:
                _tell(scope, failed)
                raise
            request = Caller(scope, receive, send)
            answer = self._failed(request, failed).to_asgi_response(app=None, request=request)
            await answer(scope, receive, send)


def _tell(scope: Scope, failed: Exception) -> None:
    """Log the failure of an answer that had begun. Its connection breaks."""
    if isinstance(failed, SlowClientError):
        log_call(f"({door_of(scope)})", _id_of(scope), SEND_SECONDS, "slow_client")
    else:
        told(failed, door_of(scope), _id_of(scope))


def is_below(path: str, mount: str) -> bool:
    """Whether a path is a mount or lies below it."""
    return path == mount or path.startswith(f"{mount}/")


def _path(scope: Scope) -> str:
    """The path as it was sent. Below a mount, routing shortens the other one."""
    return (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")


def _id_of(scope: Scope) -> str:
    """The id of a request in the log."""
    known: str = scope.get("state", {}).get("request_id") or request_id_of(header_map(scope))
    return known


def _without_body(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Answer a GET with the head only (RFC 9110, section 9.3.2). The application then sees its client leave."""
    answered = asyncio.Event()
    is_read = False

    async def received() -> HTTPReceiveMessage:
        nonlocal is_read
        if is_read:
            await answered.wait()
            return {"type": "http.disconnect"}
        message: HTTPReceiveMessage = await receive()  # type: ignore[assignment] # no socket has this
        is_read = not message.get("more_body", False)
        return message

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            answered.set()

    return received, sent
