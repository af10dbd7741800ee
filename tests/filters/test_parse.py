"""Filters and orders are parsed from JSON. What is invalid is rejected with its path."""

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

import schemas.filter as syntax
from app.filters.event import Document
from app.filters.matches import matches
from app.filters.order import parse_order
from app.filters.parse import parse_filter, refuse_relations
from app.filters.values import INSTANT
from schemas.errors import InvalidInput
from schemas.jsontext import UNSAFE_NUMBER
from tests.filters.logs import FIELDS, ODD_FIELDS


def _issues(raw: object, path: str = "filter") -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        parse_filter(raw, path, FIELDS)
    return {issue.path: issue.message for issue in refused.value.issues}


def test_a_bare_value_means_eq_and_several_fields_mean_and() -> None:
    assert parse_filter({"type": "a.b", "seq": 1.0}, "filter", FIELDS) == parse_filter(
        {"AND": [{"type": {"eq": "a.b"}}, {"seq": {"eq": 1}}]}, "filter", FIELDS
    )
    assert parse_filter({"seq": {"gte": 1, "lt": 3}}, "filter", FIELDS) == parse_filter(
        {"AND": [{"seq": {"gte": 1}}, {"seq": {"lt": 3}}]}, "filter", FIELDS
    )


@pytest.mark.parametrize(
    ("raw", "same"),
    [
        ({"subjectId": None}, {"subjectId": {"isNull": True}}),
        ({"subjectId": {"eq": None}}, {"subjectId": {"isNull": True}}),
        ({"data.x": {"ne": None}}, {"data.x": {"isNull": False}}),
        ({"id": "01938C1E00007000800000000000000A"}, {"id": "01938c1e-0000-7000-8000-00000000000a"}),
        ({"id": "evt_" + "5e" * 32}, {"hash": {"in": ["sha256:" + "5e" * 32]}}),
        ({"id": {"in": ["x", "evt_", "{01938c1e-0000-7000-8000-00000000000a}"]}}, {"id": {"in": []}}),
        ({"id": {"ne": "x"}}, {"id": {"nin": []}}),
        ({"createdAt": "2024-01-01T05:30:00+05:30"}, {"createdAt": "2024-01-01T00:00:00Z"}),
        ({"data.x": -0.0}, {"data.x": 0}),
        ({"data.x": 1e2}, {"data.x": 100}),
        ({"data.x\0": "\0"}, {"data.x\ufffd": "\ufffd"}),
        ({"type": {}}, {}),
        ({}, {"AND": []}),
    ],
)
def test_filters_that_ask_the_same_are_the_same(raw: object, same: object) -> None:
    assert parse_filter(raw, "filter", FIELDS) == parse_filter(same, "filter", FIELDS)


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        ([], "filter", "must be a filter, which is an object, not an array"),
        (None, "filter", "must be a filter, which is an object, not null"),
        ({"AND": {}}, "filter.AND", "must be an array of filters, not an object"),
        ({"AND": [{}, 1]}, "filter.AND.1", "must be a filter, which is an object, not a number"),
        ({"NOT": []}, "filter.NOT", "must be a filter, which is an object, not an array"),
        ({"and": []}, "filter.and", "is not a known field"),
        ({"AND": [{"data.title": {"like": 1}}]}, "filter.AND.0.data.title.like", "must be a text, not a number"),
        ({"data.title": [1]}, "filter.data.title", "must be a text, a number or a boolean, not an array"),
        ({"data.title": {"eq": {}}}, "filter.data.title.eq", "must be a text, a number or a boolean, not an object"),
        ({"data.title": {"equals": 1}}, "filter.data.title.equals", "is no operator of data.title, which has: eq, ne"),
        ({"data.title": {"gt": True}}, "filter.data.title.gt", "must be a text or a number, not a boolean"),
        ({"data.title": {"in": "x"}}, "filter.data.title.in", "must be an array of at most 100 values"),
        ({"data.title": {"in": [1, None]}}, "filter.data.title.in.1", "must not be null; use isNull"),
        ({"data.title": {"gt": None}}, "filter.data.title.gt", "must not be null"),
        ({"data.title": {"isNull": 1}}, "filter.data.title.isNull", "must be true or false, not a number"),
        ({"data": {"eq": 1}}, "filter.data.eq", "is no operator of data, which has: isNull"),
        ({"data.x": float("inf")}, "filter.data.x", UNSAFE_NUMBER),
        ({"data.x": 10**400}, "filter.data.x", UNSAFE_NUMBER),
        ({"data.x": 2**53}, "filter.data.x", UNSAFE_NUMBER),
        ({"data.x": {"in": [1, -(10**22)]}}, "filter.data.x.in.1", UNSAFE_NUMBER),
        ({"data.x": "\ud800"}, "filter.data.x", "has half of a surrogate pair"),
        ({"data.\ud800": 1}, "filter.data.\ud800", "has half of a surrogate pair"),
        ({"seq": 1.5}, "filter.seq", "must be a whole number"),
        ({"seq": True}, "filter.seq", "must be a number, not a boolean"),
        ({"seq": {"contains": "1"}}, "filter.seq.contains", "is no operator of seq"),
        ({"id": 5}, "filter.id", "must be a text, not a number"),
        ({"id": {"gt": "x"}}, "filter.id.gt", "is no operator of id, which has: eq, ne, in, nin, isNull"),
        ({"hash": "sha256:00"}, "filter.hash", "must be 'sha256:'"),
        ({"source": "web"}, "filter.source", "must be one of: api, automation"),
        ({"createdAt": "2024-01-01"}, "filter.createdAt", "must be an RFC 3339 time with a UTC offset"),
        ({"createdAt": "0001-01-01T00:00:00+01:00"}, "filter.createdAt", "must be a time from year 1 to 9999"),
        ({"type.x": 1}, "filter.type.x", "is not a known field; known are: id, type"),
        (
            {"metadata.nope": 1},
            "filter.metadata.nope",
            "known here are: ai, automation, custom, import, review, synap, sync",
        ),
        ({"metadata.ai.nope": 1}, "filter.metadata.ai.nope", "known here are: agent, classification"),
        ({"metadata.ai.agent.x": 1}, "filter.metadata.ai.agent.x", "has no members: metadata.ai.agent is a value"),
        ({"metadata.ai.reasoning.steps.type": 1}, "filter.metadata.ai.reasoning.steps.type", "is an array"),
        ({"metadata.ai": "x"}, "filter.metadata.ai", "is no operator of metadata.ai, which has: isNull"),
        ({"metadata.ai.agent": 1}, "filter.metadata.ai.agent", "must be a text, not a number"),
        ({"metadata.review.stars": "4"}, "filter.metadata.review.stars", "must be a number, not a text"),
        ({"metadata.review.star": 4}, "filter.metadata.review.star", "known here are: stars, verdict, wouldRecommend"),
        ({"metadata.sync.platform": "tv"}, "filter.metadata.sync.platform", "must be one of: ios"),
        ({"parent": {}}, "filter.parent", "must be an object of some or none and a filter"),
        ({"parent": {"every": {}}}, "filter.parent", "must be an object of some or none and a filter"),
        ({"parent": {"some": {"typo": 1}}}, "filter.parent.some.typo", "is not a known field"),
        ({"type": "x" * 1025}, "filter.type", "must have at most 1024 characters, not 1025"),
        ({"data." + "x" * 1020: 1}, "filter.data." + "x" * 123, "must have at most 1024 characters, not 1025"),
        ({"data" + ".x" * 65: 1}, "filter.data" + ".x" * 62, "has more than 64 members in its path"),
        ({"data.x": {"in": [1] * 101}}, "filter.data.x.in", "must be an array of at most 100 values"),
    ],
)
def test_what_does_not_fit_is_rejected_by_path(raw: object, path: str, message: str) -> None:
    issues = _issues(raw)

    assert list(issues) == [path]
    assert message in issues[path]


def test_every_invalid_place_is_named_at_once() -> None:
    issues = _issues({"nope": 1, "OR": [{"seq": "x"}, {"NOT": {"id": 1, "type": {"in": [1, "a", 2]}}}]}, "input.filter")

    assert list(issues) == [
        "input.filter.nope",
        "input.filter.OR.0.seq",
        "input.filter.OR.1.NOT.id",
        "input.filter.OR.1.NOT.type.in.0",
        "input.filter.OR.1.NOT.type.in.2",
    ]


def test_a_filter_has_at_most_100_nodes() -> None:
    parse_filter({"OR": [{"seq": place} for place in range(99)]}, "filter", FIELDS)

    assert "more than a filter may have: 100" in "".join(
        _issues({"OR": [{"seq": place} for place in range(100)]}).values()
    )
    for item in ({}, 1, {"seq": "x"}):
        assert len(_issues({"AND": [item] * 100_000})) <= 100


def test_filters_are_nested_at_most_8_deep() -> None:
    deep: dict[str, Any] = {"seq": 1}
    for _ in range(7):
        deep = {"NOT": deep}
    parse_filter(deep, "filter", FIELDS)

    assert _issues({"NOT": deep}) == {"filter" + ".NOT" * 8: "is nested deeper than 8"}
    for _ in range(5000):
        deep = {"AND": [deep]}
    assert list(_issues(deep)) == ["filter" + ".AND.0" * 8]


def test_relations_are_nested_at_most_2_deep() -> None:
    allowed = {"parent": {"some": {"OR": [{"children": {"none": {"seq": 1}}}, {"parent": {"some": {"seq": 2}}}]}}}
    parse_filter({"AND": [allowed, allowed]}, "filter", FIELDS)

    path = "filter.children.some.parent.some.OR.0.children"
    assert _issues({"children": {"some": allowed}}) == {
        path: "is nested deeper than 2 relations (parent, children)",
        path.replace("OR.0.children", "OR.1.parent"): "is nested deeper than 2 relations (parent, children)",
    }


def test_a_filter_has_at_most_65536_bytes() -> None:
    texts = ["x" * 1000] * 64
    parse_filter({"data.x": {"in": texts}}, "filter", FIELDS)

    [(path, message)] = _issues({"data.x": {"in": [*texts, "x" * 1000, "x" * 1000]}}).items()

    assert path == "filter"
    assert message.startswith("must have at most 65,536 bytes as JSON, not 66,")


def test_relations_are_rejected_where_events_are_looked_at_one_by_one() -> None:
    plain = parse_filter({"NOT": {"seq": 1}}, "filter", FIELDS)
    related = parse_filter({"OR": [{"NOT": {"parent": {"some": {}}}}]}, "filter", FIELDS)

    refuse_relations(plain, "filter")
    with pytest.raises(InvalidInput, match="parent or children") as refused:
        refuse_relations(related, "input.filter")
    assert refused.value.field == "input.filter"
    with pytest.raises(InvalidInput):
        matches(related, "default")


def test_listed_fields_are_those_that_are_found() -> None:
    listed = list(FIELDS.listed())

    assert {field.dotted: FIELDS.find(field.dotted) for field in listed} == {field.dotted: field for field in listed}
    kinds = {field.dotted: field.kind for field in listed}
    assert kinds["metadata.review.stars"] == "number"
    assert kinds["metadata.import.importedAt"] == "instant"
    assert kinds["metadata.sync.offline"] == "boolean"
    assert kinds["metadata.ai.reasoning.steps"] == "object"


def test_directions_say_where_nulls_go() -> None:
    directions = ["asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"]
    fields = ["type", "seq", "occurredAt", "parentId", "metadata.review.stars", "id"]

    terms = parse_order([{name: way} for name, way in zip(fields, directions, strict=True)], "orderBy", FIELDS)

    assert [(term.field.dotted, term.descending, term.nulls_first) for term in terms] == [
        ("type", False, False),
        ("seq", True, True),
        ("occurredAt", False, True),
        ("parentId", False, False),
        ("metadata.review.stars", True, True),
        ("id", True, False),
    ]


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        ({}, "orderBy", "must be an array of at most 8"),
        ([{"type": "asc"}] * 9, "orderBy", "must be an array of at most 8"),
        ([{}], "orderBy.0", "must be an object of one field and its direction"),
        ([{"type": "asc", "seq": "asc"}], "orderBy.0", "must be an object of one field"),
        ([{"nope": "asc"}], "orderBy.0.nope", "is not a known field"),
        ([{"type": "ASC"}], "orderBy.0.type", "must be one of: asc, desc, asc_nulls_first"),
        ([{"type": []}], "orderBy.0.type", "must be one of"),
        ([{"data.x": "asc"}], "orderBy.0.data.x", "cannot order events; use a field"),
        ([{"metadata.ai": "asc"}], "orderBy.0.metadata.ai", "cannot order events; use a field"),
        ([{"metadata.custom.x": "asc"}], "orderBy.0.metadata.custom.x", "cannot order events; use a field"),
        ([{"createdAt": "asc"}, {"timestamp": "desc"}], "orderBy.1.timestamp", "is already in the order"),
    ],
)
def test_an_order_that_does_not_fit_is_rejected_by_path(raw: object, path: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_order(raw, "orderBy", FIELDS)

    [issue] = refused.value.issues
    assert issue.path == path
    assert message in issue.message


@pytest.mark.parametrize("date", ["2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2024-04-31", "0000-01-01"])
@pytest.mark.parametrize(
    "time", ["T00:00:00", "t23:59:59.1", " 12:30:30.1234567", "T24:00:00", "T00:00:60", "T1:00:00", "T00:00:00."]
)
@pytest.mark.parametrize("offset", ["Z", "z", "+05:30", "-0530", "+23:59", "+24:00", "+05", "", " Z", "\n"])
def test_an_instant_in_metadata_is_what_metadata_accepts_as_one(date: str, time: str, offset: str) -> None:
    text = f"{date}{time}{offset}"
    try:
        msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
        is_instant = True
    except msgspec.ValidationError:
        is_instant = False

    assert (re.fullmatch(INSTANT, text) is not None) is is_instant


def test_a_document_is_read_from_either_shape() -> None:
    members = {"hash": "sha256:0", "occurredAt": "2024-01-01T00:00:00.000001Z", "metadata": {"a\0": "\\u0000\0"}}
    event = {"id": "i", "data": {"x": 1}} | members
    entry = {"id": "evt_0", "event_id": "i", "hash": "sha256:0", "payload": {"x": 1}, "context": members}

    one, other = (Document.of(msgspec.json.encode(shown)) for shown in (event, entry))

    assert one == other
    assert one.metadata == {"a\ufffd": "\\u0000\ufffd"}


def test_a_kind_whose_members_are_free_is_free() -> None:
    assert ODD_FIELDS.find("metadata.custom.inner.a.b").kind == "json"
    assert FIELDS.find("metadata.custom.a").kind == "json"
    assert FIELDS.find("metadata.custom").kind == "object"
    assert isinstance(parse_filter({"metadata.custom.a": 1}, "filter", FIELDS), syntax.Test)
