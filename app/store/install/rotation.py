"""Changes the install's signing key while servers run, in one transaction that appends an event to every log.

Locks have one order: the tip of `_node`, the install's row, the other tips, the audit. The new key's file exists before
any event names the key. Between the commit and the renaming of the files, servers find the new key beside the old one.
After a crash there, the next start (`set_up`) completes the change. A crash before the commit leaves a file that
nothing refers to.
"""

import base64
from collections.abc import Sequence
from datetime import datetime

import psycopg

from app.ledger.chain import NODE_LOG
from app.ledger.keyring import Keyring
from app.ledger.rotation import rotated, rotation_draft
from app.ledger.signer import Signer
from app.store.audit.log import enter
from app.store.events.linker import LIST_LOGS, LOCK_TIP, Linker, Tip
from app.store.install.install import InstallError
from app.store.ledger.key_history import kids
from app.store.postgres.clock import GET_CLOCK
from schemas.ledger import Rotation

LOCK_INSTALL = "SELECT FROM install FOR UPDATE"
"""Lets only one change of keys run at a time, and none while a log is created."""

GET_NODE_AND_KEY = "SELECT node, kid FROM install"
"""The node, and its key in force."""

LIST_TIPS = "SELECT workspace_id, seq, hash, recorded_at, kid, counted FROM event_tip ORDER BY workspace_id"
"""The tip of every log."""

FIND_STOPPED_LOG = "SELECT workspace_id FROM event_tip WHERE lost_size IS NOT NULL ORDER BY workspace_id LIMIT 1"
"""A log that was stopped because it lost events. It prevents a rotation, but a lost key can still be replaced: without
a key, no loss can be accepted."""

SET_KEY_OF_TIPS = "UPDATE event_tip SET kid = %(kid_new)s"
"""Makes the new key that of every log."""

SET_KEY_OF_INSTALL = "UPDATE install SET kid = %(kid_new)s"
"""Makes the new key that of the install."""

INSERT_ROTATION = """
INSERT INTO key_rotation (number, kid_old, kid_new, rotated_at, signature_old, signature_new)
SELECT count(*) + 1, %(kid_old)s, %(kid_new)s, %(rotated_at)s::timestamptz, %(signature_old)s, %(signature_new)s
FROM key_rotation
"""
"""Stores the signed change of keys under the next number."""

GET_KEY_IN_FORCE = "SELECT kid FROM install FOR KEY SHARE"
"""The key in force, which no other transaction changes until this one ends."""


def rotate_key(connection: psycopg.Connection, keys: Keyring) -> Rotation:
    """Replace the key in force, which is in `keys`, by a new one. If it raises InstallError, nothing was changed."""
    return _change(connection, keys, adopting=False)


def adopt_key(connection: psycopg.Connection, keys: Keyring) -> Rotation:
    """Replace the key in force, which is lost, by the one in its file, or by a new one if there is none.

    The logs show permanently that the old key did not sign this change. Raises InstallError, also if the key in force
    exists; nothing was changed then.
    """
    return _change(connection, keys, adopting=True)


def _change(connection: psycopg.Connection, keys: Keyring, *, adopting: bool) -> Rotation:
    with connection.transaction():
        connection.execute(LOCK_TIP, {"workspace": NODE_LOG})
        connection.execute(LOCK_INSTALL)
        if not adopting and (stopped := connection.execute(FIND_STOPPED_LOG).fetchone()):
            raise InstallError(
                f"The log {stopped[0]} has lost events, so no server appends to it; first restore the database, or "
                "accept the loss: synap node accept-rollback."
            )
        [(node, kid)] = connection.execute(GET_NODE_AND_KEY).fetchall()
        try:
            old = keys.signer(kid)
            new = _adopted(connection, keys, node, kid, old) if adopting else _made(keys, kid, old)
        except (ValueError, OSError) as error:
            raise InstallError(f"The signing keys cannot be read or written: {error}.") from None
        [(now,)] = connection.execute(GET_CLOCK)
        rotation = rotated(node, kid, new, now, old=old)
        _append(connection, rotation, node, old or new, now)
        moved = {"kid_old": kid, "kid_new": new.kid}
        signatures = {
            "rotated_at": rotation.rotated_at,
            "signature_old": rotation.signature_old and base64.b64decode(rotation.signature_old),
            "signature_new": base64.b64decode(rotation.signature_new),
        }
        connection.execute(SET_KEY_OF_TIPS, moved)
        connection.execute(SET_KEY_OF_INSTALL, moved)
        connection.execute(INSERT_ROTATION, moved | signatures)
        enter(connection, "node.key_adopted" if adopting else "node.key_rotated", moved, [NODE_LOG])
    _put_in_force(connection, keys)
    return rotation


def lock_all_tips(connection: psycopg.Connection) -> None:
    """Lock the tip of every log, one after the other, so that no event is appended until the transaction ends.

    The caller holds the lock on the install, so no log is created meanwhile.
    """
    lock_tips(connection, [log for (log,) in connection.execute(LIST_LOGS)])


def lock_tips(connection: psycopg.Connection, logs: Sequence[str]) -> None:
    """Lock the tips of these logs, in this order. The tips may be on several nodes, so each has its own statement."""
    with connection.pipeline():
        for log in logs:
            connection.execute(LOCK_TIP, {"workspace": log})


def _made(keys: Keyring, kid: str, old: Signer | None) -> Signer:
    if old is None:
        raise InstallError(
            f"The signing key in force, {kid}, is not in {keys.path}; restore the file, or if it is lost run: synap "
            "node adopt-key."
        )
    return keys.make()


def _adopted(connection: psycopg.Connection, keys: Keyring, node: str, kid: str, old: Signer | None) -> Signer:
    if old is not None:
        raise InstallError(f"The signing key in force, {kid}, is not lost; to replace it, run: synap node rotate-key.")
    found = Signer.load(keys.path)
    if found is None:
        return keys.make()
    if found.kid in kids(connection, node):
        raise InstallError(
            f"The key in {keys.path} is {found.kid}, which this install used before; put a new key there, or remove "
            "the file."
        )
    return found


def _append(connection: psycopg.Connection, rotation: Rotation, node: str, signer: Signer, now: datetime) -> None:
    """Append the event to every log, under the locks. The statements are pipelined, because there may be many logs."""
    lock_all_tips(connection)
    tips = connection.execute(LIST_TIPS).fetchall()
    with connection.pipeline(), connection.cursor() as cursor:
        for workspace, *tip in tips:
            linker = Linker(signer, node, workspace, Tip(*tip), {}, now)
            linker.link([rotation_draft([rotation], node)])
            for statement, parameters in linker.writes(linker.kinds()):
                cursor.execute(statement, parameters)


def _put_in_force(connection: psycopg.Connection, keys: Keyring) -> None:
    """Rename the key files to match the database, which no other change of keys can change meanwhile."""
    try:
        with connection.transaction():
            [(kid,)] = connection.execute(GET_KEY_IN_FORCE).fetchall()
            keys.put_in_force(kid)
    except OSError as error:
        raise InstallError(
            f"The key was changed, but {keys.path} cannot be written ({error.strerror}): copy {keys.beside(kid)} to it."
        ) from None
