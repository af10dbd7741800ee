"""The two roles of a database: one owns the tables and migrates them, the other serves.

The role that serves can neither switch off the triggers that keep the log, nor empty or alter a table. Only the owner
of a table and a superuser can.
"""

from contextlib import suppress

import psycopg
from msgspec import Struct
from psycopg.errors import DuplicateObject, UniqueViolation
from psycopg.sql import SQL, Identifier

from app.store.postgres.readiness import NEEDED

OWNER = "postgres"
"""The superuser of the embedded database: it owns the tables, migrates and administers."""

SERVER = "synap"
"""The role that serves the embedded database."""

GRANTS = [
    *NEEDED,
    *((table, "DELETE") for table in ("merkle_node", "registered_type")),
    ("alembic_version", "SELECT"),
]
"""All rights that a server and its commands need: a table and a right on it."""

LIST_MISSING_RIGHTS = """
SELECT name, needed FROM unnest(%(tables)s::text[], %(rights)s::text[]) AS needed (name, needed)
WHERE NOT has_table_privilege(%(role)s, name, needed)
"""
"""The rights that a role lacks of those that a server needs."""

GET_SCHEMA = "SELECT current_schema()"
"""The schema that the tables are in."""

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
    """Of the log's tables, or a member of the role that is."""


def make_server_role(connection: psycopg.Connection) -> None:
    """Make the role that serves the embedded database, if there is none. Commands may do so at once."""
    if connection.execute(ROLE_EXISTS, (SERVER,)).fetchone() is None:
        with suppress(DuplicateObject, UniqueViolation):
            connection.execute(f"CREATE ROLE {SERVER} LOGIN")


def grant_serving(connection: psycopg.Connection, role: str) -> None:
    """Grant a role all that a server does, and nothing more. Changes nothing if it has that already.

    Raises what psycopg raises if there is no such role, or we may not grant.
    """
    tables, rights = zip(*GRANTS, strict=True)
    missing = connection.execute(
        LIST_MISSING_RIGHTS, {"role": role, "tables": list(tables), "rights": list(rights)}
    ).fetchall()
    if not missing:
        return
    to = Identifier(role)
    [(schema,)] = connection.execute(GET_SCHEMA).fetchall()
    with connection.transaction():
        connection.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(schema), to))
        connection.execute(SQL("GRANT EXECUTE ON FUNCTION audit_append TO {}").format(to))
        for table, right in missing:
            connection.execute(SQL("GRANT {} ON {} TO {}").format(SQL(right), Identifier(table), to))


def power(connection: psycopg.Connection) -> Power:
    """What the role of this connection could do to the log."""
    row = connection.execute(GET_POWER).fetchone()
    assert row is not None  # noqa: S101 - who asks has a role
    return Power(*row)
