"""A witness of other logs: it verifies that their checkpoints extend each other, remembers the last one, and cosigns.

The state is one row for each log. A row changes only if it still has the checkpoint against which the new one was
verified, in the statement that writes. So of two requests that race, also on two machines, one fails. The row is
committed before the cosignature is returned.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

import structlog

from app.ledger import witnessing
from app.ledger.cosignature import cosign
from app.ledger.signer import Signer
from app.ledger.vkeys import VerifierKey
from app.ledger.witnessing import AddCheckpoint, InconsistentError, LastCosigned
from app.store.postgres.database import Database
from schemas.errors import NotFound, Unavailable

ATTEMPTS = 3
"""How often a request is decided anew because another one changed the log's row meanwhile."""

GET_LAST_COSIGNED = """
SELECT floor(extract(epoch FROM clock_timestamp()))::bigint, size, root
FROM (VALUES (1)) AS always LEFT JOIN witnessed_log ON origin_hash = %(origin_hash)s
"""
"""The time by the database's clock, which all machines of a witness share, and the last cosigned size and root."""

REMEMBER_FIRST = """
INSERT INTO witnessed_log (origin_hash, origin, size, root, note)
VALUES (%(origin_hash)s, %(origin)s, %(size)s, %(root)s, %(note)s)
ON CONFLICT DO NOTHING RETURNING size
"""
"""Remembers the first checkpoint of a log, unless there is one already."""

REMEMBER_NEXT = """
UPDATE witnessed_log SET size = %(size)s, root = %(root)s, note = %(note)s
WHERE origin_hash = %(origin_hash)s AND size = %(old_size)s AND root = %(old_root)s RETURNING size
"""
"""Remembers a checkpoint, if the last one is still that against which it was verified."""

GET_COSIGNED_NOTE = "SELECT note FROM witnessed_log WHERE origin_hash = %(origin_hash)s"
"""The last cosigned checkpoint of a log, with its signatures."""

logger = structlog.get_logger("synap.cosigner")


class Cosigner:
    """The witness `name`, for any number of tasks of one event loop. Every method may raise Unavailable."""

    def __init__(
        self, database: Database, name: str, signer: Signer, keys_of: Callable[[str], Sequence[VerifierKey]]
    ) -> None:
        """`keys_of` returns the keys of the log with an origin; none if the witness does not accept the log."""
        self._database = database
        self._name = name
        self._signer = signer
        self._keys_of = keys_of

    async def add(self, body: bytes) -> str:
        """The cosignature for the checkpoint in a request, which is remembered.

        Raises MalformedNoteError, UnknownLogError, UnsignedError, MovedError, InconsistentError.
        """
        added = witnessing.parse(body)
        checkpoint = added.note.checkpoint
        keys = self._keys_of(checkpoint.origin)
        witnessing.check_signed(added.note, keys)
        for _ in range(ATTEMPTS):
            at, last = await self._last(checkpoint.origin)
            self._check(added, last or LastCosigned())
            line = cosign(added.note.text, self._name, self._signer, at)
            if await self._remember(added, last, witnessing.kept_note(added.note, keys, line)):
                return line
        raise Unavailable("Other requests for this log come at the same time; retry")

    async def note(self, origin_hash: bytes) -> str:
        """The last cosigned checkpoint of the log with this hash of its origin. Raises NotFound."""
        rows = await self._database.rows(GET_COSIGNED_NOTE, {"origin_hash": origin_hash})
        if not rows:
            raise NotFound("No checkpoint of this log was cosigned here")
        note: str = rows[0][0]
        return note

    async def _last(self, origin: str) -> tuple[int, LastCosigned | None]:
        """The time, and what was last cosigned of a log."""
        rows = await self._database.rows(GET_LAST_COSIGNED, {"origin_hash": _hash(origin)})
        [(at, size, root)] = rows
        return at, None if size is None else LastCosigned(size, root)

    @staticmethod
    def _check(added: AddCheckpoint, last: LastCosigned) -> None:
        try:
            witnessing.check_extends(added, last)
        except InconsistentError as error:
            # The log's key signed this checkpoint, so it may prove that the log has two histories.
            new = added.note.checkpoint
            logger.warning(
                "a checkpoint is not shown to extend the last one",
                origin=new.origin[:256],
                reason=str(error),
                size=new.size,
                root=new.root.hex(),
                last_size=last.size,
                last_root=last.root.hex(),
                signatures=[signature.hex() for name, signature in added.note.signatures[:16] if name == new.origin],
            )
            raise

    async def _remember(self, added: AddCheckpoint, last: LastCosigned | None, note: str) -> bool:
        """Whether the checkpoint is remembered now: nobody has changed the log's row since it was read."""
        new = added.note.checkpoint
        parameters = {
            "origin_hash": _hash(new.origin),
            "origin": new.origin,
            "size": new.size,
            "root": new.root,
            "note": note,
        }
        if last is None:
            call = (REMEMBER_FIRST, parameters)
        else:
            call = (REMEMBER_NEXT, parameters | {"old_size": last.size, "old_root": last.root})
        [rows] = await self._database.atomic([call])
        return bool(rows)


def _hash(origin: str) -> bytes:
    return sha256(origin.encode()).digest()
