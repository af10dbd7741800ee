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

A sink is a client (each event is durable before the agent continues) or a recorder (the agent continues at once).
"""

import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Protocol, Self, TypedDict, Unpack, overload

from synap_client.aio import AsyncSynap
from synap_client.client import Synap
from synap_client.errors import SynapError
from synap_client.events import EventFields, Record, Source, new_id, written
from synap_client.quiet import logger
from synap_client.recorder import AsyncRecorder, Recorder

SOURCE: Source = "intelligence"

Sink = Synap | Recorder
AsyncSink = AsyncSynap | AsyncRecorder

Ai = dict[str, Any]


class _Run(Protocol):
    """The place in a run after which the next event comes."""

    correlation_id: str
    last_id: str | None


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
        self.correlation_id = fields.get("correlation_id") or (around.correlation_id if around else new_id())
        self.last_id = fields.get("causation_id") or (around.last_id if around else None)
        """The cause of the next event."""
        self._fields = fields
        self._around: _Run | None = None
        self._entered: Token[_Run | None] | None = None
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

    def _ended(self, error: BaseException | None) -> tuple[str, dict[str, Any]]:
        data: dict[str, Any] = {"durationMs": round((time.monotonic() - self._began) * 1000, 3)}
        if error is None:
            return "agent.finished", data
        return "agent.failed", data | {"error": type(error).__name__, "message": _text(str(error))}


class Agent(_Told):
    """One run of an agent. For the thread that began it."""

    def __init__(self, name: str, sink: Sink, fields: AgentFields) -> None:
        """Logs nothing yet."""
        super().__init__(name, fields)
        self._sink = sink

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


Made = tuple[str, dict[str, Any], Ai]
"""An event's type, its data, and its `metadata.ai`."""


def thought(text: str) -> Made:
    """The event of a thought."""
    return "agent.thought", {"thought": text}, {"reasoning": {"steps": [_step("thinking", text)]}}


def observed(text: str, data: Record | None) -> Made:
    """The event of an observation."""
    seen = {"observation": text} | ({} if data is None else {"data": data})
    return "agent.observed", seen, {"reasoning": {"steps": [_step("observation", text)]}}


def called_tool(tool: str, arguments: object, result: object, error: str | None, duration_ms: float | None) -> Made:
    """The event of a tool's call and result."""
    said = {"arguments": arguments, "result": result, "error": error, "durationMs": duration_ms}
    data = {"tool": tool} | {name: value for name, value in said.items() if value is not None}
    steps = [_step("tool_call", tool if arguments is None else f"{tool} {_json(arguments)}")]
    if error is not None:
        steps.append(_step("tool_result", f"error: {error}"))
    elif result is not None:
        steps.append(_step("tool_result", result if isinstance(result, str) else _json(result)))
    return "agent.tool.called", data, {"reasoning": {"steps": steps, **_if_said(durationMs=duration_ms)}}


def decided(
    what: str,
    confidence: float | None,
    reasoning: str | Sequence[str],
    alternatives: Sequence[str],
    data: Record | None,
    duration_ms: float | None,
    token_count: int | None,
) -> Made:
    """The event of a decision. Without a confidence it has no `outcome`, which requires one."""
    thoughts = [reasoning] if isinstance(reasoning, str) else list(reasoning)
    steps = [*(_step("thinking", text) for text in thoughts), _step("decision", what)]
    why: dict[str, Any] = {"steps": steps, **_if_said(durationMs=duration_ms, tokenCount=token_count)}
    ai: Ai = {"reasoning": why}
    if confidence is not None:
        left = {"alternatives": [_text(each) for each in alternatives]} if alternatives else {}
        why["outcome"] = {"action": _text(what), "confidence": confidence, **left}
        ai["confidence"] = {"score": confidence} | ({"reasoning": _text(" ".join(thoughts))} if thoughts else {})
    said: dict[str, Any] = {"decision": what}
    if alternatives:
        said["alternatives"] = list(alternatives)
    return "agent.decided", said | ({} if data is None else {"data": data}), ai


_current: ContextVar[_Run | None] = ContextVar("synap_client_agent", default=None)


def _step(type: str, content: str) -> dict[str, str]:
    return {"type": type, "content": _text(content)}


def _text(content: str) -> str:
    """Text for metadata. U+0000, which agents do produce, is removed, because only data may contain it."""
    return content.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _json(value: object) -> str:
    return written(value).decode()


def _if_said(**fields: float | None) -> dict[str, float]:
    return {name: value for name, value in fields.items() if value is not None}
