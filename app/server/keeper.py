"""The keeper: one process of a machine compares each log with its checkpoint in the data directory and renews that."""

import asyncio
import os
from contextlib import suppress

import structlog

from app.ledger.kept import KeptNotes
from app.store.install.rollback import Comparison
from schemas.errors import Unavailable

KEEP_SECONDS = 3600.0
"""The time from one comparison to the next."""

LOOK_SECONDS = 60.0
"""How soon another process replaces a keeper that ended, and how soon a failed comparison is repeated."""

CLOSE_SECONDS = 2.0
"""The time that a process that stops has. Logs that it does not reach keep their older checkpoints."""

logger = structlog.get_logger("synap.keeper")


class Keeper:
    """The keeper of one process. `open` it before use, `close` it at the end. For one event loop."""

    def __init__(self, comparison: Comparison, notes: KeptNotes, *, keep_seconds: float = KEEP_SECONDS) -> None:
        self._comparison = comparison
        self._notes = notes
        self._keep_seconds = keep_seconds
        self._held: int | None = None
        self._keeping: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Start, with the first comparison at once."""
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Compare and store once more."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._held is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._once(), CLOSE_SECONDS)
            os.close(self._held)
            self._held = None

    async def _keep(self) -> None:
        while True:
            is_done = await self._once()
            await asyncio.sleep(self._keep_seconds if is_done else min(LOOK_SECONDS, self._keep_seconds))

    async def _once(self) -> bool:
        """Compare if no other process of this machine does. Returns whether it did."""
        try:
            if self._held is None:
                self._held = await asyncio.to_thread(self._notes.take)
            if self._held is None:
                return False
            await self._comparison.run(keep=True)
        except Unavailable:
            return False
        except OSError as error:
            logger.warning("checkpoints cannot be kept", folder=str(self._notes.path), reason=error.strerror)
        except Exception as error:  # noqa: BLE001 - the loop goes on, and so does the end of the process
            logger.error("defect", defect=type(error).__name__)
            return False
        return True
