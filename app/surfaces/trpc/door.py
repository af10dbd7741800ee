"""The tRPC door over HTTP, as an ASGI application: the protocol is not REST."""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack

from litestar import MediaType, Response
from litestar.types import HTTPScope, Receive, Send
from msgspec import Struct

from app.access.authenticator import Authenticator
from app.capacity import answers
from app.capacity.bodies import Room
from app.contract.artefact import Contract
from app.contract.operation import Kind
from app.surfaces.shared.body import Body, disconnected
from app.surfaces.shared.connections import Live
from app.surfaces.shared.requests import header_map, refuse_malformed, request_id_of, traceparent_of
from app.surfaces.shared.rest import Caller
from app.surfaces.shared.rest import request_id as id_of
from app.surfaces.shared.sending import send_parts
from app.surfaces.shared.statuses import BAD_REQUEST, METHOD_NOT_SUPPORTED, headers_of, limit_headers
from app.surfaces.trpc.caller import find_context, without_token
from app.surfaces.trpc.envelope import Answer, error_object, failure, stream_head
from app.surfaces.trpc.inputs import CallInput, Inputs, body_bytes
from app.surfaces.trpc.request import Request, RequestError, connection_params, read_request
from app.surfaces.trpc.sse import EventStream, Timing
from app.surfaces.trpc.transformer import Transformer
from app.surfaces.trpc.unknown import unknown
from procedures.call import call, is_logged, log_call
from procedures.context import Context, Services
from procedures.procedure import Procedure
from schemas.errors import Internal, NotFound, ProcedureError

MOUNT = "/trpc"
CONTRACTS = (b"/trpc/contract.ts", b"/trpc/contract.d.ts")
CONTRACT_HEADER = b"x-synap-contract"
"""In every answer of this door over HTTP: the version of its contract, so that a page notices that its own is old."""

_VARY = (b"vary", b"trpc-accept, accept")
_JSON = (b"content-type", b"application/json")


class TrpcDoor(Struct, frozen=True, kw_only=True):
    """Serves a registry of procedures below `/trpc`."""

    procedures: Mapping[str, Procedure]
    services: Services
    authenticator: Authenticator
    transformer: Transformer
    contract: Contract
    max_body_bytes: int
    max_batch_calls: int
    live: Live
    timing: Timing

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request (`docs/api/wire.md`, section 2: the order of checks)."""
        headers = header_map(scope)
        request_id = request_id_of(headers)
        method = scope["method"]
        if method == "HEAD":
            await _send(send, 204, self._head(request_id), b"")
            return
        raw_path = scope.get("raw_path") or scope["path"].encode()
        if method == "GET" and raw_path in CONTRACTS:
            await self._send_contract(raw_path, headers, self._head(request_id), send)
            return
        started = time.perf_counter()
        try:
            refuse_malformed(scope, headers)
            request = read_request(
                method, raw_path, MOUNT.encode(), scope["query_string"], headers, self.max_batch_calls
            )
            self._check_kinds(request)
            params = connection_params(request.params)
            if request.stream and not request.batch:
                raise RequestError(BAD_REQUEST, "JSON lines are only possible with batch=1")
        except (RequestError, ProcedureError) as error:
            name = error.status.name if isinstance(error, RequestError) else error.code
            log_call("(request)", request_id, time.perf_counter() - started, name)
            refused = _refused(error)
            answer_headers = [_JSON, _VARY, *self._head(request_id)]
            await _send(send, refused.http, answer_headers, b"".join(refused.envelope(self.transformer)))
            return
        subscription = None if request.batch else self.procedures.get(request.paths[0])
        if subscription is not None and subscription.kind is Kind.SUBSCRIPTION:
            stream = EventStream(
                live=self.live,
                timing=self.timing,
                transformer=self.transformer,
                procedure=subscription,
                receive=receive,
                send=send,
            )
            await self._subscribe(stream, request, method, headers, params, request_id)
            return
        caller: Context | ProcedureError = Internal()  # not looked up if no procedure is known
        called = [self.procedures[path] for path in request.paths if path in self.procedures]
        if called:
            caller = await self._caller(headers, params, request_id)
        with self._room(caller) as room:
            body = self._body(called, method, headers, receive, room)
            inputs = Inputs(request, body)
            calls = [
                self._call(path, index, method, request_id, caller, inputs) for index, path in enumerate(request.paths)
            ]
            answer_headers = [_JSON, _VARY, *self._head(request_id), *_allow(called, method)]
            if request.stream:
                await self._stream(calls, answer_headers, disconnected(receive) if body is None else body.left(), send)
            else:
                await self._answer(calls, answer_headers, send, called, caller, is_batch=request.batch)

    async def _answer(
        self,
        calls: list[Coroutine[None, None, Answer]],
        headers: list[tuple[bytes, bytes]],
        send: Send,
        called: Sequence[Procedure],
        caller: Context | ProcedureError,
        *,
        is_batch: bool,
    ) -> None:
        """Answer all calls at once."""
        # The calls of a batch run concurrently, so they share reads and commits.
        made = [await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls)
        statuses = {answer.http for answer in made}
        headers += [*_headers(made), *self._limits(called, caller)]
        parts = self._written(made, is_batch=is_batch)
        del made  # frees the memory before the answer is sent
        await _send_large(send, statuses.pop() if len(statuses) == 1 else 207, headers, parts)

    def _head(self, request_id: str) -> list[tuple[bytes, bytes]]:
        """The headers of every answer."""
        return [(b"x-request-id", request_id.encode()), (CONTRACT_HEADER, self.contract.tag.encode())]

    async def _send_contract(
        self, path: bytes, asked: dict[bytes, bytes], headers: list[tuple[bytes, bytes]], send: Send
    ) -> None:
        """Answer with a file of the contract, or with 304 if the caller has it."""
        headers += [(b"etag", f'"{self.contract.tag}"'.encode()), (b"cache-control", b"no-cache")]
        if self.contract.tag.encode() in asked.get(b"if-none-match", b""):
            await _send(send, 304, headers, b"")
            return
        headers.append((b"content-type", b"application/typescript; charset=utf-8"))
        text = self.contract.module if path == CONTRACTS[0] else self.contract.declarations
        await _send(send, 200, headers, text.encode())

    def _written(self, made: Sequence[Answer], *, is_batch: bool) -> list[bytes]:
        """The body of a request's answers, in parts."""
        if not is_batch:
            return made[0].envelope(self.transformer)
        parts: list[bytes] = []
        for answer in made:
            parts += [b"," if parts else b"[", *answer.envelope(self.transformer)]
        return [*parts, b"]"]

    def _room(self, caller: Context | ProcedureError) -> Room:
        """The room that a request may take for its body. The body of a rejected caller is not read."""
        key_id = caller.principal.key_id if isinstance(caller, Context) else ""
        return self.services.bodies.room(key_id)

    def _body(
        self, called: Sequence[Procedure], method: str, headers: dict[bytes, bytes], receive: Receive, room: Room
    ) -> Body | None:
        """The body with the inputs; None if they are in the URL."""
        if method == "GET":
            return None
        return Body(receive, headers, body_bytes(called, self.max_body_bytes), room)

    def refusal(self, request: Caller, error: ProcedureError) -> Response[bytes]:
        """The answer to a request that failed before its calls were known."""
        head = {name.decode(): value.decode() for name, value in (_VARY, *self._head(id_of(request)))}
        headers = {**head, **headers_of(error)}
        refused = _refused(error)
        content = b"".join(refused.envelope(self.transformer))
        return Response(content, status_code=refused.http, media_type=MediaType.JSON, headers=headers)

    async def _caller(
        self, headers: dict[bytes, bytes], params: dict[str, str], request_id: str
    ) -> Context | ProcedureError:
        """The caller, or the error with which each call is answered."""
        try:
            return await find_context(
                self.services,
                self.authenticator,
                headers,
                without_token(params, headers),
                request_id,
                traceparent_of(headers),
            )
        except ProcedureError as error:
            return error

    async def _call(
        self,
        path: str,
        index: int,
        method: str,
        request_id: str,
        caller: Context | ProcedureError,
        inputs: Inputs,
    ) -> Answer:
        """The answer of one call. Raises nothing."""
        procedure = self.procedures.get(path)
        if procedure is None:
            log_call(path, request_id, 0.0, NotFound.code)
            return failure(unknown(path, self.procedures), path)
        if method not in _allowed(procedure):
            return _method_refused(procedure, method, request_id)
        if procedure.kind is Kind.SUBSCRIPTION:
            log_call(path, request_id, 0.0, BAD_REQUEST.name)
            message = "Cannot call a subscription in a batch; set the client to split them off"
            return Answer(http=BAD_REQUEST.http, error=error_object(BAD_REQUEST, message, path))
        if isinstance(caller, ProcedureError):
            log_call(path, request_id, 0.0, caller.code)
            return failure(caller, path)

        sent = CallInput(inputs, index, procedure, self.transformer)
        try:
            output = await call(procedure, caller, sent.read, arrive=sent.arrive)
            return Answer(output=output, kind=procedure.output)
        except ProcedureError as error:
            return failure(error, path)

    async def _subscribe(
        self,
        events: EventStream,
        request: Request,
        method: str,
        headers: dict[bytes, bytes],
        params: dict[str, str],
        request_id: str,
    ) -> None:
        """Answer a subscription with server-sent events."""
        procedure = events.procedure
        answer_headers = [_VARY, *self._head(request_id), *_allow([procedure], method)]
        if method not in _allowed(procedure):
            await events.refuse(answer_headers, _method_refused(procedure, method, request_id).error or b"")
            return
        resume = None if request.last_event_id is None else request.last_event_id.decode(errors="replace")
        with ExitStack() as held:
            try:
                context = await find_context(
                    self.services, self.authenticator, headers, params, request_id, traceparent_of(headers)
                )
                held.enter_context(self.live.opened(context.principal))
                with self._room(context) as room:
                    inputs = Inputs(request, self._body([procedure], method, headers, events.receive, room))
                    sent = CallInput(inputs, 0, procedure, self.transformer, resume)
                    stream = await call(procedure, context, sent.read, arrive=sent.arrive)
            except ProcedureError as error:
                if not is_logged(error):
                    log_call(procedure.name, request_id, 0.0, error.code)
                await events.refuse(answer_headers, failure(error, procedure.name).error or b"")
                return
            answer_headers += self._limits([procedure], context)
            await events.run(answer_headers, context, stream)

    async def _stream(
        self,
        calls: list[Coroutine[None, None, Answer]],
        headers: list[tuple[bytes, bytes]],
        left: Coroutine[None, None, None],
        send: Send,
    ) -> None:
        """Answer a batch with JSON lines. Each call's line is sent when it is ready and the line before has been read.

        `left` returns when the client has gone.
        """
        if (held := answers.request()) is not None:
            held.waits = True
        turn = asyncio.Lock()

        async def answer(index: int, one: Coroutine[None, None, Answer]) -> None:
            with answers.holding():
                parts = (await one).chunk(index, self.transformer)
                async with turn:
                    await send_parts(send, parts, more=True)

        answering = asyncio.gather(*(answer(index, one) for index, one in enumerate(calls)))
        leaving = asyncio.create_task(left)
        try:
            async with turn:
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await _send_part(send, stream_head(len(calls), self.transformer))
            leaving.add_done_callback(lambda _: answering.cancel())
            await asyncio.wait([answering])
            if not answering.cancelled():
                answering.result()
            await _send_part(send, b"", more=False)
        finally:
            # Reads stop when their caller has gone; an accepted append continues, because the log shields it.
            answering.cancel()
            leaving.cancel()

    def _limits(self, called: Sequence[Procedure], caller: Context | ProcedureError) -> list[tuple[bytes, bytes]]:
        """The headers with the rest of the key's rate, if it is limited. A batch has procedures of one kind only."""
        if not called or isinstance(caller, ProcedureError):
            return []
        allowance = self.services.rates.allowance(called[0].rate, caller.principal.key_id)
        return [(name.encode(), value.encode()) for name, value in limit_headers(allowance).items()]

    def _check_kinds(self, request: Request) -> None:
        if request.batch:
            kinds = dict.fromkeys(self.procedures[path].kind for path in request.paths if path in self.procedures)
            if len(kinds) > 1:
                raise RequestError(BAD_REQUEST, f"Cannot mix procedure types in call: {', '.join(kinds)}")


def _refused(error: RequestError | ProcedureError) -> Answer:
    """The answer to a request that is rejected as a whole."""
    if isinstance(error, RequestError):
        return Answer(http=error.status.http, error=error_object(error.status, error.message))
    return failure(error, None)


def _headers(made: Sequence[Answer]) -> list[tuple[bytes, bytes]]:
    """The headers for all answers together: the longest `retry-after` wins."""
    merged: dict[str, str] = {}
    waits = [answer.headers for answer in made if answer.headers]
    for headers in sorted(waits, key=lambda headers: int(headers.get("retry-after", "0"))):
        merged |= headers
    return [(name.encode(), value.encode()) for name, value in merged.items()]


def _method_refused(procedure: Procedure, method: str, request_id: str) -> Answer:
    log_call(procedure.name, request_id, 0.0, METHOD_NOT_SUPPORTED.name)
    message = f'Unsupported {method}-request to {procedure.kind} procedure at path "{procedure.name}"'
    return Answer(http=METHOD_NOT_SUPPORTED.http, error=error_object(METHOD_NOT_SUPPORTED, message, procedure.name))


def _allow(called: Sequence[Procedure], method: str) -> list[tuple[bytes, bytes]]:
    """The `allow` header, if a call used a method that its procedure does not accept."""
    for procedure in called:
        if method not in (allowed := _allowed(procedure)):
            return [(b"allow", ", ".join(allowed).encode())]
    return []


def _allowed(procedure: Procedure) -> tuple[str, ...]:
    """The methods that a procedure accepts. Queries may also be sent by POST (`methodOverride`)."""
    return ("POST",) if procedure.kind is Kind.MUTATION else ("GET", "POST")


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
    if status not in {204, 304}:
        headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await _send_part(send, content, more=False)


async def _send_large(send: Send, status: int, headers: list[tuple[bytes, bytes]], parts: list[bytes]) -> None:
    headers.append((b"content-length", str(sum(map(len, parts))).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send_parts(send, parts, more=False)


async def _send_part(send: Send, content: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": more})
