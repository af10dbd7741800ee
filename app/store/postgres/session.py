"""The settings of every connection."""

from app.store.postgres.pipe import PipedConnection

STATEMENT_TIMEOUT_MS = 8500

INDEXED = {
    "random_page_cost": "1.1",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""Planner settings: a statement uses the index that has its order, whatever the table's statistics say. So a plan that
was made when the table was empty is as good as a later one. See `docs/decisions/0010`."""

SESSION = INDEXED | {
    "timezone": "UTC",
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "8s",
    "statement_timeout": f"{STATEMENT_TIMEOUT_MS}ms",
}
"""The settings of every connection. A process that freezes inside a transaction holds its locks until the idle timeout,
so that timeout is shorter than the lock timeout. `synchronous_commit` is on because we promise durability, whatever the
cluster's default is. If the URL, the role or the database sets a shorter `statement_timeout`, that value stays."""

CONFIGURE = f"""
SELECT set_config(given.name, CASE WHEN citus.is_there AND given.name = 'plan_cache_mode' THEN 'auto'
    ELSE given.value END, false), citus.is_there
FROM unnest(%s::text[], %s::text[]) AS given (name, value),
    (SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') AS is_there) AS citus
WHERE given.name <> 'statement_timeout'
    OR (SELECT setting::int NOT BETWEEN 1 AND {STATEMENT_TIMEOUT_MS} FROM pg_settings WHERE name = 'statement_timeout')
"""
"""Applies the settings to a connection, and says whether the database has Citus. A shorter `statement_timeout` of the
role or the database stays. Citus has no generic plans for statements that need several shards."""

IS_DISTRIBUTED = "SELECT count(*) > 0 FROM pg_dist_partition WHERE logicalrelid = to_regclass('event')"
"""Whether the events are distributed, in a database that has Citus."""

ONE_AFTER_THE_OTHER = "SET citus.multi_shard_modify_mode = 'sequential'"
"""Lets a session change distributed tables that have foreign keys to reference tables. PostgreSQL alone ignores it."""

GIVE_UP_SOON = "SET citus.node_connection_timeout = '3s'"
"""Ends the wait for a node that is down before our own timeouts do."""

TRANSACTION_TIMEOUT = "9s"
"""PostgreSQL 17 and later also end a transaction whose client froze in the middle of a message. This timeout ends the
connection too, so it is longer than the statement timeout."""


async def configure(connection: PipedConnection) -> None:
    """Set up a new connection, and find out whether its database is distributed."""
    settings = dict(SESSION)
    if connection.info.server_version >= 170000:
        settings["transaction_timeout"] = TRANSACTION_TIMEOUT
    configured = await connection.execute(CONFIGURE, (list(settings), list(settings.values())))
    [*_, (_, has_citus)] = await configured.fetchall()
    if has_citus:
        await connection.execute(GIVE_UP_SOON)
        connection.is_distributed = await (await connection.execute(IS_DISTRIBUTED)).fetchone() == (True,)
