"""The server's own numbers, for its operator."""

from schemas.base import Input, InstantText, Output


class ShowMetrics(Input, frozen=True, kw_only=True):
    """The input of `metrics.current`. It has no members."""


class ProcessFigures(Output, frozen=True, kw_only=True):
    """The numbers of the server processes of this machine: sums, but of the two lags the maximum.

    `eventsAppended` counts from the start of each process. `queuedEvents` are accepted but not yet committed.
    `connectionsUsed`, `connectionsIdle` and `connectionsAwaited` belong to the pools of database connections.
    """

    count: int
    events_appended: int
    queued_events: int
    queued_bytes: int
    streams: int
    live_connections: int
    feed_lag_events: int
    event_loop_lag_seconds: float
    delivery_posts: int
    connections_used: int
    connections_idle: int
    connections_awaited: int


class SubscriptionCounts(Output, frozen=True, kw_only=True):
    """The number of webhooks in each state."""

    active: int
    paused: int
    disabled: int


class InstallFigures(Output, frozen=True, kw_only=True):
    """The numbers of the whole install, from its database.

    `deliveriesPending` have not ended; the oldest of them has been due for `deliveryOverdueSeconds`. The slowest active
    webhook is `subscriptionLagEvents` behind its log. `databaseConnections` are those of the database server, from all
    of its clients.
    """

    workspaces: int
    events: int
    subscriptions: SubscriptionCounts
    deliveries_pending: int
    delivery_overdue_seconds: float
    subscription_lag_events: int
    database_bytes: int
    database_connections: int
    database_max_connections: int


class CurrentMetrics(Output, frozen=True, kw_only=True):
    """The server's numbers at a time.

    `eventsLastMinute` is the number of events that the workspace of the call got in the minute before. `install` is
    absent if the database did not answer in time.
    """

    at: InstantText
    events_last_minute: int
    processes: ProcessFigures
    install: InstallFigures | None = None
