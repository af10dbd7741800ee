"""Linking: drafts get their seqs behind the tip of a log, are hashed and signed, and become rows to store.

An append locks the tip, reads it, links a group of drafts, runs the statements of `Linker.writes`, and commits.
"""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, Struct

from app.ledger.chain import Body, header_bytes, instant, leaf_hash, signed_text
from app.ledger.draft import Draft
from app.ledger.signer import Signer
from app.store.events.intents import TOO_OLD, IntentRow, put_intents
from app.store.events.rows import BODY, EVENT_JSON, to_body
from app.store.postgres.arrays import instants, texts, uuids
from app.store.postgres.pipe import Call, Row
from app.store.postgres.walk import each_sql
from schemas.errors import Conflict, InvalidInput, Issue, ProcedureError, Unavailable
from schemas.event import SynapEvent

MAX_COUNTED = 10_000
"""How many distinct types, and how many distinct producers, a workspace may have before its events are no longer
counted as they are appended."""

PART_EVENTS = 200
"""In a larger group, a part of this size is stored while the next part is linked. That takes 0.8 of the time for a
group of 1,000."""

MICROSECOND = timedelta(microseconds=1)

LIST_LOGS = "SELECT workspace_id FROM event_tip ORDER BY workspace_id"
"""All logs, in the order in which their tips are locked."""

GET_TIP = """
SELECT seq, hash, recorded_at, kid, counted, lost_size, clock_timestamp() FROM event_tip
WHERE workspace_id = %(workspace)s
"""
"""The tip of a log, and the database's clock."""

LOCK_TIP = f"{GET_TIP} FOR UPDATE"
"""Serialises appends to one workspace, and returns what `GET_TIP` does. If the tip moves while this waits for the lock,
PostgreSQL evaluates the row again, and so the clock too. Each statement after it has a newer snapshot, and so reads the
current state that the lock protects."""

FIND_STORED = f"""
SELECT {BODY}, recorded_at, convert_to({EVENT_JSON}, 'UTF8') FROM {each_sql("id", "%(ids)s::uuid[]")}
"""
"""The events that are stored already under these ids."""


JOINED = ((1, 32), (33, 32), (65, 32), (97, 64), (161, 16))
"""Where an event's bytes begin in the 176 that are joined, and how many they are: prev, body, hash, signature, salt."""

EACH_TEXT = (
    "user_id",
    "source",
    "data",
    "subject_id",
    "producer",
    "metadata",
    "correlation_id",
    "causation_id",
)
"""The texts of a body that are columns of their own."""


def insert_sql(source: str = "") -> str:
    """SQL that stores events. `source` is another FROM item with its comma; if it has no row, nothing is stored."""
    columns = ", ".join(EACH_TEXT)
    return f"""
INSERT INTO event (workspace_id, kid, seq, prev_hash, body_hash, hash, signature, salt,
                   id, type, recorded_at, occurred_at, {columns})
SELECT %(workspace)s, %(kid)s, %(first_seq)s::bigint + place - 1,
    {", ".join(f"substr(bytes, place::int * 176 - {176 - begin}, {size})" for begin, size in JOINED)},
    id, type, recorded_at, occurred_at, {columns}
FROM {source}(SELECT %(bytes)b::bytea AS bytes OFFSET 0) AS joined, unnest(
    %(each_id)b::uuid[], %(each_type)b::text[],
    %(each_recorded_at)b::timestamptz[], %(each_occurred_at)b::timestamptz[],
    {", ".join(f"%(each_{name})b::text[]" for name in EACH_TEXT)}
) WITH ORDINALITY AS row (id, type, recorded_at, occurred_at, {columns}, place)
"""


def count_sql(source: str = "", where: str = "") -> str:
    """SQL that changes the counters of types. `source` is that of `insert_sql`."""
    return f"""
INSERT INTO event_count AS stored (workspace_id, type, source, has_metadata, events)
SELECT %(workspace)s, counted.* FROM {source}json_to_recordset(%(counts)s::json)
    AS counted (type text, source text, has_metadata boolean, events bigint) {where}
ON CONFLICT (workspace_id, type, source, has_metadata) DO UPDATE SET events = stored.events + excluded.events
"""


def count_producers_sql(source: str = "", where: str = "") -> str:
    """SQL that changes the counters of producers. `source` is that of `insert_sql`."""
    return f"""
INSERT INTO producer_count AS stored (workspace_id, producer, events)
SELECT %(workspace)s, counted.* FROM {source}json_to_recordset(%(producers)s::json)
    AS counted (producer text, events bigint) {where}
ON CONFLICT (workspace_id, producer) DO UPDATE SET events = stored.events + excluded.events
"""


INSERT_EVENTS = insert_sql()
"""Stores events. It takes an array for each column (`arrays.py`), and one parameter of joined bytes. COPY is not used:
a process that freezes in the middle of it would hold the tip's lock for ever, since PostgreSQL cannot cancel while it
waits for COPY data."""

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
"""Stops counting in a workspace with too many types or producers. It runs only if this process sees a type or producer
for the first time. When counting has stopped, totals come from the index."""


class Tip(Struct, frozen=True):
    """The end of a log: the last seq (-1: empty), hash and time, the kid in force, and whether events are counted.

    `lost_size` is the size of the stored checkpoint that the log does not extend. Nothing is appended until an
    administrator accepts that loss.
    """

    seq: int
    hash: bytes
    recorded_at: datetime
    kid: str
    counted: bool
    lost_size: int | None = None


class Linker:
    """Links the drafts of one group behind a tip, into one part of the chain."""

    def __init__(
        self,
        signer: Signer,
        node: str,
        workspace: str,
        tip: Tip,
        stored: Mapping[UUID, Row],
        now: datetime,
        *,
        takes_intents: bool = True,
    ) -> None:
        """`signer` has the key in force. `stored` contains the rows of `FIND_STORED` for the group's ids.

        `takes_intents` says whether the schema has the tables of intents.
        """
        self._signer = signer
        self._node = node
        self.workspace = workspace
        self.behind = tip
        self.tip = tip
        self._stored = stored
        self.now = now
        self._takes_intents = takes_intents
        self._intents: list[IntentRow] = []
        self._new: dict[UUID, tuple[Draft, SynapEvent]] = {}
        self._bytes: list[bytes] = []
        self._part: list[tuple[Draft, datetime]] = []
        self.linked: list[Draft] = []

    @property
    def at(self) -> datetime:
        """The time that the next event gets."""
        return next_place(self.tip, self.now)[1]

    def link(self, drafts: Sequence[Draft]) -> list[SynapEvent] | ProcedureError:
        """Link one caller's drafts. Returns their events in their order, or the reason why none of them is appended."""
        return self._refusal(drafts) or [self._place(draft) for draft in drafts]

    def link_parts(
        self, callers: Iterable[Sequence[Draft]], answers: list[list[SynapEvent] | ProcedureError]
    ) -> Iterator[Call]:
        """Link the drafts of each caller, and add the results to `answers`.

        Yields the statements that store full parts; `writes` stores the last one.
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
        """The statements that store the linked events. `known` contains the `kinds` that were counted before."""
        if not self.linked:
            return []
        writes: list[Call] = [self._insert(), (MOVE_TIP, self._tip_move()), *put_intents(self._intents)]
        if self.tip.counted:
            writes += [(COUNT_TYPES, self._counts()), (COUNT_PRODUCERS, self._producer_counts())]
            if not all(kind in known for kind in self.kinds()):
                writes.append((STOP_COUNTING, {"workspace": self.workspace}))
        return writes

    def link_whole(self, drafts: Sequence[Draft]) -> list[SynapEvent] | ProcedureError:
        """Link one caller's drafts, which are the whole group, and prepare `whole`. Returns what `link` returns."""
        answer = self.link(drafts)
        _ = self.whole
        return answer

    @cached_property
    def whole(self) -> dict[str, object]:
        """The parameters of one statement that stores and counts the linked events, and moves the tip."""
        return self._insert()[1] | self._tip_move() | self._counts() | self._producer_counts()

    def kinds(self) -> set[tuple[str, str, str]]:
        """What the counters distinguish in the linked events: workspace, type and producer."""
        return {(self.workspace, draft.type, draft.body.producer or draft.body.source) for draft in self.linked}

    def _insert(self) -> tuple[str, dict[str, object]]:
        """The statement that stores the events linked since its last call."""
        bodies = [draft.body for draft, _ in self._part]
        part: dict[str, object] = {
            "workspace": self.workspace,
            "kid": self._signer.kid,
            "first_seq": self.tip.seq - len(self._part) + 1,
            "bytes": b"".join(self._bytes),
            "each_id": uuids([draft.id for draft, _ in self._part]),
            "each_type": texts([draft.type for draft, _ in self._part]),
            "each_recorded_at": instants([recorded_at for _, recorded_at in self._part]),
            "each_occurred_at": instants([body.occurred_at for body in bodies]),
        }
        for name in EACH_TEXT:
            part[f"each_{name}"] = texts([getattr(body, name) for body in bodies])
        self._part, self._bytes = [], []
        return INSERT_EVENTS, part

    def _tip_move(self) -> dict[str, object]:
        tip = self.tip
        return {"workspace": self.workspace, "seq": tip.seq, "hash": tip.hash, "recorded_at": tip.recorded_at}

    def _counts(self) -> dict[str, object]:
        """Sorted, so that every process changes the counters in the same order."""
        counted = sorted(
            Counter((each.type, each.body.source, each.body.metadata is not None) for each in self.linked).items()
        )
        counts = [
            {"type": type_, "source": source, "has_metadata": has_metadata, "events": events}
            for (type_, source, has_metadata), events in counted
        ]
        return {"workspace": self.workspace, "counts": msgspec.json.encode(counts).decode()}

    def _producer_counts(self) -> dict[str, object]:
        """Sorted, so that every process changes the counters in the same order."""
        counted = sorted(Counter(each.body.producer or each.body.source for each in self.linked).items())
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
            if draft.asked is not None and (refusal := self._unmet(draft)):
                return refusal
        return None

    def _unmet(self, draft: Draft) -> ProcedureError | None:
        """Why an intent is refused. Nothing refuses an event that is stored already."""
        if draft.id in self._stored or draft.id in self._new:
            return None
        return unmet(draft, self.at) or (None if self._takes_intents else Unavailable(TOO_OLD, retry_after_seconds=60))

    def _conflict(self, draft: Draft) -> Conflict | None:
        if row := self._stored.get(draft.id):
            return conflict(draft, row)
        if (new := self._new.get(draft.id)) and not _same(draft, new[0].type, new[0].body):
            return _taken(draft, new[1].hash)
        return None

    def _place(self, draft: Draft) -> SynapEvent:
        """Return the event with the draft's id if it is stored or linked already, else link a new event."""
        if row := self._stored.get(draft.id):
            return stored(row)
        if new := self._new.get(draft.id):
            return new[1]
        tip, body = self.tip, draft.body
        seq, recorded_at = next_place(tip, self.now)
        timestamp = instant(recorded_at)
        header = header_bytes(
            node=self._node,
            kid=self._signer.kid,
            log=self.workspace,
            seq=seq,
            id=msgspec.to_builtins(draft.id),  # takes a quarter of the time of `str`
            type=draft.type,
            timestamp=timestamp,
            prev_hash=tip.hash,
            body_hash=draft.body_hash,
        )
        hash_ = leaf_hash(header)
        self._bytes += (tip.hash, draft.body_hash, hash_, self._signer.sign(signed_text(hash_)), draft.salt)
        self._part.append((draft, recorded_at))
        self.linked.append(draft)
        if draft.asked is not None and draft.asked.intent is not None:
            state = IntentRow.new(self.workspace, draft.id, seq, body.user_id, draft.asked.intent, recorded_at)
            self._intents.append(state)
        self.tip = Tip(seq, hash_, recorded_at, tip.kid, tip.counted)
        event = placed(draft, seq, timestamp, hash_)
        self._new[draft.id] = draft, event
        return event


def next_place(tip: Tip, now: datetime) -> tuple[int, datetime]:
    """The seq and the time of the next event behind a tip. Times strictly increase, whatever the clock says."""
    return tip.seq + 1, max(now, tip.recorded_at + MICROSECOND)


def placed(draft: Draft, seq: int, timestamp: str, hash: bytes) -> SynapEvent:
    """A linked draft, as its caller sees it."""
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
    """Why a draft cannot be appended if this row of `FIND_STORED` has its id; None if they are the same event.

    The content of an erased event is unknown, so any content counts as the same. But a caller that may not read the
    event learns only that its id is taken, not its type, seq or hash.
    """
    _, type_, erased, hash_, *_ = row
    if erased:
        return None if draft.sees_erased else Conflict(f"The id {draft.id} is taken", id=draft.id, field="id")
    return None if _same(draft, type_, to_body(row)) else _taken(draft, f"sha256:{hash_.hex()}")


def unmet(draft: Draft, at: datetime) -> InvalidInput | None:
    """Why a draft that is not stored cannot be stored as an event of the time `at`."""
    return None if draft.asked is None else draft.asked.refusal(at)


def _taken(draft: Draft, hash: str) -> Conflict:
    message = f"The id {draft.id} is taken by an event with other content"
    return Conflict(message, hash=hash, id=draft.id, field="id")


def _same(draft: Draft, type_: str, body: Body) -> bool:
    return draft.type == type_ and draft.body == body
