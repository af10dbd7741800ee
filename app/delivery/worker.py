"""Delivers: claims what is due, posts it, records the result and the time of the next attempt.

Each process works for all workspaces. No process touches what another has claimed until the claim ends. Recording
results and claiming more share a round trip. So a busy workspace costs the database one statement of each kind for many
deliveries.

A receiver that hangs delays no other: each subscription has its own limit of posts at once, and a low one if all its
attempts fail.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime

import structlog
from msgspec import Raw, Struct

from app.delivery.guard import Guard
from app.delivery.payload import Payload, SentEvent, now, signed
from app.delivery.post import PostResult, post
from app.delivery.retry import next_attempt_at
from app.sealing.webhook_secrets import Sealer, SealError
from app.store.webhooks.claims import MAX_SUBSCRIPTIONS, AttemptRecord, Claim, Claims
from app.telemetry import tracing
from app.telemetry.metrics import ATTEMPT_SECONDS, ATTEMPTS
from app.telemetry.tracing import Attributes, OpenSpan
from schemas.errors import Unavailable

MAX_POSTS = 512
"""The maximum of posts at once in a process."""

MAX_POSTS_OF_WORKSPACE = 128
"""The maximum of posts at once to the subscriptions of one workspace, or its equal share of all if that is less."""

MAX_POSTS_EACH = 64
"""The maximum of posts at once to one subscription."""

MAX_POSTS_FAILING = 4
"""The same if every attempt has failed for a minute."""

MAX_BYTES = 2**26
"""The maximum of data in posts at once in a process."""

MAX_BYTES_OF_WORKSPACE = 2**24
"""The part of `MAX_BYTES` that one workspace may use."""

MAX_DATA_BYTES = 2**20
"""The maximum of one event's data."""

RETRY_SECONDS = 0.5
"""The time between two attempts to reach the database."""

TIMED_SECONDS = 60.0
"""A next attempt within this time is waited for exactly; the dispatcher's timer finds later ones."""

STOP_SECONDS = 5.0
"""How long a process that stops waits for receivers."""

DISABLE_AFTER_SECONDS = 5 * 86_400.0
"""A subscription whose attempts all failed for this long is disabled."""

GONE = 410

GONE_REASON = "The receiver answered 410 Gone"
FAILING_REASON = "Every attempt failed for five days"

logger = structlog.get_logger("synap.webhooks")

Disable = Callable[[str, str, str, float | None], Awaitable[None]]
"""Stops a subscription: workspace, id, reason, and for how many seconds it must have been failing, if any."""


class Posting(Struct, frozen=True, kw_only=True):
    """Posts deliveries."""

    guard: Guard
    sealer: Sealer
    schedule: Sequence[float]
    timeout_seconds: float

    async def post(self, workspace: str, claim: Claim) -> PostResult:
        """Attempt a delivery once. If it is traced, the receiver gets the `traceparent`."""
        span = _span(workspace, claim) if tracing.is_on() else None
        outcome: PostResult | None = None
        try:
            outcome = await self._post(workspace, claim, None if span is None else span.traceparent())
            return outcome
        finally:
            if span is not None:
                failed = outcome is None or outcome.error is not None
                status = (
                    {} if outcome is None or outcome.status is None else {"http.response.status_code": outcome.status}
                )
                span.end(status, failed=failed)

    async def _post(self, workspace: str, claim: Claim, traceparent: str | None) -> PostResult:
        payload = Payload(
            subscription_id=claim.subscription,
            delivered_at=now(),
            event=SentEvent(
                event_id=claim.event_id,
                type=claim.type,
                source=claim.source,
                timestamp=claim.timestamp,
                data=Raw(claim.data.encode()),
                **({"erased": True} if claim.is_erased else {}),
            ),
            seq=claim.seq,
            hash=f"sha256:{claim.hash}",
            delivery_seq=claim.delivery_seq,
        )
        webhook_id = f"{claim.subscription}_{claim.delivery_seq}"
        return await self.send(
            workspace,
            claim.subscription,
            claim.url,
            payload,
            webhook_id,
            claim.secret,
            claim.previous_secret,
            traceparent=traceparent,
        )

    async def send(
        self,
        workspace: str,
        subscription: str,
        url: str,
        payload: Payload,
        webhook_id: str,
        secret: bytes,
        previous_secret: bytes | None,
        *,
        traceparent: str | None = None,
    ) -> PostResult:
        """Post a payload, signed with the sealed secrets. Failures are outcomes."""
        try:
            opened = self.sealer.open(secret, workspace, subscription)
            previous = previous_secret and self.sealer.open(previous_secret, workspace, subscription)
        except SealError as error:
            return PostResult(error=str(error), elapsed_seconds=0.0)
        body, headers = signed(payload, webhook_id, opened, previous or None)
        if traceparent is not None:
            headers["traceparent"] = traceparent
        return await post(url, body, headers, guard=self.guard, timeout_seconds=self.timeout_seconds, party=workspace)

    def record_of(self, claim: Claim, at: datetime, outcome: PostResult) -> AttemptRecord:
        """The record of an attempt, with the time of the next one."""
        wait = None
        if outcome.error is not None:
            ended = datetime.now(UTC)
            next_at = next_attempt_at(
                claim.attempts + 1,
                schedule=self.schedule,
                now=ended,
                random=random.random,
                retry_after_seconds=outcome.retry_after_seconds,
            )
            wait = None if next_at is None else (next_at - ended).total_seconds()
        return AttemptRecord(
            subscription_id=claim.subscription,
            delivery_seq=claim.delivery_seq,
            attempts=claim.attempts,
            at=at,
            elapsed_ms=round(outcome.elapsed_seconds * 1000),
            status=outcome.status,
            error=outcome.error,
            body=outcome.body.hex(),
            wait_seconds=wait,
        )


class Worker:
    """The posts of one process. For one event loop."""

    def __init__(self, claims: Claims, posting: Posting, disable: Disable) -> None:
        self.claims = claims
        self.posting = posting
        self.disable = disable
        self.under_way: set[asyncio.Task[None]] = set()
        self.bytes = 0
        """The size of the data in posts that run now."""
        self.is_stopping = False
        self.lanes: dict[str, _Lane] = {}

    def owed(self, workspace: str, subscriptions: Iterable[str]) -> None:
        """Note that these subscriptions may have deliveries that are due."""
        if self.is_stopping or not (wanted := dict.fromkeys(subscriptions)):
            return
        lane = self.lanes.get(workspace)
        if lane is None:
            lane = self.lanes[workspace] = _Lane(self, workspace)
        lane.owed(wanted)

    def ended(self) -> None:
        """Note that there is room for another post."""
        for lane in self.lanes.values():
            lane.wake()

    async def close(self) -> None:
        """Stop: wait a little for the receivers, then release the claims without an answer."""
        self.is_stopping = True
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=STOP_SECONDS)
        for task in self.under_way:
            task.cancel()
        self.ended()
        if tasks := [lane.task for lane in self.lanes.values()]:
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()


class _Lane:
    """The posts of one workspace, as long as there are any."""

    def __init__(self, worker: Worker, workspace: str) -> None:
        self._worker = worker
        self._workspace = workspace
        self._owed: dict[str, None] = {}
        self._posts: Counter[str] = Counter()
        self._bytes = 0
        self._failing: set[str] = set()
        self._made: list[AttemptRecord] = []
        self._given_up: list[Claim] = []
        self._awake = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    def owed(self, subscriptions: dict[str, None]) -> None:
        """Note that these subscriptions may have deliveries that are due."""
        self._owed |= subscriptions
        self.wake()

    def wake(self) -> None:
        """Look again for work."""
        self._awake.set()

    async def _run(self) -> None:
        await asyncio.sleep(0)  # so that calls of `owed` in this turn are seen together
        while self._owed or self._made or self._given_up or self._posts.total():
            if self._worker.is_stopping:
                self._owed.clear()
            capacity = self._capacity()
            if capacity or self._made:
                await self._exchange(capacity)
            elif self._given_up:
                await self._release()
            else:
                await self._awake.wait()
            self._awake.clear()
        # Nothing can have been added: there is no await since the check.
        del self._worker.lanes[self._workspace]

    def _capacity(self) -> dict[str, int]:
        """How many deliveries may be claimed of each subscription that may have some."""
        share = min(MAX_POSTS_OF_WORKSPACE, max(MAX_POSTS // len(self._worker.lanes), 1))
        free = min(MAX_POSTS - len(self._worker.under_way), share - self._posts.total())
        capacity: dict[str, int] = {}
        for id_ in self._owed:
            most = MAX_POSTS_FAILING if id_ in self._failing else MAX_POSTS_EACH
            room = min(most - self._posts[id_], free)
            if room > 0:
                capacity[id_] = room
                free -= room
            if len(capacity) == MAX_SUBSCRIPTIONS:
                break
        return capacity if self._free_bytes() > 0 else {}

    def _free_bytes(self) -> int:
        """The size of the data that may be claimed."""
        return min(MAX_BYTES - self._worker.bytes, MAX_BYTES_OF_WORKSPACE - self._bytes)

    async def _exchange(self, capacity: dict[str, int]) -> None:
        """Record the attempts that have ended, and start what can be claimed."""
        made, self._made = self._made, []
        for id_ in capacity:
            del self._owed[id_]  # before the query, so that later notes count
        max_bytes = self._free_bytes()
        try:
            failing, claims = await self._worker.claims.exchange(self._workspace, made, capacity, max_bytes)
        except Exception as error:  # noqa: BLE001 - the lane goes on: what was attempted has to be recorded
            if not isinstance(error, Unavailable):
                logger.warning("defect", defect=type(error).__name__, workspace=self._workspace)
            self._made += made
            self._owed |= dict.fromkeys(capacity)
            await asyncio.sleep(RETRY_SECONDS)
            return
        for claim in claims:
            self._start(claim)
        if sum(len(claim.data) for claim in claims) > max_bytes - MAX_DATA_BYTES:
            self._owed |= dict.fromkeys(capacity)  # the limit of data may have cut the claims
        for attempt in made:
            if attempt.wait_seconds is not None:
                self._come_back(attempt.subscription_id, attempt.wait_seconds)
        await self._judge(made, failing)

    def _start(self, claim: Claim) -> None:
        (self._failing.add if claim.is_failing else self._failing.discard)(claim.subscription)
        self._posts[claim.subscription] += 1
        self._worker.bytes += len(claim.data)
        self._bytes += len(claim.data)
        task = asyncio.create_task(self._attempt(claim))
        self._worker.under_way.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, claim))

    async def _attempt(self, claim: Claim) -> None:
        at = datetime.now(UTC)
        outcome = await self._worker.posting.post(self._workspace, claim)
        ATTEMPTS.add(_kind(outcome))
        ATTEMPT_SECONDS.observe(outcome.elapsed_seconds)
        self._made.append(self._worker.posting.record_of(claim, at, outcome))

    def _ended(self, task: asyncio.Task[None], claim: Claim) -> None:
        self._worker.under_way.discard(task)
        self._worker.bytes -= len(claim.data)
        self._bytes -= len(claim.data)
        self._posts[claim.subscription] -= 1
        self._owed[claim.subscription] = None  # there is room for another
        if task.cancelled():
            self._given_up.append(claim)
        elif (defect := task.exception()) is not None:
            # Its claim ends by itself, and some process tries again.
            logger.error("defect", defect=type(defect).__name__, workspace=self._workspace)
        self._worker.ended()

    def _come_back(self, subscription: str, seconds: float) -> None:
        """Look at a subscription when its next attempt is due, unless that is far off: the dispatcher finds it then."""
        if seconds > TIMED_SECONDS:
            return
        worker, workspace = self._worker, self._workspace
        asyncio.get_running_loop().call_later(seconds + 0.01, lambda: worker.owed(workspace, [subscription]))

    async def _judge(self, made: Sequence[AttemptRecord], failing: dict[str, float | None]) -> None:
        """Stop the subscriptions whose receivers are gone, or have failed for too long."""
        gone = {attempt.subscription_id for attempt in made if attempt.status == GONE}
        for id_ in gone:
            await self._worker.disable(self._workspace, id_, GONE_REASON, None)
        for id_, seconds in failing.items():
            if id_ not in gone and seconds is not None and seconds >= DISABLE_AFTER_SECONDS:
                await self._worker.disable(self._workspace, id_, FAILING_REASON, DISABLE_AFTER_SECONDS)

    async def _release(self) -> None:
        """Release claims without an attempt, so that another process need not wait until they end."""
        claims, self._given_up = self._given_up, []
        try:
            await self._worker.claims.release(self._workspace, claims)
        except Unavailable:
            logger.info("claims of deliveries could not be released", workspace=self._workspace, claims=len(claims))


def _span(workspace: str, claim: Claim) -> OpenSpan | None:
    attributes: Attributes = {
        "http.request.method": "POST",
        "synap.workspace": workspace,
        "synap.subscription_id": claim.subscription,
        "synap.delivery_seq": claim.delivery_seq,
        "synap.attempt": claim.attempts + 1,
    }
    return tracing.begin("deliver", "client", attributes)


def _kind(outcome: PostResult) -> str:
    """The outcome of a post as a word for the metrics."""
    if outcome.error is None:
        return "delivered"
    return "unanswered" if outcome.status is None else f"{outcome.status // 100}xx"
