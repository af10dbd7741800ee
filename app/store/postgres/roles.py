"""The two roles of a database: one owns the tables and migrates them, the other serves.

The role that serves can neither switch off the triggers that protect the log, nor empty or alter a table. Only the
owner of a table and a superuser can do that.
"""

from contextlib import suppress

import psycopg
from msgspec import Struct
from psycopg.errors import DuplicateObject, UniqueViolation
from psycopg.sql import SQL, Identifier

from app.store.postgres.readiness import NEEDED
from app.store.postgres.session import ONE_AFTER_THE_OTHER

OWNER = "postgres"
"""The superuser of the embedded database: it owns the tables, migrates and administers."""

SERVER = "synap"
"""The role that serves the embedded database."""

CUSTODIAN = "synap_custodian"
"""The only role that may delete events, as the trigger `event_kept` checks. Nobody logs in as it, unless the database
is distributed: a transaction over several nodes cannot change its role."""

CUSTODIANS = [
    *((table, "DELETE") for table in ("event", "event_tip", "rate_window")),
    ("workspace", "UPDATE"),
]
"""What the custodian needs besides the rights of a server, to delete a workspace as a login of its own."""

GRANTS = [
    *NEEDED,
    *((table, "DELETE") for table in ("intent", "intent_start", "merkle_node", "registered_type", "tree_head")),
    *(("tree_leaf", right) for right in ("UPDATE", "DELETE")),
    ("alembic_version", "SELECT"),
]
"""All rights that a server and its commands need: a table and a right on it."""

LIST_MISSING_RIGHTS = """
SELECT name, needed FROM unnest(%(tables)s::text[], %(rights)s::text[]) AS needed (name, needed)
WHERE NOT CASE WHEN to_regclass(name) IS NULL THEN true ELSE has_table_privilege(%(role)s, name, needed) END
"""
"""The rights that a server needs and the role lacks, on the tables that the schema has."""

GET_SCHEMA = "SELECT current_schema()"
"""The schema that contains the tables."""

ROLE_EXISTS = "SELECT FROM pg_roles WHERE rolname = %s"
"""Returns a row if the role exists."""

GET_POWER = """
SELECT rolname, rolsuper, EXISTS (
    SELECT FROM unnest('{event,audit_entry}'::regclass[]) AS kept JOIN pg_class ON pg_class.oid = kept
    WHERE pg_has_role(relowner, 'MEMBER'))
FROM pg_roles WHERE rolname = current_user
"""
"""The role of this connection, whether it is a superuser, and whether it owns the tables of the log."""


class Power(Struct, frozen=True):
    """What the role of a connection could do to the log."""

    role: str
    is_superuser: bool
    is_owner: bool
    """Whether it owns the log's tables, or is a member of the role that does."""


def make_server_role(connection: psycopg.Connection) -> None:
    """Create the role that serves the embedded database, if it does not exist. Several commands may do this at once."""
    if connection.execute(ROLE_EXISTS, (SERVER,)).fetchone() is None:
        with suppress(DuplicateObject, UniqueViolation):
            connection.execute(f"CREATE ROLE {SERVER} LOGIN")


def grant_serving(connection: psycopg.Connection, role: str) -> None:
    """Grant a role the rights that a server needs, and no other rights. Changes nothing if the role has them already.

    The custodian also gets those that it needs to delete a workspace.

    Raises psycopg's error if there is no such role, or if we may not grant these rights.
    """
    tables, rights = zip(*(GRANTS + (CUSTODIANS if role == CUSTODIAN else [])), strict=True)
    missing = connection.execute(
        LIST_MISSING_RIGHTS, {"role": role, "tables": list(tables), "rights": list(rights)}
    ).fetchall()
    if not missing:
        return
    to = Identifier(role)
    [(schema,)] = connection.execute(GET_SCHEMA).fetchall()
    with connection.transaction():
        connection.execute(ONE_AFTER_THE_OTHER)
        connection.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(schema), to))
        connection.execute(SQL("GRANT EXECUTE ON FUNCTION audit_append TO {}").format(to))
        for table, right in missing:
            connection.execute(SQL("GRANT {} ON {} TO {}").format(SQL(right), Identifier(table), to))


def power(connection: psycopg.Connection) -> Power:
    """What the role of this connection could do to the log."""
    row = connection.execute(GET_POWER).fetchone()
    assert row is not None  # noqa: S101 - every connection has a role
    return Power(*row)
