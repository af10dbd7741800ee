"""Whether PostgreSQL allows as many connections as the server processes of an install may need."""

import psycopg

from app.settings import MIN_CONNECTIONS
from app.store.postgres.notices import TELLER

NOTICE_CONNECTIONS = 2
"""Of each process's connections: one listens for the commits of other processes, and one tells of its own."""

ADMIN_CONNECTIONS = 20
"""For commands such as `synap export`, and for `psql` and the connections that PostgreSQL reserves."""

GET_LIMIT = """
WITH of_role AS (SELECT rolsuper, rolconnlimit FROM pg_roles WHERE rolname = current_user)
SELECT name, connections FROM (
    SELECT 'max_connections', current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0)
    UNION ALL SELECT 'CONNECTION LIMIT of the role', rolconnlimit FROM of_role WHERE NOT rolsuper
    UNION ALL SELECT 'CONNECTION LIMIT of the database', datconnlimit FROM pg_database, of_role
        WHERE datname = current_database() AND NOT rolsuper
) AS limits (name, connections) WHERE connections >= 0 ORDER BY connections LIMIT 1
"""
"""The lowest limit on the connections of this role, and how many it allows. None but the first binds a superuser."""

COUNT_PROCESSES = f"""
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{TELLER}'
"""
"""How many server processes are connected, of all machines. Each has one such connection."""


def connected_processes(connection: psycopg.Connection) -> int:
    """How many server processes are connected to the database, of all machines."""
    [(processes,)] = connection.execute(COUNT_PROCESSES)
    return int(processes)


def shortage(connection: psycopg.Connection, processes: int, each: int) -> str | None:
    """What is wrong and what helps, if so many processes with so many connections may need more than are allowed."""
    [(name, allowed)] = connection.execute(GET_LIMIT)
    needed = processes * each
    if needed <= allowed:
        return None
    fewer = allowed // processes
    lower = f"set SYNAP_DATABASE_CONNECTIONS={fewer} on every machine, or " if fewer >= MIN_CONNECTIONS else ""
    return (
        f"The {processes} server processes of this database may need {needed} connections ({each} each, as "
        f"SYNAP_DATABASE_CONNECTIONS says), but {name} allows {allowed}; {lower}raise {name} by "
        f"{needed - allowed + ADMIN_CONNECTIONS}."
    )
