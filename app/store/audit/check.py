"""Checks whether the audit of every workspace is intact, for `synap doctor`. Nothing here changes the database."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby

import msgspec
import psycopg

from app.ledger.audit import first_broken
from app.ledger.chain import AUDIT_TIP_TYPE
from app.store.audit.log import ENTRY_JSON
from app.store.postgres.nodes import WHOLE, Part, Spanning, spanning
from schemas.audit import AuditEntry

READ_ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
"""Makes all statements of the check see the same state, because servers may enter acts meanwhile."""

LIST_ALL_ENTRIES = Spanning(
    *(
        f"SELECT convert_to({ENTRY_JSON}, 'UTF8') FROM audit_entry WHERE {where} ORDER BY workspace_id, seq"
        for where in ("true", "workspace_id = ANY(%(workspaces)s::text[])")
    )
)
"""Every entry, audit by audit."""

LIST_LOOSE_AUDITS = spanning(
    """
SELECT t.workspace_id FROM audit_tip AS t LEFT JOIN LATERAL (
    SELECT seq, hash FROM audit_entry WHERE workspace_id = t.workspace_id AND {part} ORDER BY seq DESC LIMIT 1
) AS last ON true
WHERE t.seq >= 0 AND (t.seq, t.hash) IS DISTINCT FROM (last.seq, last.hash) AND {part:t} ORDER BY t.workspace_id
"""
)
"""The audits whose last entry is not the one that their tip names."""

LIST_REPORTS = spanning(
    f"""
SELECT told.data FROM event_tip AS t CROSS JOIN LATERAL (
    SELECT data FROM event WHERE workspace_id = t.workspace_id AND type = '{AUDIT_TIP_TYPE}' AND {{part}}
) AS told WHERE {{part:t}}
"""
)
"""What the signed logs report of the ends of audits."""

LIST_HASHES = """
SELECT seq, concat('sha256:', encode(hash, 'hex')) FROM audit_entry
WHERE workspace_id = %(workspace)s AND seq = ANY(%(seqs)s::bigint[])
"""
"""The hashes of some entries of an audit."""


class _Tip(msgspec.Struct, frozen=True):
    """The end of an audit, as a signed log reports it."""

    log: str
    seq: int
    hash: str


class _Report(msgspec.Struct, frozen=True):
    """The data of an event that reports ends of audits."""

    tips: list[_Tip]


def audit_faults(connection: psycopg.Connection, part: Part = WHOLE) -> list[str]:
    """One sentence for each fault of the audits. Every entry is read and hashed."""
    with connection.transaction():
        connection.execute(READ_ONE_SNAPSHOT)
        return [
            *_broken_chains(connection, part),
            *(
                f"The audit of {log} does not end where its tip says."
                for (log,) in connection.execute(*part.call(LIST_LOOSE_AUDITS))
            ),
            *(
                f"The audit of {log} lacks the entry {seq} that a signed log names: somebody removed or changed it."
                for log, seq in _contradicted(connection, part)
            ),
        ]


def _broken_chains(connection: psycopg.Connection, part: Part) -> Iterator[str]:
    with connection.cursor("audit") as cursor:
        cursor.execute(*part.call(LIST_ALL_ENTRIES))
        entries = (msgspec.json.decode(entry, type=AuditEntry) for (entry,) in cursor)
        for log, chain in groupby(entries, lambda entry: entry.log):
            broken = first_broken(chain, whole=True)
            if broken is not None:
                yield f"The audit of {log} is broken at entry {broken.seq}: {broken.problem}."


def _contradicted(connection: psycopg.Connection, part: Part) -> Iterator[tuple[str, int]]:
    """The entries that are missing or differ from what the signed logs report, in the order of logs and seqs."""
    reported: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for (data,) in connection.execute(*part.call(LIST_REPORTS)):
        for tip in msgspec.json.decode(data, type=_Report).tips:
            reported[tip.log].add((tip.seq, tip.hash))
    known = reported if part.workspaces is None else reported.keys() & set(part.workspaces)
    for log in sorted(known):
        seqs = [seq for seq, _ in reported[log]]
        hashes: dict[int, str] = dict(connection.execute(LIST_HASHES, {"workspace": log, "seqs": seqs}).fetchall())
        for seq in sorted({seq for seq, hash_ in reported[log] if hashes.get(seq) != hash_}):
            yield log, seq
