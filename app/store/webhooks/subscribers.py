"""Decides which subscriptions get an event."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from app.filters.cost import weight
from app.filters.event import FoundEvent
from app.filters.fields import known_fields
from app.filters.matches import matches
from app.filters.parse import parse_filter
from app.filters.type_patterns import type_patterns
from schemas.errors import InvalidInput
from schemas.event import SynapEvent
from schemas.filter import Node

MAX_TYPES = 10_000
"""Event types for which the fitting subscribers are cached."""


class Subscriber(Struct, frozen=True):
    """A subscription that wants events: those with a fitting type that meet its filter, if it has one.

    If `only_user` is set, it wants only that user's events. `filter` is what `kept_filter` returned.
    """

    id: str
    patterns: Sequence[str]
    only_user: str | None
    filter: str | None = None

    @property
    def types(self) -> str:
        """The patterns as one regular expression."""
        return type_patterns(self.patterns)

    @property
    def node(self) -> Node | None:
        """The parsed filter. Raises InvalidInput if it uses a metadata kind that is no longer registered."""
        return None if self.filter is None else parse_filter(msgspec.json.decode(self.filter), "filter", known_fields())


class _Told(Struct, frozen=True):
    """A subscriber with its pattern compiled and its filter parsed."""

    id: str
    types: re.Pattern[str]
    only_user: str | None
    meets: Callable[[FoundEvent], bool] | None


class Subscribers:
    """Decides which subscribers get an event of a workspace.

    The number of subscribers does not change what an event costs, but each filter with a fitting type is applied to it.
    A subscriber with a filter that is no longer valid gets nothing, and is listed in `unreadable`.
    """

    def __init__(self, subscribers: Iterable[Subscriber], workspace: str) -> None:
        self.workspace = workspace
        self.unreadable: list[str] = []
        self.weight = 0
        """The weight of all filters together."""
        self._all: list[_Told] = []
        for each in subscribers:
            try:
                node = each.node
            except InvalidInput:
                self.unreadable.append(each.id)
                continue
            meets = None if node is None else matches(node, workspace)
            self.weight += 0 if node is None else weight(node)
            self._all.append(_Told(each.id, re.compile(each.types), each.only_user, meets))
        self._have_filters = any(each.meets for each in self._all)
        self._by_type: dict[str, list[_Told]] = {}

    def judged(self, events: Iterable[tuple[int, str, str]]) -> list[int]:
        """The seqs of the events that some filter has to be applied to. An event is given by its seq, type and user."""
        if not self._have_filters:
            return []
        return [
            seq
            for seq, type_, user_id in events
            if any(each.meets and each.only_user in {None, user_id} for each in self._interested(type_))
        ]

    def of(self, seq: int, type: str, user_id: str, found: Mapping[int, FoundEvent]) -> list[str]:
        """The ids of the subscribers of an event. `found` has the event under `seq` if it is among the `judged`."""
        return [
            each.id
            for each in self._interested(type)
            if each.only_user in {None, user_id} and (each.meets is None or each.meets(found[seq]))
        ]

    def needed(self, event: SynapEvent) -> dict[int, FoundEvent]:
        """What `of` takes as `found` for an event that was just logged."""
        header = event.seq, event.type, event.user_id
        return {event.seq: FoundEvent.of(event)} if self.judged([header]) else {}

    def _interested(self, type: str) -> list[_Told]:
        interested = self._by_type.get(type)
        if interested is None:
            if len(self._by_type) == MAX_TYPES:
                self._by_type.clear()
            interested = self._by_type[type] = [each for each in self._all if each.types.match(type)]
        return interested
