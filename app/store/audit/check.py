"""Checks whether the audit of every workspace is intact, for `synap doctor`. Nothing here changes the database."""

from collections.abc import Iterator
from itertools import groupby

import msgspec
import psycopg

from app.ledger.audit import first_broken
from app.ledger.chain import AUDIT_TIP_TYPE
from app.store.audit.log import ENTRY_JSON
from schemas.audit import AuditEntry

READ_ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
"""Makes all statements of the check see the same state, because servers may enter acts meanwhile."""

LIST_ALL_ENTRIES = f"SELECT convert_to({ENTRY_JSON}, 'UTF8') FROM audit_entry ORDER BY workspace_id, seq"
"""Every entry, audit by audit."""

LIST_LOOSE_AUDITS = """
SELECT t.workspace_id FROM audit_tip AS t LEFT JOIN LATERAL (
    SELECT seq, hash FROM audit_entry WHERE workspace_id = t.workspace_id ORDER BY seq DESC LIMIT 1) AS last ON true
WHERE t.seq >= 0 AND (t.seq, t.hash) IS DISTINCT FROM (last.seq, last.hash) ORDER BY t.workspace_id
"""
"""The audits whose last entry is not the one that their tip names."""

LIST_CONTRADICTED_ENTRIES = f"""
SELECT DISTINCT tip.log, tip.seq FROM event_tip AS t CROSS JOIN LATERAL (
    SELECT data FROM event WHERE workspace_id = t.workspace_id AND type = '{AUDIT_TIP_TYPE}') AS told
CROSS JOIN LATERAL jsonb_to_recordset(told.data::jsonb -> 'tips') AS tip (log text, seq bigint, hash text)
LEFT JOIN audit_entry AS e ON e.workspace_id = tip.log AND e.seq = tip.seq
WHERE concat('sha256:', encode(e.hash, 'hex')) <> tip.hash ORDER BY 1, 2
"""
"""The entries that are missing or differ from what the signed logs report."""


def audit_faults(connection: psycopg.Connection) -> list[str]:
    """One sentence for each fault of the audits. Every entry is read and hashed."""
    with connection.transaction():
        connection.execute(READ_ONE_SNAPSHOT)
        return [
            *_broken_chains(connection),
            *(
                f"The audit of {log} does not end where its tip says."
                for (log,) in connection.execute(LIST_LOOSE_AUDITS)
            ),
            *(
                f"The audit of {log} lacks the entry {seq} that a signed log names: somebody removed or changed it."
                for log, seq in connection.execute(LIST_CONTRADICTED_ENTRIES)
            ),
        ]


def _broken_chains(connection: psycopg.Connection) -> Iterator[str]:
    with connection.cursor("audit") as cursor:
        cursor.execute(LIST_ALL_ENTRIES)
        entries = (msgspec.json.decode(entry, type=AuditEntry) for (entry,) in cursor)
        for log, chain in groupby(entries, lambda entry: entry.log):
            broken = first_broken(chain, whole=True)
            if broken is not None:
                yield f"The audit of {log} is broken at entry {broken.seq}: {broken.problem}."
