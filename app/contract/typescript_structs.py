"""Structs in TypeScript: one interface for each, or a union if its members exclude each other."""

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import NoneType
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from app.contract.model import (
    Choices,
    Entries,
    Form,
    Items,
    Leaf,
    Member,
    Model,
    OneOf,
    PrintedInstant,
    Reference,
    Shape,
    Shared,
    Typed,
    TypedData,
    Way,
)
from app.contract.spelling import alternatives, comment, key, literals

Name = Callable[[Reference], str]

_LEAVES: dict[Any, str] = {
    str: "string",
    UUID: "string",
    datetime: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    NoneType: "null",
    Any: "unknown",
    Raw: "unknown",
}


class StructTypes:
    """Prints shapes as TypeScript types.

    `dates` tells whether instants travel as `Date`; `marked` are the inputs whose `markers` decides what is returned.
    """

    def __init__(self, model: Model, *, dates: bool, marked: frozenset[type[Struct]]) -> None:
        self._model = model
        self._dates = dates
        self._marked = marked

    def names(self, shapes: Mapping[Reference, Shape]) -> dict[Reference, str]:
        """The name of each Struct. It ends in the way only if the Struct reads differently in the first way."""
        plain = {each: self._body(each, shape, lambda below: below.struct.__name__) for each, shape in shapes.items()}
        read = {each: {(below.struct, plain[below]) for below in self._model.reached([each])} for each in shapes}
        names: dict[Reference, str] = {}
        for each in shapes:
            first = next(used for way in Way if (used := Reference(each.struct, way)) in shapes)
            names[each] = each.struct.__name__ + ("" if read[each] == read[first] else each.way)
        return names

    def declarations(self, shapes: Mapping[Reference, Shape], name_of: Name, taken: frozenset[str]) -> Iterator[str]:
        """The declarations of all Structs, each name once. Raises ValueError if a name is `taken` or another's."""
        owners: dict[str, type[Struct] | None] = dict.fromkeys(taken)
        for reference, shape in shapes.items():
            name, struct = name_of(reference), reference.struct
            if name not in owners:
                owners[name] = struct
                start = f"type {name} =" if shape.data or shape.alternatives else f"interface {name}"
                yield f"{comment(shape.description)}export {start} {self._body(reference, shape, name_of)}\n"
            elif (owner := owners[name]) is not struct:
                holder = f"{owner.__module__}.{owner.__qualname__}" if owner else "the contract itself"
                raise ValueError(f"{struct.__module__}.{struct.__qualname__}: the name {name} is taken by {holder}")

    def spell(self, typed: Typed, name_of: Name) -> str:
        """The type of the values of one place."""
        text = self._form(typed.form, typed.way, name_of)
        return f"{text} | null" if typed.null else text

    def _body(self, reference: Reference, shape: Shape, name_of: Name) -> str:
        """The text after the name of a declaration."""
        apart = {name for group in shape.alternatives for name in group}
        apart |= {shape.data.type_member, shape.data.data_member} if shape.data else set()
        lines = [f"{key(shape.tag[0])}: {json.dumps(shape.tag[1])};"] if shape.tag else []
        lines += [self._member(reference, each, name_of) for each in shape.members if each.name not in apart]
        if not lines and not apart and reference.way is Way.INPUT:
            lines = ["[name: string]: never;"]  # an empty interface would accept anything
        parts = [_block(lines)] if lines or not apart else []
        if shape.data:
            parts.append(f"({alternatives(_data(shape.data, reference.way, name_of))}\n)")
        if shape.alternatives:
            parts.append(f"({alternatives(self._groups(reference, shape, name_of))}\n)")
        return " & ".join(parts) + (";" if apart else "")

    def _groups(self, reference: Reference, shape: Shape, name_of: Name) -> Iterator[str]:
        """An object for each group of members, in which the members of the others are absent."""
        apart = {name for group in shape.alternatives for name in group}
        for group in shape.alternatives:
            lines = [
                self._member(reference, _needed(each), name_of)
                if each.name in group
                else f"{key(each.name)}?: null | undefined;"
                for each in shape.members
                if each.name in apart
            ]
            yield textwrap.indent(_block(lines), "    ").strip()

    def _member(self, reference: Reference, member: Member, name_of: Name) -> str:
        spelled = self.spell(member.typed, name_of)
        if reference.struct in self._marked and reference.way is Way.INPUT and member.name == "markers":
            spelled = "false | null"  # a router with markers replaces it, so that a plain one accepts the interface
        if member.optional and member.typed.null:
            spelled += " | undefined"  # so that an optional member of another object can be passed on
        return f"{comment(_limits(member))}{key(member.name)}{'?' if member.optional else ''}: {spelled};"

    def _form(self, form: Form, way: Way, name_of: Name) -> str:
        match form:
            case Reference():
                text = name_of(form)
            case Shared(name):
                text = name
            case PrintedInstant():
                text = "Date" if self._dates and way is Way.OUTPUT else "string"
            case Leaf(leaf, alias):
                is_date = leaf is datetime and self._dates and way is Way.INPUT
                text = "Date | string" if is_date else alias or _LEAVES[leaf]
            case Choices(values):
                text = literals(values)
            case OneOf(members):
                text = " | ".join(dict.fromkeys(self.spell(each, name_of) for each in members))
            case Items(item):
                inner = self.spell(item, name_of)
                text = f"({inner})[]" if " | " in inner else f"{inner}[]"
            case Entries(_, Typed(Leaf(leaf))) if leaf is Any and way is Way.INPUT:
                text = "JsonObject"
            case Entries(_, value):
                text = f"Record<string, {self.spell(value, name_of)}>"
        return text


def _data(data: TypedData, way: Way, name_of: Name) -> Iterator[str]:
    """An object for each event type whose data is registered, and one for all others."""
    kinds = {json.dumps(name): name_of(kind) for name, kind in data.kinds.items()}
    kinds["OtherEventType"] = "JsonObject" if way is Way.INPUT else "Record<string, unknown>"
    for name, text in kinds.items():
        yield f"{{ {data.type_member}: {name}; {data.data_member}: {text} }}"


def _needed(member: Member) -> Member:
    return msgspec.structs.replace(member, optional=False, typed=msgspec.structs.replace(member.typed, null=False))


def _limits(member: Member) -> str:
    """The facts about a member that its type does not express: its limits, its units and its default."""
    said = [_limits_of(member.typed)]
    if isinstance(member.typed.form, Items) and (of_item := _limits_of(member.typed.form.item)):
        said.append(f"Each item: {of_item[0].lower()}{of_item[1:]}")
    if member.default is not None:
        said.append(f"Default {json.dumps(member.default)}.")
    return " ".join(each for each in said if each)


def _limits_of(typed: Typed) -> str:
    if isinstance(typed.form, Leaf) and typed.form.type is UUID:
        return typed.said or "A UUID."
    return typed.said if isinstance(typed.form, Leaf | Items | OneOf) else ""


def _block(lines: list[str]) -> str:
    return "".join(["{\n", *(textwrap.indent(f"{line}\n", "  ") for line in lines), "}"])
