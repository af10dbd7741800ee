"""Whether the database can serve, as `/readyz` reports it."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from sqlmodel import SQLModel

import app.store.install.intent_tables
import app.store.install.tree_tables
import app.store.install.witness_tables
from app.store.install.install import head
from app.store.postgres.database import Database
from app.store.postgres.readiness import DELETED, GROWING, Readiness
from tests.kit.databases import as_role
from tests.kit.last_release import put_back

assert app.store.install.intent_tables, "the import registers the tables"
assert app.store.install.tree_tables, "the import registers the tables"
assert app.store.install.witness_tables, "the import registers the tables"


@pytest.fixture
def guest_url(database_url: str) -> Iterator[str]:
    """The URL of the test's database, for a role with the rights of a server."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN")
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest")
        yield as_role(database_url, "guest")
        connection.execute("DROP OWNED BY guest")
        connection.execute("DROP ROLE guest")


def _problem(url: str) -> str | None:
    async def run() -> str | None:
        database = Database(url)
        await database.open()
        try:
            return await Readiness(database, head()).problem()
        finally:
            await database.close()

    return asyncio.run(run())


def test_the_rights_are_those_on_every_table() -> None:
    assert set(GROWING) == set(SQLModel.metadata.tables)


def test_a_role_that_may_do_what_a_server_does_is_ready(guest_url: str) -> None:
    assert _problem(guest_url) is None


@pytest.mark.parametrize(
    ("right", "table"),
    [
        *[("UPDATE", "rate_window"), ("INSERT", "event"), ("SELECT", "api_key"), ("UPDATE", "event")],
        *(("DELETE", table) for table in DELETED),
    ],
)
def test_a_right_that_is_missing_is_named(database_url: str, guest_url: str, right: str, table: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"REVOKE {right} ON {table} FROM guest")

    assert _problem(guest_url) == f"The database's role lacks the right to {right} on the table {table}; grant it"


def test_a_right_on_some_columns_is_enough(database_url: str, guest_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("REVOKE UPDATE ON event_tip FROM guest")
        connection.execute("GRANT UPDATE (seq, hash, kid, recorded_at) ON event_tip TO guest")

    assert _problem(guest_url) is None


def test_a_database_that_is_read_only_is_not_ready(database_url: str) -> None:
    url = f"{database_url}&options=-c%20default_transaction_read_only%3Don"

    assert _problem(url) == "The database is read-only"


@pytest.mark.parametrize(
    ("revision", "serves_from", "is_ready"),
    [
        (head(), "0013", True),
        ("0013", "0012", True),
        ("0012", "0012", False),
        ("9999", head(), True),
        ("9999", "9998", False),
    ],
    ids=["its own", "the oldest", "older", "newer", "newer, and not for this version"],
)
def test_a_schema_says_which_servers_work_with_it(
    database_url: str,
    revision: str,
    serves_from: str,
    is_ready: bool,  # noqa: FBT001
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s, serves_from = %s", [revision, serves_from])

    assert _problem(database_url) == (None if is_ready else "The database has another version of the schema")


def test_a_schema_from_before_it_said_so_is_not_ready(database_url: str) -> None:
    put_back(database_url)

    assert _problem(database_url) == "The database has another version of the schema"
