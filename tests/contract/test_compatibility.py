"""Which changes of a Struct keep stored data valid, and the messages for those that do not."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from app.contract.compatibility import incompatibility, schema_of
from schemas.base import Fraction, Instant, Record, Section, ShortText


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Circle(Section, frozen=True, kw_only=True, tag=True):
    radius: float


class Square(Section, frozen=True, kw_only=True, tag=True):
    side: float


class Author(Section, frozen=True, kw_only=True):
    """The author of something."""

    name: str


def _kind(*fields: Any, base: type[Struct] = Section) -> type[Struct]:
    return msgspec.defstruct("Review", fields, bases=(base,), frozen=True, kw_only=True)


def _change(old: type[Struct], new: type[Struct]) -> str | None:
    return incompatibility(schema_of(old), schema_of(new))


def _named(name: str, *fields: Any) -> type[Struct]:
    return msgspec.defstruct(name, fields, bases=(Section,), frozen=True, kw_only=True)


def _limited(base: type, **limits: Any) -> Any:
    return Annotated[base, Meta(**limits)]


SAME: dict[str, tuple[Any, Any]] = {
    "nothing": (int, int),
    "a whole number becomes a number": (int, float),
    "one more choice": (Literal["a", "b"], Literal["a", "b", "c"]),
    "choices become text": (Literal["a", "b"], str),
    "choices become text that is long enough for them": (Literal["a", "b"], ShortText),
    "an enumeration becomes a literal": (Colour, Literal["red", "green", "blue"]),
    "numbers become a range": (Literal[1, 2], _limited(int, ge=1, le=2)),
    "a time becomes text": (Instant, str),
    "looser bounds": (_limited(int, ge=1, le=5), _limited(int, ge=0, le=6)),
    "no bounds": (Fraction, float),
    "a bound that is not included becomes one that is": (_limited(int, gt=1), _limited(int, ge=1)),
    "a bound that is included becomes a lower one that is not": (_limited(int, ge=2), _limited(int, gt=1)),
    "longer texts": (ShortText, _limited(str, max_length=1000)),
    "coarser steps": (_limited(int, multiple_of=10), _limited(int, multiple_of=5)),
    "another description": (_limited(int, description="a"), _limited(int, description="b", examples=[1])),
    "one more alternative": (int, int | str),
    "alternatives in another order": (int | str, str | int),
    "anything": (int, Any),
    "a Struct becomes a record": (Author, Record),
    "a record of numbers becomes a record": (dict[str, int], Record),
    "wider items": (list[int], list[float]),
    "a pair becomes a list": (tuple[int, int], list[int]),
    "one more tagged Struct": (Circle, Circle | Square),
    "the class has another name": (_named("Author", ("name", str)), _named("Writer", ("name", str))),
    "nulls among the items": (list[int], list[int | None]),
    "nulls stay among the items": (list[int | None], list[int | str | None]),
}

CHANGED: dict[str, tuple[Any, Any, str]] = {
    "a number becomes a whole one": (float, int, "stars was number and is integer"),
    "a text becomes a number": (str, int, "stars was string and is integer"),
    "anything becomes a number": (Any, int, "stars was anything and is integer"),
    "a choice is gone": (Literal["a", "b"], Literal["a"], 'stars might be "b", which is gone'),
    "a choice of an enumeration is gone": (Colour, Literal["red"], 'stars might be "green", which is gone'),
    "text becomes choices": (str, Literal["a"], 'stars was string and is one of "a"'),
    "choices become text with a pattern": (
        Literal["a"],
        _limited(str, pattern="b"),
        'stars might be "a", which might no longer fit',
    ),
    "choices become shorter text": (
        Literal["abc"],
        _limited(str, max_length=2),
        'stars might be "abc", which might no longer fit',
    ),
    "choices become numbers": (Literal["1"], int, 'stars might be "1", which might no longer fit'),
    "a tighter upper bound": (_limited(int, le=10), _limited(int, le=5), "stars had maximum 10 and has maximum 5"),
    "a tighter lower bound": (_limited(int, ge=1), _limited(int, ge=2), "stars had minimum 1 and has minimum 2"),
    "a bound": (int, _limited(int, le=5), "stars had no maximum and has maximum 5"),
    "a bound that is not included any more": (
        _limited(int, ge=1),
        _limited(int, gt=1),
        "stars had no exclusiveMinimum and has exclusiveMinimum 1",
    ),
    "shorter texts": (str, _limited(str, max_length=5), "stars had no maxLength and has maxLength 5"),
    "a pattern": (str, _limited(str, pattern="^a"), 'stars had no pattern and has pattern "^a"'),
    "another pattern": (
        _limited(str, pattern="^b"),
        _limited(str, pattern="^a"),
        'stars had pattern "^b" and has pattern "^a"',
    ),
    "finer steps": (
        _limited(int, multiple_of=5),
        _limited(int, multiple_of=10),
        "stars had multipleOf 5 and has multipleOf 10",
    ),
    "text becomes a time": (str, Instant, 'stars had no format and has format "date-time"'),
    "an alternative is gone": (int | str, int, "stars was string and is integer"),
    "no alternative fits": (bool, int | str, "stars was boolean and might no longer fit"),
    "the alternative that fits is tighter": (
        _limited(int, le=9) | str,
        _limited(int, le=8) | str,
        "stars had maximum 9 and has maximum 8",
    ),
    "a record becomes a Struct": (Record, Author, "stars.name was not there and is required"),
    "a record becomes one of numbers": (Record, dict[str, int], "stars.* was anything and is integer"),
    "a Struct becomes a record of numbers": (Author, dict[str, int], "stars.name was string and is integer"),
    "narrower items": (list[float], list[int], "stars.* was number and is integer"),
    "fewer items": (
        _limited(list[int], max_length=9),
        _limited(list[int], max_length=8),
        "stars had maxItems 9 and has maxItems 8",
    ),
    "a list becomes a pair": (list[int], tuple[int, int], "stars had no minItems and has minItems 2"),
    "a place of a pair": (tuple[int, str], tuple[int, int], "stars.1 was string and is integer"),
    "a tagged Struct is gone": (Circle | Square, Circle, 'stars.type might be "Square", which is gone'),
    "no nulls among the items any more": (list[int | None], list[int], "stars.* was null and is integer"),
}


@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=list(SAME))
def test_a_change_that_keeps_all_values_is_compatible(old: Any, new: Any) -> None:
    assert _change(_kind(("stars", old)), _kind(("stars", new))) is None
    assert _change(_kind(("stars", old | None, None)), _kind(("stars", new | None, None))) is None


@pytest.mark.parametrize(("old", "new", "clause"), CHANGED.values(), ids=list(CHANGED))
def test_a_change_that_might_reject_a_value_is_named(old: Any, new: Any, clause: str) -> None:
    for change in (
        _change(_kind(("stars", old)), _kind(("stars", new))),
        _change(_kind(("stars", old | None, None)), _kind(("stars", new | None, None))),
    ):
        assert change is not None
        assert change.startswith(clause)


MEMBERS: dict[str, tuple[type[Struct], type[Struct], str | None]] = {
    "a new optional member": (_kind(("a", int)), _kind(("a", int), ("b", int | None, None)), None),
    "a new member with a default": (_kind(("a", int)), _kind(("a", int), ("b", int, 0)), None),
    "a required member becomes optional": (_kind(("a", int)), _kind(("a", int | None, None)), None),
    "another default": (_kind(("a", int, 1)), _kind(("a", int, 2)), None),
    "an optional member may not be null but be left out": (_kind(("a", int | None, None)), _kind(("a", int, 1)), None),
    "a choice may not be null but be left out": (
        _kind(("a", Literal["x"] | None, None)),
        _kind(("a", Literal["x"], "x")),
        None,
    ),
    "unknown members are taken": (_kind(("a", int)), _kind(("a", int), base=Struct), None),
    "an open Struct has one more member": (_kind(base=Struct), _kind(("a", int, 1), base=Struct), None),
    "a new required member": (_kind(), _kind(("a", int)), "a was not there and is required"),
    "an optional member is required": (
        _kind(("a", int | None, None)),
        _kind(("a", int)),
        "a was optional and is required",
    ),
    "a member is gone": (_kind(("a", int), ("b", int)), _kind(("a", int)), "b is gone"),
    "a member has another name": (_kind(("a", int)), _kind(("b", int, 1)), "a is gone"),
    "a member of an open Struct is gone": (_kind(("a", int), base=Struct), _kind(base=Struct), None),
    "unknown members are refused": (_kind(base=Struct), _kind(), "it accepted members of any name and no longer does"),
    "within a Struct": (
        _kind(("author", Author)),
        _kind(("author", _named("Author", ("name", str), ("age", int)))),
        "author.age was not there and is required",
    ),
    "within the items of a Struct": (
        _kind(("authors", list[Author] | None, None)),
        _kind(("authors", list[_named("Writer", ("name", int))] | None, None)),  # type: ignore[misc]
        "authors.*.name was string and is integer",
    ),
}


@pytest.mark.parametrize(("old", "new", "clause"), MEMBERS.values(), ids=list(MEMBERS))
def test_members_may_come_and_not_go(old: type[Struct], new: type[Struct], clause: str | None) -> None:
    assert _change(old, new) == clause


class Tree(Section, frozen=True, kw_only=True):
    size: int
    twigs: list["Tree"] | None = None


class Bush(Section, frozen=True, kw_only=True):
    size: float
    twigs: list["Bush"] | None = None


def test_a_struct_may_contain_itself() -> None:
    assert _change(Tree, Bush) is None
    assert _change(Bush, Tree) == "size was number and is integer"


def test_a_kept_schema_has_no_descriptions() -> None:
    described = _kind(("title", _limited(str, description="What it is called.")), ("description", str, "none"))

    schema = schema_of(described)

    assert schema["$defs"]["Review"]["properties"] == {"title": {"type": "string"}, "description": {"type": "string"}}


def test_nobody_is_asked_for_what_any_json_is() -> None:
    assert incompatibility({}, {}) is None
    assert incompatibility({}, {"type": "object"}) == "it was anything and is object"
