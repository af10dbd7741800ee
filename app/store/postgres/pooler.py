"""Whether a pooler between us and PostgreSQL gives a connection to others after each transaction.

Our connections have settings, prepared statements and LISTEN of their own. All of them last for a session, so such a
pooler would give them to strangers, and theirs to us.
"""

import psycopg
from psycopg.errors import ProtocolViolation

GET_BACKEND = "SELECT pg_backend_pid()"
"""The process that serves this session; a pooler tells its clients of another one."""

ROUNDS = 3
"""How often is looked. Other clients of a busy pooler may take the connection that would have shown it."""


def hands_out_transactions(connection: psycopg.Connection, url: str) -> bool:
    """Whether a new `connection` to `url` belongs to it only for a transaction. Raises what psycopg raises."""
    own = _backend(connection)
    if own == connection.info.backend_pid:
        return False
    try:
        with psycopg.connect(url, connect_timeout=5) as other:
            for _ in range(ROUNDS):
                with other.transaction():
                    others = _backend(other)
                if own == others or own != _backend(connection):
                    return True
    except ProtocolViolation as error:
        if "statement pooling" not in str(error):
            raise
        return True  # it refuses transactions
    return False


def _backend(connection: psycopg.Connection) -> int:
    row = connection.execute(GET_BACKEND).fetchone()
    assert row is not None  # noqa: S101 - the statement returns one
    return int(row[0])
