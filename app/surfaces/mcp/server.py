"""The protocol, by the official package. Importing it costs a second and 37 MiB, so the door does so on first use."""

import logging
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import mcp_types as types
from litestar.datastructures import Headers
from litestar.types import HTTPScope, Receive, Send
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from msgspec import Struct

from app.capacity import answers
from app.surfaces.mcp.approvals import WAIT, Approval, Offers, approval_of
from app.surfaces.mcp.message import Message, at_once, limited
from app.surfaces.mcp.results import MAX_READ_BYTES, Result, answered, failed
from app.surfaces.mcp.tools import CAUTION, ToolSpec, tool_name, tools
from app.surfaces.shared.requests import asked_address, header_map
from app.surfaces.shared.statuses import BAD_REQUEST
from procedures.call import call, log_call
from procedures.context import Context
from procedures.procedure import Procedure
from schemas.errors import NotFound, ProcedureError
from schemas.jsontext import MAX_ECHO

INSTRUCTIONS = f"""\
An append-only log of events that anyone can verify; no event can be changed. Log what you do and why with \
`events_log`: `type` is dotted (`task.completed`), `data` is any object, `metadata.ai.agent` is your name, and \
`metadata.ai.confidence` and `metadata.ai.reasoning` say how sure you were and why. Set `causationId` to the event \
that made you act, and use one `correlationId` for a run. To retry safely, send an `id` (a UUID) of your own. Check an \
event with `events_validate`. Find events with `events_list`, or page by page with `events_page`; `events_trace` \
returns the causes and effects of one, `events_types` and `events_histogram` count them. Before an act that a person \
must approve, log an event of type `x.requested` with the exact parameters in `data.parameters` and with \
`metadata.synap.intent`; then `intents_wait`, `intents_start`, act, `intents_finish`. {CAUTION} The tool `a_b` is \
the procedure `a.b`."""

_REQUEST = "synap.mcp"
"""The key of our request in the ASGI scope."""

_VERSION = MCP_PROTOCOL_VERSION_HEADER.encode()

# They log each request, in words that we do not choose.
logging.getLogger("mcp").setLevel(logging.WARNING)


class _Request(Struct, frozen=True):
    """The context of a message, if it is a call its arguments, and the address of the server that the client uses."""

    context: Context
    arguments: bytes | None
    address: str


class ToolServer:
    """Lists the tools that a key may call, and calls them. For any number of requests at once."""

    def __init__(self, procedures: Mapping[str, Procedure], *, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._offers = Offers()
        self._specs = tools(procedures)
        self._tools = {name: _tool(spec) for name, spec in self._specs.items()}
        self._server: Server[Any] = Server(
            "synap-events",
            version=version("synap-events"),
            title="Synap Events",
            instructions=INSTRUCTIONS,
            on_list_tools=self._list,
            on_call_tool=self._call,
            get_tool_input_schema=lambda _: None,  # no argument is sent as a header
        )

    async def handle(self, context: Context, sent: Message, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one message."""
        version = _version_of(scope)
        if version and sent.method != "initialize" and version not in KNOWN_PROTOCOL_VERSIONS:
            await _refuse_version(version, context, send)
            return
        # A manager keeps sessions, and this door has none. So each request has its own manager, and none needs
        # stopping.
        manager = StreamableHTTPSessionManager(
            self._server, json_response=True, stateless=True, max_request_body_size=self._max_body_bytes
        )
        unread = [sent.body]

        async def replay() -> Any:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        request = _Request(context, sent.arguments, asked_address(scope["scheme"], Headers.from_scope(scope)))
        own = {**scope, "headers": _headers(scope, sent), _REQUEST: request}
        async with manager.run():
            await manager.handle_request(own, replay, send)  # type: ignore[arg-type] # ASGI by another's types

    async def _list(self, told: Any, _: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """The tools that the caller's scopes allow."""
        principal = _request(told).context.principal
        return types.ListToolsResult(
            tools=[
                self._tools[name]
                for name, spec in self._specs.items()
                if spec.procedure.scope is None or principal.allows(spec.procedure.scope)
            ]
        )

    def _unknown(self, name: str) -> str:
        """The message for a call of a tool that does not exist. Many know the procedure's name only."""
        own = tool_name(name)
        hint = f'did you mean "{own}"?' if own in self._specs else "tools/list returns the tools"
        return f'There is no tool "{name[:MAX_ECHO]}"; {hint}'

    async def _call(
        self, told: Any, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        """Run one call. Its errors are results, so that the model reads them. Raises MCPError for an unknown tool."""
        request = _request(told)
        spec = self._specs.get(params.name)
        if spec is None:
            log_call(params.name, request.context.request_id, 0.0, NotFound.code, request.context)
            raise MCPError(types.INVALID_PARAMS, self._unknown(params.name))
        arguments = request.arguments or b"{}"  # so that a model learns which arguments the tool needs
        if spec.reads_only and (held := answers.request()) is not None:
            held.budget.limit = MAX_READ_BYTES
        if spec.default_limit is not None:
            arguments = limited(arguments, spec.default_limit)
        if spec.procedure.name == WAIT and params.input_responses is None and _shows_links(told, request):
            now, approval = await _result(spec, request, at_once(arguments))
            if approval is None:
                return _told_of(now)
            if self._offers.is_new(request.context.principal.key_id, approval.intent_id):
                return _offer(approval)
        result, _ = await _result(spec, request, arguments)
        return _told_of(result)


async def _result(spec: ToolSpec, request: _Request, arguments: bytes) -> tuple[Result, Approval | None]:
    """The result of a call, and the intent in it on which a person may decide."""
    try:
        output = await call(spec.procedure, request.context, lambda: arguments, size=len(arguments))
        result = answered(spec, output)
    except ProcedureError as error:
        return failed(error), None
    approval = approval_of(spec, result.structured, request.address, request.context.workspace)
    if approval is not None:
        result.texts.append(approval.text)
    return result, approval


def _shows_links(told: Any, request: _Request) -> bool:
    """Whether the client can show a URL to its user between two legs of a call."""
    if not request.address or told.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return False
    able = told.session.client_capabilities
    return bool(able and able.elicitation and able.elicitation.url)


def _offer(approval: Approval) -> types.InputRequiredResult:
    """Ask the client to show its user the link, and to repeat the call."""
    shown = types.ElicitRequestURLParams(message=approval.message, url=approval.url)
    return types.InputRequiredResult(input_requests={"approval": types.ElicitRequest(params=shown)})


def _told_of(result: Result) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text) for text in result.texts],
        structured_content=result.structured,
        is_error=result.is_error,
    )


async def _refuse_version(version: str, context: Context, send: Send) -> None:
    """Answer a request in an unknown version of the protocol with the known ones."""
    log_call("(mcp)", context.request_id, 0.0, BAD_REQUEST.name, context)
    known = list(KNOWN_PROTOCOL_VERSIONS)
    error = types.ErrorData(
        code=types.UNSUPPORTED_PROTOCOL_VERSION,
        message=f"MCP-Protocol-Version must be one of: {', '.join(known)}; initialize negotiates one",
        data={"supported": known, "requested": version[:MAX_ECHO], "reason": BAD_REQUEST.name},
    )
    content = types.JSONRPCError(jsonrpc="2.0", id=None, error=error).model_dump_json(by_alias=True).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": BAD_REQUEST.http, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})


def _version_of(scope: HTTPScope) -> str:
    """The protocol version that a request names; empty if it names none."""
    return header_map(scope).get(_VERSION, b"").decode("latin-1").strip()


def _headers(scope: HTTPScope, sent: Message) -> list[tuple[bytes, bytes]]:
    """The headers of a request for the library: the first of each name, and media types in lower case.

    Without `Accept` any type is acceptable (RFC 9110, section 12.5.1). The version header of `initialize` is dropped,
    because its parameters name the version, and the header may name a later one.
    """
    speaks = sent.method != "initialize" and _version_of(scope)
    ours = {b"accept"} if speaks else {b"accept", _VERSION}
    accepted = [value for name, value in scope["headers"] if name == b"accept" and value.strip()]
    kept = [
        (name, value.lower() if name == b"content-type" else value)
        for name, value in scope["headers"]
        if name not in ours
    ]
    return [*kept, (b"accept", b", ".join(accepted) or b"*/*")]


def _request(told: Any) -> _Request:
    """Our request, which the door passed along with a message."""
    request: _Request = told.request.scope[_REQUEST]
    return request


def _tool(spec: ToolSpec) -> types.Tool:
    # Without an output schema: it would take more of the context than it is worth, since answers have named members.
    return types.Tool(
        name=spec.name,
        title=spec.procedure.name,
        description=spec.description,
        input_schema=spec.input,
        annotations=types.ToolAnnotations(
            read_only_hint=spec.reads_only,
            destructive_hint=spec.is_destructive,
            idempotent_hint=spec.is_idempotent,
        ),
    )
