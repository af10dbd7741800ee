"""Workspaces: the owners of logs."""

from datetime import UTC, datetime

import psycopg

from app.ledger.chain import GENESIS
from app.store.database import Database

CREATE = "INSERT INTO workspace (id, created_at) VALUES (%(id)s, %(now)s) ON CONFLICT DO NOTHING RETURNING id"

NODE_LOG = "_node"
"""The log that belongs to the install itself. No slug begins with an underscore."""

OPEN_LOG = """
INSERT INTO event_tip (workspace_id, seq, hash, recorded_at, kid)
SELECT %(id)s, -1, %(genesis)s, 'epoch', kid FROM install
"""
"""An empty log: the first event gets seq 0 and links to 32 zero bytes."""

LIST = f"SELECT id, created_at FROM workspace WHERE id <> '{NODE_LOG}' AND deleted_at IS NULL ORDER BY id"

EXISTS = "SELECT FROM workspace WHERE id = %(id)s AND deleted_at IS NULL"


def create_workspace(connection: psycopg.Connection, slug: str) -> bool:
    """Make a workspace and its empty log. False where it exists."""
    with connection.transaction():
        made = connection.execute(CREATE, {"id": slug, "now": datetime.now(UTC)}).fetchone() is not None
        if made:
            connection.execute(OPEN_LOG, {"id": slug, "genesis": GENESIS})
    return made


def list_workspaces(connection: psycopg.Connection) -> list[tuple[str, datetime]]:
    """Every workspace and when it was made, by slug."""
    return connection.execute(LIST).fetchall()


async def workspace_exists(database: Database, slug: str) -> bool:
    """Whether there is such a workspace. Raises Unavailable."""
    return bool(await database.rows(EXISTS, {"id": slug}))
