"""The event types of a workspace, with counts."""

from typing import Annotated

from msgspec import Meta

from schemas.base import EventTypeName, Input, InstantText, Output

DEFAULT_TYPES = 100
"""The default number of types in a page."""

TypeBeginning = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9_.-]*\Z",
        max_length=128,
        extra={"message": "must have at most 128 characters of A-Z, a-z, 0-9, '_', '-' and '.'"},
    ),
]
"""The first characters of an event type, or all of them."""


class ListTypes(Input, frozen=True, kw_only=True):
    """Which types to list: those that begin with `prefix` and come after the type `after`.

    `limit` is 1 to 1000, default 100.
    """

    prefix: TypeBeginning | None = None
    after: TypeBeginning | None = None
    limit: Annotated[int, Meta(ge=1, le=1000, extra={"message": "must be a whole number from 1 to 1000"})] | None = (
        DEFAULT_TYPES
    )


class CountedType(Output, frozen=True, kw_only=True):
    """An event type. `count` is the number of its events, `lastAt` the time at which the newest was logged."""

    type: EventTypeName
    count: int
    last_at: InstantText


class TypePage(Output, frozen=True, kw_only=True):
    """One page of event types, in the order of their characters. If `hasMore` is true, send the last type as `after`.

    If `exact` is false, each `count` is a minimum, and types that only older events have may be missing.
    """

    types: list[CountedType]
    exact: bool
    has_more: bool
