"""Filters in memory: does an event match? `app/store/query.py` writes the same filters as SQL."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from schemas.event import EventQuery, SynapEvent
from schemas.written import Tracked

MAX_TYPES = 10_000
"""Types whose subscribers are remembered."""


class FoundEvent(Struct, frozen=True, kw_only=True, eq=False):
    """An event as readers of a log meet it: what filters look at, and its JSON."""

    seq: int
    type: str
    source: str
    producer: str
    """The originating service; of an event that names none, its source."""
    has_metadata: bool
    subject_id: str | None
    correlation_id: str | None
    causation_id: str | None
    user_id: str
    recorded_at: datetime
    event: Tracked[SynapEvent]


def matcher(query: EventQuery, only_user: str | None) -> Callable[[FoundEvent], bool]:
    """Says of an event whether it matches `query`; with `only_user`, events of other users never do."""
    conditions: list[Callable[[FoundEvent], bool]] = []
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


def type_pattern(pattern: str) -> re.Pattern[str]:
    """A type pattern as a regular expression for the whole of a type.

    `*` stands for one segment, as the last of several for one or more, alone for all.
    """
    segments = [r"[^.]+" if segment == "*" else re.escape(segment) for segment in pattern.split(".")]
    if pattern.endswith("*"):
        segments[-1] = ".+"
    return re.compile(r"\.".join(segments))


def type_patterns(patterns: Iterable[str]) -> str:
    """Several type patterns as one regular expression for the whole of a type, as Python and PostgreSQL read it."""
    return f"^({'|'.join(type_pattern(pattern).pattern for pattern in patterns)})$"


class Subscriber(Struct, frozen=True):
    """Who is told of events: those whose type one of the patterns fits; with `only_user`, of that user's alone."""

    id: str
    patterns: Sequence[str]
    only_user: str | None

    @property
    def types(self) -> str:
        """The patterns as one regular expression."""
        return type_patterns(self.patterns)


class Subscribers:
    """Says of an event which subscribers it is for. An event costs the same however many subscribers there are."""

    def __init__(self, subscribers: Iterable[Subscriber]) -> None:
        self._all = [(subscriber, re.compile(subscriber.types)) for subscriber in subscribers]
        self._by_type: dict[str, list[Subscriber]] = {}

    def of(self, type: str, user_id: str) -> list[str]:
        """The ids of those who are told of an event of this type and user."""
        interested = self._by_type.get(type)
        if interested is None:
            if len(self._by_type) == MAX_TYPES:
                self._by_type.clear()
            interested = self._by_type[type] = [each for each, types in self._all if types.match(type)]
        return [each.id for each in interested if each.only_user in {None, user_id}]
