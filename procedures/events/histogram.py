"""events.histogram."""

from procedures.context import Context
from procedures.procedure import query
from schemas.errors import InvalidInput, Issue, RateLimited
from schemas.histogram import CountEvents, Histogram
from schemas.principal import Scope


@query("events.histogram", scope=Scope.EVENTS_READ, errors=(RateLimited,))
async def histogram(wanted: CountEvents, context: Context) -> Histogram:
    """Count the events that match every filter in buckets of time, at most 500 of them, and `by` type or source.

    InvalidInput if `bucketSeconds` makes more buckets. A count that takes longer than 8.5 seconds fails as Unavailable:
    narrow the range or the filter. Erased events keep their time, type and source, so they count unless a filter asks
    for something else. A key limited to its own user counts only that user's events, without erased ones.
    """
    if wanted.buckets is not None and wanted.bucket_seconds is not None:
        raise InvalidInput([Issue("bucketSeconds", "must not be sent together with buckets; send only one of them")])
    return await context.services.histograms.count(context.workspace, wanted, context.principal.reads_only)
