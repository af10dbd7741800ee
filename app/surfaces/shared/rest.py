"""What the REST doors share: who calls, how an answer is written, and the one shape of their errors."""

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
    """What went wrong: a published code, a sentence for a person, and the field that it is about."""

    code: str
    message: str
    field: str | UnsetType = UNSET


class Refusal(Struct, frozen=True):
    """The answer of a call that failed (`docs/api/publish.md`, Error Codes)."""

    error: ErrorBody

    @classmethod
    def of(cls, error: ProcedureError) -> "Refusal":
        """What a caller is told of a failure."""
        code = error.reason if isinstance(error, InvalidInput) else error.code
        return cls(ErrorBody(code, error.message, error.field or UNSET))


class RestDoor(Struct, frozen=True, kw_only=True):
    """What every REST door works with."""

    services: Services
    authenticator: Authenticator
    max_body_bytes: int

    async def principal(self, request: Connection) -> Principal:
        """Who calls. Raises InvalidInput for a malformed head, Unauthorized, Unavailable."""
        headers = header_map(request.scope)
        refuse_malformed(request.scope, headers)
        return await self.authenticator.principal(bearer_token(headers))

    async def context(self, request: Connection, principal: Principal, named: str | None, field: str) -> Context:
        """A call's context, in the workspace that it names in `field`, else by header, else the key's first.

        Raises Forbidden, Unavailable.
        """
        headers = header_map(request.scope)
        if named is None and (header := headers.get(b"x-workspace-id")):
            named, field = header.decode("latin-1"), "X-Workspace-Id"
        try:
            workspace = await self.authenticator.workspace(principal, named)
        except (Forbidden, NotFound) as error:
            raise Forbidden("The key does not belong to the workspace that the call names", field=field) from error
        return Context(self.services, principal, workspace, request_id(request), traceparent_of(headers))

    def body(self, request: Caller, procedure: Procedure, room: Room) -> Body:
        """What is sent with a request that calls `procedure`, and takes `room`."""
        return Body(request.receive, header_map(request.scope), procedure.max_input_bytes(self.max_body_bytes), room)

    async def admit(self, request: Caller, operation: Operation[Any], context: Context) -> None:
        """Count a call, where a door limits them itself. Its answer tells what is left.

        Raises RateLimited, Unavailable.
        """
        rate, key_id = operation.procedure.rate, context.principal.key_id
        request.state.allowance = partial(self.services.rates.allowance, rate, key_id)

    async def read(self, request: Caller, operation: Operation[Q]) -> tuple[Context, Q]:
        """Who calls, in which workspace, and what for.

        A call is counted whatever its parameters are, unless one of them is given twice: which workspace counts it?
        Raises Unauthorized, Forbidden, RateLimited, InvalidInput, Unavailable.
        """
        principal = await self.principal(request)
        parameters = single(request.query_params.items())
        named = parameters.get(operation.workspace)
        context = await self.context(request, principal, named, operation.workspace)
        if principal.may_call(operation.procedure.scope):  # else the call says so, and counts for nobody
            await self.admit(request, operation, context)
        return context, parsed(parameters, operation.query)


def refuse_unscoped(principal: Principal, procedure: Procedure) -> None:
    """Refuse, before the body is read, what `call` would refuse behind it. Raises Forbidden."""
    if not principal.may_call(procedure.scope):
        CALLS.add(procedure.name, procedure.kind, Forbidden.code)
        raise lacks_scope(procedure)


def named_by(request: Connection, operation: Operation[Any]) -> str:
    """Where a call names its workspace: its parameter, or the header that stands for one."""
    return operation.workspace if operation.workspace in request.query_params else "X-Workspace-Id"


def routes(app: Litestar) -> list[Route]:
    """Every route that declares its operation. The `door` is its router's `opt`."""
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
    """The parameters of a query as a `wanted`, whose whole numbers they spell. Raises InvalidInput, every place."""
    values: dict[str, object] = dict(parameters)
    for name, text in parameters.items():
        if name in _numbers(wanted) and _NUMBER.fullmatch(text):
            values[name] = int(text) if text.lstrip("-").isdigit() else float(text)
    if issues := find_issues(values, wanted):
        raise InvalidInput(issues)
    return msgspec.convert(fitted(values, wanted), wanted)


@cache
def _numbers(wanted: type[Struct]) -> frozenset[str]:
    """The names of the members that are whole numbers."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(wanted) if unwrap(field.type)[0] is int)


def request_id(request: Connection) -> str:
    """The id that the log and the answer have of a request: the caller's, or one that is made once."""
    if "request_id" not in request.state:
        request.state.request_id = request_id_of(header_map(request.scope))
    known: str = request.state.request_id
    return known


def answer(request: Caller, value: Any, status: int, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """An answer as JSON, under the request's id."""
    return Response(
        value.json if isinstance(value, Written) else msgspec.json.encode(value),
        status_code=status,
        media_type=MediaType.JSON,
        headers={"x-request-id": request_id(request), **limits(request), **(headers or {})},
    )


def done(request: Caller, headers: Mapping[str, str] | None = None) -> Response[None]:
    """The answer where there is nothing to say."""
    own = {"x-request-id": request_id(request), **limits(request), **(headers or {})}
    return Response(None, status_code=204, headers=own)


def limits(request: Caller) -> dict[str, str]:
    """The headers that tell what is left of a limit; none where there is no limit, or it was not looked at."""
    state: Callable[[], Allowance | RateLimited | None] | None = request.state.get("allowance")
    return limit_headers(None if state is None else state())


def refusal(request: Caller, error: ProcedureError) -> Response[bytes]:
    """The answer of a call that failed. Logs it, unless its procedure has."""
    if isinstance(error, RateLimited) and (counted := request.state.get("allowance")) is not None:
        state = counted()
        if state is not None and state.limit == error.limit:  # else the limit is a search's, which is no call's
            request.state.allowance = lambda: error
    if not is_logged(error):
        log_call(_called(request), request_id(request), 0.0, error.code)
    return answer(request, Refusal.of(error), status_of(error).http, headers_of(error))


def _called(request: Caller) -> str:
    """What the log calls a request: by its procedure, else by its door."""
    handler = request.scope.get("route_handler")
    operation = None if handler is None else handler.opt.get("operation")
    return operation.procedure.name if isinstance(operation, Operation) else f"({door_of(request.scope)})"


def unrouted(request: Caller, error: HTTPException) -> Response[bytes]:
    """The answer where no handler was found, or the framework refused the request itself."""
    code = error.detail.lower().replace(" ", "_") if error.status_code in {404, 405} else "invalid_input"
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return answer(request, Refusal(ErrorBody(code, error.detail)), error.status_code, headers)
