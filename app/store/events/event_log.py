"""The log's write side: append by group commit.

The promise of `EventLog.append`: when it returns, the event is committed and durable, has its place, hash and
signature, and every reader at that place or later will see it. When it raises, nothing was stored, or it says that the
outcome is unknown and that a retry with the same `id` settles it.

Concurrent appends to one workspace share a transaction: while one is in flight, the next group gathers. The row lock
on the workspace's tip serialises all processes, and is held until the commit; so the order of seq is the order of
commits, without gaps. A crash before the commit leaves nothing, one after it leaves everything.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from msgspec import Struct
from opentelemetry.trace import SpanContext
from psycopg import Error

from app.ledger.chain import instant
from app.ledger.draft import Draft
from app.ledger.keyring import Keyring
from app.store.events.idempotency import SINCE, former_ids, with_ids
from app.store.events.linker import FIND, LOCK, TIP, Linker, Tip, conflict, next_place, placed, stored
from app.store.postgres.database import BEGIN, COMMIT, LOST, ROLLBACK, Database, is_broken, unavailable
from app.store.postgres.pipe import Call, NoAnswerError, PipedConnection, Row, uuid_array
from app.telemetry import tracing
from app.telemetry.metrics import APPENDED, GROUP_EVENTS, GROUP_SECONDS
from app.telemetry.tracing import Attributes, OpenSpan
from schemas.errors import Conflict, InvalidInput, NotFound, ProcedureError, Unavailable
from schemas.event import SynapEvent

MAX_GROUP_EVENTS = 1000
"""Events in one transaction: enough to amortise the commit, few enough to hold the lock for milliseconds."""

MAX_GROUP_BYTES = 8 * 2**20
MAX_QUEUED_EVENTS = 20_000
MAX_QUEUED_BYTES = 64 * 2**20

THREAD_FROM = 100
"""A group of this many events is hashed and signed (30 µs each) in a thread, so that the loop goes on answering."""

LOST_EVENTS = (
    "The log {} has lost or changed events: it does not extend the checkpoint of its first {} events that was kept. "
    "Nothing was stored. An administrator must restore the database, or accept the loss: synap node accept-rollback"
)

STOPPED_SECONDS = 60
"""When to retry an append to a log that an administrator has to look at."""

SETTLE_SECONDS = 2.5
"""How long an unknown outcome is pursued before the callers are told of it."""


class _Submission(Struct, frozen=True, eq=False):
    """What one caller wants appended, all or nothing, and the promise that it waits for."""

    drafts: Sequence[Draft]
    size: int
    done: asyncio.Future[list[SynapEvent]]
    span: SpanContext | None
    """What it is a part of, where that is traced."""


class _OutcomeUnknownError(Exception):
    """The connection was lost when the commit may have been on its way."""


class EventLog:
    """Appends to the logs of every workspace, for one process. For any number of tasks at once."""

    def __init__(
        self,
        database: Database,
        keys: Keyring,
        node: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        committed: Callable[[str, int], None] = lambda _workspace, _seq: None,
    ) -> None:
        """`node` is the install's id (`did:key:z…`). `committed` is told the workspace and the last seq of a commit."""
        self._database = database
        self._keys = keys
        self._node = node
        self._committed = committed
        self._now = now
        self._waiting: dict[str, deque[_Submission]] = {}
        self._lanes: set[asyncio.Task[None]] = set()
        self._queued_events = 0
        self._queued_bytes = 0
        self._counted: set[tuple[str, str, str]] = set()

    @property
    def queued(self) -> tuple[int, int]:
        """What was accepted and is not yet committed: events, and their bytes."""
        return self._queued_events, self._queued_bytes

    async def append(self, workspace: str, drafts: Sequence[Draft]) -> list[SynapEvent]:
        """Append `drafts`, all or nothing (some may be stored already), and answer them as stored, in their order.

        Idempotent by id: the same content under an id that is stored returns the first event. Raises Conflict where an
        id has other content, InvalidInput where two drafts of one call disagree, NotFound for an unknown workspace,
        Unavailable (retriable).
        """
        size = sum(draft.size for draft in drafts)
        if self._queued_events + len(drafts) > MAX_QUEUED_EVENTS or self._queued_bytes + size > MAX_QUEUED_BYTES:
            raise Unavailable("More events are waiting than this server takes; nothing was stored, retry")
        submission = _Submission(drafts, size, asyncio.get_running_loop().create_future(), tracing.current())
        self._queued_events += len(drafts)
        self._queued_bytes += size
        waiting = self._waiting.get(workspace)
        if waiting is None:
            waiting = self._waiting[workspace] = deque()
            lane = asyncio.create_task(self._run(workspace, waiting))
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        waiting.append(submission)
        return await submission.done  # a caller that goes away cancels its promise, not what was accepted

    async def preview(self, workspace: str, draft: Draft) -> tuple[SynapEvent, bool]:
        """What `append` would answer if it were called now, and whether that is stored already. Appends nothing.

        The `hash` of what is not stored is of zeros. Raises Conflict where the id has other content, NotFound for an
        unknown workspace, Unavailable.
        """
        key = {"workspace": workspace}
        tips, found = await asyncio.gather(
            self._database.rows(TIP, key), self._database.rows(FIND, {**key, "ids": uuid_array([draft.id])})
        )
        if not tips:
            raise _no_workspace()
        if found:
            if error := conflict(draft, found[0]):
                raise error
            return stored(found[0]), True
        seq, recorded_at = next_place(_continued(workspace, Tip(*tips[0])), self._now())
        return placed(draft, seq, instant(recorded_at), bytes(32)), False

    async def append_with(
        self, workspace: str, prepare: Callable[[PipedConnection], Awaitable[tuple[Sequence[Draft], Sequence[Call]]]]
    ) -> list[SynapEvent]:
        """Append what `prepare` drafts, in one transaction with the calls that it answers, under the lock on the tip.

        `prepare` may read on the connection, which is in that transaction. Without drafts nothing is done. Raises what
        `prepare` raises, NotFound, and Unavailable (retriable; where the commit was under way it may have been done).
        """
        key = {"workspace": workspace}
        try:
            async with self._database.pool.connection() as connection:
                try:
                    _, _, tips = await connection.trip([BEGIN, (LOCK, key), (TIP, key)])
                    linker = self._linker(workspace, tips, {})
                    drafts, calls = await prepare(connection)
                    answer = linker.link(drafts)
                    if isinstance(answer, ProcedureError):
                        raise answer
                    await connection.trip([*(calls if drafts else ()), *linker.writes(), COMMIT])
                except BaseException:
                    await _roll_back(connection)
                    raise
        except LOST as error:
            raise unavailable(error) from error
        if drafts:
            APPENDED.add(by=len(linker.rows))
            self._committed(workspace, linker.tip.seq)
        return answer

    async def drain(self) -> None:
        """Wait until everything accepted is committed or refused."""
        while self._lanes:
            await asyncio.wait(self._lanes)

    async def _run(self, workspace: str, waiting: deque[_Submission]) -> None:
        """Commit what waits for one workspace, group by group, until nothing does."""
        while waiting:
            group = _take(waiting)
            answers: Sequence[list[SynapEvent] | Exception]
            span = _span(workspace, group) if tracing.is_on() else None
            try:
                answers = await self._settle(workspace, group)
            except Exception as error:  # noqa: BLE001 - the lane survives, and each caller gets the error as its own
                answers = [error] * len(group)
            if span is not None:
                span.end({}, failed=not isinstance(answers[0], list | Conflict | InvalidInput | NotFound))
            if isinstance(answers[0], Unavailable) and waiting:
                # Whoever came meanwhile has waited as long: told now, rather than one group after the other.
                refused = answers[0]
                if refused.ids:  # of the first caller, whose outcome is unknown
                    refused = Unavailable("The database is unavailable; nothing was stored, retry")
                answers = [*answers, *[refused] * len(waiting)]
                group += waiting
                waiting.clear()
            for submission, answer in zip(group, answers, strict=True):
                self._queued_events -= len(submission.drafts)
                self._queued_bytes -= submission.size
                if submission.done.cancelled():
                    continue
                if isinstance(answer, Exception):
                    submission.done.set_exception(answer)
                else:
                    submission.done.set_result(answer)
        # No await since the queue was seen empty: nothing can have been put into it.
        del self._waiting[workspace]

    async def _settle(self, workspace: str, group: list[_Submission]) -> list[list[SynapEvent] | ProcedureError]:
        """Commit `group`; where the connection was lost, find out by doing it again: the ids make that safe."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_SECONDS
        unknown = retried = False
        while True:
            try:
                return await self._commit(workspace, group)
            except _OutcomeUnknownError:
                unknown = True
            except LOST as error:
                if not unknown and (retried or not is_broken(error) or isinstance(error, NoAnswerError)):
                    raise unavailable(error) from error
            if loop.time() > deadline:
                return [_outcome_unknown(submission) for submission in group]
            if retried:
                await asyncio.sleep(0.2)
            retried = True
            await self._database.discard_broken()

    async def _commit(self, workspace: str, group: list[_Submission]) -> list[list[SynapEvent] | ProcedureError]:
        """One transaction, in two round trips. Raises as psycopg does, or _OutcomeUnknownError."""
        started = time.perf_counter()
        async with self._database.pool.connection() as connection:
            linker, answers = await self._link(connection, workspace, [submission.drafts for submission in group])
            try:
                await connection.trip([*linker.writes(self._counted), COMMIT])
            except Error as error:
                if is_broken(error):
                    raise _OutcomeUnknownError from error
                await _roll_back(connection)
                raise
        if linker.rows:
            GROUP_SECONDS.observe(time.perf_counter() - started)
            GROUP_EVENTS.observe(len(linker.rows))
            APPENDED.add(by=len(linker.rows))
            self._counted.update(linker.kinds())
            self._committed(workspace, linker.tip.seq)
        return answers

    async def _link(
        self, connection: PipedConnection, workspace: str, calls: Sequence[Sequence[Draft]]
    ) -> tuple[Linker, list[list[SynapEvent] | ProcedureError]]:
        """Begin a transaction that holds the lock on the tip, and place each caller's drafts behind it."""
        former = former_ids(calls)
        ids = list(former.union(draft.id for drafts in calls for draft in drafts))
        key = {"workspace": workspace}
        begun: list[Call] = [BEGIN, (LOCK, key), (TIP, key), (FIND, {**key, "ids": uuid_array(ids)})]
        _, _, tips, found, *since = await connection.trip([*begun, (SINCE, {})] if former else begun)
        try:
            rows = {row[0]: row for row in found}
            if former:
                calls = [with_ids(drafts, since[0][0][0], rows) for drafts in calls]
            linker = self._linker(workspace, tips, rows)
            if len(ids) < THREAD_FROM:
                return linker, [linker.link(drafts) for drafts in calls]
            return linker, await _link_in_thread(connection, linker, calls)
        except BaseException:
            await _roll_back(connection)
            raise

    def _linker(self, workspace: str, tips: list[Row], stored: Mapping[UUID, Row]) -> Linker:
        """Links to the end of the log that is locked. Raises NotFound, Unavailable (a stopped log, a missing key)."""
        if not tips:
            raise _no_workspace()
        tip = _continued(workspace, Tip(*tips[0]))
        try:
            signer = self._keys.signer(tip.kid)
        except (ValueError, OSError):
            signer = None
        if signer is None:
            raise Unavailable("This server's signing key is not the one in force; nothing was stored, retry")
        return Linker(signer, self._node, workspace, tip, stored, self._now())


def _span(workspace: str, group: list[_Submission]) -> OpenSpan | None:
    """Of a group commit: a part of its first call, linked to all of them."""
    attributes: Attributes = {
        "synap.workspace": workspace,
        "synap.events": sum(len(each.drafts) for each in group),
    }
    return tracing.begin("commit", "internal", attributes, callers=[each.span for each in group])


def _continued(workspace: str, tip: Tip) -> Tip:
    """The tip, unless the log lost events. Raises Unavailable."""
    if tip.lost_size is not None:
        raise Unavailable(LOST_EVENTS.format(workspace, tip.lost_size), retry_after_seconds=STOPPED_SECONDS)
    return tip


def _no_workspace() -> NotFound:
    return NotFound("There is no such workspace", field="workspace")


def _outcome_unknown(submission: _Submission) -> Unavailable:
    return Unavailable(
        "The database went away during the commit: whether this is stored is unknown. Retry with the ids in "
        "`data.ids`: each is stored once at most",
        retry_after_seconds=5,
        ids=[str(draft.id) for draft in submission.drafts],
    )


async def _link_in_thread(
    connection: PipedConnection, linker: Linker, calls: Sequence[Sequence[Draft]]
) -> list[list[SynapEvent] | ProcedureError]:
    """What `Linker.link` answers each caller. The database stores one part while the next is linked."""
    answers: list[list[SynapEvent] | ProcedureError] = []
    parts = linker.link_parts(calls, answers)
    part = await asyncio.to_thread(next, parts, None)
    while part is not None:
        # In this order: the part is sent before the thread wants the processor.
        _, part = await asyncio.gather(connection.trip([part]), asyncio.to_thread(next, parts, None))
    return answers


async def _roll_back(connection: PipedConnection) -> None:
    """End a transaction that failed; where that fails too, the connection is closed, which ends it as well."""
    with contextlib.suppress(Error):
        await connection.trip([ROLLBACK])


def _take(waiting: deque[_Submission]) -> list[_Submission]:
    """The next group: at least one submission, bounded by events and bytes."""
    group = [waiting.popleft()]
    events, size = len(group[0].drafts), group[0].size
    while waiting:
        events += len(waiting[0].drafts)
        size += waiting[0].size
        if events > MAX_GROUP_EVENTS or size > MAX_GROUP_BYTES:
            break
        group.append(waiting.popleft())
    return group
