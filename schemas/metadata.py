"""Typed metadata: the built-in kinds, and the registry to which a developer adds more.

A kind is one Struct and one line, in a module that `SYNAP_EXTENSIONS` names::

    class Review(Section, frozen=True, kw_only=True):
        stars: Annotated[int, Meta(ge=1, le=5)]

    metadata_type(review=Review)

The server then validates `metadata.review` like the built-in kinds, and the generated contract contains it.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct, defstruct

from schemas.base import Count, Fraction, Instant, Record, Section, ShortText, Text
from schemas.synap import Synap


class Confidence(Section, frozen=True, kw_only=True):
    """How sure an agent is."""

    score: Fraction
    reasoning: Text | None = None


class ExtractedFrom(Section, frozen=True, kw_only=True):
    """The message that something was extracted from."""

    message_id: ShortText
    thread_id: ShortText
    content: Text | None = None


class Extraction(Section, frozen=True, kw_only=True):
    """Where the content came from, and how."""

    extracted_from: ExtractedFrom
    method: Literal["explicit", "implicit", "relationship"]


class Category(Section, frozen=True, kw_only=True):
    """One category, and how sure the agent is of it."""

    name: ShortText
    confidence: Fraction


class Classification(Section, frozen=True, kw_only=True):
    """The categories that an agent found."""

    categories: list[Category]
    tags: list[ShortText] | None = None
    method: Literal["embedding_similarity", "llm_analysis", "rule_based"]


class Relationship(Section, frozen=True, kw_only=True):
    """A relation to another entity."""

    target_entity_id: ShortText
    type: Literal[
        "related_to",
        "part_of",
        "depends_on",
        "mentioned_in",
        "created_from",
        "supersedes",
        "similar_to",
        "contradicts",
    ]
    confidence: Fraction
    bidirectional: bool = False


class Relationships(Section, frozen=True, kw_only=True):
    """The relations that an agent found."""

    relationships: list[Relationship]


class Step(Section, frozen=True, kw_only=True):
    """One step of an agent's reasoning."""

    type: Literal["thinking", "tool_call", "tool_result", "decision", "observation"]
    content: Text
    timestamp: Instant | None = None


class Outcome(Section, frozen=True, kw_only=True):
    """What an agent decided."""

    action: Text
    confidence: Fraction
    alternatives: list[Text] | None = None


class Reasoning(Section, frozen=True, kw_only=True):
    """Why an agent did what it did. `durationMs` is in milliseconds."""

    steps: list[Step]
    outcome: Outcome | None = None
    duration_ms: (
        Annotated[float, Meta(ge=0, extra={"message": "must be a number of milliseconds, 0 or more"})] | None
    ) = None
    token_count: Count | None = None


class Ai(Section, frozen=True, kw_only=True):
    """What an AI agent did, how sure it was and why."""

    agent: ShortText
    confidence: Confidence | None = None
    extraction: Extraction | None = None
    classification: Classification | None = None
    relationships: Relationships | None = None
    reasoning: Reasoning | None = None
    inferred_properties: Record | None = None


class Import(Section, frozen=True, kw_only=True):
    """Where imported data came from."""

    source: Literal["notion", "obsidian", "roam", "logseq", "markdown", "csv", "api", "other"]
    external_id: ShortText | None = None
    external_url: Text | None = None
    imported_at: Instant
    batch_id: ShortText | None = None
    transformed: bool = False
    transformation_notes: Text | None = None


class Sync(Section, frozen=True, kw_only=True):
    """The device that an event was synchronised from."""

    device_id: ShortText
    platform: Literal["ios", "android", "web", "desktop", "cli"]
    synced_at: Instant
    offline: bool = False
    conflict_resolution: Literal["client_wins", "server_wins", "merged"] | None = None


class Trigger(Section, frozen=True, kw_only=True):
    """The trigger that started an automation."""

    type: ShortText
    event: Text | None = None
    schedule: Text | None = None


class Automation(Section, frozen=True, kw_only=True):
    """The automation rule that produced an event."""

    rule_id: ShortText
    rule_name: ShortText
    trigger: Trigger
    execution_id: ShortText | None = None


BUILT_IN: dict[str, type] = {
    "ai": Ai,
    "import": Import,
    "sync": Sync,
    "automation": Automation,
    "custom": Record,
    "synap": Synap,
}

_registered: dict[str, type[Struct]] = {}


def metadata_type(**kinds: type[Struct]) -> None:
    """Register metadata kinds by name, process-wide. Call it at the top level of a module named in `SYNAP_EXTENSIONS`.

    Raises `ValueError` if a name is registered already or is not camelCase, or if its type is not a Struct.
    """
    for name, kind in kinds.items():
        if not re.fullmatch(r"[a-z][A-Za-z0-9]{0,63}", name):
            raise ValueError(f"metadata kind {name!r}: a name must be camelCase, at most 64 letters and digits")
        if not (isinstance(kind, type) and issubclass(kind, Struct)):
            raise ValueError(f"metadata kind {name!r}: its type must be a msgspec Struct, not {kind!r}")
        taken = BUILT_IN.get(name) or _registered.get(name)
        if taken is not None and not is_same(taken, kind):
            raise ValueError(f"metadata kind {name!r} is registered already, by {taken.__module__}")
        _registered[name] = kind


def registered_kinds() -> Mapping[str, type[Struct]]:
    """The registered kinds that are not built in, by name."""
    return {name: kind for name, kind in sorted(_registered.items()) if name not in BUILT_IN}


def is_same(taken: type, kind: type) -> bool:
    """Whether two types have one name and module. A module that is loaded again defines its types anew."""
    return (taken.__module__, taken.__qualname__) == (kind.__module__, kind.__qualname__)


def metadata_struct() -> type[Struct]:
    """The type of a whole `metadata` object: one optional member for each kind registered now."""
    return defstruct(
        "Metadata",
        [(name, kind | None, None) for name, kind in {**BUILT_IN, **_registered}.items()],
        bases=(Section,),
        frozen=True,
        kw_only=True,
        rename=None,
        forbid_unknown_fields=True,
    )
