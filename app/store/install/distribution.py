"""Distributes the tables over the nodes of a Citus cluster.

Tables with a `workspace_id` are distributed by it and colocated, so one node has all rows of a workspace. The other
tables become reference tables: every node has all of their rows. `docs/operate/scale.md` says what changes.
"""

from collections.abc import Sequence

import psycopg

from app.store.install.install import InstallError, is_newest
from app.store.install.parts import citus_version
from app.store.postgres.connection_limit import connected_processes
from app.store.postgres.roles import power
from app.store.postgres.session import ONE_AFTER_THE_OTHER

OLDEST_CITUS = 14
"""The oldest major version of Citus that this code works with."""

IS_COORDINATOR = "SELECT citus_is_coordinator()"
"""Whether the node of this connection is the coordinator."""

LIST_DISTRIBUTED = "SELECT logicalrelid::regclass::text FROM pg_dist_partition WHERE partmethod IN ('h', 'n')"
"""The tables that are distributed or reference tables already."""

COUNT_DATA_NODES = "SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards"
"""How many nodes have shards of tables."""

ALLOW_TRIGGERS = "SET LOCAL citus.enable_unsafe_triggers = on"
"""Lets this transaction distribute tables that have triggers. Ours look only at the row that changes."""

MAKE_REFERENCE = "SELECT create_reference_table(%(table)s)"
"""Copies a table to every node."""

MAKE_DISTRIBUTED = "SELECT create_distributed_table(%(table)s, 'workspace_id', colocate_with => %(with)s)"
"""Distributes a table by workspace. Rows of one workspace are on the node that has them of the other table."""

LIFT_GUARD = "ALTER TABLE {0} DISABLE TRIGGER {1}"
"""Lets the owner of a table empty it, until the transaction restores the trigger."""

RESTORE_GUARD = "ALTER TABLE {0} ENABLE ALWAYS TRIGGER {1}"
"""Makes a trigger reject again, in every session."""

REMOVE_LOCAL_ROWS = "SELECT truncate_local_data_after_distributing_table(%(table)s)"
"""Removes the rows that a table had before it was distributed. The nodes have them now."""

STATEMENT_TIMEOUT_OFF = "SET LOCAL statement_timeout = 0"
"""Lets a table with many rows be distributed."""

FIRST = "event_tip"
"""The table with which all others are colocated."""

GUARDS = {"event": "event_kept_whole", "audit_entry": "audit_kept_whole"}
"""The triggers that do not let a table be emptied."""


def distribute(connection: psycopg.Connection) -> list[str]:
    """Distribute the tables that are not distributed yet, all or none, and return their names. Raises InstallError."""
    _require_distributable(connection)
    references, distributed = tables()
    known = _distributed(connection)
    wanted = [table for table in (*references, *distributed) if table not in known]
    if wanted:
        if FIRST not in known and (servers := connected_processes(connection)):
            raise InstallError(f"{servers} server processes use this database; stop them, and run this again.")
        with connection.transaction():
            for statement in (ALLOW_TRIGGERS, ONE_AFTER_THE_OTHER, STATEMENT_TIMEOUT_OFF):
                connection.execute(statement)
            for table in wanted:
                statement = MAKE_REFERENCE if table in references else MAKE_DISTRIBUTED
                connection.execute(statement, {"table": table, "with": "none" if table == FIRST else FIRST})
            for table in wanted:
                _remove_local_rows(connection, table)
    return wanted


def data_nodes(connection: psycopg.Connection) -> int:
    """How many nodes have rows of workspaces."""
    [(nodes,)] = connection.execute(COUNT_DATA_NODES)
    return int(nodes)


def _remove_local_rows(connection: psycopg.Connection, table: str) -> None:
    """Remove what the coordinator still has of a table. Nobody else can see or change the table meanwhile."""
    guard = GUARDS.get(table)
    if guard is not None:
        connection.execute(LIFT_GUARD.format(table, guard))
    connection.execute(REMOVE_LOCAL_ROWS, {"table": table})
    if guard is not None:
        connection.execute(RESTORE_GUARD.format(table, guard))


def tables() -> tuple[Sequence[str], Sequence[str]]:
    """The reference tables and the distributed ones. A table comes after those that its foreign keys name."""
    # Imported here, because importing them takes longer than most commands.
    from sqlmodel import SQLModel  # noqa: PLC0415

    import app.store.install.intent_tables  # noqa: PLC0415
    import app.store.install.tree_tables  # noqa: PLC0415
    import app.store.install.witness_tables  # noqa: F401, PLC0415

    tables = SQLModel.metadata.sorted_tables
    references = [table.name for table in tables if "workspace_id" not in table.columns]
    distributed = [table.name for table in tables if "workspace_id" in table.columns]
    return [*references, "alembic_version"], [FIRST, *(name for name in distributed if name != FIRST)]


def _distributed(connection: psycopg.Connection) -> set[str]:
    return {table for (table,) in connection.execute(LIST_DISTRIBUTED)}


def _require_distributable(connection: psycopg.Connection) -> None:
    """Raise InstallError, which says what is missing."""
    version = citus_version(connection)
    if version is None:
        raise InstallError(
            "The database is one PostgreSQL without the extension Citus, so there are no nodes to distribute to; "
            "docs/operate/scale.md says what a cluster needs."
        )
    if int(version.partition(".")[0]) < OLDEST_CITUS:
        raise InstallError(f"The database has Citus {version}; distributing needs Citus {OLDEST_CITUS} or later.")
    if connection.execute(IS_COORDINATOR).fetchone() != (True,):
        raise InstallError("This node is a worker of the cluster; run this with the URL of the coordinator.")
    if not is_newest(connection):
        raise InstallError("The schema is not at its newest version; run: synap migrate.")
    if not power(connection).is_owner:
        raise InstallError("The role of SYNAP_DATABASE_URL does not own the tables; run this as the role that does.")
