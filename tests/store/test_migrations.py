"""The migrations make what the tables say, and the schema keeps what the design promises of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

import app.store.install.tables
from app.store.install.install import InstallError, head, migrate
from tests.kit.servers import cloned

assert app.store.install.tables, "registers the tables"

TEXT_COLUMNS = """
SELECT table_name || '.' || column_name, coalesce(collation_name, 'default') FROM information_schema.columns
WHERE table_schema = 'public' AND data_type IN ('text', 'character varying') AND table_name <> 'alembic_version'
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


def test_a_newer_schema_is_left_alone(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(InstallError, match="migrated by a newer version of this server; run that one"):
        migrate(database_url)

    assert _revision(database_url) == "9999"
