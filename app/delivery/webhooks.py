"""The webhooks of one process: what the procedures use, and the dispatch and posts behind it."""

import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit
from uuid import uuid4

import structlog
from msgspec import Raw

from app.capacity.allowance import Allowance
from app.capacity.turns import LONG_COST
from app.delivery.dispatcher import Dispatcher
from app.delivery.guard import Guard
from app.delivery.payload import TEST_TYPE, Payload, SentEvent, now
from app.delivery.post import PostResult
from app.delivery.queues import Queues, TooManyWaitError
from app.delivery.worker import Posting, Worker
from app.ledger.chain import instant
from app.ledger.draft import Draft, new_id, server_draft
from app.sealing.cursors import Cursors
from app.sealing.webhook_secrets import Sealer
from app.settings import Settings, networks
from app.store.audit.log import Act
from app.store.events.event_log import EventLog
from app.store.postgres.database import Database
from app.store.postgres.pipe import Call, PipedConnection
from app.store.webhooks.claims import Claims
from app.store.webhooks.deliveries import Deliveries
from app.store.webhooks.dispatch import MAX_UNTRIED, Dispatch
from app.store.webhooks.subscribers import Subscribers
from app.store.webhooks.subscriptions import (
    MAX_FOR_EACH_ACTIVE,
    Disabled,
    Secrets,
    Subscriptions,
    claim_announcement,
)
from schemas.errors import NotFound, RateLimited, Unavailable

CLAIM_MARGIN_SECONDS = 15.0
"""A claim lasts for an attempt's timeout plus this margin, in which the attempt is recorded."""

LOOK_AGAIN_SECONDS = 60
"""The `retry-after` sent when a workspace has its maximum of subscriptions. Waiting does not help: delete one."""

MAX_TESTS, MAX_TESTS_WAITING = 32, 64
MAX_TESTS_EACH, MAX_TESTS_WAITING_EACH = 4, 8
"""The maximum of tests in a process that run at once, and that wait; the same per workspace, and per host."""

MAX_LARGE_EVENTS = 8
"""The maximum of a workspace's events that a process stores at once if matching its filters takes long."""

MAX_REPLAYS_WAITING = 8
"""A process runs one replay of a workspace at a time; at most this many wait."""

DISABLED_TYPE = "synap.webhook.disabled"

logger = structlog.get_logger("synap.webhooks")


class Webhooks:
    """The webhooks of one process. `open` it before use, `close` it at the end. For one event loop."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        log: EventLog,
        cursors: Cursors,
        *,
        node: str,
        secret: bytes,
        tell_changed: Callable[[str], None],
    ) -> None:
        """`secret` is the install secret, which seals the subscriptions' secrets.

        `tell_changed` is called with a workspace whose subscriptions this process changed, to notify the others.
        """
        self.cursors = cursors
        self.max_active = settings.max_subscriptions
        self.guard = Guard(
            allow_http=settings.webhook_allow_http, allow_networks=networks(settings.webhook_allow_networks)
        )
        self.sealer = Sealer(secret)
        self.subscriptions = Subscriptions(database)
        self.deliveries = Deliveries(database)
        self.dispatch = Dispatch(database, first_seconds=settings.webhook_schedule[0])
        self._log = log
        self._node = node
        self._posting = Posting(
            guard=self.guard,
            sealer=self.sealer,
            schedule=settings.webhook_schedule,
            timeout_seconds=settings.webhook_timeout_seconds,
        )
        claims = Claims(database, claim_seconds=settings.webhook_timeout_seconds + CLAIM_MARGIN_SECONDS)
        self._worker = Worker(claims, self._posting, self._disable)
        self._dispatcher = Dispatcher(database, self.dispatch, self._worker, self._disable, self._announce)
        self._tell_changed = tell_changed
        self._tests = Queues(at_once=MAX_TESTS, waiting=MAX_TESTS_WAITING)
        self._tests_each = Queues(at_once=MAX_TESTS_EACH, waiting=MAX_TESTS_WAITING_EACH)
        self._tests_to_host = Queues(at_once=MAX_TESTS_EACH, waiting=MAX_TESTS_WAITING_EACH)
        self._large_events = Queues(at_once=MAX_LARGE_EVENTS, waiting=0)
        self._replays = Queues(at_once=1, waiting=MAX_REPLAYS_WAITING)

    def open(self) -> None:
        """Start to dispatch and to post."""
        self._dispatcher.open()

    async def close(self) -> None:
        """Stop. Another process, or a later start, delivers the rest."""
        await self._dispatcher.close()
        await self._worker.close()

    def committed(self, workspace: str, seq: int) -> None:
        """Note that this process has committed up to `seq`."""
        self._dispatcher.committed(workspace, seq)

    def heard(self, workspace: str, seq: int) -> None:
        """Note that another process has committed up to `seq`."""
        self._dispatcher.heard(workspace, seq)

    def changed(self, workspace: str) -> None:
        """Note that this process has changed subscriptions of a workspace, and notify the other processes."""
        self._dispatcher.changed(workspace)
        self._tell_changed(workspace)

    def heard_changed(self, workspace: str) -> None:
        """Note that another process has changed subscriptions of a workspace."""
        self._dispatcher.changed(workspace)

    def missed(self) -> None:
        """Note that notices may have been lost."""
        self._dispatcher.missed()

    @property
    def are_subscribed(self) -> bool:
        """Whether any workspace seems to have active subscriptions."""
        return self._dispatcher.has_subscribed

    @property
    def posts(self) -> int:
        """The number of posts that run now."""
        return len(self._worker.under_way)

    async def allowance(self, workspace: str) -> Allowance | None:
        """How many more subscriptions may become active; None if there is no limit. Raises Unavailable."""
        if self.max_active == 0:
            return None
        remaining = max(self.max_active - await self.subscriptions.active(workspace), 0)
        return Allowance(self.max_active, remaining, int(time.time()) + LOOK_AGAIN_SECONDS, LOOK_AGAIN_SECONDS)

    async def no_room(self, workspace: str) -> RateLimited:
        """The error for a subscription that must not be created. Raises Unavailable."""
        if await self.subscriptions.active(workspace) >= self.max_active:
            return self.too_many_active()
        most = MAX_FOR_EACH_ACTIVE * self.max_active
        return _limited(
            f"{most} subscriptions exist in this workspace, which is the maximum; delete a stopped one first",
            most,
            LOOK_AGAIN_SECONDS,
        )

    def too_many_active(self) -> RateLimited:
        """The error for a subscription that must not become active."""
        return _limited(
            f"{self.max_active} subscriptions are active in this workspace, which is the maximum; pause or delete one "
            "first",
            self.max_active,
            LOOK_AGAIN_SECONDS,
        )

    def too_many_untried(self, untried: int) -> RateLimited:
        """The error for a replay of a subscription with too many untried deliveries."""
        return _limited(
            f"{untried:,} deliveries of this subscription wait for their first attempt; replay more when fewer wait",
            MAX_UNTRIED,
            LOOK_AGAIN_SECONDS,
        )

    @asynccontextmanager
    async def turn_to_test(self, workspace: str) -> AsyncIterator[None]:
        """Wait for a turn to post a test of the workspace; the block is the turn. Raises RateLimited."""
        async with self._turn("tests", self._tests_each, workspace), self._turn("tests", self._tests, ""):
            yield

    @asynccontextmanager
    async def room_for(self, subscribers: Subscribers, data: Raw) -> AsyncIterator[None]:
        """Reserve room to match an event with this data against its subscribers' filters. Raises RateLimited.

        Call it before the event is stored: events that wait for a workspace's filters fill the memory.
        """
        if subscribers.weight * memoryview(data).nbytes <= LONG_COST:
            yield
            return
        async with self._turn("large events", self._large_events, subscribers.workspace):
            yield

    @asynccontextmanager
    async def turn_to_replay(self, workspace: str) -> AsyncIterator[None]:
        """Wait until no other replay of the workspace runs in this process. Raises RateLimited."""
        async with self._turn("replays", self._replays, workspace):
            yield

    @asynccontextmanager
    async def _turn(self, what: str, queues: Queues, key: str) -> AsyncIterator[None]:
        try:
            async with queues.of(key):
                yield
        except TooManyWaitError:
            raise _limited(
                f"Too many {what} at once: {queues.at_once} run and {queues.waiting} wait; retry when they have ended",
                queues.at_once + queues.waiting,
                math.ceil(self._posting.timeout_seconds),
            ) from None

    async def test(self, workspace: str, subscription: str, secrets: Secrets) -> PostResult:
        """Post an event that is not in the log, once. Raises RateLimited if too many tests wait for the same host."""
        async with self._turn("tests", self._tests_to_host, _host(secrets.url)):
            return await self._test(workspace, subscription, secrets)

    async def _test(self, workspace: str, subscription: str, secrets: Secrets) -> PostResult:
        at = now()
        event = SentEvent(event_id=str(uuid4()), type=TEST_TYPE, source="system", timestamp=at, data=Raw(b"{}"))
        payload = Payload(subscription_id=subscription, delivered_at=at, event=event)
        webhook_id = f"{subscription}_test_{event.event_id}"
        return await self._posting.send(
            workspace, subscription, secrets.url, payload, webhook_id, secrets.secret, secrets.previous
        )

    async def _disable(self, workspace: str, id: str, reason: str, failing_seconds: float | None) -> None:
        """Stop a subscription, and log an event about it. If that fails, the next failure or the timer repeats it."""
        act = Act.of("subscription.disabled", self._node, {"subscriptionId": id, "reason": reason}, [workspace])
        with suppress(Unavailable):
            await self.subscriptions.disable(workspace, id, reason, failing_seconds, act)
            await self._announce()

    async def _announce(self) -> None:
        for stopped in await self.subscriptions.unannounced():
            with suppress(NotFound, Unavailable):  # one log that accepts no event delays no other
                await self._announce_one(stopped)

    async def _announce_one(self, stopped: Disabled) -> None:
        if await self._log.append_with(stopped.workspace, partial(self._prepare, stopped)):
            logger.warning("a webhook was disabled", workspace=stopped.workspace, subscription=stopped.id)

    async def _prepare(
        self, stopped: Disabled, connection: PipedConnection, _at: datetime
    ) -> tuple[Sequence[Draft], Sequence[Call]]:
        """The event about a disabled subscription, unless another process has just appended it."""
        if not await claim_announcement(connection, stopped):
            return [], []
        said = {
            "subscriptionId": stopped.id,
            "reason": stopped.reason,
            "disabledAt": instant(stopped.stopped_at),
        }
        return [server_draft(DISABLED_TYPE, said, id=new_id(), node=self._node)], []


def _host(url: str) -> str:
    """The host of a URL that was accepted before."""
    return urlsplit(url).hostname or ""


def _limited(message: str, limit: int, seconds: int) -> RateLimited:
    return RateLimited(message, limit=limit, reset=int(time.time()) + seconds, retry_after_seconds=seconds)
