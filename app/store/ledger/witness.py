"""The witness writes the ends of audit chains into logs, so that the logs' signatures cover the audit.

The log `_node` reports the end of every chain that has grown: every hour, and when a process ends. One transaction
under the lock on that log appends the report and records that it exists, so no two processes report the same.

The log of a workspace reports the end of the workspace's own chain when the oldest unreported entry is an hour old. So
it does so at most once an hour, and only if the audit has grown.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

import structlog

from app.ledger.chain import AUDIT_TIP_TYPE, NODE_LOG
from app.ledger.draft import Draft, new_id, server_draft
from app.repeating import Repeating
from app.store.audit.log import MAX_TIPS, AuditEnd, AuditLog, claim_untold, claim_unwitnessed, witnessed
from app.store.events.event_log import EventLog
from app.store.postgres.pipe import Call, PipedConnection
from schemas.errors import NotFound, Unavailable

TELL_SECONDS = 3600.0
"""How old an unreported entry of a workspace's audit is when the workspace's own log reports the audit."""

LOOK_SECONDS = 60.0
"""The time between two checks whether an hour has passed."""

CLOSE_SECONDS = 4.0
"""How long a process that stops tries to write a report. If it fails, the next process writes it."""

logger = structlog.get_logger("synap.witness")


class Witness:
    """The witness of one process, for one event loop. Call `open` before use and `close` at the end."""

    def __init__(
        self,
        audit: AuditLog,
        log: EventLog,
        *,
        node: str,
        look_seconds: float = LOOK_SECONDS,
        tell_seconds: float = TELL_SECONDS,
    ) -> None:
        self._audit = audit
        self._log = log
        self._node = node
        self._tell_seconds = tell_seconds
        self._looking = Repeating(partial(self._say_and_tell, only_if_due=True), logger, seconds=look_seconds)

    def open(self) -> None:
        """Begin to check every `look_seconds`."""
        self._looking.open()

    async def close(self) -> None:
        """Write what is unreported, unless the database is away. Call it before the log is closed."""
        await self._looking.close()
        try:
            await asyncio.wait_for(self._say_and_tell(only_if_due=False), CLOSE_SECONDS)
        except (Unavailable, TimeoutError):
            logger.warning("the ends of the audit chains were not written; the next server does it")
        except Exception as error:  # noqa: BLE001 - the rest of the server must still be closed
            logger.error("defect", defect=type(error).__name__)

    async def _say_and_tell(self, *, only_if_due: bool) -> None:
        if not only_if_due or await self._audit.is_witness_due():
            await self._say(only_if_due=only_if_due)
        for log in await self._audit.logs_to_tell(self._tell_seconds):
            with suppress(NotFound, Unavailable):  # a log that accepts no event does not delay the others
                await self._log.append_with(log, partial(self._prepare_own, log))

    async def _prepare_own(
        self, log: str, connection: PipedConnection, _at: datetime
    ) -> tuple[Sequence[Draft], Sequence[Call]]:
        """Draft the report for a workspace's own log, unless another process has just written one."""
        tips = await claim_untold(connection, log, self._tell_seconds)
        return ([self._draft(tips)], []) if tips else ([], [])

    async def _say(self, *, only_if_due: bool) -> None:
        """Report all chains in the log `_node`, in as many events as it takes."""
        while await self._say_some(only_if_due=only_if_due) == MAX_TIPS:
            only_if_due = False

    async def _say_some(self, *, only_if_due: bool) -> int:
        """Append one event. Returns how many chains it reports; 0 if there was nothing to report."""
        tips: list[AuditEnd] = []

        async def prepare(connection: PipedConnection, _at: datetime) -> tuple[Sequence[Draft], Sequence[Call]]:
            tips.extend(await claim_unwitnessed(connection, only_if_due=only_if_due))
            return ([self._draft(tips)], witnessed(tips)) if tips else ([], [])

        await self._log.append_with(NODE_LOG, prepare)
        return len(tips)

    def _draft(self, tips: Sequence[AuditEnd]) -> Draft:
        said = {"tips": [{"log": tip.log, "seq": tip.seq, "hash": f"sha256:{tip.hash.hex()}"} for tip in tips]}
        return server_draft(AUDIT_TIP_TYPE, said, id=new_id(), node=self._node)
