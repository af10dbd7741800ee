"""Filters, read from JSON into the syntax tree of `schemas/filter.py`. `parse_filter` describes the language."""

from collections.abc import Sequence
from typing import Any, get_args
from uuid import UUID

import msgspec

from app.filters.fields import Fields, known_fields
from app.filters.language import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    MAX_RELATIONS_DEEP,
    MAX_VALUES,
    OPERATORS,
)
from app.filters.values import json_name, read_text, read_value
from schemas.errors import InvalidInput, Issue
from schemas.event import EventQuery
from schemas.filter import (
    And,
    Field,
    LiveFilterObject,
    Node,
    Not,
    Operator,
    Or,
    Quantifier,
    Related,
    Relation,
    Scalar,
    Test,
    Value,
)
from schemas.jsontext import MAX_ISSUES, UNSAFE_NUMBER, join
from schemas.reference import named_event


def parse_filter(raw: object, path: str, fields: Fields) -> Node:
    """A filter from decoded JSON that stands at `path` of the input.

    A filter is an object; several members mean AND. Members are `AND` and `OR` (arrays of filters), `NOT` (a filter),
    `parent` and `children` (`{"some": filter}`, `{"none": filter}`), and fields: `{field: {operator: value}}`. A bare
    value means `eq`, and a bare null means `isNull`. `eq` and `ne` of null mean `isNull` too. Text is compared by code
    point, without any folding. In `like` a `*` matches any text, and every other character matches itself. In
    `data.a.b` and `metadata.a.b` a dot separates member names. No path reaches a member with a dot in its name, or one
    inside an array.

    A filter has at most 65,536 bytes as JSON and 100 nodes (each comparison, AND, OR, NOT and relation). Filters are
    nested at most 8 deep, relations at most 2 deep. A list has at most 100 values, a text at most 1,024 characters.
    Raises InvalidInput with every invalid place.
    """
    _check_size(raw, path)
    parsing = _Parsing(fields)
    node = parsing.filter(raw, path, 1)
    if parsing.issues:
        raise InvalidInput(parsing.issues[:MAX_ISSUES])
    return node


def filter_of(query: EventQuery) -> Node | None:
    """The `filter` of a query, parsed. Raises InvalidInput."""
    return None if query.filter is None else parse_filter(query.filter, "filter", known_fields())


def kept_filter(raw: LiveFilterObject) -> str:
    """The JSON of an input's `filter` as a subscription stores it: as it was sent, without spaces.

    Raises InvalidInput if the filter is invalid, or has relations.
    """
    refuse_relations(parse_filter(raw, "filter", known_fields()), "filter")
    return msgspec.json.encode(raw).decode()


def refuse_relations(node: Node, path: str) -> None:
    """Raise InvalidInput if the filter at `path` has relations, which cannot be answered from one event."""
    if _has_relations(node):
        message = "must not use parent or children here: this filter sees one event at a time"
        raise InvalidInput([Issue(path, message)])


def _check_size(raw: object, path: str) -> None:
    try:
        size = len(msgspec.json.encode(raw))
    except (RecursionError, UnicodeEncodeError):
        return  # the parser reports the place that is wrong
    if size > MAX_BYTES:
        raise InvalidInput([Issue(path, f"must have at most {MAX_BYTES:,} bytes as JSON, not {size:,}")])


def _has_relations(node: Node) -> bool:
    match node:
        case Related():
            return True
        case Not(inner):
            return _has_relations(inner)
        case And(nodes) | Or(nodes):
            return any(map(_has_relations, nodes))
        case Test():
            return False


class _Parsing:
    """The state while one filter is parsed."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._nodes = 0
        self._relations = 0
        """The relations around the place that is parsed now."""
        self.issues: list[Issue] = []
        """The invalid places that were found so far."""

    def filter(self, raw: object, path: str, depth: int) -> Node:
        """The filter at `path`, which is inside `depth` - 1 others."""
        if not isinstance(raw, dict):
            return self._refused(path, f"must be a filter, which is an object, not {json_name(raw)}")
        if depth > MAX_DEPTH:
            return self._refused(path, f"is nested deeper than {MAX_DEPTH}")
        return self._all([self._member(name, value, path, depth) for name, value in raw.items()], path)

    def _member(self, name: str, value: object, path: str, depth: int) -> Node:
        where = join(path, name)
        if name in {"AND", "OR"}:
            return self._several(And if name == "AND" else Or, value, where, depth)
        if name == "NOT":
            return self._counted(Not(self.filter(value, where, depth + 1)), where)
        if name in get_args(Relation):
            return self._related(name, value, where, depth)
        try:
            field = self._fields.find(read_text(name))
        except ValueError as error:
            return self._refused(where, str(error))
        if not isinstance(value, dict):
            return self._test(field, "eq", value, where)
        return self._all([self._test(field, asked, item, join(where, asked)) for asked, item in value.items()], where)

    def _several(self, kind: type[And | Or], value: object, path: str, depth: int) -> Node:
        if not isinstance(value, list):
            return self._refused(path, f"must be an array of filters, not {json_name(value)}")
        nodes = tuple(self.filter(item, join(path, place), depth + 1) for place, item in enumerate(value))
        return self._counted(kind(nodes), path)

    def _related(self, relation: Any, value: object, path: str, depth: int) -> Node:
        quantifiers = get_args(Quantifier)
        if not isinstance(value, dict) or not value or not set(value) <= set(quantifiers):
            return self._refused(path, f"must be an object of {' or '.join(quantifiers)} and a filter")
        if self._relations == MAX_RELATIONS_DEEP:
            return self._refused(path, f"is nested deeper than {MAX_RELATIONS_DEEP} relations (parent, children)")
        self._relations += 1
        nodes = [
            self._counted(
                Related(relation, quantifier, self.filter(value[quantifier], join(path, quantifier), depth + 1)), path
            )
            for quantifier in quantifiers
            if quantifier in value
        ]
        self._relations -= 1
        return self._all(nodes, path)

    def _test(self, field: Field, asked: str, value: object, path: str) -> Node:
        operators = OPERATORS[field.kind]
        operator = next((each for each in operators if each == asked), None)
        if value is None and asked in {"eq", "ne"}:
            operator, value = "isNull", asked == "eq"
        if operator is None:
            return self._refused(path, f"is no operator of {field.dotted}, which has: {', '.join(operators)}")
        if operator in {"in", "nin"}:
            return self._list(field, operator, value, path)
        try:
            return self._tested(field, operator, read_value(field, operator, value), path)
        except ValueError as error:
            return self._refused(path, str(error))

    def _list(self, field: Field, operator: Operator, value: object, path: str) -> Node:
        if not isinstance(value, list) or len(value) > MAX_VALUES:
            return self._refused(path, f"must be an array of at most {MAX_VALUES} values")
        values: list[Scalar] = []
        for place, item in enumerate(value):
            try:
                values.append(read_value(field, operator, item))
            except ValueError as error:
                self.issues.append(_issue(join(path, place), str(error)))
        return self._tested(field, operator, tuple(values), path)

    def _tested(self, field: Field, operator: Operator, value: Value, path: str) -> Node:
        """A comparison. For the event's id, it compares the UUID or the hash that each value names, in any spelling."""
        if field.kind != "uuid" or operator == "isNull":
            return self._counted(Test(field, operator, value), path)
        named = [named_event(str(each)) for each in (value if isinstance(value, tuple) else (value,))]
        ids = tuple(str(each) for each in named if isinstance(each, UUID))
        hashes = tuple(f"sha256:{each.hex()}" for each in named if isinstance(each, bytes))
        if ids and operator in {"eq", "ne"}:
            return self._counted(Test(field, operator, ids[0]), path)
        among: Operator = "in" if operator in {"eq", "in"} else "nin"
        tests = [Test(field, among, ids)] if ids or not hashes else []
        tests += [Test(self._fields.find("hash"), among, hashes)] if hashes else []
        nodes = tuple(self._counted(test, path) for test in tests)
        return nodes[0] if len(nodes) == 1 else self._counted((Or if among == "in" else And)(nodes), path)

    def _all(self, nodes: Sequence[Node], path: str) -> Node:
        return nodes[0] if len(nodes) == 1 else self._counted(And(tuple(nodes)), path)

    def _counted(self, node: Node, path: str) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self.issues.append(Issue(path, f"is more than a filter may have: {MAX_NODES} comparisons, AND, OR and NOT"))
        if self._nodes > MAX_NODES or len(self.issues) >= MAX_ISSUES:
            raise InvalidInput(self.issues[:MAX_ISSUES])
        return node

    def _refused(self, path: str, message: str) -> Node:
        """Report an invalid place, and continue with a filter that matches everything."""
        self.issues.append(_issue(path, message))
        return self._counted(And(()), path)


def _issue(path: str, message: str) -> Issue:
    return Issue(path, message, "unsafe_number" if message == UNSAFE_NUMBER else None)
