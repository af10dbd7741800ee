"""The anchor appends `synap.tree.heads` to the log `_node` after other logs have grown, at most once a minute.

The process that has the lease reads which logs grew, and computes their heads without a lock. One transaction under the
lock on `_node` then appends the event and stores its leaves, if that process still has the lease and no log has lost
what it read. So a crash leaves both or neither, and the next turn anchors what this one did not.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog

from app.ledger.chain import NODE_LOG, TREE_HEADS_TYPE
from app.ledger.draft import Draft, new_id, server_draft
from app.ledger.heads import root_of, said
from app.repeating import Repeating
from app.store.events.event_log import EventLog
from app.store.ledger.heads import Heads, place_of_heads, put_heads
from app.store.postgres.pipe import Call, PipedConnection

ANCHOR_SECONDS = 60.0
"""The shortest time from one event to the next."""

LOOK_SECONDS = 5.0
"""How often a process asks for the lease."""

logger = structlog.get_logger("synap.anchor")


class Anchor:
    """The anchor of one process, for one event loop. Call `open` before use and `close` at the end."""

    def __init__(
        self,
        heads: Heads,
        log: EventLog,
        *,
        node: str,
        anchor_seconds: float = ANCHOR_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`node` is the install's id, the user of what the server writes."""
        self._heads = heads
        self._log = log
        self._node = node
        self._anchor_seconds = anchor_seconds
        self._looking = Repeating(self._look, logger, seconds=look_seconds)

    def open(self) -> None:
        """Begin to look."""
        self._looking.open()

    async def close(self) -> None:
        """Stop. What is not anchored is anchored by another process, or after the next start."""
        await self._looking.close()

    async def anchor(self) -> int:
        """Anchor the logs that grew, if it is this process's turn. Returns how many these are. Raises Unavailable."""
        leased_at = await self._heads.lease(self._anchor_seconds)
        if leased_at is None:
            return 0
        grown = await self._heads.grown()
        if not grown:
            return 0
        root = await asyncio.to_thread(root_of, [each.leaf for each in grown])

        async def prepare(connection: PipedConnection, _at: datetime) -> tuple[Sequence[Draft], Sequence[Call]]:
            seq = await place_of_heads(connection, grown, leased_at)
            if seq is None:
                return [], []
            draft = server_draft(TREE_HEADS_TYPE, said(len(grown), root), id=new_id(), node=self._node)
            return [draft], put_heads(grown, seq)

        events = await self._log.append_with(NODE_LOG, prepare)
        return len(grown) if events else 0

    async def _look(self) -> None:
        await self.anchor()
