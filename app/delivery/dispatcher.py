"""Looks through the logs for the webhook subscriptions: what matches becomes a delivery.

The process that commits an event looks through its log at once. Another one that hears of it gives it a moment, and
looks if nobody did. A process that changes a subscription looks at that workspace, and tells the others to. Every two
seconds each process asks what is due: retries, claims that ended, subscriptions that are behind. Nobody may have heard
of a commit whose process crashed: every 30 seconds, and after notices may have been missed, each process compares all
logs that have subscriptions with how far they were looked through.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from app.delivery.worker import Disable, Worker
from app.store.postgres.database import Database
from app.store.webhooks.backlog import backlog_of, logs, owed
from app.store.webhooks.dispatch import Dispatch, UnreadableFilterError
from app.store.webhooks.purge import purge
from schemas.errors import Unavailable

TIMER_SECONDS = 2.0
"""Between two looks for what is due: how late a retry may be."""

REST = 20
MAX_REST_SECONDS = 10.0
"""How many times as long as a look took the next one waits: thousands of subscriptions may wait for their retries."""

SURVEY_SECONDS = 30.0
"""Between two looks at all logs that have subscriptions: how late an event may be whose process crashed right behind
its commit."""

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
        self._changed: set[str] = set()
        """Workspaces whose subscriptions were changed, and that were not looked at since."""
        self._has_changed = asyncio.Event()
        self._survey_at = 0.0
        self._has_missed = asyncio.Event()

    def open(self) -> None:
        """Begin."""
        self._timers = [asyncio.create_task(each) for each in (self._looking(), self._following(), self._purging())]

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

    def changed(self, workspace: str) -> None:
        """Some process has changed subscriptions of a workspace: look at what there is to do."""
        self._subscribed.add(workspace)  # what is committed while we look is not overlooked
        self._changed.add(workspace)
        self._has_changed.set()

    def missed(self) -> None:
        """Notices may have been missed: look at all logs now."""
        self._survey_at = 0.0
        self._has_missed.set()

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
            seconds = 0.0
            with suppress(Unavailable):
                if time.monotonic() >= self._survey_at:
                    await self._survey()
                seconds = await self._look()
                await self._announce()
            with suppress(TimeoutError):
                rest = max(TIMER_SECONDS, min(REST * seconds, MAX_REST_SECONDS))
                await asyncio.wait_for(self._has_missed.wait(), rest)
            self._has_missed.clear()

    async def _survey(self) -> None:
        """Find the workspaces with active subscriptions, and the logs that nobody has looked through."""
        self._survey_at = time.monotonic() + SURVEY_SECONDS
        try:
            ends = await logs(self._database)
        except Unavailable:
            self._survey_at = 0.0
            raise
        for workspace in self._subscribed - ends.keys():
            self.changed(workspace)  # its subscriptions have ended, or are so new that they were not seen
        self._subscribed |= ends.keys()
        for workspace, end in ends.items():
            self._reach(workspace, end)

    async def _look(self) -> float:
        """Find what is due. Returns how many seconds that took."""
        begun = time.monotonic()
        behind, due = await owed(self._database)
        took = time.monotonic() - begun
        for workspace, id_ in behind:
            self._bring_forward(workspace, [id_])
        for workspace, id_ in due:
            self._worker.owed(workspace, [id_])
        return took

    async def _following(self) -> None:
        """Look at the workspaces whose subscriptions were changed."""
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            while self._changed:
                workspace = self._changed.pop()
                try:
                    await self._look_at(workspace)
                except Unavailable:
                    self._changed.add(workspace)
                    await asyncio.sleep(RETRY_SECONDS)

    async def _look_at(self, workspace: str) -> None:
        """Find what one workspace waits for."""
        backlog = await backlog_of(self._database, workspace)
        if backlog is not None:
            self._bring_forward(workspace, backlog.behind)
            self._reach(workspace, backlog.end)
            self._worker.owed(workspace, backlog.due)
        elif workspace not in self._changed:
            self._subscribed.discard(workspace)

    def _bring_forward(self, workspace: str, subscriptions: Sequence[str]) -> None:
        if subscriptions:
            self._behind.setdefault(workspace, set()).update(subscriptions)
            self._wake(workspace)

    async def _purging(self) -> None:
        while True:
            with suppress(Unavailable):
                while await purge(self._database):
                    pass
            await asyncio.sleep(PURGE_SECONDS)
