"""An action that a process repeats in the background for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from schemas.errors import Unavailable


class Repeating:
    """Repeats one action. `open` it to start, `close` it at the end. For one event loop.

    The action may raise Unavailable: it is then due again after the same time. Any other error is a defect. It is
    logged, and the action is repeated all the same.
    """

    def __init__(self, act: Callable[[], Awaitable[None]], logger: FilteringBoundLogger, *, seconds: float) -> None:
        """`seconds` is the time from the end of one run to the start of the next."""
        self._act = act
        self._logger = logger
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Start. The first run begins at once."""
        self._task = asyncio.create_task(self._repeat())

    async def close(self) -> None:
        """Stop. A run that is under way is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _repeat(self) -> None:
        while True:
            try:
                await self._act()
            except Unavailable:
                pass
            except Exception as error:  # noqa: BLE001 - what the action does is due again
                self._logger.error("defect", defect=type(error).__name__)
            await asyncio.sleep(self._seconds)
