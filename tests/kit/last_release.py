"""The schema of the last release. Servers of this version work with it too, but slowly."""

import psycopg

from app.filters.sql import KINDS, has_kind

SCHEMA = (
    "DROP TABLE intent_party, intent_start, intent",
    "DROP TABLE tree_head, tree_leaf, node_witness, cosignature, witness, witnessed_log",
    "ALTER TABLE install DROP COLUMN headed_at, DROP COLUMN cosigned_size",
    "ALTER TABLE api_key DROP COLUMN authors, DROP COLUMN author_required",
    "DROP INDEX event_kinds_ix",
    "DROP STATISTICS event_kinds_st",
    "CREATE UNIQUE INDEX event_workspace_id_recorded_at_ix ON event (workspace_id, recorded_at)",
    "CREATE INDEX event_with_metadata_ix ON event (workspace_id, seq) WHERE metadata IS NOT NULL",
    *(f"CREATE INDEX event_with_{kind}_ix ON event (workspace_id, seq) WHERE {has_kind(kind)}" for kind in KINDS),
    *(f"CREATE STATISTICS event_with_{kind}_st ON (strpos(metadata, '\"{kind}\":')) FROM event" for kind in KINDS),
    "ALTER TABLE alembic_version DROP COLUMN serves_from",
    "UPDATE alembic_version SET version_num = '0012'",
)

LAST_SERVER = "synap server"
"""The application name of the last release's servers."""


def put_back(url: str) -> None:
    """Give a database the schema of the last release."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in SCHEMA:
            connection.execute(statement)


def indexes(url: str) -> set[str]:
    """The valid indexes of the table `event`."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'event'::regclass AND indisvalid"
        )
        return {name for (name,) in rows}
