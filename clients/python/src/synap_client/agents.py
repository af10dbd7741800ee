"""Logs what an agent did and why, as events that can be traced.

`with agent("orchestrator", client) as a:` begins a run. Each of its events has the agent's name in `metadata.ai.agent`,
the run's `correlationId`, and the event before it as its cause. An agent that begins inside another's block belongs to
the same run. Its first event is caused by the other's last one, and the other's next event by its own last one.

| method | type | `metadata.ai` in addition to `agent` |
|---|---|---|
| the start and end of the block | `agent.started`, `agent.finished`, `agent.failed` | |
| `thought` | `agent.thought` | `reasoning.steps`: thinking |
| `observed` | `agent.observed` | `reasoning.steps`: observation |
| `called_tool` | `agent.tool.called` | `reasoning.steps`: tool_call, tool_result; `durationMs` |
| `decided` | `agent.decided` | `confidence`; `reasoning.steps`: thinking ..., decision; `outcome` |
| `log` | your own | your own |
| `ask` | your own with `.requested` | |

A sink is a client (each event is durable before the agent continues) or a recorder (the agent continues at once).
"""

import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack, overload

from synap_client.aio import AsyncSynap
from synap_client.asking import Steps, ask, asked_id, finish, frozen, start, take, take_async, terms_of
from synap_client.calls import Outcome
from synap_client.client import Synap
from synap_client.errors import IntentError, SynapError
from synap_client.events import Event, EventFields, Record, Source, new_id
from synap_client.intents import AskFields, Intent, Started
from synap_client.quiet import logger
from synap_client.recorder import AsyncRecorder, Recorder
from synap_client.thoughts import Ai, called_tool, decided, observed, text_of, thought

SOURCE: Source = "intelligence"

Sink = Synap | Recorder
AsyncSink = AsyncSynap | AsyncRecorder


class AgentFields(TypedDict, total=False):
    """The optional fields of an agent's run.

    correlation_id: the run that it belongs to; default the surrounding agent's, or a new one.
    causation_id: the cause of its first event; default the surrounding agent's last event.
    subject_id, user_id, producer: fields of each of its events.
    bounds: whether its start and its end are events; default true.
    """

    correlation_id: str | None
    causation_id: str | None
    subject_id: str | None
    user_id: str | None
    producer: str | None
    bounds: bool


@overload
def agent(name: str, sink: Synap | Recorder, **fields: Unpack[AgentFields]) -> "Agent": ...


@overload
def agent(name: str, sink: AsyncSynap | AsyncRecorder, **fields: Unpack[AgentFields]) -> "AsyncAgent": ...


def agent(name: str, sink: Sink | AsyncSink, **fields: Unpack[AgentFields]) -> "Agent | AsyncAgent":
    """An agent's run, for `with`. With an async client or recorder, use `async with` and await its methods."""
    if isinstance(sink, Synap | Recorder):
        return Agent(name, sink, fields)
    return AsyncAgent(name, sink, fields)


class _Told:
    """The state that agents of both kinds share, and the events that they make."""

    def __init__(self, name: str, fields: AgentFields) -> None:
        around = _current.get()
        self.name = name
        self.correlation_id: str = fields.get("correlation_id") or (around.correlation_id if around else new_id())
        self.last_id: str | None = fields.get("causation_id") or (around.last_id if around else None)
        """The cause of the next event."""
        self._fields = fields
        self._around: _Told | None = None
        self._entered: Token[_Told | None] | None = None
        self._began = time.monotonic()

    def _enter(self) -> None:
        around = _current.get()
        # Within one run the surrounding agent continues after this one's events.
        self._around = around if around is not None and around.correlation_id == self.correlation_id else None
        self._entered = _current.set(self)
        self._began = time.monotonic()

    def _leave(self) -> None:
        if self._entered is not None:
            _current.reset(self._entered)
        if self._around is not None:
            self._around.last_id = self.last_id

    @property
    def _bounds(self) -> bool:
        return self._fields.get("bounds", True)

    def _event(self, ai: Ai, more: EventFields) -> EventFields:
        """The fields of an event of this run."""
        metadata = more.get("metadata") or {}
        given: Mapping[str, Any] = metadata.get("ai", {})
        fields: EventFields = {
            "id": new_id(),
            "source": SOURCE,
            "correlation_id": self.correlation_id,
            "causation_id": self.last_id,
            "subject_id": self._fields.get("subject_id"),
            "user_id": self._fields.get("user_id"),
            "producer": self._fields.get("producer"),
            **more,
            "metadata": {**metadata, "ai": {"agent": self.name, **ai, **given}},
        }
        if fields["id"] is None:
            fields["id"] = new_id()
        return fields

    def _ask(self, type: str, parameters: object, fields: AskFields) -> Steps[Intent]:
        key = fields.get("key")
        said: EventFields = {"metadata": {"synap": {"intent": terms_of(fields)}}}
        if key is not None:
            said["id"] = asked_id(type, key)
        if "subject_id" in fields:
            said["subject_id"] = fields["subject_id"]
        asked = ask(type, frozen(parameters), self._event({}, said), key, fields.get("wait_seconds"))
        try:
            intent = yield from asked
        except IntentError as error:
            self.last_id = error.intent_id
            raise
        self.last_id = intent.decision_id
        return intent

    def _start(self, intent: Intent, parameters: object, key: str | None) -> Steps[Started]:
        started = yield from start(intent, frozen(parameters), key)
        self.last_id = started.event.id
        return started

    def _finish(self, started: Started, outcome: Outcome, data: Record | None) -> Steps[Event]:
        event = yield from finish(started, outcome, data)
        self.last_id = event.id
        return event

    def _ended(self, error: BaseException | None) -> tuple[str, dict[str, Any]]:
        data: dict[str, Any] = {"durationMs": round((time.monotonic() - self._began) * 1000, 3)}
        if error is None:
            return "agent.finished", data
        return "agent.failed", data | {"error": type(error).__name__, "message": text_of(str(error))}


class Agent(_Told):
    """One run of an agent. For the thread that began it."""

    def __init__(self, name: str, sink: Sink, fields: AgentFields) -> None:
        """Logs nothing yet."""
        super().__init__(name, fields)
        self._sink = sink
        self._client = sink if isinstance(sink, Synap) else sink.client

    def __enter__(self) -> Self:
        """Begin the run."""
        self._enter()
        if self._bounds:
            try:
                self.log("agent.started", {})
            except BaseException:
                self._leave()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run. An exception is logged, and continues."""
        try:
            if self._bounds:
                self.log(*self._ended(error))
        except SynapError as failed:
            if error is None:
                raise
            # The block's own exception matters more.
            logger.warning("the end of agent %s could not be logged: %s", self.name, failed)
        finally:
            self._leave()

    def log(self, type: str, data: Record, ai: Ai | None = None, **more: Unpack[EventFields]) -> str:
        """Log an event of your own type in this run, and return its id. `ai` is `metadata.ai` without the name."""
        fields = self._event(ai or {}, more)
        self._sink.log(type, data, **fields)
        self.last_id = str(fields["id"])
        return self.last_id

    def ask(self, type: str, parameters: object, **fields: Unpack[AskFields]) -> Intent:
        """Ask to do something, and return when somebody has approved exactly that.

        Logs `<type>.requested` with `parameters`, which are any JSON, and waits. Raises IntentRejected, IntentExpired,
        IntentWithdrawn; NotDecided after `wait_seconds`; Conflict if the `key` has asked for other parameters. See
        `AskFields` for the rest.
        """
        return take(self._client, self._ask(type, parameters, fields))

    def start(self, intent: Intent, parameters: object, *, key: str | None = None) -> Started:
        """Take one use of an approved intent, right before the act. Call `finish` after it.

        `parameters` is what the act will run with. With a `key`, a name for this use, it starts once: AlreadyStarted if
        a call with the same key came before. Raises Conflict with the `reason` `parameters_differ` or `used_up`;
        IntentExpired, IntentWithdrawn.
        """
        return take(self._client, self._start(intent, parameters, key))

    def finish(self, started: Started, outcome: Outcome, data: Record | None = None) -> Event:
        """Report how a use ended. If `data` cannot be stored, the outcome is reported without it."""
        return take(self._client, self._finish(started, outcome, data))

    def thought(self, text: str, **more: Unpack[EventFields]) -> str:
        """Log a thought, and return the event's id."""
        return self.log(*thought(text), **more)

    def observed(self, text: str, data: Record | None = None, **more: Unpack[EventFields]) -> str:
        """Log an observation, with `data` if given, and return the event's id."""
        return self.log(*observed(text, data), **more)

    def called_tool(
        self,
        tool: str,
        arguments: object = None,
        *,
        result: object = None,
        error: str | None = None,
        duration_ms: float | None = None,
        **more: Unpack[EventFields],
    ) -> str:
        """Log a call of a tool with its result, and return the event's id."""
        return self.log(*called_tool(tool, arguments, result, error, duration_ms), **more)

    def decided(
        self,
        what: str,
        *,
        confidence: float | None = None,
        reasoning: str | Sequence[str] = (),
        alternatives: Sequence[str] = (),
        data: Record | None = None,
        duration_ms: float | None = None,
        token_count: int | None = None,
        **more: Unpack[EventFields],
    ) -> str:
        """Log a decision. `confidence` is 0 to 1, `reasoning` the thoughts, `alternatives` the options not taken."""
        made = decided(what, confidence, reasoning, alternatives, data, duration_ms, token_count)
        return self.log(*made, **more)


class AsyncAgent(_Told):
    """One run of an agent on an event loop. For the task that began it."""

    def __init__(self, name: str, sink: AsyncSink, fields: AgentFields) -> None:
        """Logs nothing yet."""
        super().__init__(name, fields)
        self._sink = sink
        self._client = sink if isinstance(sink, AsyncSynap) else sink.client

    async def __aenter__(self) -> Self:
        """Begin the run."""
        self._enter()
        if self._bounds:
            try:
                await self.log("agent.started", {})
            except BaseException:
                self._leave()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run. An exception is logged, and continues."""
        try:
            if self._bounds:
                await self.log(*self._ended(error))
        except SynapError as failed:
            if error is None:
                raise
            logger.warning("the end of agent %s could not be logged: %s", self.name, failed)
        finally:
            self._leave()

    async def log(self, type: str, data: Record, ai: Ai | None = None, **more: Unpack[EventFields]) -> str:
        """Log an event, as `Agent.log`."""
        fields = self._event(ai or {}, more)
        await self._sink.log(type, data, **fields)
        self.last_id = str(fields["id"])
        return self.last_id

    async def ask(self, type: str, parameters: object, **fields: Unpack[AskFields]) -> Intent:
        """Ask, as `Agent.ask`. If the task is cancelled, the intent stays open."""
        return await take_async(self._client, self._ask(type, parameters, fields))

    async def start(self, intent: Intent, parameters: object, *, key: str | None = None) -> Started:
        """Take one use, as `Agent.start`."""
        return await take_async(self._client, self._start(intent, parameters, key))

    async def finish(self, started: Started, outcome: Outcome, data: Record | None = None) -> Event:
        """Report how a use ended, as `Agent.finish`."""
        return await take_async(self._client, self._finish(started, outcome, data))

    async def thought(self, text: str, **more: Unpack[EventFields]) -> str:
        """Log a thought, as `Agent.thought`."""
        return await self.log(*thought(text), **more)

    async def observed(self, text: str, data: Record | None = None, **more: Unpack[EventFields]) -> str:
        """Log an observation, as `Agent.observed`."""
        return await self.log(*observed(text, data), **more)

    async def called_tool(
        self,
        tool: str,
        arguments: object = None,
        *,
        result: object = None,
        error: str | None = None,
        duration_ms: float | None = None,
        **more: Unpack[EventFields],
    ) -> str:
        """Log a call of a tool, as `Agent.called_tool`."""
        return await self.log(*called_tool(tool, arguments, result, error, duration_ms), **more)

    async def decided(
        self,
        what: str,
        *,
        confidence: float | None = None,
        reasoning: str | Sequence[str] = (),
        alternatives: Sequence[str] = (),
        data: Record | None = None,
        duration_ms: float | None = None,
        token_count: int | None = None,
        **more: Unpack[EventFields],
    ) -> str:
        """Log a decision, as `Agent.decided`."""
        made = decided(what, confidence, reasoning, alternatives, data, duration_ms, token_count)
        return await self.log(*made, **more)


_current: ContextVar["_Told | None"] = ContextVar("synap_client_agent", default=None)


def current_agent() -> "_Told | None":
    """The agent in whose block the caller is."""
    return _current.get()
