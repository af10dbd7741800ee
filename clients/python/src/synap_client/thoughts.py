"""The events of an agent's thoughts, observations, calls and decisions."""

from collections.abc import Sequence
from typing import Any

from synap_client.events import Record, written

Ai = dict[str, Any]
"""`metadata.ai` without the name of the agent."""

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
        left = {"alternatives": [text_of(each) for each in alternatives]} if alternatives else {}
        why["outcome"] = {"action": text_of(what), "confidence": confidence, **left}
        ai["confidence"] = {"score": confidence} | ({"reasoning": text_of(" ".join(thoughts))} if thoughts else {})
    said: dict[str, Any] = {"decision": what}
    if alternatives:
        said["alternatives"] = list(alternatives)
    return "agent.decided", said | ({} if data is None else {"data": data}), ai


def text_of(content: str) -> str:
    """Text for metadata. U+0000, which agents do produce, is removed, because only data may contain it."""
    return content.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _step(type: str, content: str) -> dict[str, str]:
    return {"type": type, "content": text_of(content)}


def _json(value: object) -> str:
    return written(value).decode()


def _if_said(**fields: float | None) -> dict[str, float]:
    return {name: value for name, value in fields.items() if value is not None}
