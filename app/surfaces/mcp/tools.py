"""Procedures as tools: their names, hints, and input schemas that an agent's context has room for.

A schema here is the procedure's own, said more briefly: what stands in many tools (filters, orders, metadata beside
`events_log`) is described instead of spelled out, and null, which means absent, is not offered. So what fits the
procedure's schema and has no nulls fits the tool's. What the tool's lets through is refused by the call, by its path.
"""

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
from msgspec import Struct

from app.json_schema import Schema, ecma, self_contained
from procedures.described import contract
from procedures.procedure import Kind, Procedure
from schemas.base import NO_NUL, Count, Fraction, Instant, RawRecord, ShortText, Text
from schemas.filter import Direction
from schemas.issues import unwrap

DEFAULT_LIMIT = 20
"""What a query is limited to that does not say: fewer than at other doors, for a context is small."""

LEFT_OUT = frozenset({"procedures.list"})
"""The list of tools says it already."""

_DRY_RUNS = frozenset({"events.validate"})

HINTS: dict[str, tuple[bool, bool]] = {
    "events.erase": (True, True),
    "events.log": (False, False),
    "events.logBatch": (False, False),
    "keys.create": (False, False),
    "keys.revoke": (True, True),
    "keys.rotate": (True, False),
    "subscriptions.create": (False, False),
    "subscriptions.delete": (True, True),
    "subscriptions.pause": (False, True),
    "subscriptions.replay": (False, False),
    "subscriptions.resume": (False, True),
    "subscriptions.rotateSecret": (True, False),
    "subscriptions.test": (False, False),
}
"""Of a mutation, whether it takes something away, and whether a second call does what the first did and no more.

Without an entry, as of a developer's own mutation, a client assumes the worst.
"""

_FULL_METADATA = "events.log"
"""The one tool in which metadata is spelled out."""

_FIELDS = (
    "a field (type, subjectId, userId, source, producer, correlationId, causationId, id, seq, timestamp, occurredAt, "
    "hash) or a dotted path into `data` or `metadata`"
)
_CONDITIONS = (
    "with a value that it equals, null for missing, or operators {eq ne in nin gt gte lt lte contains startsWith "
    "endsWith like isNull}; AND, OR: arrays of filters; NOT: a filter. "
)
EXAMPLE = '{"metadata.ai.agent": "planner", "metadata.ai.confidence.score": {"lt": 0.5}, "NOT": {"source": "system"}}'
"""A filter, as its description shows one."""

_BRIEF: dict[str, Schema] = {
    "EventFilter": {
        "type": "object",
        "description": f"All members must hold: {_FIELDS}, {_CONDITIONS}parent, children: {{some or none: a filter}} "
        f"of the causing or caused events. Example: {EXAMPLE}",
    },
    "LiveEventFilter": {
        "type": "object",
        "description": f"All members must hold: {_FIELDS}, {_CONDITIONS}Example: {EXAMPLE}",
    },
    "EventOrderBy": {
        "type": "object",
        "description": 'One field, or dotted path of typed metadata, and its direction: {"createdAt": "desc"}',
        "additionalProperties": {"type": "string", "enum": list(get_args(Direction))},
        "minProperties": 1,
        "maxProperties": 1,
    },
}

_BRIEF_METADATA: Schema = {"type": "object", "description": "As the tool `events_log` takes it."}


class ToolSpec(Struct, frozen=True, kw_only=True):
    """A procedure as a tool. A hint that is None is left to the client to guess."""

    name: str
    procedure: Procedure
    description: str
    input: Schema
    reads_only: bool
    is_destructive: bool | None = None
    is_idempotent: bool | None = None
    default_limit: int | None = None
    """The limit of a call that names none; None where the procedure's own default stands, or there is none."""


def tool_name(procedure: str) -> str:
    """The name of a procedure's tool. Models take letters, digits, `_` and `-`, of which procedures have no `_`."""
    return procedure.replace(".", "_")


def tools(procedures: Mapping[str, Procedure]) -> dict[str, ToolSpec]:
    """The tools by name, of queries and mutations; subscriptions are followed at other doors."""
    written = contract(procedures)
    specs = [
        _spec(procedures[name], each, written["$defs"])
        for name, each in written["procedures"].items()
        if procedures[name].kind in {Kind.QUERY, Kind.MUTATION} and name not in LEFT_OUT
    ]
    return {spec.name: spec for spec in specs}


def _spec(procedure: Procedure, described: dict[str, Any], components: dict[str, Schema]) -> ToolSpec:
    brief = _BRIEF if procedure.name == _FULL_METADATA else {**_BRIEF, "MetadataInput": _BRIEF_METADATA}
    schema = _shorter(self_contained(described["input"], {**components, **brief}))
    is_destructive, is_idempotent = HINTS.get(procedure.name, (None, None))
    description = described["description"]
    limit = _default_limit(procedure)
    if limit is not None:
        schema["properties"]["limit"]["default"] = limit
        description += f"\n\nHere `limit` is {limit} if not said."
    return ToolSpec(
        name=tool_name(procedure.name),
        procedure=procedure,
        description=description,
        input=schema,
        reads_only=procedure.kind is Kind.QUERY or procedure.name in _DRY_RUNS,
        is_destructive=is_destructive,
        is_idempotent=is_idempotent,
        default_limit=limit,
    )


def _default_limit(procedure: Procedure) -> int | None:
    """A smaller default than a query's own, where it has one."""
    limits = [field.default for field in msgspec.structs.fields(procedure.input) if field.encode_name == "limit"]
    return next((DEFAULT_LIMIT for limit in limits if isinstance(limit, int) and limit > DEFAULT_LIMIT), None)


def _shorter(schema: Any) -> Any:
    """A schema without what an agent has no use for: the dialect, nulls, and words and patterns that repeat a limit."""
    if not isinstance(schema, dict):
        return schema
    shorter = {name: _part(name, each) for name, each in schema.items() if name != "$schema"}
    others = [each for each in shorter.get("anyOf", ()) if each != {"type": "null"}]
    if len(others) == 1:
        del shorter["anyOf"]
        shorter = {**others[0], **shorter}
    if "format" in shorter or shorter.get("pattern") == _NO_NUL:
        shorter.pop("pattern", None)
    if shorter.get("description") in _IMPLIED:
        del shorter["description"]
    return shorter


def _part(keyword: str, value: Any) -> Any:
    """The value of a keyword, the schemas in it shorter."""
    if keyword in {"properties", "patternProperties", "$defs"}:
        return {name: _shorter(each) for name, each in value.items()}
    if keyword in {"anyOf", "prefixItems"}:
        return [_shorter(each) for each in value]
    return _shorter(value) if keyword in {"items", "additionalProperties", "propertyNames"} else value


_NO_NUL = ecma(NO_NUL)

_IMPLIED = {
    f"{message[0].upper()}{message[1:]}."
    for message in (
        meta.extra["message"]
        for _, meta in map(unwrap, (ShortText, Text, Fraction, Count, Instant, RawRecord))
        if meta and meta.extra
    )
}
"""What is said of types whose schema says it too."""
