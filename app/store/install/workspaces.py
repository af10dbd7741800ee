"""Workspaces: the owners of logs."""

from datetime import UTC, datetime

import psycopg

from app.ledger.chain import GENESIS, NODE_LOG
from app.ledger.keyring import Keyring
from app.ledger.rotation import rotation_draft
from app.store.events.linker import Linker, Tip
from app.store.ledger.key_history import key_history
from app.store.postgres.clock import GET_CLOCK
from app.store.postgres.database import Database

CREATE_WORKSPACE = "INSERT INTO workspace (id, created_at) VALUES (%(id)s, %(now)s) ON CONFLICT DO NOTHING RETURNING id"
"""Creates a workspace. Returns no row if it exists, or existed."""

GET_NODE_AND_KEY_IN_FORCE = "SELECT node, kid FROM install FOR KEY SHARE"
"""The node, and its key. A change of keys waits for this transaction, and this transaction for a change of keys, so no
log is created with an old key."""

OPEN_LOG = """
INSERT INTO event_tip (workspace_id, seq, hash, recorded_at, kid) VALUES (%(id)s, -1, %(genesis)s, 'epoch', %(kid)s)
"""
"""Creates an empty log. Its first event gets seq 0 and links to 32 zero bytes."""

IS_WORKSPACE_DELETED = "SELECT FROM workspace WHERE id = %(id)s AND deleted_at IS NOT NULL"
"""Returns a row if the workspace was deleted."""

LIST_WORKSPACES = f"SELECT id, created_at FROM workspace WHERE id <> '{NODE_LOG}' AND deleted_at IS NULL ORDER BY id"
"""The workspaces with their times of creation, without the log of the node."""

WORKSPACE_EXISTS = "SELECT FROM workspace WHERE id = %(id)s AND deleted_at IS NULL"
"""Returns a row if the workspace exists."""


DEFAULT_WORKSPACE = "default"
"""The workspace that every install begins with."""


class WorkspaceError(Exception):
    """A workspace cannot be made or deleted; the message is one sentence for the operator."""


def no_workspace(slug: str) -> WorkspaceError:
    """The error for a slug that names no workspace."""
    return WorkspaceError(f"There is no workspace {slug!r}; see: synap workspaces list.")


def create_workspace(connection: psycopg.Connection, slug: str, keys: Keyring | None = None) -> bool:
    """Create a workspace and its log. Returns False if it exists. Raises WorkspaceError if it was deleted.

    If the install's key has changed, the log begins with an event about that, signed by the key in force. That needs
    the `keys`; WorkspaceError is raised if they do not contain the key.
    """
    with connection.transaction():
        [(now,)] = connection.execute(GET_CLOCK)
        if connection.execute(CREATE_WORKSPACE, {"id": slug, "now": now}).fetchone() is None:
            if connection.execute(IS_WORKSPACE_DELETED, {"id": slug}).fetchone() is not None:
                raise WorkspaceError(f"The workspace {slug!r} was deleted; the name of its log is never used again.")
            return False
        [(node, kid)] = connection.execute(GET_NODE_AND_KEY_IN_FORCE).fetchall()
        connection.execute(OPEN_LOG, {"id": slug, "genesis": GENESIS, "kid": kid})
        if rotations := key_history(connection):
            signer = None if keys is None else keys.signer(kid)
            if signer is None:
                raise WorkspaceError(f"Opening a log needs the signing key {kid}, which is not here; restore its file.")
            tip = Tip(-1, GENESIS, datetime.fromtimestamp(0, UTC), kid, counted=True)
            linker = Linker(signer, node, slug, tip, {}, now)
            linker.link([rotation_draft(rotations, node)])
            for statement, parameters in linker.writes(linker.kinds()):
                connection.execute(statement, parameters)
    return True


def list_workspaces(connection: psycopg.Connection) -> list[tuple[str, datetime]]:
    """Every workspace and its time of creation, in the order of the slugs."""
    return connection.execute(LIST_WORKSPACES).fetchall()


async def workspace_exists(database: Database, slug: str) -> bool:
    """Whether a workspace exists. Raises Unavailable."""
    return bool(await database.rows(WORKSPACE_EXISTS, {"id": slug}))
