"""Looks through the logs for the webhook subscriptions: what matches becomes a delivery.

The process that commits an event looks through its log at once. Another one that hears of it gives it a moment, and
looks where nobody did. A timer finds what no process got to: after a crash, a lost notice, a pause, and the retries
that are due.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from app.delivery.worker import Disable, Worker
from app.store.database import Database
from app.store.webhooks.dispatch import Dispatch, UnreadableFilterError
from app.store.webhooks.purge import purge
from app.store.webhooks.work import work
from schemas.errors import Unavailable

TIMER_SECONDS = 2.0
"""What a lost notice costs, and how late a retry may be."""

PURGE_SECONDS = 60.0
"""Between two looks for deliveries that are too old."""

HEARD_SECONDS = 0.1
"""Given to the process that committed an event, before another looks."""

PAUSE_SECONDS = 0.01
"""Between two looks at one log: what is committed meanwhile shares the next."""

RETRY_SECONDS = 0.5
"""Between two attempts to reach the database."""

UNREADABLE_REASON = "Its filter is not understood any more: subscriptions.resume says why"
"""What it asks for may be metadata of a kind that this server does not have."""

logger = structlog.get_logger("synap.webhooks")


class Dispatcher:
    """The dispatch of one process. For one event loop."""

    def __init__(
        self,
        database: Database,
        dispatch: Dispatch,
        worker: Worker,
        disable: Disable,
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        """`announce` is called now and then, to say in the logs which subscriptions were stopped."""
        self._database = database
        self._dispatch = dispatch
        self._worker = worker
        self._disable = disable
        self._announce = announce
        self._subscribed: set[str] = set()
        self._end: dict[str, int] = {}
        """Up to where each log is to be looked through."""
        self._seen: dict[str, int] = {}
        """Up to where it was."""
        self._behind: dict[str, set[str]] = {}
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._timers: list[asyncio.Task[None]] = []
        self._look = asyncio.Event()

    def open(self) -> None:
        """Begin."""
        self._timers = [asyncio.create_task(self._looking()), asyncio.create_task(self._purging())]

    async def close(self) -> None:
        """End. What is committed is committed; what is not is found again."""
        tasks = [*self._timers, *self._lanes.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def committed(self, workspace: str, seq: int) -> None:
        """This process has committed up to `seq`."""
        if workspace in self._subscribed:
            self._reach(workspace, seq)

    def heard(self, workspace: str, seq: int) -> None:
        """Some process has."""
        if workspace in self._subscribed:
            asyncio.get_running_loop().call_later(HEARD_SECONDS, self._reach, workspace, seq)

    def changed(self) -> None:
        """Subscriptions were changed here: look at what there is to do now."""
        self._look.set()

    def _reach(self, workspace: str, seq: int) -> None:
        if seq > self._end.get(workspace, -1):
            self._end[workspace] = seq
        self._wake(workspace)

    def _wake(self, workspace: str) -> None:
        if workspace not in self._lanes and self._is_due(workspace):
            self._lanes[workspace] = asyncio.create_task(self._run(workspace))

    def _is_due(self, workspace: str) -> bool:
        return self._seen.get(workspace, -1) < self._end.get(workspace, -1) or bool(self._behind.get(workspace))

    async def _run(self, workspace: str) -> None:
        """Look through one log until its end."""
        while self._is_due(workspace):
            try:
                await self._step(workspace)
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - the loop goes on: who subscribed waits for it
                if not isinstance(error, Unavailable):
                    logger.warning("defect", defect=type(error).__name__, workspace=workspace)
                await asyncio.sleep(RETRY_SECONDS)
        # No await since nothing was seen to be left: nothing can have come.
        del self._lanes[workspace]

    async def _step(self, workspace: str) -> None:
        try:
            await self._look_through(workspace)
        except UnreadableFilterError as error:  # each keeps its place, and the others go on without it
            for id_ in error.subscriptions:
                await self._disable(workspace, id_, UNREADABLE_REASON, None)

    async def _look_through(self, workspace: str) -> None:
        if self._seen.get(workspace, -1) < self._end.get(workspace, -1):
            step = await self._dispatch.step(workspace)
            if step is not None:
                self._seen[workspace] = max(step.seq, self._seen.get(workspace, -1))
                self._worker.owed(workspace, step.owed)
        for id_ in list(self._behind.get(workspace, ())):
            if not await self._dispatch.catch_up(workspace, id_):
                self._behind[workspace].discard(id_)
            self._worker.owed(workspace, [id_])

    async def _looking(self) -> None:
        while True:
            with suppress(Unavailable):
                await self._once()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), TIMER_SECONDS)
            self._look.clear()

    async def _once(self) -> None:
        found = await work(self._database)
        self._subscribed = {each.workspace for each in found}
        for each in found:
            if each.behind:
                self._behind.setdefault(each.workspace, set()).update(each.behind)
            self._reach(each.workspace, each.end)
            self._worker.owed(each.workspace, each.due)
        await self._announce()

    async def _purging(self) -> None:
        while True:
            with suppress(Unavailable):
                while await purge(self._database):
                    pass
            await asyncio.sleep(PURGE_SECONDS)
