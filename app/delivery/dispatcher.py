"""Reads the logs for the webhook subscriptions, and writes a delivery for each match.

The process that commits an event reads its log at once. Other processes that get the notice wait a moment, and read if
nobody has. A process that changes a subscription reads that workspace, and notifies the others. Every two seconds each
process looks for due work: retries, claims that ended, subscriptions that are behind. A process may crash right after a
commit, before it sends a notice. So every 30 seconds, and after lost notices, each process compares all subscribed logs
with the places up to which they were read.
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
"""The time between two looks for due work, and so the longest delay of a retry."""

REST = 20
MAX_REST_SECONDS = 10.0
"""A look waits this many times as long as the previous look took, because thousands of retries may wait."""

SURVEY_SECONDS = 30.0
"""The time between two comparisons of all subscribed logs, and so the longest delay of an event whose process
crashed right after its commit."""

PURGE_SECONDS = 60.0
"""The time between two looks for deliveries that are too old."""

HEARD_SECONDS = 0.1
"""The head start of the process that committed an event, before another process reads its log."""

PAUSE_SECONDS = 0.01
"""The time between two reads of one log. Events committed meanwhile share the next read."""

RETRY_SECONDS = 0.5
"""The time between two attempts to reach the database."""

UNREADABLE_REASON = "The server no longer accepts its filter; subscriptions.resume says why"
"""The filter may use metadata of a kind that this server does not have."""

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
        """`announce` is called regularly, to log the events about disabled subscriptions."""
        self._database = database
        self._dispatch = dispatch
        self._worker = worker
        self._disable = disable
        self._announce = announce
        self._subscribed: set[str] = set()
        self._end: dict[str, int] = {}
        """The seq up to which each log must be read."""
        self._seen: dict[str, int] = {}
        """The seq up to which each log was read."""
        self._behind: dict[str, set[str]] = {}
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._timers: list[asyncio.Task[None]] = []
        self._changed: set[str] = set()
        """Workspaces whose subscriptions have changed since they were last looked at."""
        self._has_changed = asyncio.Event()
        self._survey_at = 0.0
        self._has_missed = asyncio.Event()

    def open(self) -> None:
        """Start."""
        self._timers = [asyncio.create_task(each) for each in (self._looking(), self._following(), self._purging())]

    async def close(self) -> None:
        """Stop. Uncommitted work is found again later."""
        tasks = [*self._timers, *self._lanes.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def has_subscribed(self) -> bool:
        """Whether any workspace seems to have active subscriptions."""
        return bool(self._subscribed)

    def committed(self, workspace: str, seq: int) -> None:
        """Note that this process has committed up to `seq`."""
        if workspace in self._subscribed:
            self._reach(workspace, seq)

    def heard(self, workspace: str, seq: int) -> None:
        """Note that another process has committed up to `seq`."""
        if workspace in self._subscribed:
            asyncio.get_running_loop().call_later(HEARD_SECONDS, self._reach, workspace, seq)

    def changed(self, workspace: str) -> None:
        """Note that some process has changed subscriptions of a workspace, and look for work there."""
        self._subscribed.add(workspace)  # so that events committed during the look count
        self._changed.add(workspace)
        self._has_changed.set()

    def missed(self) -> None:
        """Note that notices may have been lost, and compare all logs now."""
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
        """Read one log to its end."""
        while self._is_due(workspace):
            try:
                await self._step(workspace)
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - the loop goes on: who subscribed waits for it
                if not isinstance(error, Unavailable):
                    logger.warning("defect", defect=type(error).__name__, workspace=workspace)
                await asyncio.sleep(RETRY_SECONDS)
        # Nothing can have been added: there is no await since the check.
        del self._lanes[workspace]

    async def _step(self, workspace: str) -> None:
        try:
            await self._look_through(workspace)
        except UnreadableFilterError as error:  # these subscriptions stop at their place, the others continue
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
        """Find the workspaces with active subscriptions, and the logs that nobody has read."""
        self._survey_at = time.monotonic() + SURVEY_SECONDS
        try:
            ends = await logs(self._database)
        except Unavailable:
            self._survey_at = 0.0
            raise
        for workspace in self._subscribed - ends.of.keys() - ends.unknown:
            self.changed(workspace)  # its subscriptions have ended, or are too new for the query
        self._subscribed |= ends.of.keys()
        for workspace, end in ends.of.items():
            self._reach(workspace, end)

    async def _look(self) -> float:
        """Find due work. Returns how many seconds the query took."""
        begun = time.monotonic()
        behind, due = await owed(self._database)
        took = time.monotonic() - begun
        for workspace, id_ in behind:
            self._bring_forward(workspace, [id_])
        for workspace, id_ in due:
            self._worker.owed(workspace, [id_])
        return took

    async def _following(self) -> None:
        """Look at the workspaces whose subscriptions have changed."""
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            while self._changed:
                changed, self._changed = self._changed, set()
                for workspace in changed:
                    try:
                        await self._look_at(workspace)
                    except Unavailable:  # it is looked at again behind the others, whose nodes may answer
                        self._changed.add(workspace)
                if self._changed & changed:
                    await asyncio.sleep(RETRY_SECONDS)

    async def _look_at(self, workspace: str) -> None:
        """Find the due work of one workspace."""
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
