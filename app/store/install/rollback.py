"""Finds logs that lost events by the stored checkpoints, and stops them until an administrator accepts the loss.

A log that is smaller than its stored checkpoint, or has another root at that size, was rolled back or altered in the
database. Its tip row then contains the lost checkpoint, and every process rejects appends.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import psycopg
import structlog
from msgspec import Struct

from app.ledger import merkle
from app.ledger.chain import NODE_LOG, ROLLED_BACK_TYPE
from app.ledger.checkpoint import Checkpoint
from app.ledger.draft import new_id, server_draft
from app.ledger.kept import KeptNote, KeptNoteError, KeptNotes, RolledBack
from app.ledger.keyring import Keyring
from app.store.audit.log import enter
from app.store.events.linker import LOCK_TIP, Linker, Tip
from app.store.install.inspection import (
    IS_DELETED_BY_AUDIT,
    LIST_ACCEPTED_LOSSES,
    LIST_STOPPED_LOGS,
    stopped_logs,
    to_accepted,
)
from app.store.install.install import Identity, InstallError
from app.store.install.rotation import lock_tips
from app.store.ledger.heads import FORGET_HEAD, FORGET_HEADS, FORGET_LEAVES, FORGET_LOST_LEAVES, HAS_HEADS
from app.store.ledger.ledger import Ledger
from app.store.ledger.trees import Trees
from app.store.postgres.clock import GET_CLOCK
from app.store.postgres.database import Database
from app.store.postgres.nodes import WHOLE, each, spanning
from schemas.errors import NotFound, Unavailable

LIST_LOG_ENDS = spanning("SELECT workspace_id, seq + 1, hash FROM event_tip WHERE {part}")
"""The size and the last hash of each log."""

STOP_LOG = f"""
UPDATE event_tip SET lost_size = %(size)s, lost_root = %(root)b::bytea
WHERE workspace_id = %(workspace)s AND coalesce(lost_size, -1) < %(size)s AND NOT EXISTS (
    SELECT FROM event
    WHERE workspace_id = %(workspace)s AND type = '{ROLLED_BACK_TYPE}' AND id <> ALL(%(seen)s::uuid[]))
"""
"""Stops a log, unless an administrator has accepted a loss since the comparison read the accepted losses."""

CONTINUE_LOG = "UPDATE event_tip SET lost_size = NULL, lost_root = NULL WHERE workspace_id = %(workspace)s"
"""Lets a stopped log continue."""

DELETE_TREE = "DELETE FROM merkle_node WHERE workspace_id = %(workspace)s"
"""Deletes the stored tree of a log, which may cover events that are lost. It grows again from the events that exist."""

FORGET_NODE = (
    "UPDATE install SET cosigned_size = NULL",
    "DELETE FROM cosignature",
    FORGET_LOST_LEAVES,
    FORGET_HEADS,
)
"""Makes the log `_node` forget its cosigned checkpoints and its leaves, as far as it lost what they are about. Another
log forgets all of its leaves: some are of a history that it no longer has, and it is anchored anew."""

GET_ACCEPTING_NODE = "SELECT node FROM install"
"""The node of the install, which signs the event about the loss."""

logger = structlog.get_logger("synap.rollback")


class Loss(Struct, frozen=True):
    """A log that does not extend its stored checkpoint, or that no longer exists."""

    log: str
    checkpoint: Checkpoint
    is_gone: bool = False


class Comparison:
    """Compares every log with its stored checkpoint. For one task at a time. It may raise Unavailable, OSError.

    It reads some hundreds of hashes of each log that has changed, from the stored tree. `synap doctor` reads all
    hashes.
    """

    def __init__(self, database: Database, trees: Trees, ledger: Ledger, notes: KeptNotes) -> None:
        self._database = database
        self._trees = trees
        self._ledger = ledger
        self._notes = notes
        self._compared: dict[str, tuple[int, bytes]] = {}
        """The size and last hash of each log when it was compared. A log that has not changed since is not read
        again."""

    async def run(self, *, keep: bool) -> list[Loss]:
        """Stop and return the logs that lost events. If `keep`, store new checkpoints of the others."""
        notes = await asyncio.to_thread(self._notes.read)
        tips = await each(self._database, lambda part: self._database.rows(*part.call(LIST_LOG_ENDS)))
        ends = {log: (size, hash_) for found in tips.found for log, size, hash_ in found}
        losses = []
        for log in sorted((notes.keys() | ends.keys()) - tips.unknown):
            note = notes.get(log)
            if isinstance(note, KeptNoteError):
                logger.error("a kept checkpoint cannot be read", log=log, reason=str(note))
            elif loss := await self._compare(log, note, ends.get(log), keep=keep):
                logger.error("a log lost events", log=log, size=loss.checkpoint.size, remedy="synap doctor")
                losses.append(loss)
        return losses

    async def _compare(
        self, log: str, note: KeptNote | None, end: tuple[int, bytes] | None, *, keep: bool
    ) -> Loss | None:
        if end is None:
            return None if note is None else await self._gone(log, note)
        if self._compared.get(log) == end:
            return None
        accepted = await self._accepted(log)
        if note is not None and not await self._extends(log, note.checkpoint, end[0]):
            if not note.is_settled_by(accepted):
                return await self._stop(log, note.checkpoint, [id_ for id_, _ in accepted])
            note = None
        if keep and (note is None or note.checkpoint.size < end[0]):
            await self._keep(log, [id_ for id_, _ in accepted])
        if keep or note is not None:
            self._compared[log] = end
        return None

    async def _gone(self, log: str, note: KeptNote) -> Loss | None:
        """Handle a log without a tip.

        Its checkpoint is removed only if the audit says that the workspace was deleted.
        """
        if not await self._database.rows(IS_DELETED_BY_AUDIT, {"workspace": log}):
            return Loss(log, note.checkpoint, is_gone=True)
        await asyncio.to_thread(self._notes.remove, log)
        return None

    async def _accepted(self, log: str) -> list[tuple[str, RolledBack]]:
        rows = await self._database.rows(LIST_ACCEPTED_LOSSES, {"workspace": log})
        return [to_accepted(row) for row in rows]

    async def _extends(self, log: str, checkpoint: Checkpoint, size: int) -> bool:
        if size < checkpoint.size:
            return False
        try:
            nodes = await self._trees.nodes(log, checkpoint.size, [checkpoint.size - 1] if checkpoint.size else [])
            return merkle.root(checkpoint.size, nodes) == checkpoint.root
        except KeyError:  # an event is missing
            return False

    async def _stop(self, log: str, checkpoint: Checkpoint, seen: Sequence[str]) -> Loss:
        lost = {
            "workspace": log,
            "size": checkpoint.size,
            "root": checkpoint.root,
            "seen": f"{{{','.join(seen)}}}",
        }
        await self._database.atomic([(LOCK_TIP, {"workspace": log}), (STOP_LOG, lost)])
        return Loss(log, checkpoint)

    async def _keep(self, log: str, accepted: list[str]) -> None:
        try:
            signed = await self._ledger.current(log)
        except NotFound:
            return  # the workspace was deleted just now
        except KeyError:
            logger.error("a log lacks events that its tip counts", log=log, remedy="synap doctor")
            return
        await asyncio.to_thread(self._notes.write, log, KeptNote(signed.note, accepted))


async def compare_once(url: str, notes: KeptNotes, keys: Keyring, origin: str) -> list[Loss]:
    """Compare every log with its stored checkpoint, and stop those that lost events. Raises Unavailable, OSError."""
    database = Database(url)
    await database.open()
    try:
        trees = Trees(database)
        return await Comparison(database, trees, Ledger(database, trees, keys, origin), notes).run(keep=False)
    finally:
        await database.close()


def compare_at_start(url: str, notes: KeptNotes, keys: Keyring, identity: Identity) -> None:
    """Compare before the first append. A machine that has stored no checkpoint yet has nothing to compare."""
    if notes.path.is_dir():
        with suppress(Unavailable):  # the server compares again when the database is back
            asyncio.run(compare_once(url, notes, keys, identity.origin))


def accept_losses(url: str, connection: psycopg.Connection, notes: KeptNotes, keys: Keyring, origin: str) -> list[Loss]:
    """Compare every log, and let those that lost events continue, all or none. Returns them and the missing logs.

    Each log gets an event `synap.log.rolledback` with the checkpoint that it lost. Raises InstallError.
    """
    try:
        found = asyncio.run(compare_once(url, notes, keys, origin))
    except Unavailable as error:
        raise InstallError(f"The logs cannot be compared with their kept checkpoints: {error.message}.") from None
    except OSError as error:
        raise InstallError(f"The kept checkpoints in {notes.path} cannot be read: {error.strerror}.") from None
    return [*_accept(connection, keys), *(loss for loss in found if loss.is_gone)]


def _accept(connection: psycopg.Connection, keys: Keyring) -> list[Loss]:
    with connection.transaction():
        connection.execute(LOCK_TIP, {"workspace": NODE_LOG})
        lock_tips(connection, stopped_logs(connection))
        [(node,)] = connection.execute(GET_ACCEPTING_NODE)
        losses = []
        for log, size, root, *tip in connection.execute(*WHOLE.call(LIST_STOPPED_LOGS)).fetchall():
            _append(connection, node, log, Tip(*tip), RolledBack(size, f"sha256:{root.hex()}"), keys)
            losses.append(Loss(log, Checkpoint(log, size, root)))
        _enter(connection, losses)
    return losses


def _append(connection: psycopg.Connection, node: str, log: str, tip: Tip, lost: RolledBack, keys: Keyring) -> None:
    try:
        signer = keys.signer(tip.kid)
    except (ValueError, OSError) as error:
        raise InstallError(f"The signing key cannot be read: {error}.") from None
    if signer is None:
        raise InstallError(f"The key in force {tip.kid} is not in {keys.path}; restore it.")
    [(now,)] = connection.execute(GET_CLOCK)
    linker = Linker(signer, node, log, tip, {}, now)
    linker.link([server_draft(ROLLED_BACK_TYPE, msgspec.structs.asdict(lost), id=new_id(), node=node)])
    if connection.execute(HAS_HEADS).fetchone() == (True,):
        for statement in FORGET_NODE if log == NODE_LOG else (FORGET_HEAD, FORGET_LEAVES):
            connection.execute(statement, {"workspace": log})
    for statement, parameters in (*linker.writes(linker.kinds()), (CONTINUE_LOG, None), (DELETE_TREE, None)):
        connection.execute(statement, parameters or {"workspace": log})


def _enter(connection: psycopg.Connection, losses: Sequence[Loss]) -> None:
    """Enter the losses, in the order of the audit's locks: all in the install's audit, its own in each workspace's."""
    for log in sorted({NODE_LOG, *(loss.log for loss in losses)} if losses else ()):
        told = [loss for loss in losses if log in {NODE_LOG, loss.log}]
        detail = [
            {"log": loss.log, "size": loss.checkpoint.size, "root": f"sha256:{loss.checkpoint.root.hex()}"}
            for loss in told
        ]
        enter(connection, "log.rollback_accepted", {"lost": detail}, [log])
