"""Lets a migration create and drop indexes while servers read and write."""

from alembic import op
from sqlalchemy import text

INVALID = text("SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")


def create_index(name: str, on: str) -> None:
    """Build an index `on` a table and columns, and update the planner's statistics.

    It commits what the migration did before. If a build was killed, its invalid index is dropped first.
    """
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")  # it may take minutes, and nobody waits for it
        if op.get_bind().execute(INVALID, {"name": name}).first() is not None:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # not every node of a cluster may have it
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {on}")
        op.execute("ANALYZE event")


def drop_index(name: str) -> None:
    """Drop an index, if it exists. It commits what the migration did before."""
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")  # it waits for the transactions that use the index
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
