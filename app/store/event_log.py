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
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, Struct
from psycopg import Error

from app.ledger.chain import Body, header_bytes, instant, leaf_hash, signed_text
from app.ledger.draft import Draft
from app.ledger.signer import Signer
from app.store.database import BEGIN, COMMIT, LOST, ROLLBACK, Database, is_broken, unavailable
from app.store.pipe import Call, NoAnswerError, PipedConnection, Row, uuid_array
from app.store.rows import BODY, EVENT_JSON, to_body
from schemas.errors import Conflict, InvalidInput, Issue, NotFound, ProcedureError, Unavailable
from schemas.event import SynapEvent

MAX_GROUP_EVENTS = 1000
"""Events in one transaction: enough to amortise the commit, few enough to hold the lock for milliseconds."""

MAX_GROUP_BYTES = 8 * 2**20
MAX_QUEUED_EVENTS = 20_000
MAX_QUEUED_BYTES = 64 * 2**20

THREAD_FROM = 100
"""A group of this many events is hashed and signed (30 µs each) in a thread, so that the loop goes on answering."""

MAX_COUNTED = 10_000
"""Distinct types, and distinct producers, of a workspace whose events are counted as they are appended."""

MICROSECOND = timedelta(microseconds=1)

SETTLE_SECONDS = 2.5
"""How long an unknown outcome is pursued before the callers are told of it."""

LOCK = "SELECT FROM event_tip WHERE workspace_id = %(workspace)s FOR UPDATE"
"""Serialises appends to one workspace. The next statements read: their snapshots are taken under the lock."""

TIP = "SELECT seq, hash, recorded_at, kid, counted FROM event_tip WHERE workspace_id = %(workspace)s"

FIND = f"""
SELECT {BODY}, convert_to({EVENT_JSON}, 'UTF8') FROM event
WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s::uuid[])
"""
"""The events that are stored already under these ids."""

INSERT = """
INSERT INTO event (workspace_id, kid, seq, id, type, recorded_at, prev_hash, body_hash, hash, signature, salt, user_id,
                   source, data, subject_id, producer, metadata, correlation_id, causation_id, occurred_at)
SELECT %(workspace)s, %(kid)s, seq, id, type, recorded_at,
    substr(bytes, place * 176 + 1, 32), substr(bytes, place * 176 + 33, 32), substr(bytes, place * 176 + 65, 32),
    substr(bytes, place * 176 + 97, 64), substr(bytes, place * 176 + 161, 16),
    user_id, source, data, subject_id, producer, metadata, correlation_id, causation_id, occurred_at
FROM (SELECT %(bytes)b::bytea AS bytes OFFSET 0) AS joined, json_to_recordset(%(rows)s::json) AS row (
    place int, seq bigint, id uuid, type text, recorded_at timestamptz, user_id text, source text, data text,
    subject_id text, producer text, metadata text, correlation_id text, causation_id text, occurred_at timestamptz)
"""
"""One parameter of JSON and one of joined bytes (prev 32, body 32, hash 32, signature 64, salt 16 for each event): a
tenth of the time that psycopg takes to adapt twenty lists. Not COPY: a process that freezes in the middle of one would
hold the tip's lock for ever, since PostgreSQL cannot cancel while it waits for COPY data."""

MOVE_TIP = """
UPDATE event_tip SET seq = %(seq)s, hash = %(hash)s, recorded_at = %(recorded_at)s
WHERE workspace_id = %(workspace)s
"""

COUNT = """
INSERT INTO event_count AS stored (workspace_id, type, source, has_metadata, events)
SELECT %(workspace)s, counted.* FROM json_to_recordset(%(counts)s::json)
    AS counted (type text, source text, has_metadata boolean, events bigint)
ON CONFLICT (workspace_id, type, source, has_metadata) DO UPDATE SET events = stored.events + excluded.events
"""

COUNT_PRODUCERS = """
INSERT INTO producer_count AS stored (workspace_id, producer, events)
SELECT %(workspace)s, counted.* FROM json_to_recordset(%(counts)s::json) AS counted (producer text, events bigint)
ON CONFLICT (workspace_id, producer) DO UPDATE SET events = stored.events + excluded.events
"""

STOP_COUNTING = f"""
UPDATE event_tip SET counted = false WHERE workspace_id = %(workspace)s AND (
    (SELECT count(DISTINCT type) FROM event_count WHERE workspace_id = %(workspace)s) > {MAX_COUNTED}
    OR (SELECT count(*) FROM producer_count WHERE workspace_id = %(workspace)s) > {MAX_COUNTED})
"""
"""Runs only for types and producers that this process has not seen: beyond the limit totals come from the index."""


class Tip(Struct, frozen=True):
    """The end of a log: the last seq (-1: empty), hash and time, the kid in force, whether types are still counted."""

    seq: int
    hash: bytes
    recorded_at: datetime
    kid: str
    counted: bool


class _Row(Struct, frozen=True, omit_defaults=True):
    """What `INSERT` reads of one event."""

    place: int
    seq: int
    id: UUID
    type: str
    recorded_at: datetime
    user_id: str
    source: str
    data: str
    subject_id: str | None
    producer: str | None
    metadata: str | None
    correlation_id: str | None
    causation_id: str | None
    occurred_at: datetime | None


class _Submission(Struct, frozen=True, eq=False):
    """What one caller wants appended, all or nothing, and the promise that it waits for."""

    drafts: Sequence[Draft]
    size: int
    done: asyncio.Future[list[SynapEvent]]


class _OutcomeUnknownError(Exception):
    """The connection was lost when the commit may have been on its way."""


class EventLog:
    """Appends to the logs of every workspace, for one process. For any number of tasks at once."""

    def __init__(
        self,
        database: Database,
        signer: Signer,
        node: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        committed: Callable[[str, int], None] = lambda _workspace, _seq: None,
    ) -> None:
        """`node` is the install's id (`did:key:z…`). `committed` is told the workspace and the last seq of a commit."""
        self._database = database
        self._signer = signer
        self._node = node
        self._committed = committed
        self._now = now
        self._waiting: dict[str, deque[_Submission]] = {}
        self._lanes: set[asyncio.Task[None]] = set()
        self._queued_events = 0
        self._queued_bytes = 0
        self._counted: set[tuple[str, str, str]] = set()

    async def append(self, workspace: str, drafts: Sequence[Draft]) -> list[SynapEvent]:
        """Append `drafts`, all or nothing (some may be stored already), and answer them as stored, in their order.

        Idempotent by id: the same content under an id that is stored returns the first event. Raises Conflict where an
        id has other content, InvalidInput where two drafts of one call disagree, NotFound for an unknown workspace,
        Unavailable (retriable).
        """
        size = sum(draft.size for draft in drafts)
        if self._queued_events + len(drafts) > MAX_QUEUED_EVENTS or self._queued_bytes + size > MAX_QUEUED_BYTES:
            raise Unavailable("More events are waiting than this server takes; nothing was stored, retry")
        submission = _Submission(drafts, size, asyncio.get_running_loop().create_future())
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

    async def drain(self) -> None:
        """Wait until everything accepted is committed or refused."""
        while self._lanes:
            await asyncio.wait(self._lanes)

    async def _run(self, workspace: str, waiting: deque[_Submission]) -> None:
        """Commit what waits for one workspace, group by group, until nothing does."""
        while waiting:
            group = _take(waiting)
            answers: Sequence[list[SynapEvent] | Exception]
            try:
                answers = await self._settle(workspace, group)
            except Exception as error:  # noqa: BLE001 - the lane survives, and each caller gets the error as its own
                answers = [error] * len(group)
            if isinstance(answers[0], Unavailable) and waiting:
                # Whoever came meanwhile has waited as long: told now, rather than one group after the other.
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
        ids = list({draft.id for submission in group for draft in submission.drafts})
        key = {"workspace": workspace}
        async with self._database.pool.connection() as connection:
            _, _, tips, found = await connection.trip(
                [BEGIN, (LOCK, key), (TIP, key), (FIND, {**key, "ids": uuid_array(ids)})]
            )
            try:
                tip = self._tip(tips)
                linker = _Linker(self._signer, self._node, workspace, tip, {row[0]: row for row in found}, self._now())
                if len(ids) < THREAD_FROM:
                    answers = [linker.link(submission.drafts) for submission in group]
                else:
                    answers = await asyncio.to_thread(lambda: [linker.link(each.drafts) for each in group])
            except BaseException:
                await _roll_back(connection)
                raise
            try:
                await connection.trip([*self._writes(linker), COMMIT])
            except Error as error:
                if is_broken(error):
                    raise _OutcomeUnknownError from error
                await _roll_back(connection)
                raise
        if linker.rows:
            self._counted.update(linker.kinds())
            self._committed(workspace, linker.tip.seq)
        return answers

    def _tip(self, rows: list[Row]) -> Tip:
        """The end of the log that is locked. Raises NotFound, and Unavailable where another key is in force."""
        if not rows:
            raise NotFound("There is no such workspace", field="workspace")
        tip = Tip(*rows[0])
        if tip.kid != self._signer.kid:
            raise Unavailable("This server's signing key is not the one in force; nothing was stored, retry")
        return tip

    def _writes(self, linker: "_Linker") -> list[Call]:
        """The statements that store what `linker` placed."""
        if not linker.rows:
            return []
        writes: list[Call] = [(INSERT, linker.insert()), (MOVE_TIP, linker.tip_move())]
        if linker.tip.counted:
            writes += [(COUNT, linker.counts()), (COUNT_PRODUCERS, linker.producer_counts())]
            if not self._counted.issuperset(linker.kinds()):
                writes.append((STOP_COUNTING, {"workspace": linker.workspace}))
        return writes


class _Linker:
    """Gives drafts their places behind a tip: one group's part of the chain."""

    def __init__(
        self, signer: Signer, node: str, workspace: str, tip: Tip, stored: dict[UUID, Row], now: datetime
    ) -> None:
        """`stored` are the rows that exist already under the group's ids."""
        self._signer = signer
        self._node = node
        self.workspace = workspace
        self.tip = tip
        self._stored = stored
        self._now = now
        self._new: dict[UUID, tuple[Draft, SynapEvent]] = {}
        self._bytes: list[bytes] = []
        self.rows: list[_Row] = []

    def link(self, drafts: Sequence[Draft]) -> list[SynapEvent] | ProcedureError:
        """The answer for one caller's drafts, in their order, or why none of them is appended."""
        own: dict[UUID, Draft] = {}
        for place, draft in enumerate(drafts):
            other = own.setdefault(draft.id, draft)
            if not _same(draft, other.type, other.body):
                return InvalidInput([Issue(f"events.{place}.id", "is used twice in this call, with different content")])
            if error := self._conflict(draft):
                return error
        return [self._place(draft) for draft in drafts]

    def insert(self) -> dict[str, object]:
        """The parameters of `INSERT`."""
        return {
            "workspace": self.workspace,
            "kid": self._signer.kid,
            "rows": msgspec.json.encode(self.rows).decode(),
            "bytes": b"".join(self._bytes),
        }

    def tip_move(self) -> dict[str, object]:
        """The parameters of `MOVE_TIP`."""
        tip = self.tip
        return {"workspace": self.workspace, "seq": tip.seq, "hash": tip.hash, "recorded_at": tip.recorded_at}

    def counts(self) -> dict[str, object]:
        """The parameters of `COUNT`, in one order for every process."""
        counted = sorted(Counter((row.type, row.source, row.metadata is not None) for row in self.rows).items())
        counts = [
            {"type": type_, "source": source, "has_metadata": has_metadata, "events": events}
            for (type_, source, has_metadata), events in counted
        ]
        return {"workspace": self.workspace, "counts": msgspec.json.encode(counts).decode()}

    def producer_counts(self) -> dict[str, object]:
        """The parameters of `COUNT_PRODUCERS`, in one order for every process."""
        counted = sorted(Counter(row.producer or row.source for row in self.rows).items())
        counts = [{"producer": producer, "events": events} for producer, events in counted]
        return {"workspace": self.workspace, "counts": msgspec.json.encode(counts).decode()}

    def kinds(self) -> set[tuple[str, str, str]]:
        """What of these rows is counted: workspace, type and producer."""
        return {(self.workspace, row.type, row.producer or row.source) for row in self.rows}

    def _conflict(self, draft: Draft) -> Conflict | None:
        if row := self._stored.get(draft.id):
            _, type_, erased, hash_, *_ = row
            same = erased or _same(draft, type_, to_body(row))
            stored_hash = f"sha256:{hash_.hex()}"
        elif new := self._new.get(draft.id):
            same = _same(draft, new[0].type, new[0].body)
            stored_hash = new[1].hash
        else:
            return None
        if same:
            return None
        return Conflict(f"The id {draft.id} is taken by an event with other content", hash=stored_hash, field="id")

    def _place(self, draft: Draft) -> SynapEvent:
        """The stored event under this id, else a new one at the end."""
        if row := self._stored.get(draft.id):
            return msgspec.json.decode(row[-1], type=SynapEvent)
        if new := self._new.get(draft.id):
            return new[1]
        tip, body = self.tip, draft.body
        seq = tip.seq + 1
        recorded_at = max(self._now, tip.recorded_at + MICROSECOND)
        timestamp = instant(recorded_at)
        header = header_bytes(
            node=self._node,
            kid=self._signer.kid,
            log=self.workspace,
            seq=seq,
            id=str(draft.id),
            type=draft.type,
            timestamp=timestamp,
            prev_hash=tip.hash,
            body_hash=draft.body_hash,
        )
        hash_ = leaf_hash(header)
        self._bytes += (tip.hash, draft.body_hash, hash_, self._signer.sign(signed_text(hash_)), draft.salt)
        self.rows.append(
            _Row(
                place=len(self.rows),
                seq=seq,
                id=draft.id,
                type=draft.type,
                recorded_at=recorded_at,
                user_id=body.user_id,
                source=body.source,
                data=body.data,
                subject_id=body.subject_id,
                producer=body.producer,
                metadata=body.metadata,
                correlation_id=body.correlation_id,
                causation_id=body.causation_id,
                occurred_at=body.occurred_at,
            )
        )
        self.tip = Tip(seq, hash_, recorded_at, tip.kid, tip.counted)
        event = SynapEvent(
            id=draft.id,
            version="v1",
            type=draft.type,
            subject_id=body.subject_id,
            data=Raw(body.data.encode()),
            metadata=UNSET if body.metadata is None else Raw(body.metadata.encode()),
            user_id=body.user_id,
            source=body.source,
            producer=body.producer,
            correlation_id=body.correlation_id,
            causation_id=body.causation_id,
            occurred_at=None if body.occurred_at is None else instant(body.occurred_at),
            timestamp=timestamp,
            seq=seq,
            hash=f"sha256:{hash_.hex()}",
        )
        self._new[draft.id] = draft, event
        return event


def _outcome_unknown(submission: _Submission) -> Unavailable:
    return Unavailable(
        "The database went away during the commit: whether this is stored is unknown. Retry with the ids in "
        "`data.ids`: each is stored once at most",
        retry_after_seconds=5,
        ids=[str(draft.id) for draft in submission.drafts],
    )


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


def _same(draft: Draft, type_: str, body: Body) -> bool:
    return draft.type == type_ and draft.body == body
