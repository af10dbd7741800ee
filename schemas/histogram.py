"""Histograms: how many events were logged when."""

from typing import Annotated, Literal

from msgspec import Meta

from schemas.base import InstantText, Output
from schemas.event import EventQuery

MAX_BUCKETS = 500

DEFAULT_BUCKETS = 50
"""The default number of buckets."""

MAX_GROUPS = 20
"""The maximum of types or sources that are counted apart."""

Grouping = Literal["type", "source"]


class CountEvents(EventQuery, frozen=True, kw_only=True):
    """Filters, all of which must match, and the buckets in which matches are counted.

    The range is from `from` (default: the first event) to `to` (default: after the newest event). `buckets` (1 to 500,
    default 50) divides it into equal parts. `bucketSeconds` instead sets the width; these buckets begin at its
    multiples since 1970 in UTC, so that 3600 means whole hours. With `by` each bucket also counts by type or source.
    """

    buckets: (
        Annotated[int, Meta(ge=1, le=MAX_BUCKETS, extra={"message": f"must be a whole number from 1 to {MAX_BUCKETS}"})]
        | None
    ) = None
    bucket_seconds: (
        Annotated[int, Meta(ge=1, le=2**31 - 1, extra={"message": "must be a whole number from 1 to 2147483647"})]
        | None
    ) = None
    by: Grouping | None = None


class Bucket(Output, frozen=True, kw_only=True):
    """The matches from `from` until before `to`. `counts` belong to the histogram's `groups`, in their order."""

    from_: InstantText
    to: InstantText
    count: int
    counts: list[int] | None = None


class Histogram(Output, frozen=True, kw_only=True):
    """The buckets of a range, oldest first, empty ones included; none if the range is empty. `total` is their sum.

    `groups` are present with `by`: the types or sources with the most matches, at most 20, the most frequent first. The
    other matches are part of `count` only.
    """

    buckets: list[Bucket]
    total: int
    groups: list[str] | None = None
