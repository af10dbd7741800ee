"""Filters and queries, applied to events in memory. `sql.py` writes the same as SQL; a property test compares them."""

import operator as python
from collections.abc import Callable, Sequence
from typing import Any

from app.filters.event import FoundEvent
from app.filters.parse import filter_of, refuse_relations
from app.filters.type_patterns import type_pattern
from app.filters.values import metadata_instant
from schemas.event import EventQuery
from schemas.filter import And, Field, Node, Not, Operator, Or, Related, Test


def matcher(query: EventQuery, workspace: str, only_user: str | None) -> Callable[[FoundEvent], bool]:
    """Return a function that says whether an event of `workspace` matches `query`.

    If `only_user` is set, events of other users do not match. Raises InvalidInput for an invalid filter, or one with
    relations.
    """
    conditions: list[Callable[[FoundEvent], bool]] = []
    if (node := filter_of(query)) is not None:
        conditions.append(matches(node, workspace))
    if query.type is not None and query.type != "*":
        is_type = type_pattern(query.type).fullmatch
        conditions.append(lambda event: is_type(event.type) is not None)
    names = ("source", "producer", "has_metadata", "subject_id", "correlation_id", "causation_id", "user_id")
    wanted = [(name, value) for name in names if (value := getattr(query, name)) is not None]
    conditions.append(lambda event: all(getattr(event, name) == value for name, value in wanted))
    if only_user is not None:
        conditions.append(lambda event: event.user_id == only_user)
    if (start := query.from_) is not None:
        conditions.append(lambda event: event.recorded_at >= start)
    if (end := query.to) is not None:
        conditions.append(lambda event: event.recorded_at < end)
    return lambda event: all(condition(event) for condition in conditions)


def matches(node: Node, workspace: str) -> Callable[[FoundEvent], bool]:
    """Return a function that says whether an event of `workspace` meets a filter.

    Raises InvalidInput for a filter with relations.
    """
    refuse_relations(node, "filter")
    return _matches(node, workspace)


def _matches(node: Node, workspace: str) -> Callable[[FoundEvent], bool]:
    match node:
        case And(nodes):
            matching = [_matches(each, workspace) for each in nodes]
            return lambda event: all(each(event) for each in matching)
        case Or(nodes):
            matching = [_matches(each, workspace) for each in nodes]
            return lambda event: any(each(event) for each in matching)
        case Not(inner):
            negated = _matches(inner, workspace)
            return lambda event: not negated(event)
        case Test():
            read, holds, wanted = _reader(node.field, workspace), _HOLDS[node.operator], node.value
            return lambda event: holds(read(event), wanted)
        case Related():  # `matches` has refused it
            raise NotImplementedError


def _reader(field: Field, workspace: str) -> Callable[[FoundEvent], object]:
    """Return a function that reads a field of an event: None if it is missing or null."""
    if field.name in {"data", "metadata"}:
        name, path = field.name, field.path
        if field.kind == "instant":
            return lambda event: metadata_instant(_member_at(getattr(event.read(), name), path))
        return lambda event: _member_at(getattr(event.read(), name), path)
    return _COLUMN_READERS.get(field.name, lambda _: workspace)


_COLUMN_READERS: dict[str, Callable[[FoundEvent], object]] = {
    "id": lambda event: event.read().id,
    "hash": lambda event: event.read().hash,
    "occurredAt": lambda event: event.occurred_at or event.read().occurred_at,
    "type": lambda event: event.type,
    "subjectId": lambda event: event.subject_id,
    "userId": lambda event: event.user_id,
    "parentId": lambda event: event.causation_id,
    "causationId": lambda event: event.causation_id,
    "correlationId": lambda event: event.correlation_id,
    "source": lambda event: event.source,
    "producer": lambda event: event.producer,
    "seq": lambda event: event.seq,
    "createdAt": lambda event: event.recorded_at,
    "timestamp": lambda event: event.recorded_at,
}


def _member_at(value: object, path: Sequence[str]) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _same(value: object, wanted: object) -> bool:
    return _sort(value) == _sort(wanted) and value == wanted


def _sort(value: object) -> type:
    """The type as which a value compares. An int compares as a float, but true is not 1."""
    return float if type(value) is int else type(value)


def _is_like(text: str, pattern: str) -> bool:
    """Whether the pieces between the stars follow each other in the text. It tries no place twice, so it is linear."""
    first, *pieces = pattern.split("*")
    if not pieces:
        return text == pattern
    last = pieces.pop()
    end = len(text) - len(last)
    place = len(first)
    if place > end or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in pieces:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _ordered(compares: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, wanted: _sort(value) == _sort(wanted) and compares(value, wanted)


def _matching(matches: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, wanted: isinstance(value, str) and matches(value, wanted)


_HOLDS: dict[Operator, Callable[[Any, Any], bool]] = {
    "isNull": lambda value, wanted: (value is None) is wanted,
    "eq": _same,
    "ne": lambda value, wanted: not _same(value, wanted),
    "in": lambda value, wanted: any(_same(value, each) for each in wanted),
    "nin": lambda value, wanted: not any(_same(value, each) for each in wanted),
    "gt": _ordered(python.gt),
    "gte": _ordered(python.ge),
    "lt": _ordered(python.lt),
    "lte": _ordered(python.le),
    "contains": _matching(python.contains),
    "startsWith": _matching(str.startswith),
    "endsWith": _matching(str.endswith),
    "like": _matching(_is_like),
}
"""Whether a value meets an operator. A missing value is None."""
