"""Which nodes of a distributed database answer a command."""

import psycopg

from app.store.postgres.nodes import LIST_ALL_WORKSPACES, LIST_NODES_OF_WORKSPACES, WHOLE, Part, spanning, workspaces_of
from app.store.postgres.session import IS_DISTRIBUTED

GET_CITUS = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
"""The version of Citus in this database, such as `14.0-1`. No row without Citus."""

COUNT_LOGS = spanning("SELECT count(*) FROM event_tip WHERE {part}")
"""How many logs there are: a question that each node with rows of workspaces has to answer."""


def citus_version(connection: psycopg.Connection) -> str | None:
    """The version of Citus in this database; None without Citus."""
    row = connection.execute(GET_CITUS).fetchone()
    return None if row is None else str(row[0])


def is_distributed(connection: psycopg.Connection) -> bool:
    """Whether the events are distributed over several nodes."""
    return citus_version(connection) is not None and connection.execute(IS_DISTRIBUTED).fetchone() == (True,)


def reachable(connection: psycopg.Connection) -> tuple[Part, list[Part]]:
    """The workspaces whose nodes answer, and the parts of the nodes that do not."""
    if not is_distributed(connection):
        return WHOLE, []
    workspaces = [id_ for (id_,) in connection.execute(LIST_ALL_WORKSPACES)]
    parts = [Part(*row) for row in connection.execute(LIST_NODES_OF_WORKSPACES, {"workspaces": workspaces})]
    missing = [part for part in parts if not _answers(connection, part)]
    unknown = workspaces_of(missing)
    return Part(workspaces=[each for each in workspaces if each not in unknown]), missing


def _answers(connection: psycopg.Connection, part: Part) -> bool:
    try:
        connection.execute(*part.call(COUNT_LOGS))
    except psycopg.OperationalError:
        return False
    return True
