"""metrics.current."""

from datetime import UTC, datetime, timedelta

from app.ledger.chain import instant
from app.store.install.totals import Standing
from app.telemetry import metrics
from app.telemetry.metrics import Snapshot, largest, summed
from procedures.context import Context
from procedures.procedure import query
from schemas.histogram import CountEvents
from schemas.metrics import CurrentMetrics, InstallFigures, ProcessFigures, ShowMetrics, SubscriptionCounts
from schemas.principal import Scope

MINUTE = timedelta(minutes=1)


@query("metrics.current", scope=Scope.AUDIT_READ)
async def current(_wanted: ShowMetrics, context: Context) -> CurrentMetrics:
    """Return the most important numbers of `/metrics`: of the processes of this machine, and of the whole install.

    `eventsLastMinute` counts what was logged in the workspace of the call. `install` is absent if the database does not
    answer within five seconds.
    """
    services, now = context.services, datetime.now(UTC)
    known = await services.totals.standing_in_time()
    logged = await services.histograms.count(context.workspace, CountEvents(from_=now - MINUTE, buckets=1), None)
    return CurrentMetrics(
        at=instant(now),
        events_last_minute=logged.total,
        processes=_processes(await services.board.all()),
        install=None if known is None else _install(known),
    )


def _processes(snapshots: list[Snapshot]) -> ProcessFigures:
    return ProcessFigures(
        count=len(snapshots),
        events_appended=int(summed(snapshots, metrics.APPENDED)),
        queued_events=int(summed(snapshots, metrics.QUEUED_EVENTS)),
        queued_bytes=int(summed(snapshots, metrics.QUEUED_BYTES)),
        streams=int(summed(snapshots, metrics.STREAMS)),
        live_connections=int(summed(snapshots, metrics.CONNECTIONS)),
        feed_lag_events=int(largest(snapshots, metrics.FEED_EVENTS)),
        event_loop_lag_seconds=largest(snapshots, metrics.LOOP_SECONDS),
        delivery_posts=int(summed(snapshots, metrics.POSTS)),
        connections_used=int(summed(snapshots, metrics.POOL, "used")),
        connections_idle=int(summed(snapshots, metrics.POOL, "idle")),
        connections_awaited=int(summed(snapshots, metrics.POOL_WAITING)),
    )


def _install(known: Standing) -> InstallFigures:
    return InstallFigures(
        workspaces=known.workspaces,
        events=known.events,
        subscriptions=SubscriptionCounts(
            active=known.subscriptions.get("active", 0),
            paused=known.subscriptions.get("paused", 0),
            disabled=known.subscriptions.get("disabled", 0),
        ),
        deliveries_pending=known.pending,
        delivery_overdue_seconds=known.overdue_seconds,
        subscription_lag_events=known.behind,
        database_bytes=known.database_bytes,
        database_connections=known.connections,
        database_max_connections=known.max_connections,
    )
