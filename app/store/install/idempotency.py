"""The switch from the ids that version 0.1 gave events with an idempotency key (`app/store/events/idempotency.py`)."""

import psycopg

from app.ledger.chain import NODE_LOG
from app.store.events.idempotency import GET_IDEMPOTENCY_SINCE
from app.store.events.linker import LOCK_TIP
from app.store.install.rotation import LOCK_INSTALL, lock_all_tips
from app.store.postgres.database import FORMER_APPLICATIONS

FIND_OLDER_SERVER = f"""
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name IN ({FORMER_APPLICATIONS}) LIMIT 1
"""
"""Returns a row if a server of an earlier version is connected; it is recognised by its application name."""

GET_TIME_AFTER_ALL = "SELECT greatest(clock_timestamp(), max(recorded_at)) FROM event_tip"
"""The database's time, but not earlier than any event: the clock of the server that wrote an event may be ahead."""

SET_IDEMPOTENCY_SINCE = """
UPDATE install SET idempotency_since = %(since)s WHERE idempotency_since IS NULL
"""
"""Stores the time from which ids depend on the install secret."""


def has_secret_ids(connection: psycopg.Connection) -> bool:
    """Whether events with an idempotency key get secret ids. A database without an install has none of the others."""
    return connection.execute(GET_IDEMPOTENCY_SINCE).fetchone() != (None,)


def begin_secret_ids(connection: psycopg.Connection) -> None:
    """Let events with an idempotency key get secret ids from now on, unless an earlier version still serves."""
    if has_secret_ids(connection) or _is_older_connected(connection):
        return  # without the locks, which delay every append
    with connection.transaction():
        connection.execute(LOCK_TIP, {"workspace": NODE_LOG})
        connection.execute(LOCK_INSTALL)
        lock_all_tips(connection)
        if not _is_older_connected(connection):
            [(since,)] = connection.execute(GET_TIME_AFTER_ALL)
            connection.execute(SET_IDEMPOTENCY_SINCE, {"since": since})


def _is_older_connected(connection: psycopg.Connection) -> bool:
    return connection.execute(FIND_OLDER_SERVER).fetchone() is not None
