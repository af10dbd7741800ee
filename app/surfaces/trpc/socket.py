"""tRPC over WebSocket (`docs/api/wire.md`, section 8): queries, mutations and subscriptions on one socket."""

import asyncio
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

from litestar.types import Receive, Send, WebSocketScope
from msgspec import Struct

from app.access.authenticator import Authenticator
from app.capacity.answers import holding
from app.capacity.budget import Budget
from app.capacity.parsing import parse
from app.capacity.strangers import MAX_MESSAGE_BYTES
from app.contract.operation import Kind
from app.surfaces.shared.connections import Live
from app.surfaces.shared.failures import told
from app.surfaces.shared.requests import header_map, refuse_malformed, request_id_of
from app.surfaces.shared.statuses import BAD_REQUEST, PARSE_ERROR
from app.surfaces.shared.websocket import (
    DEFECT,
    POLICY,
    RESTART,
    TOO_BIG,
    TRY_AGAIN,
    Peer,
    TooBigError,
    accepted,
    close_code,
)
from app.surfaces.trpc.caller import find_context
from app.surfaces.trpc.envelope import error_object, failure, frame
from app.surfaces.trpc.frames import CrowdedFrameError, MalformedFrameError, Message, hello_params, messages_of
from app.surfaces.trpc.refused import ErrorOf, refuse_calls
from app.surfaces.trpc.request import RequestError, connection_params, read_query, resumed
from app.surfaces.trpc.transformer import Transformer
from app.surfaces.trpc.unknown import unknown
from procedures.call import call, log_call, next_batch
from procedures.context import Context, Services
from procedures.procedure import Procedure
from schemas.errors import NotFound, PayloadTooLarge, ProcedureError, RateLimited, Unauthorized, Unavailable

HELLO_SECONDS = 5.0
"""The time in which a socket must send the `connectionParams` that it announced."""

REFUSED_SECONDS = 1.0
"""How long the calls of a rejected caller are answered with the reason before the socket is closed."""

RECONNECT_SECONDS = 1.0
"""The time in which a client must reconnect elsewhere when the server stops."""

MAX_CALLS = 100
"""The maximum of queries and mutations of one socket that run at once; later ones wait."""

MAX_SUBSCRIPTIONS = 100

PING = b'{"id":null,"method":"ping"}'
"""A message that keeps proxies from closing an idle socket, and that every client ignores. ASGI has no ping frames,
and version 10 of the client parses the text `PING` as broken JSON."""


class Sockets(Struct, frozen=True, kw_only=True):
    """Serves a registry of procedures over WebSockets."""

    procedures: Mapping[str, Procedure]
    services: Services
    authenticator: Authenticator
    transformer: Transformer
    live: Live
    origins: tuple[str, ...]
    """The origins of pages that may connect, in addition to the server's own host. `*` allows every page."""
    ping_seconds: float
    max_message_bytes: int
    max_batch_calls: int

    @property
    def max_messages(self) -> int:
        """The maximum of messages in a frame: a batch of calls, and the end of every subscription."""
        return self.max_batch_calls + MAX_SUBSCRIPTIONS

    async def __call__(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        """Serve one socket, from its upgrade to its end."""
        if await accepted(scope, receive, send, self.origins, "(socket)"):
            await self.live.serve(_Socket(self, scope, receive, send).run())


class _Socket:
    """One open socket."""

    def __init__(self, door: Sockets, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        self._door = door
        self._scope = scope
        self._headers = header_map(scope)
        self._request_id = request_id_of(self._headers)
        self._peer = Peer(receive, send, self._stop_reading)
        self._calls: set[asyncio.Task[None]] = set()
        """All calls that run, including subscriptions."""
        self._free = asyncio.Semaphore(MAX_CALLS)
        self._inputs = Budget(door.max_message_bytes)
        """The inputs of the calls that run."""
        self._subscriptions: dict[str | float, asyncio.Task[None]] = {}
        self._closing = False
        self._close_code: int | None = None
        """The code to close with; None if the client closed."""
        self._close_reason = ""

    async def run(self) -> None:
        """Serve until the client leaves, its key ends or the server stops."""
        self._reading = asyncio.create_task(self._read())
        pinging = asyncio.create_task(self._peer.ping(PING, self._door.ping_seconds))
        try:
            await asyncio.wait([self._reading])
            if not self._reading.cancelled():
                self._reading.result()
        except Exception as failed:  # noqa: BLE001 - whatever it is, the client and the log are told
            told(failed, "trpc", self._request_id)
            self._close_code = DEFECT
        finally:
            self._closing = True
            self._reading.cancel()
            tasks = [pinging, *self._calls]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._close_code is not None:
                await self._peer.close(self._close_code, self._close_reason)

    async def _read(self) -> None:
        """Read frames once the caller is known."""
        try:
            with ExitStack() as held:
                context = await self._admitted(held)
                while context is not None and (text := await self._next(self._door.max_message_bytes)) is not None:
                    await self._take(text, context)
        except TooBigError:
            log_call("(frame)", self._request_id, 0.0, PayloadTooLarge.code)
            self._close_code = TOO_BIG

    async def _admitted(self, held: ExitStack) -> Context | None:
        """The caller, whose socket is counted as open in `held`; None if the caller is rejected."""
        live = self._door.live
        try:
            context = await self._context()
            held.enter_context(live.opened(context.principal))
        except ProcedureError as error:
            log_call("(socket)", self._request_id, 0.0, error.code)
            await self._refuse(partial(_error_of, error), close_code(error, unavailable=RESTART))
            return None
        except RequestError as error:
            log_call("(socket)", self._request_id, 0.0, error.status.name)
            await self._refuse(partial(error_object, error.status, error.message), POLICY)
            return None
        held.enter_context(live.holding(context.principal, self._end))
        held.enter_context(live.unfinished.watched(self._scope["client"], lambda: self._peer.arrived, self._overflow))
        return context

    def _overflow(self) -> None:
        """A message exceeds its limit."""
        self._close_code = TOO_BIG
        self._stop_reading()

    async def _context(self) -> Context:
        """The caller. Raises ProcedureError, and RequestError for malformed parameters."""
        refuse_malformed(self._scope, self._headers)
        query = read_query(self._scope["query_string"])
        params = {"token": query[b"token"].decode(errors="replace")} if b"token" in query else {}
        if query.get(b"connectionParams") == b"1":
            try:
                async with self._listening(HELLO_SECONDS):
                    hello = await self._next(MAX_MESSAGE_BYTES)
            except TimeoutError:
                raise Unauthorized("The socket announced connectionParams but did not send them in time") from None
            params |= hello_params(hello or b"null")
        else:
            with suppress(RequestError):  # an invalid query announces nothing
                params |= connection_params(query.get(b"connectionParams"))
        return await find_context(
            self._door.services, self._door.authenticator, self._headers, params, self._request_id
        )

    async def _refuse(self, error: ErrorOf, code: int) -> None:
        """Send the reason why the caller is rejected, also to later calls; then close with the code.

        If a retry may help, later calls are not answered: the client repeats its subscriptions on its next socket.
        """
        door = self._door
        self._close_code = code
        await self._peer.send(b'{"id":null,"error":%b}' % door.transformer.error(error(None)))
        if code not in {RESTART, TRY_AGAIN}:
            with suppress(TimeoutError, CrowdedFrameError, Unavailable):
                async with self._listening(REFUSED_SECONDS):
                    await refuse_calls(
                        partial(self._next, MAX_MESSAGE_BYTES),
                        self._peer.send,
                        error,
                        door.transformer,
                        max_calls=door.max_batch_calls,
                        max_messages=door.max_messages,
                    )

    @asynccontextmanager
    async def _listening(self, seconds: float) -> AsyncIterator[None]:
        """Listen to the client before it is known, during the block. Raises TimeoutError and Unavailable."""
        strangers, client = self._door.live.strangers, self._scope["client"]
        address = client[0] if client is not None else ""
        async with strangers.listening(seconds, address):
            try:
                yield
            except TooBigError:
                strangers.pause(address)
                raise

    def _stop_reading(self) -> None:
        self._reading.cancel()

    def _end(self, error: Unauthorized | None) -> None:
        """End the socket: the key has ended, or (without an error) the server stops.

        The subscriptions of a key that has ended do not fail: a client would open them again on this socket, which is
        about to close. It opens them on its next socket, which rejects a key that is not valid either.
        """
        if error is not None:
            self._close_code, self._close_reason = POLICY, f"{error.code}: {error.message}"
            self._stop_reading()
            return
        task = asyncio.create_task(self._leave())
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _leave(self) -> None:
        self._close_code = RESTART
        await self._peer.send(b'{"id":null,"method":"reconnect"}')
        await asyncio.wait([self._reading], timeout=RECONNECT_SECONDS)
        self._stop_reading()

    async def _next(self, max_bytes: int) -> bytes | None:
        """The next frame that is not a ping or pong; None if the client has left.

        A binary frame is malformed. Raises TooBigError.
        """
        while (received := await self._peer.next(max_bytes)) is not None:
            if received == "PING":
                await self._peer.send(b"PONG")
            elif received != "PONG":
                text = received if isinstance(received, str) else ""
                return text.encode("utf-8", "surrogatepass").removeprefix(BOM_UTF8)
        return None

    async def _take(self, text: bytes, context: Context) -> None:
        """Start the calls of one frame."""
        most = self._door.max_batch_calls
        messages = await self._messages(text, context)
        too_many = len(messages) > most and any(message.kind is not None for message in messages)
        if too_many:
            log_call("(frame)", self._request_id, 0.0, BAD_REQUEST.name, context)
        for message in messages:
            if too_many and message.kind is not None:
                await self._fail(message, f"A batch may have at most {most} calls: send it in parts", None)
            else:
                await self._obey(message, context)

    async def _messages(self, text: bytes, context: Context) -> list[Message]:
        """The messages of a frame; empty if it is malformed or has too many, which is answered with one error."""
        try:
            return await parse(len(text), messages_of, text, self._door.transformer, self._door.max_messages)
        except MalformedFrameError as malformed:
            status, reason = PARSE_ERROR, str(malformed)
        except CrowdedFrameError:
            status, reason = BAD_REQUEST, f"A frame may have at most {self._door.max_messages} messages"
        log_call("(frame)", self._request_id, 0.0, status.name, context)
        await self._peer.send(b'{"id":null,"error":%b}' % self._door.transformer.error(error_object(status, reason)))
        return []

    async def _obey(self, message: Message, context: Context) -> None:
        """Start a call, or end a subscription."""
        if message.id is None:
            content = self._door.transformer.error(error_object(PARSE_ERROR, "`id` is required"))
            await self._peer.send(b'%b,"error":%b}' % (message.start, content))
        elif message.kind is Kind.SUBSCRIPTION:
            await self._subscribe(message, message.id, context)
        elif message.kind is not None:
            await self._begin(message, context)
        elif message.id in self._subscriptions:
            self._subscriptions[message.id].cancel()

    async def _begin(self, message: Message, context: Context) -> None:
        """Start a query or a mutation as soon as there is room for it."""
        size = len(message.input or b"")
        await self._free.acquire()
        await self._inputs.wait(size)

        def ended(task: asyncio.Task[None]) -> None:
            self._calls.discard(task)
            self._free.release()
            self._inputs.give(size)

        task = asyncio.create_task(self._call(message, context))
        self._calls.add(task)
        task.add_done_callback(ended)

    async def _subscribe(self, message: Message, id_: str | float, context: Context) -> None:
        """Start a subscription."""
        reason = None
        if id_ in self._subscriptions:
            reason = "Duplicate id: another subscription of this socket has it"
        elif len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            reason = f"A socket may have at most {MAX_SUBSCRIPTIONS} subscriptions at once"
        if reason is not None:
            log_call(message.path, self._request_id, 0.0, BAD_REQUEST.name, context)
            await self._fail(message, reason, message.path)
            return
        held = ExitStack()
        try:
            held.enter_context(self._door.live.opened(context.principal))
        except (RateLimited, Unavailable) as error:
            log_call(message.path, self._request_id, 0.0, error.code, context)
            await self._peer.send(self._failed(message, error))
            return
        task = self._subscriptions[id_] = asyncio.create_task(self._subscription(message, id_, context, held))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        task.add_done_callback(lambda _: held.close())  # for a task that is cancelled before it starts
        # The task must start before a stop can come: a task that is cancelled before it starts never sends `stopped`.
        await asyncio.sleep(0)

    async def _call(self, message: Message, context: Context) -> None:
        """Answer a query or a mutation."""
        try:
            with holding():
                await self._peer.send_parts(await self._answer(message, context))
        except Exception as failed:  # noqa: BLE001 - whatever it is, the client and the log are told
            await self._peer.send(self._failed(message, told(failed, "trpc", self._request_id)))

    async def _answer(self, message: Message, context: Context) -> list[bytes]:
        """The answer of a query or a mutation, in parts. Raises ProcedureError."""
        output, procedure = await self._run(message, context)
        data = self._door.transformer.parts(output, procedure.output)
        return [message.start, b',"result":{"type":"data","data":', *data, b"}}"]

    async def _subscription(self, message: Message, id_: str | float, context: Context, held: ExitStack) -> None:
        """Send a stream until it ends, is stopped, or its key ends. `held` is its place among the open streams."""
        stopped = False
        try:
            stream, procedure = await self._run(message, context)
            try:
                await self._peer.send(b'%b,"result":{"type":"started"}}' % message.start)
                stopped = True
                while (batch := await next_batch(procedure, context, stream)) is not None:
                    await self._send_batch(message, batch, procedure)
                    del batch  # frees the memory before the next is awaited
            finally:
                await stream.aclose()
        except Exception as failed:  # noqa: BLE001 - whatever it is, the client and the log are told
            await self._peer.send(self._failed(message, told(failed, "trpc", self._request_id)))
        except asyncio.CancelledError:
            if self._closing:
                raise
            stopped = True  # the client stopped it, perhaps before it had started
        finally:
            # Before `stopped` is sent: a client that reads it may use the id and the place again.
            del self._subscriptions[id_]
            held.close()
            if stopped and not self._closing:
                await self._peer.send(b'%b,"result":{"type":"stopped"}}' % message.start)

    async def _send_batch(self, message: Message, batch: list[Any], procedure: Procedure) -> None:
        """Send values of a stream."""
        for item in batch:
            result = frame(item, procedure, self._door.transformer)
            await self._peer.send(b'%b,"result":%b}' % (message.start, result))

    async def _run(self, message: Message, context: Context) -> tuple[Any, Procedure]:
        """The result of a call. Raises ProcedureError."""
        procedure = self._door.procedures.get(message.path)
        if procedure is None or procedure.kind is not message.kind:
            log_call(message.path, self._request_id, 0.0, NotFound.code, context)
            raise unknown(message.path, self._door.procedures, message.kind)

        def source() -> bytes | None:
            content = None if message.input is None else self._door.transformer.input(message.input, procedure.input)
            return resumed(content, message.last_event_id)

        return await call(procedure, context, source, size=len(message.input or b"")), procedure

    def _failed(self, message: Message, error: ProcedureError) -> bytes:
        content = self._door.transformer.error(_error_of(error, message.path))
        return b'%b,"error":%b}' % (message.start, content)

    async def _fail(self, message: Message, reason: str, path: str | None) -> None:
        content = self._door.transformer.error(error_object(BAD_REQUEST, reason, path))
        await self._peer.send(b'%b,"error":%b}' % (message.start, content))


def _error_of(error: ProcedureError, path: str | None) -> bytes:
    return failure(error, path).error or b""
