"""The inputs of logging and listing: the type grammar, every field, and all issues at once."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.base import Input
from schemas.event import GetEvent, ListEvents, LogEvent, LogEvents
from schemas.issues import find_issues
from schemas.metadata import metadata_struct
from tests.kit.examples import examples
from tests.schemas.drafts import cases, changed, drafted, event, issue_paths, issues_of

AT = "2024-12-09T01:00:00Z"

FULL: dict[str, Any] = {
    "id": "01938c1e-0000-7000-8000-000000000001",
    "type": "note.created",
    "subjectId": "entity-456",
    "data": {"title": None},
    "metadata": {"ai": {"agent": "a"}},
    "userId": "u2",
    "source": "sync",
    "producer": "github.action",
    "correlationId": "run-gh-001",
    "causationId": "evt-1",
    "occurredAt": AT,
}

SHORT_TEXTS = ["subjectId", "userId", "producer", "correlationId", "causationId"]

TYPES = [
    "a.b",
    "review.multi-agent.complete",
    "A_1.-",
    "0.0.0",
    "_._",
    "a." + "b" * 126,
    "synapse.x",
    "Synap.x",
    "x.synap.y",
]

NO_TYPES = {
    "nothing": "",
    "one segment": "created",
    "a dot before": ".a",
    "a dot after": "a.",
    "two dots": "a..b",
    "a dot": ".",
    "a space": "a b.c",
    "a newline after": "a.b\n",
    "beyond ASCII": "é.b",
    "a full-width letter": "\uff41.b",
    "an Arabic digit": "\u0661.b",
    "a pattern": "a.*",
    "a slash": "a/b.c",
    "U+0000": "a.b\x00",
    "129 characters": "a." + "b" * 127,
    "a number": 1,
    "a list": ["a.b"],
    "an object": {},
    "a boolean": True,
}


@pytest.mark.parametrize("type_", TYPES)
def test_a_type_has_two_or_more_segments(type_: str) -> None:
    assert drafted(event(type=type_)).type == type_


@pytest.mark.parametrize("type_", NO_TYPES.values(), ids=list(NO_TYPES))
def test_anything_else_is_no_type(type_: object) -> None:
    (issue,) = issues_of(event(type=type_))

    assert (issue.path, issue.code) == ("type", "invalid_event_type")
    assert "must follow dot notation (e.g., 'code.analysis.complete')" in issue.message


@pytest.mark.parametrize(
    "type_",
    ["synap.x", "synap.key.rotated", "synap.event.erased", "synap.webhook.disabled", "synap.audit.tip", "synap.-"],
)
def test_types_of_the_server_are_rejected(type_: str) -> None:
    (issue,) = issues_of(event(type=type_))

    assert (issue.path, issue.code) == ("type", "invalid_event_type")
    assert issue.message == "must not begin with 'synap.': only the server logs those"


PATTERNS = ["*", "a", "a.b", "a.*", "*.b", "a.*.c", "*.*", "a.*.*", "*.*.c-d_1"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_has_whole_segments(pattern: str) -> None:
    assert msgspec.convert({"type": pattern}, ListEvents).type == pattern


@pytest.mark.parametrize(
    "pattern", ["", "cod*", "*a", "a.b*", "**", "a.**", "a.", ".*", "a..b", "%", "a.*\n", "é", "a" * 129]
)
def test_anything_else_is_no_pattern(pattern: str) -> None:
    (issue,) = find_issues({"type": pattern}, ListEvents)

    assert issue.path == "type"
    assert "'*' may stand for a whole segment" in issue.message


def test_every_field_at_once_is_accepted() -> None:
    draft = drafted(FULL)

    assert (str(draft.id), draft.type) == (FULL["id"], FULL["type"])
    assert (draft.body.user_id, draft.body.source) == ("u2", "sync")
    assert (draft.body.data, draft.body.metadata) == ('{"title":null}', '{"ai":{"agent":"a"}}')
    assert (draft.body.subject_id, draft.body.producer) == ("entity-456", "github.action")
    assert (draft.body.correlation_id, draft.body.causation_id) == ("run-gh-001", "evt-1")
    assert draft.body.occurred_at is not None
    assert draft.body.occurred_at.isoformat() == "2024-12-09T01:00:00+00:00"


@pytest.mark.parametrize("name", [name for name in FULL if name not in {"type", "data", "id"}])
def test_null_is_absent(name: str) -> None:
    absent, null = drafted(changed(FULL, name)), drafted(changed(FULL, name, None))

    assert null.body == absent.body


def test_a_null_id_is_one_of_the_servers() -> None:
    assert drafted(changed(FULL, "id", None)).id.version == 7


@pytest.mark.parametrize("name", ["type", "data"])
@pytest.mark.parametrize("value", [..., None], ids=["absent", "null"])
def test_type_and_data_are_required(name: str, value: object) -> None:
    (issue,) = issues_of(changed(FULL, name, value))

    assert issue.path == name
    assert issue.message in {"is required", "must be a JSON object"}


@cases(
    (SHORT_TEXTS, ["x", "x" * 256, "\U0001f600" * 256, " ", "\n", "\u2028"]),
    (["source"], ["api", "automation", "sync", "migration", "system", "intelligence"]),
    (["data"], [{}, {"": None}, {"\x00": "\x00"}, {"\U0001f600": [1e21, -0.0]}]),
    (["id"], ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"]),
    (["occurredAt"], [AT, "2024-02-29T23:59:59.999999+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]),
)
def test_good_values_are_accepted(path: str, value: object) -> None:
    assert issues_of(changed(FULL, path, value)) == []


@cases(
    (SHORT_TEXTS, ["", "x" * 257, "\x00", "a\x00", 1, 0.5, True, [], {}]),
    (["source"], ["", "API", "other", 1, True, [], {}]),
    (["data"], ["{}", "", 1, 0.5, True, [], [{}]]),
    (["id"], ["", "evt-123", "01938c1e", 1, True, [], {}, "g1938c1e-0000-7000-8000-000000000001"]),
    (
        ["occurredAt"],
        [
            "",
            "2024-12-09T01:00:00",
            "2024-12-09",
            "yesterday",
            "2024-02-30T00:00:00Z",
            "2016-12-31T23:59:60Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-14:00",
            1733706000,
            1733706000.5,
            True,
            [],
            {},
        ],
    ),
)
def test_bad_values_are_rejected_by_name(path: str, value: object) -> None:
    (issue,) = issues_of(changed(FULL, path, value))

    assert issue.path == path
    assert issue.message


@pytest.mark.parametrize("name", ["nosuch", "user_id", "Type", "timestamp", "seq", "version", "eventId"])
def test_an_unknown_field_is_rejected_by_name(name: str) -> None:
    (issue,) = issues_of({**FULL, name: "x"})

    assert issue.path == name
    assert issue.message.startswith("is not a known field; known are: causationId, correlationId, data, ")


def test_an_input_without_fields_says_so() -> None:
    (issue,) = find_issues({"nosuch": 1}, Input)

    assert issue.message == "is not a known field; known are: none"


@pytest.mark.parametrize("sent", [[], "x", 1, True, [FULL]], ids=str)
def test_an_event_is_an_object(sent: object) -> None:
    (issue,) = issues_of(sent)

    assert issue.path == ""
    assert issue.message.startswith("must be an object, not ")


def test_all_that_is_wrong_is_named_at_once() -> None:
    wrong = {
        "id": "x",
        "type": "created",
        "data": [],
        "metadata": {"ai": {"confidence": {"score": 2}}, "sync": 1, "nosuch": 1},
        "source": "other",
        "subjectId": "",
        "occurredAt": "yesterday",
        "nosuch": 1,
    }

    assert sorted(issue_paths(wrong)) == [
        "data",
        "id",
        "metadata.ai.agent",
        "metadata.ai.confidence.score",
        "metadata.nosuch",
        "metadata.sync",
        "nosuch",
        "occurredAt",
        "source",
        "subjectId",
        "type",
    ]


@pytest.mark.parametrize(
    ("wrong", "paths"),
    [
        ({"data": {"n": 1e16}, "metadata": {"ai": {}}}, ["data.n", "metadata.ai.agent"]),
        ({"data": {"n": 1e16, "m": [1, 2**53]}}, ["data.m.1", "data.n"]),
        ({"type": "synap.x", "metadata": {"ai": {}}}, ["metadata.ai.agent", "type"]),
        ({"type": "synap.x", "data": {"n": 1e16}}, ["data.n", "type"]),
        ({"type": "synap.x", "source": "other"}, ["source", "type"]),
        ({"source": "other", "data": {"n": 1e16}}, ["data.n", "source"]),
        ({"metadata": {"ai": {}, "custom": {"n": 1e16}}}, ["metadata.ai.agent", "metadata.custom.n"]),
        ({"occurredAt": "0001-01-01T00:00:00+01:00", "data": {"n": 1e16}}, ["data.n", "occurredAt"]),
    ],
    ids=[
        "data and metadata",
        "two places of data",
        "a reserved type and metadata",
        "a reserved type and data",
        "a reserved type and a field",
        "a field and data",
        "two places of metadata",
        "a time out of range and data",
    ],
)
def test_what_later_checks_find_is_named_at_once_too(wrong: dict[str, Any], paths: list[str]) -> None:
    assert sorted(issue_paths(event(**wrong))) == paths


@cases(
    (["limit"], [1, 1000, None]),
    (["offset"], [0, 2**53 - 1, None]),
    (["hasMetadata"], [True, False, None]),
    (["from", "to"], [AT, "2024-12-09T01:00:00+02:00", None]),
    (["subjectId", "correlationId", "causationId", "userId"], ["x", "x" * 256, None]),
    (["source"], ["api", None]),
    (["cursor"], ["", "x", None]),
)
def test_good_filters_are_accepted(path: str, value: object) -> None:
    msgspec.json.decode(json.dumps({path: value}), type=ListEvents)

    assert find_issues({path: value}, ListEvents) == []


@cases(
    (["limit"], [0, -1, 1001, 2**53, 2**70, 1.5, "1", True, [], {}]),
    (["offset"], [-1, 2**53, 2**70, 0.5, "0", False, [], {}]),
    (["hasMetadata"], ["true", 1, 0, [], {}]),
    (["from", "to"], ["2024-12-09", "2024-12-09T01:00:00", "", 1, True, {}]),
    (["subjectId", "correlationId", "causationId", "userId"], ["", "x" * 257, "\x00", 1, True, [], {}]),
    (["source"], ["", "API", 1]),
    (["cursor"], [1, True, [], {}]),
    (["nosuch", "from_", "has_metadata"], [1, AT]),
)
def test_bad_filters_are_rejected_by_name(path: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps({path: value}), type=ListEvents)

    assert [issue.path for issue in find_issues({path: value}, ListEvents)] == [path]


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_1_to_1000_events(count: int) -> None:
    (issue,) = find_issues({"events": [event()] * count}, LogEvents)

    assert (issue.path, issue.message) == ("events", f"must have 1 to 1000 events, not {count}")


def test_issues_of_a_batch_name_the_place() -> None:
    sent = {"events": [event(), event(type="x"), event(metadata={"ai": {}})]}

    assert [issue.path for issue in find_issues(sent, LogEvents, metadata_struct())] == [
        "events.1.type",
        "events.2.metadata.ai.agent",
    ]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
GOOD: dict[Any, dict[str, Any]] = {
    LogEvent: {name: value for name, value in FULL.items() if name != "metadata"},
    GetEvent: {"eventId": "x"},
    ListEvents: {"limit": 1, "type": "a.*", "hasMetadata": True, "from": AT, "source": "api", "cursor": "x"},
}


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from(list(GOOD)), st.data())
def test_issues_are_found_exactly_where_the_decoder_rejects(wanted: Any, data: st.DataObject) -> None:
    good = GOOD[wanted]
    replaced = data.draw(st.dictionaries(st.sampled_from(list(good)) | TEXTS, JSON, max_size=3))
    sent = data.draw(JSON) if data.draw(st.integers(0, 9)) == 0 else {**good, **replaced}

    try:
        msgspec.json.decode(json.dumps(sent), type=wanted)
    except msgspec.ValidationError:
        refused = True
    else:
        refused = False

    issues = find_issues(sent, wanted)
    # Raw accepts any JSON. Only the draft checks that `data` is an object, and its numbers.
    assert bool([issue for issue in issues if (wanted, issue.path.split(".")[0]) != (LogEvent, "data")]) == refused
