"""Deletes a workspace. This is the only way in which events leave the database; it needs a role that no server has."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
from psycopg.errors import DuplicateObject, InsufficientPrivilege, UniqueViolation

from app.ledger.chain import NODE_LOG
from app.store.audit.log import enter
from app.store.events.linker import LOCK_TIP
from app.store.install.parts import is_distributed
from app.store.install.workspaces import WorkspaceError, no_workspace
from app.store.ledger.heads import FORGET_LEAVES
from app.store.postgres.roles import CUSTODIAN, power

HAS_CUSTODIAN = f"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '{CUSTODIAN}')"
"""Whether the custodian's role exists."""

MAY_BE_CUSTODIAN = f"SELECT pg_has_role('{CUSTODIAN}', %s)"
"""Whether this login may act as the custodian."""

LOCK_DELETION = f"SELECT pg_advisory_xact_lock(hashtext('{CUSTODIAN}'))"
"""Lets one transaction at a time delete a workspace: PostgreSQL rejects a second one that changes a table's rights
meanwhile."""

GET_LAST_EVENT = "SELECT seq, hash FROM event_tip WHERE workspace_id = %(workspace)s"
"""The last event of the log that is deleted."""

END_DISPATCH = """
UPDATE dispatch AS d SET seq = t.seq, version = d.version + 1 FROM event_tip AS t
WHERE d.workspace_id = %(workspace)s AND t.workspace_id = %(workspace)s
"""
"""Moves the dispatch to the end of the log. A server that is looking through the log then finds that nothing is
left."""

LOCK_ALL_SUBSCRIPTIONS = "SELECT FROM subscription WHERE workspace_id = %(workspace)s ORDER BY id FOR UPDATE"
"""Locks the subscriptions of the workspace, in the order of all statements that lock several."""

TABLES = (
    *("attempt", "delivery", "subscription"),
    *(
        "intent_start",
        "intent_party",
        "intent",
        "event_count",
        "producer_count",
        "merkle_node",
        "rate_window",
        "tree_head",
        "event_tip",
    ),
)
"""The tables that hold rows of a workspace besides `event`. Its audit stays, and its row, so that the slug never names
another log."""

HAS_TABLE = "SELECT to_regclass(%s) IS NOT NULL"
"""Whether a table exists. An older schema, with which this version works too, lacks some."""

DELETE_FROM = "DELETE FROM {} WHERE workspace_id = %(workspace)s"
"""Deletes the rows that a table has of the workspace."""

MARK_WORKSPACE_DELETED = "UPDATE workspace SET deleted_at = %(now)s WHERE id = %(workspace)s"
"""Marks the workspace as deleted."""

REVOKE_KEYS_OF_WORKSPACE = """
UPDATE api_key SET revoked_at = coalesce(revoked_at, %(now)s) WHERE workspaces <@ ARRAY[%(workspace)s::text]
"""
"""Revokes the keys that act only in the workspace."""

LEAVE_KEYS = """
UPDATE api_key SET workspaces = array_remove(workspaces, %(workspace)s::text),
    must_name = must_name OR workspaces[1] = %(workspace)s::text
WHERE %(workspace)s::text = ANY(workspaces) AND NOT workspaces <@ ARRAY[%(workspace)s::text]
"""
"""Takes the workspace out of the keys that act elsewhere too. If it was a key's default, the key gets no other default:
its calls must name a workspace."""


def delete_workspace(connection: psycopg.Connection, slug: str) -> int:
    """Delete a workspace with everything except its audit, and revoke the keys that act only in it, all or nothing.

    Returns how many events its log had. The audits of the install and of the workspace record this number and the log's
    last hash. Raises WorkspaceError if there is no such workspace, or if the login may not act as the role that deletes
    events.
    """
    of = {"workspace": slug, "now": datetime.now(UTC)}
    try:
        _require_login(connection)
        _make_custodian(connection)
        with connection.transaction():
            connection.execute(LOCK_DELETION)
            connection.execute(LOCK_TIP, {"workspace": NODE_LOG})  # so that no event anchors the log meanwhile
            connection.execute(LOCK_TIP, of)
            tip = connection.execute(GET_LAST_EVENT, of).fetchone()
            if tip is None or slug == NODE_LOG:
                raise no_workspace(slug)
            # In the order in which the dispatch takes its locks.
            connection.execute(END_DISPATCH, of)
            connection.execute(LOCK_ALL_SUBSCRIPTIONS, of)
            with _as_custodian(connection):
                connection.execute(DELETE_FROM.format("event"), of)
            for table in TABLES:
                if _is_true(connection, HAS_TABLE, table):
                    connection.execute(DELETE_FROM.format(table), of)
            if _is_true(connection, HAS_TABLE, "tree_leaf"):
                connection.execute(FORGET_LEAVES, of)
            for statement in (MARK_WORKSPACE_DELETED, REVOKE_KEYS_OF_WORKSPACE, LEAVE_KEYS):
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
        make = "" if _is_true(connection, HAS_CUSTODIAN) else f"CREATE ROLE {CUSTODIAN} NOLOGIN; "
        raise WorkspaceError(
            f"The login {login} may not delete events; an administrator of the database gives it leave with: {make}"
            f"GRANT {CUSTODIAN} TO {login}."
        ) from None
    return events


def _make_custodian(connection: psycopg.Connection) -> None:
    """Create the role if it is missing. All databases of a PostgreSQL server share it, and may create it at once."""
    if not _is_true(connection, HAS_CUSTODIAN):
        try:
            connection.execute(f"CREATE ROLE {CUSTODIAN} NOLOGIN")
        except (DuplicateObject, UniqueViolation):
            return


def _require_login(connection: psycopg.Connection) -> None:
    """Raise WorkspaceError if the database is distributed and this is not the custodian's own login."""
    if connection.info.user != CUSTODIAN and is_distributed(connection):
        make = "ALTER" if _is_true(connection, HAS_CUSTODIAN) else "CREATE"
        raise WorkspaceError(
            f"The database is distributed, so a workspace is deleted by a login of its own: run {make} ROLE "
            f"{CUSTODIAN} LOGIN PASSWORD '...', then synap migrate --grant {CUSTODIAN}, and this with the "
            "SYNAP_DATABASE_URL of that role."
        )


@contextmanager
def _as_custodian(connection: psycopg.Connection) -> Iterator[None]:
    """Act as the custodian during the block.

    Only the caller's transaction sees the rights that are granted for that.
    """
    if connection.info.user == CUSTODIAN:
        yield
        return
    as_member = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    may_be = _is_true(connection, MAY_BE_CUSTODIAN, as_member)
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
