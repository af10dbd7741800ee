"""Prepares the database for an attack, and measures its effects there."""

import psutil
import psycopg

from benchmarks.hostile.target import Target

WORKSPACES = """
INSERT INTO workspace (id, created_at) SELECT 'w' || n, now() FROM generate_series(1, %(workspaces)s) AS n
"""

BLOCKS = """
SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) FROM pg_statio_user_tables
WHERE relname IN ('subscription', 'delivery', 'attempt')
"""

BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'synap server' AND datname = current_database()"


def blocks(connection: psycopg.Connection) -> int:
    """How many blocks of the webhooks' tables the database has read, by its own statistics."""
    connection.execute("SELECT pg_stat_clear_snapshot()")
    [(found,)] = connection.execute(BLOCKS)
    return int(found)


def backends_bytes(target: Target) -> int:
    """The memory of the database processes of the server's connections, without shared memory."""
    with target.connect() as connection:
        pids = [row[0] for row in connection.execute(BACKENDS)]
    return int(sum(psutil.Process(pid).memory_full_info().uss for pid in pids))


def subscribe_all(target: Target, workspaces: int, each: int) -> None:
    """Create `workspaces` workspaces with `each` webhooks, as copies of one."""
    made = target.client.mutation(
        "subscriptions.create", {"webhookUrl": "http://127.0.0.1:9/", "eventTypes": ["never.logged"]}
    )
    with target.connect() as connection:
        connection.execute(WORKSPACES, {"workspaces": workspaces})
        columns = [
            row[0]
            for row in connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'subscription'"
                " AND column_name NOT IN ('workspace_id', 'id') AND is_generated = 'NEVER'"
            )
        ]
        named = ", ".join(f'"{name}"' for name in columns)
        connection.execute(
            f"INSERT INTO subscription (workspace_id, id, {named})"
            f" SELECT 'w' || n, 'sub_' || n || '_' || m, {named} FROM subscription,"
            " generate_series(1, %(workspaces)s) AS n, generate_series(1, %(each)s) AS m WHERE id = %(id)s",
            {"workspaces": workspaces, "each": each, "id": made["subscriptionId"]},
        )
        connection.execute("VACUUM ANALYZE")
