"""Places behind the end of a log: what events become when they are linked, hashed and signed, and how they are stored.

Whoever appends locks the tip, reads it, links, writes what `Linker.writes` says, and commits: one group's part of the
chain.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, Struct

from app.ledger.chain import Body, header_bytes, instant, leaf_hash, signed_text
from app.ledger.draft import Draft
from app.ledger.signer import Signer
from app.store.events.rows import BODY, EVENT_JSON, to_body
from app.store.postgres.pipe import Call, Row
from app.store.postgres.walk import each_sql
from schemas.errors import Conflict, InvalidInput, Issue, ProcedureError
from schemas.event import SynapEvent

MAX_COUNTED = 10_000
"""Distinct types, and distinct producers, of a workspace whose events are counted as they are appended."""

PART_EVENTS = 200
"""Stored while the next ones are linked, where there are more: groups of 1,000 take 0.8 of the time."""

MICROSECOND = timedelta(microseconds=1)

LOCK_TIP = "SELECT FROM event_tip WHERE workspace_id = %(workspace)s FOR UPDATE"
"""Serialises appends to one workspace. The statements after it read what the lock protects, in a newer snapshot."""

GET_TIP = "SELECT seq, hash, recorded_at, kid, counted, lost_size FROM event_tip WHERE workspace_id = %(workspace)s"
"""The tip of a log."""

FIND_STORED = f"""
SELECT {BODY}, recorded_at, convert_to({EVENT_JSON}, 'UTF8') FROM {each_sql("id", "%(ids)s::uuid[]")}
"""
"""The events that are stored already under these ids."""


def insert_sql(source: str = "") -> str:
    """Stores rows. `source` is one more item of FROM and its comma: without a row of that nothing is stored."""
    return f"""
INSERT INTO event (workspace_id, kid, seq, id, type, recorded_at, prev_hash, body_hash, hash, signature, salt, user_id,
                   source, data, subject_id, producer, metadata, correlation_id, causation_id, occurred_at)
SELECT %(workspace)s, %(kid)s, seq, id, type, recorded_at,
    substr(bytes, place * 176 + 1, 32), substr(bytes, place * 176 + 33, 32), substr(bytes, place * 176 + 65, 32),
    substr(bytes, place * 176 + 97, 64), substr(bytes, place * 176 + 161, 16),
    user_id, source, data, subject_id, producer, metadata, correlation_id, causation_id, occurred_at
FROM {source}(SELECT %(bytes)b::bytea AS bytes OFFSET 0) AS joined, json_to_recordset(%(rows)s::json) AS row (
    place int, seq bigint, id uuid, type text, recorded_at timestamptz, user_id text, source text, data text,
    subject_id text, producer text, metadata text, correlation_id text, causation_id text, occurred_at timestamptz)
"""


def count_sql(source: str = "", where: str = "") -> str:
    """Moves the counters of types. `source` as in `insert_sql`."""
    return f"""
INSERT INTO event_count AS stored (workspace_id, type, source, has_metadata, events)
SELECT %(workspace)s, counted.* FROM {source}json_to_recordset(%(counts)s::json)
    AS counted (type text, source text, has_metadata boolean, events bigint) {where}
ON CONFLICT (workspace_id, type, source, has_metadata) DO UPDATE SET events = stored.events + excluded.events
"""


def count_producers_sql(source: str = "", where: str = "") -> str:
    """Moves the counters of producers. `source` as in `insert_sql`."""
    return f"""
INSERT INTO producer_count AS stored (workspace_id, producer, events)
SELECT %(workspace)s, counted.* FROM {source}json_to_recordset(%(producers)s::json)
    AS counted (producer text, events bigint) {where}
ON CONFLICT (workspace_id, producer) DO UPDATE SET events = stored.events + excluded.events
"""


INSERT_EVENTS = insert_sql()
"""One parameter of JSON and one of joined bytes (prev 32, body 32, hash 32, signature 64, salt 16 for each event): a
tenth of the time that psycopg takes to adapt twenty lists. Not COPY: a process that freezes in the middle of one would
hold the tip's lock for ever, since PostgreSQL cannot cancel while it waits for COPY data."""

MOVE_TIP = """
UPDATE event_tip SET seq = %(seq)s, hash = %(hash)s, recorded_at = %(recorded_at)s
WHERE workspace_id = %(workspace)s
"""
"""Moves the tip of a log to its new last event."""

COUNT_TYPES = count_sql()
"""Counts the new events by type, and whether they have metadata."""

COUNT_PRODUCERS = count_producers_sql()
"""Counts the new events by producer."""

STOP_COUNTING = f"""
UPDATE event_tip SET counted = false WHERE workspace_id = %(workspace)s AND (
    (SELECT count(DISTINCT type) FROM event_count WHERE workspace_id = %(workspace)s) > {MAX_COUNTED}
    OR (SELECT count(*) FROM producer_count WHERE workspace_id = %(workspace)s) > {MAX_COUNTED})
"""
"""Stops counting in a workspace with too many types or producers. It runs only for those that this process has not
seen. Beyond the limit totals come from the index."""


class Tip(Struct, frozen=True):
    """The end of a log: the last seq (-1: empty), hash and time, the kid in force, whether types are still counted.

    `lost_size` is of the kept checkpoint that the log does not extend: until that is accepted nothing is appended.
    """

    seq: int
    hash: bytes
    recorded_at: datetime
    kid: str
    counted: bool
    lost_size: int | None = None


class _Row(Struct, frozen=True, omit_defaults=True):
    """What `INSERT_EVENTS` reads of one event."""

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


class Linker:
    """Gives drafts their places behind a tip: one group's part of the chain."""

    def __init__(
        self, signer: Signer, node: str, workspace: str, tip: Tip, stored: Mapping[UUID, Row], now: datetime
    ) -> None:
        """`signer` has the key in force. `stored` are the rows of `FIND_STORED` for the group's ids."""
        self._signer = signer
        self._node = node
        self.workspace = workspace
        self.behind = tip
        self.tip = tip
        self._stored = stored
        self._now = now
        self._new: dict[UUID, tuple[Draft, SynapEvent]] = {}
        self._bytes: list[bytes] = []
        self._part: list[_Row] = []
        self.rows: list[_Row] = []

    def link(self, drafts: Sequence[Draft]) -> list[SynapEvent] | ProcedureError:
        """The answer for one caller's drafts, in their order, or why none of them is appended."""
        return self._refusal(drafts) or [self._place(draft) for draft in drafts]

    def link_parts(
        self, callers: Iterable[Sequence[Draft]], answers: list[list[SynapEvent] | ProcedureError]
    ) -> Iterator[Call]:
        """`link` for one caller after the other, into `answers`; in between, the statement that stores a part.

        The last part is left to `writes`.
        """
        for drafts in callers:
            if refusal := self._refusal(drafts):
                answers.append(refusal)
                continue
            events: list[SynapEvent] = []
            for draft in drafts:
                if len(self._part) == PART_EVENTS:
                    yield self._insert()
                events.append(self._place(draft))
            answers.append(events)

    def writes(self, known: Container[tuple[str, str, str]] = ()) -> list[Call]:
        """The statements that store what was placed. `known` are the `kinds` that were counted before."""
        if not self.rows:
            return []
        writes: list[Call] = [self._insert(), (MOVE_TIP, self._tip_move())]
        if self.tip.counted:
            writes += [(COUNT_TYPES, self._counts()), (COUNT_PRODUCERS, self._producer_counts())]
            if not all(kind in known for kind in self.kinds()):
                writes.append((STOP_COUNTING, {"workspace": self.workspace}))
        return writes

    def whole(self) -> dict[str, object]:
        """The parameters of one statement that stores and counts what was placed, and moves the tip."""
        return self._insert()[1] | self._tip_move() | self._counts() | self._producer_counts()

    def kinds(self) -> set[tuple[str, str, str]]:
        """What of these rows is counted: workspace, type and producer."""
        return {(self.workspace, row.type, row.producer or row.source) for row in self.rows}

    def _insert(self) -> tuple[str, dict[str, object]]:
        """Stores what was placed since it was last asked."""
        part: dict[str, object] = {
            "workspace": self.workspace,
            "kid": self._signer.kid,
            "rows": msgspec.json.encode(self._part).decode(),
            "bytes": b"".join(self._bytes),
        }
        self._part, self._bytes = [], []
        return INSERT_EVENTS, part

    def _tip_move(self) -> dict[str, object]:
        tip = self.tip
        return {"workspace": self.workspace, "seq": tip.seq, "hash": tip.hash, "recorded_at": tip.recorded_at}

    def _counts(self) -> dict[str, object]:
        """In one order for every process."""
        counted = sorted(Counter((row.type, row.source, row.metadata is not None) for row in self.rows).items())
        counts = [
            {"type": type_, "source": source, "has_metadata": has_metadata, "events": events}
            for (type_, source, has_metadata), events in counted
        ]
        return {"workspace": self.workspace, "counts": msgspec.json.encode(counts).decode()}

    def _producer_counts(self) -> dict[str, object]:
        """In one order for every process."""
        counted = sorted(Counter(row.producer or row.source for row in self.rows).items())
        counts = [{"producer": producer, "events": events} for producer, events in counted]
        return {"workspace": self.workspace, "producers": msgspec.json.encode(counts).decode()}

    def _refusal(self, drafts: Sequence[Draft]) -> ProcedureError | None:
        own: dict[UUID, Draft] = {}
        for place, draft in enumerate(drafts):
            other = own.setdefault(draft.id, draft)
            if not _same(draft, other.type, other.body):
                return InvalidInput([Issue(f"events.{place}.id", "is used twice in this call, with different content")])
            if error := self._conflict(draft):
                return error
        return None

    def _conflict(self, draft: Draft) -> Conflict | None:
        if row := self._stored.get(draft.id):
            return conflict(draft, row)
        if (new := self._new.get(draft.id)) and not _same(draft, new[0].type, new[0].body):
            return _taken(draft, new[1].hash)
        return None

    def _place(self, draft: Draft) -> SynapEvent:
        """The stored event under this id, else a new one at the end."""
        if row := self._stored.get(draft.id):
            return stored(row)
        if new := self._new.get(draft.id):
            return new[1]
        tip, body = self.tip, draft.body
        seq, recorded_at = next_place(tip, self._now)
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
        new_row = _Row(
            place=len(self._part),
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
        self._part.append(new_row)
        self.rows.append(new_row)
        self.tip = Tip(seq, hash_, recorded_at, tip.kid, tip.counted)
        event = placed(draft, seq, timestamp, hash_)
        self._new[draft.id] = draft, event
        return event


def next_place(tip: Tip, now: datetime) -> tuple[int, datetime]:
    """The seq and the time of the event behind a tip. Times strictly increase, whatever the clock says."""
    return tip.seq + 1, max(now, tip.recorded_at + MICROSECOND)


def placed(draft: Draft, seq: int, timestamp: str, hash: bytes) -> SynapEvent:
    """A draft as its caller sees it when it has a place."""
    body = draft.body
    return SynapEvent(
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
        hash=f"sha256:{hash.hex()}",
    )


def stored(row: Row) -> SynapEvent:
    """A row of `FIND_STORED` as its caller sees it."""
    return msgspec.json.decode(row[-1], type=SynapEvent)


def recorded_at(row: Row) -> datetime:
    """When the event of a row of `FIND_STORED` was stored."""
    at: datetime = row[-2]
    return at


def conflict(draft: Draft, row: Row) -> Conflict | None:
    """Why a draft cannot be appended where this row of `FIND_STORED` has its id; None where they are the same event.

    Nobody can tell what an erased event was: any content is taken for its own. But a caller that may not read it learns
    only that the id is taken: not its type, its place or its hash.
    """
    _, type_, erased, hash_, *_ = row
    if erased:
        return None if draft.sees_erased else Conflict(f"The id {draft.id} is taken", id=draft.id, field="id")
    return None if _same(draft, type_, to_body(row)) else _taken(draft, f"sha256:{hash_.hex()}")


def _taken(draft: Draft, hash: str) -> Conflict:
    message = f"The id {draft.id} is taken by an event with other content"
    return Conflict(message, hash=hash, id=draft.id, field="id")


def _same(draft: Draft, type_: str, body: Body) -> bool:
    return draft.type == type_ and draft.body == body
