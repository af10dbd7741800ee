"""What it costs to apply filters to events in memory."""

from collections.abc import Collection

from app.filters.event import FoundEvent
from schemas.filter import And, Node, Not, Or, Related, Test

READING = 10
"""Nanoseconds to parse one byte of an event. Searching one byte for a text takes about one."""

COMPARING = 500
"""Nanoseconds of a comparison, besides those for the bytes that it searches."""


def weight(node: Node | None) -> int:
    """The maximum number of comparisons that a filter makes with one event."""
    match node:
        case None:
            return 0
        case And(nodes) | Or(nodes):
            return 1 + sum(map(weight, nodes))
        case Not(inner):
            return 1 + weight(inner)
        case Test():
            return len(node.value) if isinstance(node.value, tuple) else 1
        case Related():  # filters in memory have no relations
            raise NotImplementedError


def cost(weight: int, events: Collection[FoundEvent]) -> int:
    """About how many nanoseconds filters of this weight take for these events."""
    if not weight:
        return 0
    size = sum(len(found.event.json) for found in events)
    return size * (READING + weight) + len(events) * weight * COMPARING
