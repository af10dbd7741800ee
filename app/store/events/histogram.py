"""Histograms: the events that match, counted by time and, if asked for, by type or source.

Times strictly increase with seq, so a bucket is a range of seqs: the seqs at its edges are found first. Without a
filter their differences are the counts, and nothing is counted. Otherwise the matches are counted once, each into its
bucket, by an index if one serves the filter. Such a count is a search: its time is limited.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from msgspec import Struct

from app.filters.sql import place_of
from app.ledger.chain import instant
from app.store.events.counting import in_parts
from app.store.events.linker import MICROSECOND
from app.store.events.query import EventConditions
from app.store.postgres.database import Database
from app.store.postgres.pipe import Row
from app.store.postgres.walk import one_sql
from schemas.errors import InvalidInput, Issue
from schemas.histogram import DEFAULT_BUCKETS, MAX_BUCKETS, MAX_GROUPS, Bucket, CountEvents, Grouping, Histogram

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

GET_ENDS = f"""
SELECT first.recorded_at, tip.recorded_at
FROM ({one_sql("seq", "0::bigint")}) AS first CROSS JOIN LATERAL (
    SELECT recorded_at FROM event_tip WHERE workspace_id = %(workspace)s
) AS tip
"""
"""The times of a log's first and last event."""

PLACE_EDGES = f"""
SELECT {place_of("asked.at")} FROM unnest(%(edges)s::timestamptz[]) AS asked (at) ORDER BY asked.at
"""
"""The seq of the first event at or after each of the given times."""


def count_sql(seqs: str, by: Grouping | None) -> str:
    """A SELECT that counts `seqs` by bucket, and by group. The bounds of the buckets are the parameter `places`.

    Groups beyond the most frequent ones have no name.
    """
    bucket = "width_bucket(seq, %(places)s::bigint[]) AS bucket"
    if by is None:
        return f"SELECT {bucket}, NULL, count(*) FROM ({seqs}) AS matching GROUP BY 1"
    return f"""
        SELECT * FROM (
            WITH counted AS MATERIALIZED (
                SELECT {bucket}, {by} AS name, count(*) AS events FROM ({seqs}) AS matching GROUP BY 1, 2
            ), frequent AS MATERIALIZED (
                SELECT name FROM counted GROUP BY name ORDER BY sum(events) DESC, name LIMIT {MAX_GROUPS}
            )
            SELECT bucket, frequent.name, sum(events)::bigint FROM counted LEFT JOIN frequent USING (name) GROUP BY 1, 2
        ) AS grouped"""


class _Count(Struct, frozen=True):
    """The number of events of a group in a bucket. Buckets are numbered from 1."""

    bucket: int
    group: str | None
    events: int


class Histograms:
    """Counts the events of logs. For any number of tasks at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, workspace: str, wanted: CountEvents, only_user: str | None) -> Histogram:
        """How many events match in each bucket; with `only_user`, only that user's.

        Raises InvalidInput for an invalid filter or more than `MAX_BUCKETS` buckets; Unavailable (SlowReadError),
        RateLimited.
        """
        matching = EventConditions(wanted, workspace, only_user)
        edges = _edges(wanted, *await self._range(workspace, matching))
        if not edges:
            return Histogram(buckets=[], total=0, groups=None if wanted.by is None else [])
        asked: dict[str, object] = {"workspace": workspace, "edges": edges}
        placed = await self._database.search(PLACE_EDGES, asked, is_planned=False, is_metered=False)
        places = [place for (place,) in placed]
        if wanted.by is None and matching.knows_total:
            counts = [_Count(n, None, end - start) for n, (start, end) in enumerate(pairwise(places), 1)]
        else:
            counts = await self._counts(matching, places, wanted.by)
        return _histogram(edges, counts, is_grouped=wanted.by is not None)

    async def _range(self, workspace: str, matching: EventConditions) -> tuple[datetime, datetime]:
        """The time from which events are counted, and the time before which they are."""
        start, end = matching.range
        if start is None or end is None:
            ends = await self._database.rows(GET_ENDS, {"workspace": workspace})
            first, last = ends[0] if ends else (EPOCH, EPOCH - MICROSECOND)
            start, end = start or first, end or last + MICROSECOND
        return start.astimezone(UTC), end.astimezone(UTC)

    async def _counts(self, matching: EventConditions, places: list[int], by: Grouping | None) -> list[_Count]:
        """How many events match between the places."""
        seqs = matching.seqs(by, low="%(low)s::bigint", high="%(high)s::bigint")
        # As text: PostgreSQL would convert an array of smaller integers anew for each row.
        parameters = matching.parameters | {"places": f"{{{','.join(map(str, places))}}}"}
        sql = matching.statement(count_sql(seqs, by))

        async def read(low: int, high: int) -> list[Row]:
            bounds = {"low": low, "high": high}
            return await self._database.search(sql, parameters | bounds, is_planned=matching.is_planned)

        if by is not None:  # which groups are frequent shows only in the whole range
            return [_Count(*row) for row in await read(places[0], places[-1] - 1)]
        return [_Count(*row) async for rows in in_parts(self._database, read, places[0], places[-1]) for row in rows]


def _edges(wanted: CountEvents, start: datetime, end: datetime) -> list[datetime]:
    """The times between which the buckets are, one more than there are buckets; none if the range is empty.

    Raises InvalidInput if there are too many.
    """
    if start >= end:
        return []
    if wanted.bucket_seconds is None:
        span = (end - start) // MICROSECOND
        count = min(wanted.buckets or DEFAULT_BUCKETS, span)
        return [start + timedelta(microseconds=span * n // count) for n in range(count + 1)]
    width = timedelta(seconds=wanted.bucket_seconds)
    first, beyond = (start - EPOCH) // width + 1, -((EPOCH - end) // width)
    _refuse_many(beyond - first + 1, end - start)
    return [start, *[EPOCH + n * width for n in range(first, beyond)], end]


def _refuse_many(count: int, span: timedelta) -> None:
    """Raise InvalidInput if there would be too many buckets. The message names a width that is large enough."""
    if count > MAX_BUCKETS:
        enough = -(-span // (timedelta(seconds=1) * (MAX_BUCKETS - 1)))
        message = (
            f"makes {count} buckets of this range, and {MAX_BUCKETS} are allowed; send {enough} or more, or a shorter "
            "range"
        )
        raise InvalidInput([Issue("bucketSeconds", message)])


def _histogram(edges: Sequence[datetime], counts: Sequence[_Count], *, is_grouped: bool) -> Histogram:
    """The buckets between the edges. The most frequent group comes first."""
    of_bucket: Counter[int] = Counter()
    of_group: Counter[str] = Counter()
    of_both: Counter[tuple[int, str]] = Counter()
    for each in counts:
        of_bucket[each.bucket] += each.events
        if each.group is not None:
            of_group[each.group] += each.events
            of_both[each.bucket, each.group] += each.events
    groups = sorted(of_group, key=lambda group: (-of_group[group], group))
    buckets = [
        Bucket(
            from_=instant(start),
            to=instant(end),
            count=of_bucket[n],
            counts=[of_both[n, group] for group in groups] if is_grouped else None,
        )
        for n, (start, end) in enumerate(pairwise(edges), 1)
    ]
    return Histogram(buckets=buckets, total=of_bucket.total(), groups=groups if is_grouped else None)
