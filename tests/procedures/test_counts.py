"""Counting events, as callers see it over tRPC. `tests/store` tests the counts themselves."""

from typing import Any

import pytest
from msgspec import Struct

from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered, failed


class Counted(Struct, frozen=True):
    """A workspace with two events of ann and one of bob, and its callers."""

    events: list[dict[str, Any]]
    reader: Server
    ann: Server


@pytest.fixture(scope="module")
def counted(keyed: Keyed) -> Counted:
    """The workspace."""
    workspaces = (keyed.workspace(),)
    _, reader = keyed.key("events:read", "events:write", "events:write-as", workspaces=workspaces)
    _, ann = keyed.key("events:read-own", user="ann", workspaces=workspaces)
    events = [{"type": type_, "data": {}, "userId": user} for type_, user in (("b.c", "ann"), ("a.b", "bob"))]
    for event in ({"type": "a.b", "data": {}, "userId": "ann"}, *events):
        answered(reader.mutate("events.log", event))
    return Counted(answered(reader.query("events.list"))[::-1], reader, ann)


def test_types_have_counts_and_the_time_of_the_newest_event(counted: Counted) -> None:
    first, second, third = (event["timestamp"] for event in counted.events)

    assert answered(counted.reader.query("events.types")) == {
        "types": [{"type": "a.b", "count": 2, "lastAt": third}, {"type": "b.c", "count": 1, "lastAt": second}],
        "exact": True,
        "hasMore": False,
    }
    assert answered(counted.ann.query("events.types")) == {
        "types": [{"type": "a.b", "count": 1, "lastAt": first}, {"type": "b.c", "count": 1, "lastAt": second}],
        "exact": True,
        "hasMore": False,
    }


def test_types_are_asked_for_by_prefix_and_page_by_page(counted: Counted) -> None:
    def types(**wanted: Any) -> tuple[list[str], bool]:
        found = answered(counted.reader.query("events.types", wanted))
        return [each["type"] for each in found["types"]], found["hasMore"]

    assert types(prefix="b") == (["b.c"], False)
    assert types(limit=1) == (["a.b"], True)
    assert types(limit=1, after="a.b") == (["b.c"], False)
    assert types(prefix=None, after=None, limit=None) == (["a.b", "b.c"], False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("prefix", "a*"), ("prefix", "a~"), ("after", "\0"), ("prefix", "a" * 129), ("limit", 0), ("limit", 1001)],
)
def test_other_types_are_rejected(counted: Counted, name: str, value: object) -> None:
    data = failed(counted.reader.query("events.types", {name: value}), 400)

    assert [issue["path"] for issue in data["issues"]] == [name]


def test_events_are_counted_by_time_and_type(counted: Counted) -> None:
    first, second, third = (event["timestamp"] for event in counted.events)
    wanted = {"from": first, "to": second, "buckets": 1}

    assert answered(counted.reader.query("events.histogram", wanted)) == {
        "buckets": [{"from": first, "to": second, "count": 1}],
        "total": 1,
    }
    assert answered(counted.reader.query("events.histogram", wanted | {"to": None, "by": "type"})) == {
        "buckets": [{"from": first, "to": f"{third[:-7]}{int(third[-7:-1]) + 1:06}Z", "count": 3, "counts": [2, 1]}],
        "total": 3,
        "groups": ["a.b", "b.c"],
    }
    assert answered(counted.ann.query("events.histogram", {"by": "type"}))["groups"] == ["a.b", "b.c"]
    assert answered(counted.ann.query("events.histogram"))["total"] == 2
    assert answered(counted.ann.query("events.histogram", {"userId": "bob"}))["total"] == 0


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ("buckets", {"buckets": 501}),
        ("buckets", {"buckets": 0}),
        ("bucketSeconds", {"bucketSeconds": 0}),
        ("bucketSeconds", {"bucketSeconds": 1, "from": "2024-01-01T00:00:00Z", "to": "2024-01-01T00:10:00Z"}),
        ("bucketSeconds", {"bucketSeconds": 60, "buckets": 5}),
        ("by", {"by": "user"}),
        ("from", {"from": "2024-01-01T00:00:00"}),
        ("filter.no", {"filter": {"no": 1}}),
    ],
)
def test_other_buckets_are_rejected(counted: Counted, place: str, wanted: dict[str, Any]) -> None:
    data = failed(counted.reader.query("events.histogram", wanted), 400)

    assert [issue["path"] for issue in data["issues"]] == [place]
