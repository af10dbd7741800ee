"""Whether the database can serve."""

from collections.abc import Callable
from datetime import datetime

from app.store.postgres.clock import fault, skew_seconds, utc_now
from app.store.postgres.database import Database
from schemas.errors import Unavailable

HAS_SCHEMA = "SELECT to_regclass('alembic_version') IS NOT NULL"
"""Whether the schema was ever created."""

OLDEST = "0013"
"""The oldest schema that this code works with."""

GET_STATE = """
SELECT version_num, to_jsonb(alembic_version) ->> 'serves_from',
    pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, clock_timestamp()
FROM alembic_version
"""
"""The revision of the schema, the oldest revision whose servers work with it (null before 0013), whether the database
is read-only (a standby, or one with `default_transaction_read_only`), and its clock."""

UPDATED = (
    *("api_key", "attempt", "audit_tip", "cosignature", "delivery", "dispatch", "event_count", "event_tip", "install"),
    *("intent", "intent_party", "intent_start", "node_witness", "producer_count", "rate_window", "subscription"),
    *("tree_head", "witnessed_log"),
)
"""The tables whose rows change while the server runs."""

GROWING = (
    *(*UPDATED, "audit_entry", "event", "key_rotation", "merkle_node", "registered_type", "tree_leaf", "witness"),
    "workspace",
)
"""The tables to which rows are added."""

ERASED = ("event",)
"""The tables whose rows can lose their bodies. A trigger allows no other change."""

DELETED = ("attempt", "cosignature", "delivery", "event_count", "intent_party", "producer_count", "subscription")
"""The tables from which a server deletes rows while it runs."""

NEEDED = [
    *((table, right) for table in GROWING for right in ("SELECT", "INSERT")),
    *((table, "UPDATE") for table in (*UPDATED, *ERASED)),
    *((table, "DELETE") for table in DELETED),
]
"""All rights that a server needs while it runs: a table and a right on it."""

FIND_MISSING_RIGHT = """
SELECT name, needed FROM unnest(%(tables)s::text[], %(rights)s::text[]) AS rights (name, needed)
WHERE NOT CASE
    WHEN to_regclass(name) IS NULL THEN true
    WHEN needed = 'DELETE' THEN has_table_privilege(name, needed) ELSE has_any_column_privilege(name, needed) END
ORDER BY name, needed LIMIT 1
"""
"""A table and a right on it that the server needs and its role lacks, if there is one. An older schema lacks tables,
which the server does without."""

RIGHTS = {"tables": [table for table, _ in NEEDED], "rights": [right for _, right in NEEDED]}


def works_with(code: str, revision: str, serves_from: str | None) -> bool:
    """Whether code with the newest revision `code` works with a schema of this `revision` and `serves_from`."""
    return revision >= OLDEST and (revision <= code or (serves_from is not None and serves_from <= code))


class Readiness:
    """Checks whether this code works with the database's schema, and whether the server may write."""

    def __init__(self, database: Database, revision: str, now: Callable[[], datetime] = utc_now) -> None:
        """`revision` is the newest of this code."""
        self._database = database
        self._revision = revision
        self._now = now

    async def problem(self) -> str | None:
        """One sentence about what is missing, or None."""
        try:
            return await self._problem()
        except Unavailable as error:
            return error.message

    async def _problem(self) -> str | None:
        if not (await self._database.rows(HAS_SCHEMA, {}))[0][0]:
            return "The database is not migrated"
        asked_at = self._now()
        states = await self._database.rows(GET_STATE, {})
        answered_at = self._now()
        if not states or not works_with(self._revision, *states[0][:2]):
            return "The database has another version of the schema"
        if states[0][2]:
            return "The database is read-only"
        if wrong := fault(skew_seconds(asked_at, states[0][3], answered_at)):
            return wrong
        if missing := await self._database.rows(FIND_MISSING_RIGHT, RIGHTS):
            [(table, right)] = missing
            return f"The database's role lacks the right to {right} on the table {table}; grant it"
        return None
