"""The Structs of the server's contract in Python: what you send, and what the server returns.

Instants are `datetime`s with an offset, ids are text. Members of an answer that are not declared here are ignored, so
that a newer server does not break an older client.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Literal, TypedDict
from uuid import UUID

import msgspec
from msgspec import Struct

from synap_client.errors import InvalidInput, Issue

Source = Literal["api", "automation", "sync", "migration", "system", "intelligence"]

Record = Mapping[str, Any]
"""A JSON object."""


class EventFields(TypedDict, total=False):
    """The optional fields of an event.

    `id` is a UUID. Without it the client makes one, so that an event that is sent twice is stored once.
    `occurred_at` needs a UTC offset.
    """

    id: str | UUID | None
    metadata: Record | None
    subject_id: str | None
    correlation_id: str | None
    causation_id: str | None
    user_id: str | None
    source: Source | None
    producer: str | None
    occurred_at: datetime | None


class EventFilters(TypedDict, total=False):
    """Filters, all of which must match. `filter` is the filter language, for everything else."""

    type: str | None
    source: Source | None
    producer: str | None
    has_metadata: bool | None
    subject_id: str | None
    correlation_id: str | None
    causation_id: str | None
    user_id: str | None
    from_: datetime | None
    to: datetime | None
    filter: Record | None


class PageFields(EventFilters, total=False):
    """Which events, newest first, and where to begin. `limit` is 1 to 1000, default 100."""

    limit: int | None
    offset: int | None
    cursor: str | None


class BrowseFields(TypedDict, total=False):
    """Which events, in which order (`[{"type": "asc"}, {"createdAt": "desc"}]`), and where: `limit` is 1 to 100."""

    limit: int | None
    after: str | None
    before: str | None
    ids: list[str] | None
    filter: Record | None
    order_by: list[dict[str, Any]] | None
    type: str | None
    subject_id: str | None
    parent_id: str | None
    created_at_after: datetime | None
    created_at_before: datetime | None
    user_id: str | None


class NewEvent(Struct, frozen=True, rename="camel", omit_defaults=True):
    """An event to log: a type (`note.created`), its data, and the fields of `EventFields`."""

    type: str
    data: Record
    id: str | UUID | None = None
    metadata: Record | None = None
    subject_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    user_id: str | None = None
    source: Source | None = None
    producer: str | None = None
    occurred_at: datetime | None = None


class Event(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An event as stored. `seq` is its place in the workspace's log, from 0. `hash` is its link in the chain."""

    id: str
    version: str
    type: str
    subject_id: str | None = None
    data: dict[str, Any]
    metadata: dict[str, Any] | None = None
    user_id: str
    source: str
    producer: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    occurred_at: datetime | None = None
    timestamp: datetime
    seq: int
    hash: str
    erased: bool = False


class EventPage(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One page, newest first. `total` counts every match; the last page has no `next_cursor`."""

    events: list[Event]
    total: int
    next_cursor: str | None = None


class BrowsedEvent(Struct, frozen=True, kw_only=True, rename="camel"):
    """An event as the browse door shows it. `parent_id` is its cause."""

    id: str
    type: str
    subject_id: str | None
    user_id: str
    workspace_id: str
    parent_id: str | None
    data: dict[str, Any]
    created_at: datetime


class PageInfo(Struct, frozen=True, kw_only=True, rename="camel"):
    """The place of a page. An empty page has no cursors."""

    total: int
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


class BrowsedPage(Struct, frozen=True, kw_only=True, rename="camel"):
    """One page of `browse`."""

    data: list[BrowsedEvent]
    page_info: PageInfo


class EventIssue(Struct, frozen=True, kw_only=True):
    """One reason to reject an event, with the published code."""

    path: str
    message: str
    code: str


class Validation(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What logging an event would do: every fault, or the event as stored. Sizes are in bytes."""

    valid: bool
    issues: list[EventIssue]
    sent_bytes: int | None = None
    max_bytes: int
    data: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    data_bytes: int | None = None
    metadata_bytes: int | None = None
    user_id: str | None = None
    source: str | None = None
    stored: bool = False
    subscription_count: int | None = None


class TracedEvent(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An event in a trace. `depth` counts steps of causation: negative for causes, positive for effects."""

    id: str
    seq: int
    type: str
    timestamp: datetime
    user_id: str
    subject_id: str | None = None
    causation_id: str | None = None
    correlation_id: str | None = None
    agent: str | None = None
    confidence: float | None = None
    erased: bool = False
    depth: int | None = None


class Trace(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The causes and effects of an event, and the other events of its run."""

    event: TracedEvent
    ancestors: list[TracedEvent]
    descendants: list[TracedEvent]
    correlated: list[TracedEvent]
    truncated: dict[str, str] | None = None


def new_id() -> str:
    """A UUIDv7 (RFC 9562, section 5.7), which sorts by the time of its creation."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10))
    value = milliseconds << 80 | 0x7 << 76 | (chance >> 68) << 64 | 0b10 << 62 | chance & (1 << 62) - 1
    return str(UUID(int=value))


def with_id(event: NewEvent) -> NewEvent:
    """The event with an id."""
    return event if event.id is not None else msgspec.structs.replace(event, id=new_id())


def recorded(type: str, data: Record, more: EventFields) -> NewEvent:
    """The event that a recorder accepts: with an id, and the time at which it was accepted."""
    fields: dict[str, Any] = {"occurred_at": datetime.now(UTC), **more}
    return with_id(NewEvent(type, data, **fields))


def written(value: object, *, judged: bool = False) -> bytes:
    """`value` as JSON, never changed to make it fit. Raises InvalidInput for what JSON or the server cannot hold.

    With `judged`, numbers that the server rejects are allowed, so that `validate` names them with all other faults.
    """
    try:
        content = msgspec.json.encode(value, order=None)
    except (TypeError, ValueError, RecursionError) as error:
        if type(error) is ValueError:  # for example an integer of thousands of digits
            _refuse_numbers(value, "")
        raise InvalidInput(f"cannot be written as JSON: {error}", reason="invalid_input") from error
    # The encoder writes null for NaN and the infinities. Values are only searched if a number may be invalid.
    if b"null" in content or _LARGE.search(content):
        _refuse_numbers(value, "" if not judged else "unsafe_number")
    return content


def _refuse_numbers(value: object, allowed: str) -> None:
    for path, problem, reason in _unfit(msgspec.to_builtins(value), ""):
        if reason != allowed:
            raise InvalidInput(f"{path}: {problem}", issues=[Issue(path, problem)], reason=reason)


MAX_SAFE_INTEGER = 2**53 - 1

EXPONENT_STARTS = 1e21
"""JSON prints a double from here on with an exponent, so it does not count as an integer."""

_LARGE = re.compile(rb"[0-9]{16}|[0-9]e\+?(?:1[6-9]|20)")
"""JSON that may contain a number beyond 2^53-1."""


def _unfit(value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """The paths of the numbers that not every reader can hold, each with the fault and the server's code."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _unfit(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _unfit(item, f"{path}.{place}" if path else str(place))
    elif isinstance(value, float) and not isfinite(value):
        yield path, "is not a finite number", "invalid_input"
    elif (
        isinstance(value, int | float)
        and abs(value) > MAX_SAFE_INTEGER
        and (type(value) is int or abs(value) < EXPONENT_STARTS)
    ):
        yield (
            path,
            "is a number that not every reader can hold (an integer beyond 2^53-1); send it as text",
            "unsafe_number",
        )
