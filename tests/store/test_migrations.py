"""The migrations create the tables as declared, and the schema keeps the promises of the design."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

import app.store.install.intent_tables
import app.store.install.tree_tables
import app.store.install.witness_tables
from app.store.install.install import InstallError, head, migrate
from app.store.intents.rebuild import Rebuilt
from app.store.postgres.database import APPLICATION
from tests.kit.databases import as_role
from tests.kit.last_release import LAST_SERVER, indexes, put_back
from tests.kit.servers import cloned, until
from tests.store.asking import asking
from tests.store.opened import draft, opened

assert app.store.install.intent_tables, "the import registers the tables"
assert app.store.install.tree_tables, "the import registers the tables"
assert app.store.install.witness_tables, "the import registers the tables"

TEXT_COLUMNS = """
SELECT table_name || '.' || column_name, coalesce(collation_name, 'default') FROM information_schema.columns
WHERE table_schema = 'public' AND data_type IN ('text', 'character varying') AND table_name <> 'alembic_version'
    AND NOT starts_with(table_name, 'citus_')
"""

UNIQUE_INDEXES = """
SELECT i.indexrelid::regclass::text, a.attname FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = i.indexrelid AND a.attnum = 1
WHERE i.indisunique AND n.nspname = 'public' AND EXISTS (
    SELECT FROM pg_attribute AS w WHERE w.attrelid = i.indrelid AND w.attname = 'workspace_id')
"""


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    """A database without any table."""
    with cloned(postgres_url, "template0", "test_migrations_empty") as url:
        yield url


def _revision(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert row is not None
    return str(row[0])


def test_models_and_migrations_agree(database_url: str) -> None:
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, SQLModel.metadata)
    engine.dispose()

    assert SQLModel.metadata.tables
    assert differences == []


def test_every_text_is_compared_by_bytes(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        collations: dict[str, str] = dict(connection.execute(TEXT_COLUMNS).fetchall())

    assert "event.type" in collations
    assert set(collations.values()) == {"C"}, collations


def test_what_a_workspace_owns_is_unique_within_it(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        firsts: dict[str, str] = dict(connection.execute(UNIQUE_INDEXES).fetchall())

    assert "event_pkey" in firsts
    assert set(firsts.values()) == {"workspace_id"}, firsts


def test_migrating_again_changes_nothing(database_url: str) -> None:
    migrate(database_url)

    assert _revision(database_url) == head()


def test_two_processes_may_migrate_at_once(empty_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(migrate, empty_url) for _ in range(3)]:
            done.result(timeout=30)

    assert _revision(empty_url) == head()


def test_an_upgrade_comes_to_what_a_new_database_has(database_url: str) -> None:
    new = indexes(database_url)
    put_back(database_url)

    migrate(database_url)

    assert _revision(database_url) == head()
    assert indexes(database_url) == new
    test_models_and_migrations_agree(database_url)


def test_an_index_that_a_killed_upgrade_left_is_made_anew(database_url: str, tmp_path: Path) -> None:
    put_back(database_url)
    with opened(database_url, tmp_path) as store, psycopg.connect(database_url, autocommit=True) as connection:
        store.append(draft(), draft())
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY event_kinds_ix ON event (workspace_id)")

    migrate(database_url)

    assert "event_kinds_ix" in indexes(database_url)
    test_models_and_migrations_agree(database_url)


def test_an_upgrade_finds_whose_the_intents_are(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as store:
        asked = asking(store)
        intents = [asked.approved(approvers=["boss"]), asked.ask(), asked.ask(approvers=["u1", "ann"])]
        asked.erase(intents[1].id)
        parties = asked.parties()
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DROP TABLE intent_party")
            connection.execute("UPDATE alembic_version SET version_num = '0018'")

        migrate(database_url)

        assert asked.parties() == parties
        assert asked.rebuilt() == Rebuilt(3, 0)
    assert len(parties) == 4


@pytest.mark.parametrize("name", [LAST_SERVER, "synap", "synap server 0012"])
def test_nothing_is_removed_while_an_older_server_is_connected(database_url: str, name: str) -> None:
    put_back(database_url)
    before = indexes(database_url)

    with psycopg.connect(database_url, application_name=name):
        migrate(database_url)
        held = _revision(database_url), indexes(database_url)
    with psycopg.connect(database_url, application_name=APPLICATION):
        until(lambda: _migrated(database_url) == head())

    assert held == ("0013", before | {"event_kinds_ix"})
    assert indexes(database_url) < held[1]


def _migrated(url: str) -> str:
    migrate(url)
    return _revision(url)


def test_a_server_of_the_last_release_starts_while_an_index_is_built(database_url: str) -> None:
    put_back(database_url)
    with ThreadPoolExecutor(2) as pool, psycopg.connect(database_url) as writer:
        writer.execute("LOCK TABLE event IN ROW EXCLUSIVE MODE")
        migrating = pool.submit(migrate, database_url)
        until(lambda: _builds(database_url))

        starting = pool.submit(_start_as_the_last_release_does, database_url)
        until(lambda: starting.done() or _wait_for_a_lock(database_url) == 2)
        writer.rollback()

        starting.result()
        migrating.result()
    assert _revision(database_url) == head()


def _start_as_the_last_release_does(url: str) -> None:
    """It waits for its turn without a limit; here it gives up, so that the migration can end."""
    with psycopg.connect(url, autocommit=True, options="-c statement_timeout=20s") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (0x53594E4150,))


def _builds(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT FROM pg_stat_progress_create_index").fetchone() is not None


def _wait_for_a_lock(url: str) -> int:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()").fetchall()
    return len(rows)


def test_servers_say_for_which_schema_they_were_written() -> None:
    assert f"synap server {head()}" == APPLICATION


def test_a_role_that_may_not_drop_indexes_continues(database_url: str) -> None:
    put_back(database_url)
    with psycopg.connect(database_url, application_name=LAST_SERVER):
        migrate(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest_of_migrations LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest_of_migrations")
        try:
            migrate(as_role(database_url, "guest_of_migrations"))
        finally:
            connection.execute("DROP OWNED BY guest_of_migrations")
            connection.execute("DROP ROLE guest_of_migrations")

    assert _revision(database_url) == "0013"


def test_a_newer_schema_is_left_alone(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999', serves_from = '9998'")

    with pytest.raises(InstallError, match="migrated by a newer version of this server; run that one"):
        migrate(database_url)

    assert _revision(database_url) == "9999"


def test_a_newer_schema_that_serves_this_version_is_used_as_it_is(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999', serves_from = %s", [head()])

    migrate(database_url)

    assert _revision(database_url) == "9999"
