"""The notes of `_node`: signed by every key that readers may know it by, with the cosignatures of its witnesses."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from app.ledger import checkpoint
from app.ledger.checkpoint import Checkpoint, hash_of
from app.ledger.keyring import Keyring
from app.store.ledger.key_history import LIST_ROTATIONS, to_rotation
from app.store.ledger.node_witnesses import CosignedCheckpoint, NodeWitnesses
from app.store.postgres.database import Database
from schemas.ledger import Rotation, SignedCheckpoint


class NodeNotes:
    """Signs the notes of `_node`, for one process. Every method may raise Unavailable."""

    def __init__(self, database: Database, keys: Keyring, *, grace_days: float) -> None:
        """A key that was replaced signs too for `grace_days`."""
        self._database = database
        self._witnesses = NodeWitnesses(database)
        self._keys = keys
        self._grace_days = grace_days

    async def cosigned(self, at_least: int = 0) -> CosignedCheckpoint | None:
        """The newest checkpoint that a quorum cosigned; None if it covers fewer than `at_least` events."""
        found = await self._witnesses.newest()
        return found if found is not None and found.size >= at_least else None

    async def add_signatures(self, signed: SignedCheckpoint, lines: str = "") -> SignedCheckpoint:
        """The checkpoint with the signatures of keys that were replaced lately, and with cosignatures."""
        rotations = [to_rotation(row) for row in await self._database.rows(LIST_ROTATIONS, {})]
        return SignedCheckpoint(
            note=signed.note + "".join(self._former_signatures(signed, rotations)) + lines,
            origin=signed.origin,
            size=signed.size,
            root=signed.root,
            vkey=signed.vkey,
        )

    def _former_signatures(self, signed: SignedCheckpoint, rotations: Iterable[Rotation]) -> Iterable[str]:
        """The lines of keys whose successor is younger than the grace. A key without a file signs nothing any more."""
        since = datetime.now(UTC) - timedelta(days=self._grace_days)
        plain = Checkpoint(signed.origin, signed.size, hash_of(signed.root))
        for rotation in rotations:
            if datetime.fromisoformat(rotation.rotated_at) <= since:
                continue
            try:
                signer = self._keys.signer(rotation.kid_old)
            except (ValueError, OSError):
                signer = None
            line = "" if signer is None else checkpoint.sign(plain, signer).partition("\n\n")[2]
            if line not in signed.note:
                yield line
