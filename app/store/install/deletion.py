"""Deleting a workspace: the one way in which events leave the database, by a role that no server acts as."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
from psycopg.errors import DuplicateObject, InsufficientPrivilege, UniqueViolation

from app.ledger.chain import NODE_LOG
from app.store.audit.log import enter
from app.store.events.linker import LOCK
from app.store.install.workspaces import WorkspaceError
from app.store.postgres.roles import power

CUSTODIAN = "synap_custodian"
"""The role that alone may delete events, says the trigger `event_kept`. Nobody logs in as it."""

HAS_ROLE = f"SELECT FROM pg_roles WHERE rolname = '{CUSTODIAN}'"

MAY_BE = f"SELECT pg_has_role('{CUSTODIAN}', %s)"

ONE_AT_A_TIME = f"SELECT pg_advisory_xact_lock(hashtext('{CUSTODIAN}'))"
"""PostgreSQL refuses two transactions that change the leave to one table."""

TIP = "SELECT seq, hash FROM event_tip WHERE workspace_id = %(workspace)s"

END_DISPATCH = """
UPDATE dispatch AS d SET seq = t.seq, version = d.version + 1 FROM event_tip AS t
WHERE d.workspace_id = %(workspace)s AND t.workspace_id = %(workspace)s
"""
"""The row stays, at the end of the log: a server that is looking through it finds that nothing is left."""

LOCK_SUBSCRIPTIONS = "SELECT FROM subscription WHERE workspace_id = %(workspace)s ORDER BY id FOR UPDATE"

TABLES = (
    *("attempt", "delivery", "subscription"),
    *("event_count", "producer_count", "merkle_node", "rate_window", "event_tip"),
)
"""What a workspace has besides its events. Its audit stays, and its row: the slug never names another log."""

MARK = "UPDATE workspace SET deleted_at = %(now)s WHERE id = %(workspace)s"

REVOKE_KEYS = """
UPDATE api_key SET revoked_at = coalesce(revoked_at, %(now)s) WHERE workspaces <@ ARRAY[%(workspace)s::text]
"""

LEAVE_KEYS = """
UPDATE api_key SET workspaces = array_remove(workspaces, %(workspace)s::text),
    must_name = must_name OR workspaces[1] = %(workspace)s::text
WHERE %(workspace)s::text = ANY(workspaces) AND NOT workspaces <@ ARRAY[%(workspace)s::text]
"""
"""A key that acted there if a call named no workspace acts in no other one instead: its calls must name one."""


def delete_workspace(connection: psycopg.Connection, slug: str) -> int:
    """Delete a workspace with all that it has but its audit, and end the keys that are its alone. All or nothing.

    Answers how many events its log had; the audit of the install and of the workspace say so, and its last hash.
    Raises WorkspaceError where there is no such workspace, or the login may not act as the role that deletes events.
    """
    of = {"workspace": slug, "now": datetime.now(UTC)}
    try:
        _make_custodian(connection)
        with connection.transaction():
            connection.execute(ONE_AT_A_TIME)
            connection.execute(LOCK, of)
            tip = connection.execute(TIP, of).fetchone()
            if tip is None or slug == NODE_LOG:
                raise WorkspaceError(f"There is no workspace {slug!r}; see: synap workspaces list.")
            # In the order in which the dispatch takes its locks.
            connection.execute(END_DISPATCH, of)
            connection.execute(LOCK_SUBSCRIPTIONS, of)
            with _as_custodian(connection):
                connection.execute("DELETE FROM event WHERE workspace_id = %(workspace)s", of)
            for table in TABLES:
                connection.execute(f"DELETE FROM {table} WHERE workspace_id = %(workspace)s", of)
            for statement in (MARK, REVOKE_KEYS, LEAVE_KEYS):
                connection.execute(statement, of)
            events: int = tip[0] + 1
            detail = {"workspace": slug, "events": events, "hash": f"sha256:{tip[1].hex()}"}
            enter(connection, "workspace.deleted", detail, [NODE_LOG, slug])
    except InsufficientPrivilege:
        login = connection.info.user
        if not power(connection).is_owner:
            raise WorkspaceError(
                f"The login {login} may not delete events; run this with the SYNAP_DATABASE_URL of the role that owns "
                "the tables."
            ) from None
        make = "" if connection.execute(HAS_ROLE).fetchone() else f"CREATE ROLE {CUSTODIAN} NOLOGIN; "
        raise WorkspaceError(
            f"The login {login} may not delete events; an administrator of the database gives it leave with: {make}"
            f"GRANT {CUSTODIAN} TO {login}."
        ) from None
    return events


def _make_custodian(connection: psycopg.Connection) -> None:
    """Make the role where it is missing. It belongs to all databases of the PostgreSQL, which may make it at once."""
    if connection.execute(HAS_ROLE).fetchone() is None:
        try:
            connection.execute(f"CREATE ROLE {CUSTODIAN} NOLOGIN")
        except (DuplicateObject, UniqueViolation):
            return


@contextmanager
def _as_custodian(connection: psycopg.Connection) -> Iterator[None]:
    """Act as the role within the caller's transaction, which alone sees what leave was missing and is given for it."""
    as_member = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    may_be = _is_true(connection, MAY_BE, as_member)
    connection.execute(f"GRANT SELECT, DELETE ON event TO {CUSTODIAN}")
    if not may_be:
        connection.execute(f"GRANT {CUSTODIAN} TO CURRENT_USER")
    connection.execute(f"SET LOCAL ROLE {CUSTODIAN}")
    yield
    connection.execute("RESET ROLE")
    connection.execute(f"REVOKE SELECT, DELETE ON event FROM {CUSTODIAN}")
    if not may_be:
        connection.execute(f"REVOKE {CUSTODIAN} FROM CURRENT_USER")


def _is_true(connection: psycopg.Connection, question: str, *arguments: object) -> bool:
    return connection.execute(question, arguments).fetchone() == (True,)
