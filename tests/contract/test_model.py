"""The walk over Structs: which members exist as input and as output, and where null is allowed."""

from typing import Any

import pytest
from msgspec import UNSET, Struct, UnsetType

from app.contract.json_schema import json_schemas
from app.contract.model import Model, Reference, Shared, Typed, Way
from app.contract.typescript import typescript
from schemas.base import Input, Output, Section
from schemas.event import ListEvents
from tests.contract.test_typescript import declared, interface


class Sent(Input, frozen=True, kw_only=True):
    needed: int
    nullable: int | None
    preset: int = 5
    unset: int | None = None


class Part(Section, frozen=True, kw_only=True):
    needed: int
    nullable: int | None
    preset: int = 5
    unset: int | None = None


class Returned(Output, frozen=True, kw_only=True):
    needed: int
    nullable: int | None
    preset: int = 5
    unset: int | None = None


class Whole(Struct, frozen=True, kw_only=True):
    needed: int
    nullable: int | None
    preset: int = 5
    unset: int | None = None
    left_out: int | UnsetType = UNSET


MEMBERS = {
    "an input": (Sent, Way.INPUT, {"needed": "", "nullable": "null", "preset": "? null", "unset": "? null"}),
    "part of an input": (Part, Way.INPUT, {"needed": "", "nullable": "", "preset": "? null", "unset": "? null"}),
    "stored metadata": (Part, Way.STORED, {"needed": "", "nullable": "", "preset": "?", "unset": "?"}),
    "data": (Part, Way.DATA, {"needed": "", "nullable": "", "preset": "? null", "unset": "? null"}),
    "an output": (Returned, Way.OUTPUT, {"needed": "", "nullable": "null", "preset": "?", "unset": "?"}),
    "an output with its defaults": (
        Whole,
        Way.OUTPUT,
        {"needed": "", "nullable": "null", "preset": "", "unset": "null", "left_out": "?"},
    ),
}
"""The members of the Structs as printed: with `?` they may be absent, with `null` they may be null."""


@pytest.mark.parametrize(("struct", "way", "expected"), MEMBERS.values(), ids=MEMBERS)
def test_a_member_may_be_absent_or_null(struct: type[Struct], way: Way, expected: dict[str, str]) -> None:
    shape = Model(typed_answers=True).shape(Reference(struct, way))

    found = {each.name: ["?"] * each.optional + ["null"] * each.typed.null for each in shape.members}
    assert {name: " ".join(each) for name, each in found.items()} == expected


def test_both_printers_agree_on_null() -> None:
    schemas, components = json_schemas([(Sent, Way.INPUT), (Whole, Way.OUTPUT)])
    contract = typescript(declared("things.send", Sent, Whole), transformer="none")

    for schema in schemas:
        name = schema["$ref"].rpartition("/")[2]
        members: dict[str, Any] = components[name]["properties"]
        lines = [line for line in interface(contract, name).splitlines() if "/**" not in line]
        typed = {line.split(":")[0].strip(" ?"): line for line in lines}
        for member, said in members.items():
            assert ({"type": "null"} in said.get("anyOf", ())) == ("| null" in typed[member]), (name, member)
            assert (member in components[name]["required"]) == ("?:" not in typed[member]), (name, member)


def test_the_walk_meets_each_struct_once_in_each_way() -> None:
    model = Model(typed_answers=False)

    found = model.reached(
        [model.typed(list[Part], Way.OUTPUT), model.typed(Part, Way.INPUT), Reference(Part, Way.DATA)]
    )

    assert list(found) == [Reference(Part, way) for way in (Way.OUTPUT, Way.INPUT, Way.DATA)]


def test_a_filter_is_no_struct() -> None:
    model = Model(typed_answers=False)
    members = {each.name: each.typed for each in model.shape(Reference(ListEvents, Way.INPUT)).members}

    assert members["filter"] == Typed(Shared("EventFilter"), Way.INPUT, null=True, meta=members["filter"].meta)
