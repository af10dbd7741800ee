"""What the operator can have looked at in a database, as it is: nothing here changes it."""

from collections.abc import Iterator

import psycopg
from psycopg.errors import UndefinedTable

from app.ledger.merkle import Frontier

REVISION = "SELECT version_num FROM alembic_version"

LOG = "SELECT seq + 1 FROM event_tip WHERE workspace_id = %(log)s"

IS_DELETED = "SELECT FROM workspace WHERE id = %(log)s AND deleted_at IS NOT NULL"

LEAVES = "SELECT hash FROM event WHERE workspace_id = %(log)s AND seq < %(size)s ORDER BY seq"

LOOSE_TIPS = """
SELECT t.workspace_id FROM event_tip AS t LEFT JOIN LATERAL (
    SELECT seq, hash FROM event WHERE workspace_id = t.workspace_id ORDER BY seq DESC LIMIT 1) AS last ON true
WHERE (t.seq, t.hash) IS DISTINCT FROM (coalesce(last.seq, -1), coalesce(last.hash, decode(repeat('00', 32), 'hex')))
    OR t.kid <> (SELECT kid FROM install)
ORDER BY t.workspace_id
"""

LEAVES_AT_ONCE = 10_000


def revision(connection: psycopg.Connection) -> str | None:
    """The revision of the schema; None where there is none."""
    try:
        row = connection.execute(REVISION).fetchone()
    except UndefinedTable:
        return None
    return None if row is None else str(row[0])


def loose_tips(connection: psycopg.Connection) -> list[str]:
    """The logs whose tip is not their last event, or that another key than the install's signs. Servers may append."""
    return [log for (log,) in connection.execute(LOOSE_TIPS)]


def is_deleted(connection: psycopg.Connection, log: str) -> bool:
    """Whether the log was deleted."""
    return connection.execute(IS_DELETED, {"log": log}).fetchone() is not None


def log_size(connection: psycopg.Connection, log: str) -> int | None:
    """How many events a log has; None where there is no such log."""
    row = connection.execute(LOG, {"log": log}).fetchone()
    return None if row is None else int(row[0])


def tree(connection: psycopg.Connection, log: str, size: int) -> Frontier:
    """The tree of the first `size` events, as far as they are there."""
    found = Frontier()
    for leaf in _leaves(connection, log, size):
        found.push(leaf)
    return found


def _leaves(connection: psycopg.Connection, log: str, size: int) -> Iterator[bytes]:
    """The hashes of the first `size` events, a piece at a time."""
    with connection.transaction(), connection.cursor("leaves") as cursor:
        cursor.itersize = LEAVES_AT_ONCE
        cursor.execute(LEAVES, {"log": log, "size": size})
        for (leaf,) in cursor:
            yield leaf
