"""The anchor appends `synap.tree.heads` to the log `_node` after other logs have grown.

The process that has the lease reads which logs grew, and computes their heads without a lock. One transaction under the
lock on `_node` then appends the event and stores its leaves, if that process still has the lease and no log has lost
what it read. So a crash leaves both or neither, and the next turn anchors what this one did not.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from app.ledger.chain import NODE_LOG, TREE_HEADS_TYPE
from app.ledger.draft import Draft, new_id, server_draft
from app.ledger.heads import root_of, said
from app.store.events.event_log import EventLog
from app.store.ledger.heads import Heads, place_of_heads, put_heads
from app.store.postgres.pipe import Call, PipedConnection


class Anchor:
    """The anchor of one process."""

    def __init__(self, heads: Heads, log: EventLog, *, node: str) -> None:
        """`node` is the install's id, the user of what the server writes."""
        self._heads = heads
        self._log = log
        self._node = node

    async def anchor(self, leased_at: datetime) -> int:
        """Anchor the logs that grew, in the turn that began at `leased_at`. Returns how many. Raises Unavailable."""
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
