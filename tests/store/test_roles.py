"""The role that serves may do all that a server does, but cannot switch off the protection of the log."""

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, RestrictViolation

import app.store
from app.store.install.install import migrate
from app.store.postgres.readiness import GROWING
from app.store.postgres.roles import GRANTS, OWNER, SERVER, grant_serving, make_server_role, power
from tests.kit.databases import as_role

ADMINISTRATION = {"deletion.py", "roles.py"}
"""The modules with statements that only the owner of the tables runs."""

WRITES = {
    "INSERT": r"\bINSERT INTO (\w+)",
    "DELETE": r"\bDELETE FROM (\w+)",
    "UPDATE": r"\bUPDATE (?!SET\b|SKIP\b|OF\b)(\w+)",
}

UPSERT = r"\bINSERT INTO (\w+)[^\"]*\bON CONFLICT[^\"]*\bDO UPDATE\b"
"""A statement that inserts or updates, and needs both rights."""

HOSTILE = {
    "a trigger is switched off": "ALTER TABLE event DISABLE TRIGGER event_kept",
    "all triggers are": "ALTER TABLE event DISABLE TRIGGER ALL",
    "those of the audit are": "ALTER TABLE audit_entry DISABLE TRIGGER USER",
    "a trigger is dropped": "DROP TRIGGER event_kept ON event",
    "its function is replaced": "CREATE OR REPLACE FUNCTION event_kept() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
    "a session replicates": "SET session_replication_role = replica",
    "the log is emptied": "TRUNCATE event",
    "the audit is emptied": "TRUNCATE audit_entry",
    "an event is deleted": "DELETE FROM event",
    "an event is changed": "UPDATE event SET type = 'other.type'",
    "an entry is deleted": "DELETE FROM audit_entry",
    "an entry is changed": "UPDATE audit_entry SET actor = 'other'",
    "a workspace is deleted": "DELETE FROM workspace",
    "a table is dropped": "DROP TABLE event",
    "a table is made": "CREATE TABLE public.other ()",
    "a rule bends deletions": "CREATE RULE other AS ON INSERT TO event DO INSTEAD NOTHING",
    "it becomes the owner": f"SET ROLE {OWNER}",
    "it becomes who deletes": "SET ROLE synap_custodian",
    "it becomes a superuser": f"ALTER ROLE {SERVER} SUPERUSER",
    "a file is read": "SELECT pg_read_file('PG_VERSION')",
    "a program is run": "COPY event TO PROGRAM 'cat'",
    "a setting is changed": "ALTER SYSTEM SET fsync = off",
}


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection]:
    """A database of the test's own, which the role may serve."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        make_server_role(connection)
        grant_serving(connection, SERVER)
        connection.execute("DO $$ BEGIN CREATE ROLE synap_custodian; EXCEPTION WHEN duplicate_object THEN END $$")
        connection.execute("INSERT INTO workspace (id, created_at) VALUES ('w', now())")
        connection.execute("SELECT audit_append('{w}', gen_random_uuid(), 'a', 'b', '{}')")
        connection.execute(
            "INSERT INTO event (workspace_id, seq, id, type, kid, recorded_at, prev_hash, body_hash, hash, signature, "
            "salt, user_id, source, data) "
            "VALUES ('w', 0, gen_random_uuid(), 'a.b', 'k', now(), '', '', '', '', '', 'u', 'api', '{}')"
        )
        yield connection


@pytest.fixture
def server(owner: psycopg.Connection, database_url: str) -> Iterator[psycopg.Connection]:
    """The database, as the role that serves sees it."""
    assert not owner.closed
    with psycopg.connect(as_role(database_url, SERVER), autocommit=True) as connection:
        yield connection


def _statements() -> Iterator[tuple[str, str]]:
    """Yield each table to which the server's source writes, and the right that this needs."""
    for path in Path(str(app.store.__file__)).parent.rglob("*.py"):
        if path.name not in ADMINISTRATION:
            for right, pattern in WRITES.items():
                yield from ((table, right) for table in re.findall(pattern, path.read_text()))
            yield from ((table, "UPDATE") for table in re.findall(UPSERT, path.read_text()))


def test_every_write_in_the_source_is_granted() -> None:
    written = {(table, right) for table, right in _statements() if table in GROWING}

    assert ("event", "UPDATE") in written
    assert ("delivery", "DELETE") in written
    assert ("cosignature", "UPDATE") in written
    assert written <= set(GRANTS)


@pytest.mark.parametrize("statement", HOSTILE.values(), ids=list(HOSTILE))
def test_the_role_that_serves_cannot(server: psycopg.Connection, statement: str) -> None:
    with pytest.raises((InsufficientPrivilege, RestrictViolation)):
        server.execute(statement)


def test_it_is_neither_a_superuser_nor_an_owner(server: psycopg.Connection, owner: psycopg.Connection) -> None:
    assert (power(server).is_superuser, power(server).is_owner) == (False, False)
    assert (power(owner).is_superuser, power(owner).is_owner) == (True, True)


def test_what_a_migration_brings_is_granted(
    owner: psycopg.Connection, server: psycopg.Connection, database_url: str
) -> None:
    owner.execute(f"DROP TABLE rate_window; REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {SERVER}")
    owner.execute("CREATE TABLE rate_window (n int)")
    with pytest.raises(InsufficientPrivilege):
        server.execute("SELECT FROM event")

    migrate(database_url, serving_role=SERVER)

    server.execute("SELECT FROM event")
    server.execute("INSERT INTO rate_window VALUES (1)")
    assert server.execute("SELECT has_table_privilege('rate_window', 'DELETE')").fetchone() == (False,)
