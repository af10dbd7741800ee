"""The log's write side: append by group commit.

`EventLog.append` makes this promise. When it returns, the event is committed and durable, has its seq, hash and
signature, and every reader at that seq or later sees it. When it raises, either nothing was stored, or the error says
that the outcome is unknown and that a retry with the same `id` is safe.

Concurrent appends to one workspace share a transaction (`commits.py`): while one transaction runs, the next group
gathers. The row lock on the workspace's tip serialises all processes until the commit. So seqs have the order of the
commits, without gaps. A crash before the commit leaves nothing, and a crash after it leaves everything.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from app.ledger.chain import instant
from app.ledger.draft import Draft
from app.ledger.keyring import Keyring
from app.store.events.commits import (
    STOPPED_SECONDS,
    Commits,
    GroupAnswers,
    OutcomeUnknownError,
    roll_back,
    tip_of,
)
from app.store.events.groups import Group, Submission
from app.store.events.linker import FIND_STORED, GET_TIP, LOCK_TIP, conflict, next_place, placed, stored, unmet
from app.store.postgres.clock import MAX_SKEW_SECONDS, Clock, utc_now
from app.store.postgres.database import BEGIN, COMMIT, LOST, Database, is_broken, unavailable
from app.store.postgres.pipe import Call, NoAnswerError, PipedConnection, uuid_array
from app.telemetry import tracing
from app.telemetry.metrics import APPENDED, GROUP_EVENTS, GROUP_SECONDS
from app.telemetry.tracing import Attributes, OpenSpan
from schemas.errors import Conflict, InvalidInput, NotFound, ProcedureError, Unavailable
from schemas.event import SynapEvent

MAX_QUEUED_EVENTS = 20_000
MAX_QUEUED_BYTES = 64 * 2**20

SETTLE_SECONDS = 2.5
"""How long after a lost connection the server tries to find out the outcome before it reports that it is unknown."""


class EventLog:
    """Appends to the logs of all workspaces, for one process. Any number of tasks may use it at once."""

    def __init__(
        self,
        database: Database,
        keys: Keyring,
        node: str,
        now: Callable[[], datetime] = utc_now,
        committed: Callable[[str, int], None] = lambda _workspace, _seq: None,
        max_skew_seconds: float = MAX_SKEW_SECONDS,
    ) -> None:
        """`node` is the install's id. `committed` is called with the workspace and the last seq of each commit.

        If `now` is further from the database's clock than `max_skew_seconds`, nothing is appended.
        """
        self._database = database
        self._commits = Commits(keys, node, Clock(now, max_skew_seconds))
        self._committed = committed
        self._now = now
        self._refusal: str | None = None
        self._waiting: dict[str, deque[Submission]] = {}
        self._lanes: set[asyncio.Task[None]] = set()
        self._queued_events = 0
        self._queued_bytes = 0

    @property
    def queued(self) -> tuple[int, int]:
        """The number and the size in bytes of the events that were accepted and are not yet committed."""
        return self._queued_events, self._queued_bytes

    def refuse(self, reason: str | None) -> None:
        """Append nothing from now on, for this reason; None: append again. What is accepted already is still stored."""
        self._refusal = reason

    async def append(self, workspace: str, drafts: Sequence[Draft]) -> list[SynapEvent]:
        """Append `drafts`, all or nothing, and return them as stored, in their order. Some may be stored already.

        It is idempotent by id: if an event with the same id and content is stored, that event is returned. Raises
        Conflict if the stored event has other content, InvalidInput if two drafts of one call have the same id and
        different content, NotFound for an unknown workspace, and Unavailable (retriable).
        """
        self._check_open()
        size = sum(draft.size for draft in drafts)
        if self._queued_events + len(drafts) > MAX_QUEUED_EVENTS or self._queued_bytes + size > MAX_QUEUED_BYTES:
            raise Unavailable("Too many events wait to be stored; nothing was stored, retry")
        submission = Submission(drafts, size, asyncio.get_running_loop().create_future(), tracing.current())
        self._queued_events += len(drafts)
        self._queued_bytes += size
        waiting = self._waiting.get(workspace)
        if waiting is None:
            waiting = self._waiting[workspace] = deque()
            lane = asyncio.create_task(self._run(workspace, waiting))
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        waiting.append(submission)
        return await submission.done  # a caller that goes away cancels its future, not the append

    def foresee(self, workspace: str, drafts: Sequence[Draft]) -> None:
        """Announce the drafts of the next call of `append`, which may then take less time. It changes nothing else."""
        self._commits.foresee(workspace, drafts)

    async def preview(self, workspace: str, draft: Draft) -> tuple[SynapEvent, bool]:
        """Return what `append` would return now, and whether that event is stored already. Appends nothing.

        If the event is not stored, its `hash` consists of zeros. Raises Conflict if the stored event has other content,
        NotFound for an unknown workspace, InvalidInput for an intent that is refused, and Unavailable.
        """
        key = {"workspace": workspace}
        tips, found = await asyncio.gather(
            self._database.rows(GET_TIP, key), self._database.rows(FIND_STORED, {**key, "ids": uuid_array([draft.id])})
        )
        if tips and found:
            if error := conflict(draft, found[0]):
                raise error
            return stored(found[0]), True
        seq, recorded_at = next_place(tip_of(workspace, tips), self._now())
        if refusal := unmet(draft, recorded_at):
            raise refusal
        return placed(draft, seq, instant(recorded_at), bytes(32)), False

    async def append_with(
        self,
        workspace: str,
        prepare: Callable[[PipedConnection, datetime], Awaitable[tuple[Sequence[Draft], Sequence[Call]]]],
    ) -> list[SynapEvent]:
        """Append the drafts of `prepare` and run its calls in one transaction, under the lock on the tip.

        `prepare` may read on the connection, which is in that transaction. It also gets the time that the first of its
        events gets. If it returns no drafts, nothing is done. Raises what `prepare` raises, NotFound, and Unavailable
        (retriable; if the connection was lost during the commit, the transaction may have been committed).
        """
        self._check_open()
        key = {"workspace": workspace}
        try:
            async with self._database.pool.connection() as connection:
                try:
                    _, tips = await connection.trip([BEGIN, (LOCK_TIP, key)])
                    linker = self._commits.linker(workspace, tips, {})
                    drafts, calls = await prepare(connection, linker.at)
                    answer = linker.link(drafts)
                    if isinstance(answer, ProcedureError):
                        raise answer
                    await connection.trip([*(calls if drafts else ()), *linker.writes(), COMMIT])
                except BaseException:
                    await roll_back(connection)
                    raise
        except LOST as error:
            raise unavailable(error) from error
        if drafts:
            APPENDED.add(by=len(linker.linked))
            self._committed(workspace, linker.tip.seq)
        return answer

    async def drain(self) -> None:
        """Wait until everything that was accepted is committed or rejected."""
        while self._lanes:
            await asyncio.wait(self._lanes)

    def _check_open(self) -> None:
        if self._refusal is not None:
            raise Unavailable(self._refusal, retry_after_seconds=STOPPED_SECONDS)

    async def _run(self, workspace: str, waiting: deque[Submission]) -> None:
        """Commit the submissions that wait for one workspace, group by group, until none waits."""
        while waiting:
            group = Group(waiting)
            answers: Sequence[list[SynapEvent] | Exception]
            begun = len(group.submissions)
            span = _span(workspace, group) if tracing.is_on() else None
            try:
                answers = await self._settle(workspace, group)
            except Exception as error:  # noqa: BLE001 - the lane survives, and each caller gets the error as its own
                answers = [error] * len(group.submissions)
            if span is not None:
                span.end(
                    {"synap.events": group.events},
                    failed=not isinstance(answers[0], list | Conflict | InvalidInput | NotFound),
                    callers=[each.span for each in group.submissions[begun:]],
                )
            if isinstance(answers[0], Unavailable) and waiting:
                # Callers that arrived meanwhile have waited as long, so they fail now too, not one group after the
                # other.
                refused = answers[0]
                if refused.ids:  # the ids of the first caller, whose outcome is unknown; the others were not tried
                    refused = Unavailable("The database is unavailable; nothing was stored, retry")
                answers = [*answers, *[refused] * len(waiting)]
                group.join_rest()
            self._answer(group, answers)
        # There was no await since the queue was empty, so nothing can have been put into it.
        del self._waiting[workspace]

    def _answer(self, group: Group, answers: Sequence[list[SynapEvent] | Exception]) -> None:
        for submission, answer in zip(group.submissions, answers, strict=True):
            self._queued_events -= len(submission.drafts)
            self._queued_bytes -= submission.size
            if submission.done.cancelled():
                continue
            if isinstance(answer, Exception):
                submission.done.set_exception(answer)
            else:
                submission.done.set_result(answer)

    async def _settle(self, workspace: str, group: Group) -> GroupAnswers:
        """Commit `group`.

        If the connection was lost, commit it again, which is safe because appends are idempotent by id. That happens at
        least once, however long the group had waited for others, unless the database has not answered in time.
        """
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        unknown = False
        while True:
            try:
                return await self._commit(workspace, group, finds_all=deadline is not None)
            except OutcomeUnknownError as error:
                unknown = True
                if isinstance(error.__cause__, NoAnswerError):
                    return _outcomes_unknown(group)
            except LOST as error:
                is_final = deadline is not None or not is_broken(error) or isinstance(error, NoAnswerError)
                if is_final and not unknown:
                    raise unavailable(error) from error
            if deadline is None:
                deadline = loop.time() + SETTLE_SECONDS
            elif loop.time() > deadline:
                return _outcomes_unknown(group)
            else:
                await asyncio.sleep(0.2)
            await self._database.discard_broken()

    async def _commit(self, workspace: str, group: Group, *, finds_all: bool) -> GroupAnswers:
        """Commit `group` in one transaction. Raises what `Commits.commit` raises."""
        started = time.perf_counter()
        async with self._database.pool.connection() as connection:
            linker, answers = await self._commits.commit(connection, workspace, group, finds_all=finds_all)
        if linker.linked:
            GROUP_SECONDS.observe(time.perf_counter() - started)
            GROUP_EVENTS.observe(len(linker.linked))
            APPENDED.add(by=len(linker.linked))
            self._committed(workspace, linker.tip.seq)
        return answers


def _span(workspace: str, group: Group) -> OpenSpan | None:
    """The span of a group commit: a child of the first caller's span, with links to all callers' spans."""
    attributes: Attributes = {"synap.workspace": workspace}
    return tracing.begin("commit", "internal", attributes, callers=[each.span for each in group.submissions])


def _outcomes_unknown(group: Group) -> GroupAnswers:
    return [
        Unavailable(
            "The connection to the database was lost during the commit, so it is unknown whether the events are "
            "stored. Retry with the ids in `data.ids`: each event is stored at most once",
            retry_after_seconds=5,
            ids=[str(draft.id) for draft in submission.drafts],
        )
        for submission in group.submissions
    ]
