"""What the REST doors share: the caller, the writing of answers, and the form of their errors."""

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from inspect import getdoc
from typing import Any, TypeVar

import msgspec
from litestar import Litestar, MediaType, Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.routes import HTTPRoute
from msgspec import UNSET, Struct, UnsetType

from app.access.authenticator import Authenticator
from app.capacity.allowance import Allowance
from app.capacity.bodies import Room
from app.surfaces.shared.body import Body
from app.surfaces.shared.failures import door_of
from app.surfaces.shared.operation import Operation, Route
from app.surfaces.shared.requests import (
    bearer_token,
    header_map,
    refuse_malformed,
    request_id_of,
    single,
    traceparent_of,
)
from app.surfaces.shared.statuses import headers_of, limit_headers, status_of
from app.telemetry.metrics import CALLS
from procedures.call import is_logged, lacks_scope, log_call
from procedures.context import Context, Services
from procedures.procedure import Procedure
from schemas.base import Input
from schemas.errors import Forbidden, InvalidInput, NotFound, ProcedureError, RateLimited
from schemas.issues import find_issues, fitted, unwrap
from schemas.principal import Principal
from schemas.written import Written

Caller = Request[Any, Any, Any]

Connection = ASGIConnection[Any, Any, Any, Any]
"""A request, or a WebSocket."""

Q = TypeVar("Q", bound=Input)

_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?")


class ErrorBody(Struct, frozen=True, omit_defaults=True):
    """An error: a published code, a sentence for a person, and the member that it is about."""

    code: str
    message: str
    field: str | UnsetType = UNSET


class Refusal(Struct, frozen=True):
    """The answer to a call that failed (`docs/api/publish.md`, Error Codes)."""

    error: ErrorBody

    @classmethod
    def of(cls, error: ProcedureError) -> "Refusal":
        """The answer for a failure."""
        code = error.reason if isinstance(error, InvalidInput) else error.code
        return cls(ErrorBody(code, error.message, error.field or UNSET))


class RestDoor(Struct, frozen=True, kw_only=True):
    """The parts that every REST door needs."""

    services: Services
    authenticator: Authenticator
    max_body_bytes: int

    async def principal(self, request: Connection) -> Principal:
        """The caller. Raises InvalidInput for a malformed head, Unauthorized, Unavailable."""
        headers = header_map(request.scope)
        refuse_malformed(request.scope, headers)
        return await self.authenticator.principal(bearer_token(headers))

    async def context(self, request: Connection, principal: Principal, named: str | None, field: str) -> Context:
        """A call's context. The workspace is `named` in `field`, or else in the header, or else the key's first.

        Raises Forbidden, Unavailable.
        """
        headers = header_map(request.scope)
        if named is None and (header := headers.get(b"x-workspace-id")):
            named, field = header.decode("latin-1"), "X-Workspace-Id"
        try:
            workspace = await self.authenticator.workspace(principal, named)
        except (Forbidden, NotFound) as error:
            raise Forbidden(error.message, field=field) from error
        return Context(self.services, principal, workspace, request_id(request), traceparent_of(headers))

    def body(self, request: Caller, procedure: Procedure, room: Room) -> Body:
        """The body of a request that calls `procedure`. It reserves `room`."""
        return Body(request.receive, header_map(request.scope), procedure.max_input_bytes(self.max_body_bytes), room)

    async def admit(self, request: Caller, operation: Operation[Any], context: Context) -> None:
        """Count a call if the door limits calls itself. The answer shows what is left.

        Raises RateLimited, Unavailable.
        """
        rate, key_id = operation.procedure.rate, context.principal.key_id
        request.state.allowance = partial(self.services.rates.allowance, rate, key_id)

    async def read(self, request: Caller, operation: Operation[Q]) -> tuple[Context, Q]:
        """The caller's context and the parameters of the call.

        The call counts even if its parameters are invalid, unless one appears twice: the workspace would be uncertain.
        Raises Unauthorized, Forbidden, RateLimited, InvalidInput, Unavailable.
        """
        principal = await self.principal(request)
        parameters = single(request.query_params.items())
        named = parameters.get(operation.workspace)
        context = await self.context(request, principal, named, operation.workspace)
        if principal.may_call(operation.procedure.scope):  # otherwise `call` raises Forbidden, and nothing is counted
            await self.admit(request, operation, context)
        return context, parsed(parameters, operation.query)


def refuse_unscoped(principal: Principal, procedure: Procedure) -> None:
    """Reject, before the body is read, a caller that `call` would reject afterwards. Raises Forbidden."""
    if not principal.may_call(procedure.scope):
        CALLS.add(procedure.name, procedure.kind, Forbidden.code)
        raise lacks_scope(procedure)


def named_by(request: Connection, operation: Operation[Any]) -> str:
    """The name of the parameter or header with which a call names its workspace."""
    return operation.workspace if operation.workspace in request.query_params else "X-Workspace-Id"


def routes(app: Litestar) -> list[Route]:
    """Every route that declares its operation. The router's `opt` names the `door`."""
    return [
        Route(
            door=handler.opt["door"],
            method=method.lower(),
            path=route.path_format,
            name=handler.handler_name,
            description=getdoc(handler.fn) or "",
            operation=handler.opt["operation"],
        )
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if "operation" in handler.opt
        for method in sorted(handler.http_methods)
    ]


def parsed(parameters: Mapping[str, str], wanted: type[Q]) -> Q:
    """The parameters of a query as a `wanted`; texts become whole numbers. Raises InvalidInput with every issue."""
    values: dict[str, object] = dict(parameters)
    for name, text in parameters.items():
        if name in _numbers(wanted) and _NUMBER.fullmatch(text):
            values[name] = int(text) if text.lstrip("-").isdigit() else float(text)
    if issues := find_issues(values, wanted):
        raise InvalidInput(issues)
    return msgspec.convert(fitted(values, wanted), wanted)


@cache
def _numbers(wanted: type[Struct]) -> frozenset[str]:
    """The names of a Struct's members that are whole numbers."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(wanted) if unwrap(field.type)[0] is int)


def request_id(request: Connection) -> str:
    """The id of a request in the log and in the answer: the caller's, or one that the server makes."""
    if "request_id" not in request.state:
        request.state.request_id = request_id_of(header_map(request.scope))
    known: str = request.state.request_id
    return known


def answer(request: Caller, value: Any, status: int, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """An answer as JSON, with the request's id."""
    return Response(
        value.json if isinstance(value, Written) else msgspec.json.encode(value),
        status_code=status,
        media_type=MediaType.JSON,
        headers={"x-request-id": request_id(request), **limits(request), **(headers or {})},
    )


def done(request: Caller, headers: Mapping[str, str] | None = None) -> Response[None]:
    """An answer without content."""
    own = {"x-request-id": request_id(request), **limits(request), **(headers or {})}
    return Response(None, status_code=204, headers=own)


def limits(request: Caller) -> dict[str, str]:
    """The headers that show what is left of a limit; empty if there is no limit, or it was not checked."""
    state: Callable[[], Allowance | RateLimited | None] | None = request.state.get("allowance")
    return limit_headers(None if state is None else state())


def refusal(request: Caller, error: ProcedureError) -> Response[bytes]:
    """The answer to a call that failed. Logs the call, unless its procedure has logged it."""
    if isinstance(error, RateLimited) and (counted := request.state.get("allowance")) is not None:
        state = counted()
        if state is not None and state.limit == error.limit:  # otherwise the limit is that of searches, not of calls
            request.state.allowance = lambda: error
    if not is_logged(error):
        log_call(_called(request), request_id(request), 0.0, error.code)
    return answer(request, Refusal.of(error), status_of(error).http, headers_of(error))


def _called(request: Caller) -> str:
    """The name of a request in the log: its procedure, or its door if there is no procedure."""
    handler = request.scope.get("route_handler")
    operation = None if handler is None else handler.opt.get("operation")
    return operation.procedure.name if isinstance(operation, Operation) else f"({door_of(request.scope)})"


def unrouted(request: Caller, error: HTTPException) -> Response[bytes]:
    """The answer if no handler was found, or if the framework rejected the request itself."""
    code = error.detail.lower().replace(" ", "_") if error.status_code in {404, 405} else "invalid_input"
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    more = "; /openapi.json lists what there is" if error.status_code == 404 else ""
    return answer(request, Refusal(ErrorBody(code, f"{error.detail}{more}")), error.status_code, headers)
