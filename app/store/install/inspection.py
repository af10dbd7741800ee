"""Reads the facts about a database that an operator asks for. Nothing here changes the database."""

from collections.abc import Iterator
from hashlib import sha256

import msgspec
import psycopg
from psycopg.errors import UndefinedTable

from app.ledger.chain import ROLLED_BACK_TYPE
from app.ledger.kept import RolledBack
from app.ledger.merkle import Frontier
from app.store.install.keys import IS_VALID
from app.store.install.totals import COUNT_PENDING_DELIVERIES
from app.store.install.workspaces import IS_WORKSPACE_DELETED
from app.store.postgres.clock import GET_CLOCK, skew_seconds, utc_now
from app.store.postgres.nodes import WHOLE, Part, spanning
from app.store.postgres.pipe import Row
from app.store.postgres.readiness import FIND_MISSING_RIGHT, GET_STATE, RIGHTS, works_with

GET_REVISION = "SELECT version_num FROM alembic_version"
"""The revision of the schema."""

GET_LOG_SIZE = "SELECT seq + 1 FROM event_tip WHERE workspace_id = %(log)s"
"""The number of events of a log."""

LIST_LEAVES = "SELECT hash FROM event WHERE workspace_id = %(log)s AND seq < %(size)s ORDER BY seq"
"""The hashes of the first events of a log, which are the leaves of its tree."""

LIST_LOOSE_TIPS = spanning(
    """
SELECT t.workspace_id FROM event_tip AS t LEFT JOIN LATERAL (
    SELECT seq, hash FROM event WHERE workspace_id = t.workspace_id AND {part} ORDER BY seq DESC LIMIT 1
) AS last ON true
WHERE ((t.seq, t.hash) IS DISTINCT FROM (coalesce(last.seq, -1), coalesce(last.hash, decode(repeat('00', 32), 'hex')))
    OR t.kid <> (SELECT kid FROM install)) AND {part:t}
ORDER BY t.workspace_id
"""
)
"""The logs whose tip is not their last event, or does not name the key in force."""

LIST_LATE_TIPS = spanning("""
SELECT workspace_id FROM event_tip WHERE recorded_at > clock_timestamp() + interval '1 minute' AND {part}
ORDER BY workspace_id
""")
"""The logs whose last event has a time in the future."""

LIST_GUARDS = "SELECT tgname, tgenabled = 'A' FROM pg_trigger WHERE tgname = ANY(%(guards)s)"
"""The triggers that protect the logs, and whether each rejects changes in every session."""

GUARDS = {
    "event_kept": "event",
    "event_kept_whole": "event",
    "audit_kept": "audit_entry",
    "audit_kept_whole": "audit_entry",
}
"""These triggers, each with its table."""

LIST_UNSAFE_SETTINGS = (
    "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting <> 'on' ORDER BY name"
)
"""The settings that are off, and without which a power cut can lose what was committed. `synchronous_commit` is not one
of them: each of our connections sets it."""

LIST_DISABLED_SUBSCRIPTIONS = spanning(
    "SELECT workspace_id, id FROM subscription WHERE state = 'disabled' AND {part} ORDER BY workspace_id, id LIMIT 10"
)
"""Some of the subscriptions that were disabled."""

LIST_SEALED_SECRETS = spanning(
    "SELECT workspace_id, id, secret FROM subscription WHERE state <> 'deleted' AND {part} ORDER BY workspace_id, id"
)
"""The sealed secret of every subscription that is not deleted."""

COUNT_KEYS = f"SELECT count(*) FILTER (WHERE {IS_VALID}), count(*) FROM api_key"
"""How many keys are valid, and how many exist."""

IS_VALID_TOKEN = f"SELECT FROM api_key WHERE {IS_VALID} AND token_sha256 = %s"
"""Returns a row if the token is that of a valid key."""

LIST_ACCEPTED_LOSSES = f"""
SELECT id::text, data FROM event WHERE workspace_id = %(workspace)s AND type = '{ROLLED_BACK_TYPE}' ORDER BY seq
"""
"""The losses of a log that an administrator has accepted."""

IS_DELETED_BY_AUDIT = """
SELECT FROM audit_entry
WHERE workspace_id = '_node' AND action = 'workspace.deleted'
    AND position(concat('"workspace":', to_json(%(workspace)s::text)) IN detail) > 0
"""
"""Returns a row if the audit says that an administrator deleted the workspace."""

LIST_STOPPED_LOGS = spanning("""
SELECT workspace_id, lost_size, lost_root, seq, hash, recorded_at, kid, counted FROM event_tip
WHERE lost_size IS NOT NULL AND {part} ORDER BY workspace_id
""")
"""The logs that were stopped because they lost events, with their tips."""

LEAVES_AT_ONCE = 10_000


def revision(connection: psycopg.Connection) -> str | None:
    """The revision of the schema; None if there is none."""
    try:
        row = connection.execute(GET_REVISION).fetchone()
    except UndefinedTable:
        return None
    return None if row is None else str(row[0])


def serves(connection: psycopg.Connection, code: str) -> bool:
    """Whether code with the newest revision `code` works with the schema, which may be newer."""
    [(revision, serves_from, *_)] = connection.execute(GET_STATE)
    return works_with(code, revision, serves_from)


def guards_off(connection: psycopg.Connection) -> tuple[list[str], list[str]]:
    """The triggers of `GUARDS` that are missing, and those that are switched off, be it only for some sessions."""
    found: dict[str, bool] = dict(connection.execute(LIST_GUARDS, {"guards": list(GUARDS)}).fetchall())
    return [name for name in GUARDS if name not in found], [name for name in GUARDS if found.get(name) is False]


def loose_tips(connection: psycopg.Connection, part: Part) -> list[str]:
    """The logs whose tip is not their last event, or that another key than the install's signs. Safe beside appends."""
    return [log for (log,) in connection.execute(*part.call(LIST_LOOSE_TIPS))]


def late_tips(connection: psycopg.Connection, part: Part) -> list[str]:
    """The logs whose last event has a time that is more than a minute in the future."""
    return [log for (log,) in connection.execute(*part.call(LIST_LATE_TIPS))]


def is_read_only(connection: psycopg.Connection) -> bool:
    """Whether the database is read-only."""
    [(_, _, read_only, _)] = connection.execute(GET_STATE)
    return bool(read_only)


def missing_right(connection: psycopg.Connection) -> tuple[str, str] | None:
    """A table and a right on it that the server needs and its role lacks, if there is one."""
    return connection.execute(FIND_MISSING_RIGHT, RIGHTS).fetchone()


def unsafe_settings(connection: psycopg.Connection) -> list[str]:
    """The settings of the database that are off, although durability depends on them."""
    return [name for (name,) in connection.execute(LIST_UNSAFE_SETTINGS)]


def clock_ahead_seconds(connection: psycopg.Connection) -> float:
    """By how much the database's clock is ahead of this machine's; 0 if they may agree."""
    asked_at = utc_now()
    [(database_time,)] = connection.execute(GET_CLOCK)
    return -skew_seconds(asked_at, database_time, utc_now())


def disabled_subscriptions(connection: psycopg.Connection, part: Part) -> list[str]:
    """Some of the disabled webhooks: workspace and id."""
    return [f"{log}/{id_}" for log, id_ in connection.execute(*part.call(LIST_DISABLED_SUBSCRIPTIONS))]


def sealed_secrets(connection: psycopg.Connection, part: Part = WHOLE) -> list[tuple[str, str, bytes]]:
    """The sealed secret of each webhook: workspace, id, secret."""
    return list(connection.execute(*part.call(LIST_SEALED_SECRETS)))


def owed_deliveries(connection: psycopg.Connection, part: Part) -> tuple[int, float]:
    """The deliveries that have not ended, and for how many seconds the oldest has been due."""
    [(pending, overdue_seconds)] = connection.execute(*part.call(COUNT_PENDING_DELIVERIES))
    return pending, overdue_seconds


def keys(connection: psycopg.Connection) -> tuple[int, int]:
    """How many keys are valid, and how many exist."""
    [(valid, every)] = connection.execute(COUNT_KEYS)
    return valid, every


def is_key(connection: psycopg.Connection, token: str) -> bool:
    """Whether a token is that of a valid key."""
    return connection.execute(IS_VALID_TOKEN, (sha256(token.encode()).digest(),)).fetchone() is not None


def is_deleted(connection: psycopg.Connection, log: str) -> bool:
    """Whether the log was deleted."""
    return connection.execute(IS_WORKSPACE_DELETED, {"id": log}).fetchone() is not None


def is_deleted_by_audit(connection: psycopg.Connection, log: str) -> bool:
    """Whether the audit says that an administrator deleted the workspace."""
    return connection.execute(IS_DELETED_BY_AUDIT, {"workspace": log}).fetchone() is not None


def stopped_logs(connection: psycopg.Connection, part: Part = WHOLE) -> list[str]:
    """The stopped logs: they lost events, so nothing is appended to them."""
    return [log for log, *_ in connection.execute(*part.call(LIST_STOPPED_LOGS))]


def accepted_losses(connection: psycopg.Connection, log: str) -> list[tuple[str, RolledBack]]:
    """The id and the data of each event `synap.log.rolledback` of a log."""
    return [to_accepted(row) for row in connection.execute(LIST_ACCEPTED_LOSSES, {"workspace": log})]


def to_accepted(row: Row) -> tuple[str, RolledBack]:
    """The id and the data in a row of `LIST_ACCEPTED_LOSSES`."""
    id_, data = row
    return id_, msgspec.json.decode(data, type=RolledBack)


def log_size(connection: psycopg.Connection, log: str) -> int | None:
    """How many events a log has; None if there is no such log."""
    row = connection.execute(GET_LOG_SIZE, {"log": log}).fetchone()
    return None if row is None else int(row[0])


def tree(connection: psycopg.Connection, log: str, size: int) -> Frontier:
    """The Merkle tree of the first `size` events, or of those that exist."""
    found = Frontier()
    for leaf in _leaves(connection, log, size):
        found.push(leaf)
    return found


def _leaves(connection: psycopg.Connection, log: str, size: int) -> Iterator[bytes]:
    """Yield the hashes of the first `size` events, which are read in pieces."""
    with connection.transaction(), connection.cursor("leaves") as cursor:
        cursor.itersize = LEAVES_AT_ONCE
        cursor.execute(LIST_LEAVES, {"log": log, "size": size})
        for (leaf,) in cursor:
            yield leaf
