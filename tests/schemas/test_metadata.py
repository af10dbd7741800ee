"""Every section and field of the built-in metadata: what is accepted, what is rejected, and the path of the issue."""

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from schemas.base import Section
from schemas.metadata import BUILT_IN, Ai, metadata_struct, metadata_type
from tests.schemas.drafts import cases, changed, drafted, event, issue_paths, issues_of, stored_metadata

AT = "2024-12-09T01:00:00Z"

FULL: dict[str, Any] = {
    "ai": {
        "agent": "orchestrator",
        "confidence": {"score": 0.92, "reasoning": "clear"},
        "extraction": {
            "extractedFrom": {"messageId": "msg-123", "threadId": "thread-456", "content": "Call John"},
            "method": "explicit",
        },
        "classification": {
            "categories": [{"name": "task", "confidence": 1}],
            "tags": ["phone"],
            "method": "llm_analysis",
        },
        "relationships": {
            "relationships": [
                {"targetEntityId": "entity-9", "type": "part_of", "confidence": 0, "bidirectional": True},
            ]
        },
        "reasoning": {
            "steps": [{"type": "thinking", "content": "hm", "timestamp": AT}],
            "outcome": {"action": "create", "confidence": 0.5, "alternatives": ["wait"]},
            "durationMs": 12.5,
            "tokenCount": 42,
        },
        "inferredProperties": {"due": None, "nested": {"n": [1, None]}},
    },
    "import": {
        "source": "notion",
        "externalId": "n-1",
        "externalUrl": "https://notion.example/n-1",
        "importedAt": AT,
        "batchId": "b-1",
        "transformed": True,
        "transformationNotes": "split",
    },
    "sync": {
        "deviceId": "d-1",
        "platform": "ios",
        "syncedAt": AT,
        "offline": True,
        "conflictResolution": "merged",
    },
    "automation": {
        "ruleId": "r-1",
        "ruleName": "Every morning",
        "trigger": {"type": "schedule", "event": "day.began", "schedule": "0 7 * * *"},
        "executionId": "e-1",
    },
    "custom": {"a": None, "b": {"c": [1, "x", None, {}]}, "": True},
}

REQUIRED = [
    "ai.agent",
    "ai.confidence.score",
    "ai.extraction.extractedFrom",
    "ai.extraction.extractedFrom.messageId",
    "ai.extraction.extractedFrom.threadId",
    "ai.extraction.method",
    "ai.classification.categories",
    "ai.classification.categories.0.name",
    "ai.classification.categories.0.confidence",
    "ai.classification.method",
    "ai.relationships.relationships",
    "ai.relationships.relationships.0.targetEntityId",
    "ai.relationships.relationships.0.type",
    "ai.relationships.relationships.0.confidence",
    "ai.reasoning.steps",
    "ai.reasoning.steps.0.type",
    "ai.reasoning.steps.0.content",
    "ai.reasoning.outcome.action",
    "ai.reasoning.outcome.confidence",
    "import.source",
    "import.importedAt",
    "sync.deviceId",
    "sync.platform",
    "sync.syncedAt",
    "automation.ruleId",
    "automation.ruleName",
    "automation.trigger",
    "automation.trigger.type",
]

OPTIONAL = [
    "ai",
    "ai.confidence",
    "ai.confidence.reasoning",
    "ai.extraction",
    "ai.extraction.extractedFrom.content",
    "ai.classification",
    "ai.classification.tags",
    "ai.relationships",
    "ai.relationships.relationships.0.bidirectional",
    "ai.reasoning",
    "ai.reasoning.steps.0.timestamp",
    "ai.reasoning.outcome",
    "ai.reasoning.outcome.alternatives",
    "ai.reasoning.durationMs",
    "ai.reasoning.tokenCount",
    "ai.inferredProperties",
    "import",
    "import.externalId",
    "import.externalUrl",
    "import.batchId",
    "import.transformed",
    "import.transformationNotes",
    "sync",
    "sync.offline",
    "sync.conflictResolution",
    "automation",
    "automation.trigger.event",
    "automation.trigger.schedule",
    "automation.executionId",
    "custom",
]

OBJECTS = [
    "ai",
    "ai.confidence",
    "ai.extraction",
    "ai.extraction.extractedFrom",
    "ai.classification",
    "ai.classification.categories.0",
    "ai.relationships",
    "ai.relationships.relationships.0",
    "ai.reasoning",
    "ai.reasoning.steps.0",
    "ai.reasoning.outcome",
    "import",
    "sync",
    "automation",
    "automation.trigger",
]

RECORDS = ["ai.inferredProperties", "custom"]

LISTS = [
    "ai.classification.categories",
    "ai.classification.tags",
    "ai.relationships.relationships",
    "ai.reasoning.steps",
    "ai.reasoning.outcome.alternatives",
]

SHORT_TEXTS = [
    "ai.agent",
    "ai.extraction.extractedFrom.messageId",
    "ai.extraction.extractedFrom.threadId",
    "ai.classification.categories.0.name",
    "ai.classification.tags.0",
    "ai.relationships.relationships.0.targetEntityId",
    "import.externalId",
    "import.batchId",
    "sync.deviceId",
    "automation.ruleId",
    "automation.ruleName",
    "automation.trigger.type",
    "automation.executionId",
]

LONG_TEXTS = [
    "ai.confidence.reasoning",
    "ai.extraction.extractedFrom.content",
    "ai.reasoning.steps.0.content",
    "ai.reasoning.outcome.action",
    "ai.reasoning.outcome.alternatives.0",
    "import.externalUrl",
    "import.transformationNotes",
    "automation.trigger.event",
    "automation.trigger.schedule",
]

FRACTIONS = [
    "ai.confidence.score",
    "ai.classification.categories.0.confidence",
    "ai.relationships.relationships.0.confidence",
    "ai.reasoning.outcome.confidence",
]

FLAGS = ["ai.relationships.relationships.0.bidirectional", "import.transformed", "sync.offline"]

INSTANTS = ["ai.reasoning.steps.0.timestamp", "import.importedAt", "sync.syncedAt"]

CHOICES = {
    "ai.extraction.method": ["explicit", "implicit", "relationship"],
    "ai.classification.method": ["embedding_similarity", "llm_analysis", "rule_based"],
    "ai.relationships.relationships.0.type": [
        "related_to",
        "part_of",
        "depends_on",
        "mentioned_in",
        "created_from",
        "supersedes",
        "similar_to",
        "contradicts",
    ],
    "ai.reasoning.steps.0.type": ["thinking", "tool_call", "tool_result", "decision", "observation"],
    "import.source": ["notion", "obsidian", "roam", "logseq", "markdown", "csv", "api", "other"],
    "sync.platform": ["ios", "android", "web", "desktop", "cli"],
    "sync.conflictResolution": ["client_wins", "server_wins", "merged"],
}


def _shown(value: object) -> str:
    return json.dumps(value)[:24]


def test_every_field_at_once_is_accepted_as_it_is() -> None:
    assert stored_metadata(FULL) == FULL


ELSEWHERE = ("custom", "synap")
"""Kinds that are not in the tables: any JSON, and what `tests/procedures/test_intents.py` has."""


def test_the_table_has_every_field_of_every_kind() -> None:
    """It reads the Structs, so that a new field must be added to the tables above."""

    def fields(kind: Any, path: str) -> list[str]:
        found = []
        for field in msgspec.structs.fields(kind):
            place = f"{path}.{field.encode_name}"
            found.append(place)
            inner = [part for part in _parts(field.type) if isinstance(part, type) and issubclass(part, Struct)]
            if inner:
                many = any(getattr(part, "__origin__", None) is list for part in _parts(field.type))
                found += fields(inner[0], f"{place}.0" if many else place)
        return found

    every = {name for kind, struct in BUILT_IN.items() if kind not in ELSEWHERE for name in fields(struct, kind)}

    assert every | set(BUILT_IN) - {"synap"} == {*REQUIRED, *OPTIONAL}


def _parts(annotation: Any) -> list[Any]:
    return [annotation, *(part for inner in getattr(annotation, "__args__", ()) for part in _parts(inner))]


@pytest.mark.parametrize("path", REQUIRED)
@pytest.mark.parametrize("value", [..., None], ids=["absent", "null"])
def test_a_required_field_is_asked_for_by_name(path: str, value: object) -> None:
    (issue,) = issues_of(event(metadata=changed(FULL, path, value)))

    assert (issue.path, issue.message) == (f"metadata.{path}", "is required")


@pytest.mark.parametrize("path", OPTIONAL)
def test_null_is_absent_in_typed_sections(path: str) -> None:
    absent = changed(FULL, path)

    assert stored_metadata(absent) == absent
    assert stored_metadata(changed(FULL, path, None)) == absent


@cases(
    (SHORT_TEXTS, ["x", "x" * 256, "\U0001f600" * 256, "a b\n"]),
    (LONG_TEXTS, ["", "x" * 10_000]),
    (FRACTIONS, [0, 1, 0.0, 1.0, 1e-9, 0.999]),
    (FLAGS, [True, False]),
    (INSTANTS, [AT, "2024-02-29T23:59:59.123456+14:00", "0001-01-01T00:00:00Z", "2024-12-09T01:00:00-00:30"]),
    *(([path], values) for path, values in CHOICES.items()),
    (LISTS, [[]]),
    (RECORDS, [{}, {"a": None}, {"a\x00": "\x00"}, {"ai": {"agent": 1}}]),
    (["ai.reasoning.durationMs"], [0, 0.1, 5e-324, 2**53 - 1]),
    (["ai.reasoning.tokenCount"], [0, 2**53 - 1]),
)
def test_good_values_are_stored_as_sent(path: str, value: object) -> None:
    sent = changed(FULL, path, value)

    assert stored_metadata(sent) == sent


@cases(
    (SHORT_TEXTS, ["", "x" * 257, "x" * 4000, "a\x00b", 1, True, [], {}]),
    (LONG_TEXTS, ["\x00", 0.5, False, ["x"], {}]),
    (FRACTIONS, [-0.001, 1.001, 2, 1e16, "0.5", True, [], {}]),
    (FLAGS, [0, 1, "true", "", [], {}]),
    (
        INSTANTS,
        ["2024-12-09T01:00:00", "2024-12-09", "yesterday", "", "2024-13-01T00:00:00Z", 1733706000, True],
    ),
    (CHOICES, ["", "EXPLICIT", "csv ", 0, True, [], {}]),
    (LISTS, ["x", 1, {}, {"0": "x"}, True]),
    ([f"{path}.0" for path in LISTS], [None]),
    ([*OBJECTS, *RECORDS], ["x", "", 0, 1.5, True, False, [], [{}]]),
    (["ai.reasoning.durationMs"], [-1, -0.1, "1", True]),
    (["ai.reasoning.tokenCount"], [-1, 2**53, 2**70, 0.5, "1", True]),
)
def test_bad_values_are_rejected_at_their_path(path: str, value: object) -> None:
    (issue,) = issues_of(event(metadata=changed(FULL, path, value)))

    assert issue.path == f"metadata.{path}"
    assert issue.message.startswith("must ")


@pytest.mark.parametrize(("path", "values"), CHOICES.items(), ids=list(CHOICES))
def test_the_error_for_a_bad_choice_lists_the_choices(path: str, values: list[str]) -> None:
    (issue,) = issues_of(event(metadata=changed(FULL, path, "x")))

    assert issue.message == f"must be one of: {', '.join(values)}"


@pytest.mark.parametrize("path", OBJECTS)
def test_an_unknown_field_is_rejected_by_name(path: str) -> None:
    (issue,) = issues_of(event(metadata=changed(FULL, f"{path}.nosuch", 1)))

    assert issue.path == f"metadata.{path}.nosuch"
    assert issue.message.startswith("is not a known field; known are: ")


@pytest.mark.parametrize("name", ["review", "AI", "ai ", "Custom", "", "tags"])
def test_an_unknown_section_is_rejected_by_name(name: str) -> None:
    (issue,) = issues_of(event(metadata={name: {}, "custom": {}}))

    assert issue.path == f"metadata.{name}"
    assert issue.message == "is not a known field; known are: ai, automation, custom, import, synap, sync"


@pytest.mark.parametrize(
    ("metadata", "path", "message"),
    [
        (
            {"ai": {"agent": "a", "confidence": 0.9}},
            "metadata.ai.confidence",
            "must be an object, not a number; it has the members: score (required), reasoning",
        ),
        (
            {"ai": {"agent": "a", "reasoning": "because"}},
            "metadata.ai.reasoning",
            "must be an object, not text; it has the members: steps (required), outcome, durationMs, tokenCount",
        ),
        (
            {"intent": {"risk": "high"}},
            "metadata.intent",
            "is not a known field; did you mean synap.intent? known are: ai, automation, custom, import, synap, sync",
        ),
        (
            {"synap": {"intent": {"approvers": "ann"}}},
            "metadata.synap.intent.approvers",
            "must be an array, not text; it must have 1 to 50 ids of users",
        ),
    ],
    ids=["a score alone", "a reason alone", "a level too high", "one approver"],
)
def test_a_first_guess_at_metadata_is_told_what_fits(metadata: Any, path: str, message: str) -> None:
    (issue,) = issues_of(event(metadata=metadata))

    assert (issue.path, issue.message) == (path, message)


@pytest.mark.parametrize("metadata", ["ai", "", 1, 0.5, True, False, [], [{}]], ids=_shown)
def test_metadata_is_an_object(metadata: object) -> None:
    (issue,) = issues_of(event(metadata=metadata))

    assert issue.path == "metadata"
    assert issue.message.startswith("must be an object, not ")


@pytest.mark.parametrize("metadata", [None, {}, {"ai": None}, {"sync": None, "custom": None}], ids=_shown)
def test_empty_metadata_is_absent(metadata: object) -> None:
    assert stored_metadata(metadata) is None


def test_empty_custom_is_not_absent() -> None:
    assert stored_metadata({"custom": {}}) == {"custom": {}}


def test_defaults_are_never_written() -> None:
    sparse = {
        "ai": {
            "agent": "a",
            "relationships": {"relationships": [{"targetEntityId": "t", "type": "part_of", "confidence": 1}]},
        },
        "import": {"source": "csv", "importedAt": AT},
        "sync": {"deviceId": "d", "platform": "cli", "syncedAt": AT},
        "automation": {"ruleId": "r", "ruleName": "R", "trigger": {"type": "t"}},
    }

    assert stored_metadata(sparse) == sparse


def test_a_default_that_was_sent_is_kept() -> None:
    sent = {"sync": {"deviceId": "d", "platform": "cli", "syncedAt": AT, "offline": False}}

    assert stored_metadata(sent) == sent


def test_null_stays_in_free_records_beside_a_dropped_null() -> None:
    sent = {"ai": {"agent": "a", "confidence": None, "inferredProperties": {"x": None}}, "custom": {"y": [None]}}

    assert stored_metadata(sent) == {
        "ai": {"agent": "a", "inferredProperties": {"x": None}},
        "custom": {"y": [None]},
    }


def test_metadata_is_stored_canonically() -> None:
    draft = drafted(event(metadata={"custom": {"b": 1.0, "a": -0.0, "n": 1e21, "0": "\x00"}}))

    assert draft.body.metadata == r'{"custom":{"0":"\u0000","a":0,"b":1,"n":1e+21}}'


@pytest.mark.parametrize("null", [{}, {"x": None}], ids=["without nulls", "beside a null"])
@pytest.mark.parametrize("number", [1e16, 2**53, -(2**53), 10**20], ids=str)
def test_an_unsafe_number_in_a_free_record_is_rejected_at_its_path(number: float, null: dict[str, None]) -> None:
    (issue,) = issues_of(event(metadata={"custom": {"deep": [{"n": number}], **null}}))

    assert (issue.path, issue.code) == ("metadata.custom.deep.0.n", "unsafe_number")


@pytest.mark.parametrize("null", [1, None], ids=["without nulls", "beside a null"])
def test_a_free_record_ends_at_depth_64(null: object) -> None:
    def nested(depth: int) -> dict[str, Any]:
        return {"custom": {"null": null, "a": json.loads("[" * depth + "]" * depth)}}

    assert stored_metadata(nested(62)) == nested(62)
    (path,) = issue_paths(event(metadata=nested(63)))
    assert path.startswith("metadata.custom.a.0.0")


def test_every_wrong_place_of_metadata_is_named_at_once() -> None:
    wrong = FULL
    places = [
        "ai.agent",
        "ai.reasoning.steps.0.type",
        "import.source",
        "sync.offline",
        "automation.trigger.type",
        "custom",
    ]
    for path in places:
        wrong = changed(wrong, path, 7)
    wrong = changed(changed(wrong, "sync.syncedAt"), "automation.nosuch", 1)

    assert sorted(issue_paths(event(metadata=wrong))) == sorted(
        f"metadata.{path}" for path in [*places, "sync.syncedAt", "automation.nosuch"]
    )


def test_a_hundred_issues_are_enough() -> None:
    steps = [{"type": "nosuch"}] * 5000

    issues = issues_of(event(metadata={"ai": {"agent": "a", "reasoning": {"steps": steps}}}))

    assert len(issues) == 100


class Review(Section, frozen=True, kw_only=True):
    """A developer's kind. It is not registered in this process, because a registration cannot be undone."""

    stars: int


NAMES = ["", "Review", "1st", "two_words", "two-words", "two words", "é", "a" * 65, "review\n", "a.b", "_review"]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_kind_has_a_camel_case_name(name: str) -> None:
    with pytest.raises(ValueError, match="a name must be camelCase, at most 64 letters and digits"):
        metadata_type(**{name: Review})

    assert name not in metadata_struct().__struct_fields__


@pytest.mark.parametrize("name", ["ai", "import", "sync", "automation", "custom"])
def test_a_built_in_kind_cannot_be_replaced(name: str) -> None:
    with pytest.raises(ValueError, match=f"metadata kind '{name}' is registered already, by "):
        metadata_type(**{name: Review})

    assert stored_metadata(FULL) == FULL


@pytest.mark.parametrize(
    "kind", [dict, int, Review(stars=1), "Review", None, list[Review], Review | None], ids=lambda kind: str(kind)[:20]
)
def test_a_kind_is_a_struct(kind: Any) -> None:
    with pytest.raises(ValueError, match="metadata kind 'review': its type must be a msgspec Struct, not "):
        metadata_type(review=kind)

    assert "review" not in metadata_struct().__struct_fields__


def test_the_same_kind_may_be_registered_again() -> None:
    before = metadata_struct().__struct_fields__

    metadata_type(ai=Ai)

    assert metadata_struct().__struct_fields__ == before


def test_a_kinds_own_check_is_reported() -> None:
    script = """
import msgspec
from schemas.base import Section
from schemas.metadata import metadata_type

class Span(Section, frozen=True, kw_only=True):
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError("last must not come before first")

metadata_type(span=Span)
from tests.schemas.drafts import event, issues_of
for issue in issues_of(event(metadata={"span": {"first": 2, "last": 1}, "ai": {}})):
    print(issue.path, issue.message)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert ran.stdout == ("metadata.ai.agent is required\nmetadata.span last must not come before first\n"), ran.stderr
