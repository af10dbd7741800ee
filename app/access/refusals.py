"""Records rejected administrative calls in the audit: counted in memory, and written once a minute.

A valid key that tries what it may not do is worth recording. But a thousand attempts per second must not write a
thousand entries. So a call only increments a counter. A timer writes at most one entry per minute for each key,
procedure and workspace, in each process.
"""

import asyncio
from collections import Counter
from typing import NamedTuple

import structlog

from app.repeating import Repeating
from app.store.audit.log import Act, AuditLog
from schemas.errors import Unavailable

ACTION = "call.refused"

FLUSH_SECONDS = 60.0

CLOSE_SECONDS = 4.0
"""How long a process that stops tries to write its counts."""

MAX_COUNTED = 1000
"""The maximum of counted combinations between two entries. The log of calls has those beyond."""

logger = structlog.get_logger("synap.refusals")


class Refused(NamedTuple):
    """The calls that are counted together."""

    key_id: str
    procedure: str
    workspace: str


class Refusals:
    """The rejected calls of one process. `open` it before use, `close` it at the end. For one event loop."""

    def __init__(self, audit: AuditLog, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._audit = audit
        self._counts: dict[Refused, Counter[str]] = {}
        self._pending: list[Act] = []
        """Acts that are not written yet. They keep their ids, so that none is written twice."""
        self._flushing = Repeating(self._flush, logger, seconds=flush_seconds)

    def count(self, refused: Refused, code: str) -> None:
        """Count a call that was rejected with this code. This needs no query."""
        if refused in self._counts or len(self._counts) < MAX_COUNTED:
            self._counts.setdefault(refused, Counter())[code] += 1

    def open(self) -> None:
        """Start to write regularly."""
        self._flushing.open()

    async def close(self) -> None:
        """Write the counts, unless the database is not reachable."""
        await self._flushing.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._pending or self._counts:
                    await self._flush()
        except (Unavailable, TimeoutError):
            logger.warning(
                "rejected calls could not be written to the audit", acts=len(self._pending) + len(self._counts)
            )
        except Exception as error:  # noqa: BLE001 - the rest of the server is still to be closed
            logger.error("defect", defect=type(error).__name__)

    async def _flush(self) -> None:
        """Write one act for each. Raises Unavailable: the rest then waits, and no acts are added meanwhile."""
        if not self._pending:
            counts, self._counts = self._counts, {}
            self._pending = [_act(refused, codes) for refused, codes in counts.items()]
        while self._pending:
            await self._audit.record(self._pending[-1])
            self._pending.pop()


def _act(refused: Refused, codes: Counter[str]) -> Act:
    detail = {"procedure": refused.procedure, "calls": codes.total(), "codes": dict(codes)}
    return Act.of(ACTION, refused.key_id, detail, [refused.workspace])
