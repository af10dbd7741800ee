"""Erasure removes the bodies of events, and what was stored of them elsewhere. Headers, hashes and seqs stay.

`Erasure.erase` makes this promise, whatever crashes: one transaction removes an event's body, corrects the counters,
removes the answers of webhook receivers to it, appends the event `synap.event.erased` that names it, and enters the act
in the audit. So the log verifies at every moment, and repeating an interrupted call completes it.

It locks the log's tip first, as an append does, and holds the lock for a transaction of at most `MAX_EVENTS` events.
Then it locks the subscriptions that got the events, because recording a receiver's answer locks its subscription.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from app.ledger.chain import ERASED_TYPE
from app.ledger.draft import Draft, follower_draft, new_id, server_draft
from app.ledger.intents import Followed
from app.sealing.intent_ids import IntentIds, Step
from app.store.audit.log import Act
from app.store.events.commits import tip_of
from app.store.events.event_log import EventLog
from app.store.events.intents import IntentRow, erased_intents
from app.store.events.linker import COUNT_PRODUCERS, COUNT_TYPES, GET_TIP, Tip
from app.store.events.rows import EVENT_BYTES
from app.store.postgres.pipe import Call, PipedConnection, Row, uuid_array
from app.store.postgres.walk import Entry, Walk, each_sql, one_sql
from schemas.erasure import Erased
from schemas.errors import InvalidInput, Issue, Unavailable
from schemas.event import RESERVED_PREFIX
from schemas.jsontext import MAX_ISSUES

MAX_EVENTS = 1000
"""The maximum of events in one transaction. It is the maximum of an append too, so an append waits for an erasure no
longer than for another append."""

MAX_BYTES = 64 * 2**20
"""The maximum size of the bodies that one transaction erases, unless its first body is larger. PostgreSQL deletes large
values, which it stores outside the rows, in many pieces."""

MAX_SEQ = 2**63 - 1

LIST_NAMED = f"""
SELECT id, left(type, {len(RESERVED_PREFIX)}) = '{RESERVED_PREFIX}' FROM {each_sql("id", "%(ids)s::uuid[]")}
WHERE (erased OR %(only_user)s::text IS NULL OR user_id = %(only_user)s)
"""
"""The given events that the caller may name. An erased event belongs to no user, so every caller may name it."""

_BODIES = [
    "NOT erased",
    f"left(type, {len(RESERVED_PREFIX)}) <> '{RESERVED_PREFIX}'",
    "(%(only_user)s::text IS NULL OR user_id = %(only_user)s)",
]

_AFTER, _UNTIL = "%(after)s::bigint + 1", "%(until)s::bigint"

_ROWS = {
    "ids": f"""
        SELECT event.* FROM {each_sql("id", "%(ids)s::uuid[]")}
        WHERE {" AND ".join([f"seq BETWEEN {_AFTER} AND {_UNTIL}", *_BODIES])} ORDER BY seq LIMIT {MAX_EVENTS}""",
} | {
    by: Walk(entry=entry, rest=_BODIES, low=[_AFTER], high=[_UNTIL]).rows(descending=False, limit=MAX_EVENTS)
    for by, entry in {
        "userId": Entry(column="user_id", value="%(value)s"),
        "subjectId": Entry(column="subject_id", value="%(value)s", where="subject_id IS NOT NULL"),
    }.items()
}

_MEASURE = f"""
SELECT seq, id::text, encode(hash, 'hex'), type, source, coalesce(producer, source), metadata IS NOT NULL,
    next_events
FROM (
    SELECT *, count(*) OVER () AS next_events, sum({EVENT_BYTES}) OVER oldest AS bytes,
        row_number() OVER oldest AS place
    FROM ({{}}) AS next WINDOW oldest AS (ORDER BY seq)
) AS measured WHERE bytes <= {MAX_BYTES} OR place = 1 ORDER BY seq
"""
"""The events of a query that one transaction can erase, up to a size, and how many the query returned."""

FIND_NEXT_BODIES = {by: _MEASURE.format(rows) for by, rows in _ROWS.items()}
"""The events that one transaction erases: the next ones that have a body and are not the server's own."""

ERASE_BODIES = f"""
UPDATE event SET erased = true, salt = '', user_id = '', data = '{{}}', subject_id = NULL, producer = NULL,
    metadata = NULL, correlation_id = NULL, causation_id = NULL
FROM (SELECT found.ctid FROM {each_sql("seq", "%(seqs)s::bigint[]", columns="ctid", name="found")}) AS found
WHERE workspace_id = %(workspace)s AND event.ctid = found.ctid
"""
"""Removes the bodies of events. Nobody else changes an event under the lock on the tip, so the rows are still where
they were found."""

UNCOUNT_TYPES = """
DELETE FROM event_count
WHERE workspace_id = %(workspace)s AND type = ANY(%(types)s::text[]) AND has_metadata AND events <= 0
"""
"""Deletes the counts of types with metadata that no event has any more."""

UNCOUNT_PRODUCERS = """
DELETE FROM producer_count
WHERE workspace_id = %(workspace)s AND producer = ANY(%(producers)s::text[]) AND (events <= 0 OR NOT %(counted)s)
"""
"""Deletes the counts of producers that no event has any more, so that no name remains. If counting has stopped, it
deletes the counts in any case, because nothing reads them."""

_DELIVERIES_OF_EVENTS = """
unnest(%(seqs)s::bigint[]) AS asked (value) CROSS JOIN LATERAL (
    SELECT subscription_id, delivery_seq FROM delivery
    WHERE workspace_id = %(workspace)s AND seq >= asked.value AND seq <= asked.value ORDER BY seq
) AS d
"""
"""The deliveries of the erased events."""

LOCK_TOLD_SUBSCRIPTIONS = f"""
SELECT FROM (SELECT DISTINCT subscription_id FROM {_DELIVERIES_OF_EVENTS} ORDER BY 1) AS told CROSS JOIN LATERAL (
    {one_sql("id", "told.subscription_id", table="subscription")} FOR NO KEY UPDATE
) AS locked
"""
"""Locks the subscriptions that got one of the events, in the order of their ids."""

ERASE_ANSWERS = f"""
UPDATE attempt AS a SET body = '' FROM {_DELIVERIES_OF_EVENTS}
WHERE a.workspace_id = %(workspace)s AND a.subscription_id = d.subscription_id AND a.delivery_seq = d.delivery_seq
    AND a.body <> ''
"""
"""Removes the answers of receivers, because an answer may repeat what the receiver was sent."""

NO_EVENT = "names no event of this workspace; omit it"

By = Literal["ids", "userId", "subjectId"]


class ErasureRequest(Struct, frozen=True):
    """Which events to erase: those with these `ids`, or those whose user or subject is `value`.

    With `only_user`, only that user's events are erased, and ids of other users' events are unknown.
    """

    by: By
    ids: Sequence[UUID] = ()
    value: str | None = None
    only_user: str | None = None


class _Found(Struct, frozen=True):
    """An event that one transaction erases: a row of `FIND_NEXT_BODIES`."""

    seq: int
    id: str
    hash: str
    type: str
    source: str
    producer: str
    has_metadata: bool
    next_events: int
    """How many events were found to erase, up to the maximum number. The maximum size may exclude some of them from
    this transaction."""


class Erasure:
    """Erases events in the logs of all workspaces. Any number of tasks may use it at once."""

    def __init__(self, log: EventLog, node: str, intent_ids: IntentIds) -> None:
        """`intent_ids` gives ids to the events that withdraw intents."""
        self._log = log
        self._node = node
        self._intent_ids = intent_ids

    async def erase(self, workspace: str, wanted: ErasureRequest, act: Callable[[int, int], Act]) -> Erased:
        """Erase the `wanted` events that are in the log now, in as many transactions as it takes.

        `act` makes the audit's entry of one transaction from two numbers: how many events lose their body, and the seq
        of the event that names them. Raises InvalidInput, and erases nothing, if an id may not be erased. Raises
        NotFound for an unknown workspace, and Unavailable (retriable: erased events stay erased, and the same call
        erases the others).
        """
        run = _Run(workspace, wanted, self._node, act, self._intent_ids)
        erased, events = 0, []
        while run.has_more:
            try:
                said = await self._log.append_with(workspace, run.prepare)
            except Unavailable as error:
                if erased:
                    raise Unavailable(
                        f"{erased} events were erased before the database became unavailable; repeat the call for the "
                        "others",
                        retry_after_seconds=error.retry_after_seconds,
                    ) from error
                raise
            erased += run.found
            events += [event.id for event in said[:1]]  # what follows withdraws intents
        return Erased(erased=erased, events=events)


class _Run:
    """The state of one call of `Erasure.erase`, transaction by transaction."""

    def __init__(
        self,
        workspace: str,
        wanted: ErasureRequest,
        node: str,
        act: Callable[[int, int], Act],
        intent_ids: IntentIds,
    ) -> None:
        self._workspace = workspace
        self._key: dict[str, object] = {"workspace": workspace, "only_user": wanted.only_user}
        self._wanted = wanted
        self._node = node
        self._act = act
        self._intent_ids = intent_ids
        self._after = -1
        self._until = MAX_SEQ
        self.found = 0
        self.has_more = True

    async def prepare(self, connection: PipedConnection, _at: datetime) -> tuple[Sequence[Draft], Sequence[Call]]:
        """Return what the next transaction appends, and the statements that erase. Raises InvalidInput."""
        ids: dict[str, object] = {"ids": uuid_array(dict.fromkeys(self._wanted.ids))}
        place: dict[str, object] = {"value": self._wanted.value, "after": self._after, "until": self._until}
        tips, named, rows = await connection.trip(
            [
                (GET_TIP, self._key),
                (LIST_NAMED, self._key | ids),
                (FIND_NEXT_BODIES[self._wanted.by], self._key | ids | place),
            ]
        )
        self._check(named)
        tip, found = tip_of(self._workspace, tips), [_Found(*row) for row in rows]
        if self._until == MAX_SEQ:
            self._until = tip.seq  # later events are not erased: somebody may log them without end
        self.found = len(found)
        self.has_more = len(found) == MAX_EVENTS or any(event.next_events > len(found) for event in found)
        if not found:
            return [], []
        self._after = found[-1].seq
        events = {UUID(event.id): event for event in found}
        intents = await erased_intents(connection, self._workspace, list(events))
        withdrawals = [self._withdrawal(intent, events[intent.id]) for intent in intents.withdrawn]
        return [self._said(found), *withdrawals], [*self._calls(found, tip), *intents.calls]

    def _check(self, named: Sequence[Row]) -> None:
        """Raise InvalidInput with an issue for each id that may not be erased."""
        is_ours: dict[UUID, bool] = dict(named)
        issues = [
            Issue(f"ids.{place}", "names an event that the server wrote, which is never erased; omit it")
            if is_ours.get(id_)
            else Issue(f"ids.{place}", NO_EVENT)
            for place, id_ in enumerate(self._wanted.ids)
            if is_ours.get(id_, True)
        ]
        if issues:
            raise InvalidInput(issues[:MAX_ISSUES])

    def _said(self, found: Sequence[_Found]) -> Draft:
        """The event that names what is erased."""
        names = [{"seq": event.seq, "id": event.id, "hash": f"sha256:{event.hash}"} for event in found]
        return server_draft(ERASED_TYPE, {"erased": names}, id=new_id(), node=self._node)

    def _withdrawal(self, intent: IntentRow, event: _Found) -> Draft:
        """The event that withdraws an erased intent. It says nothing that the intent's body said."""
        followed = Followed(intent.id, event.type, bytes.fromhex(event.hash))
        step: Step = "end" if intent.ended else "decision"
        return follower_draft(
            followed,
            "withdrawn",
            {"decision": {**followed.names, "decision": "withdrawn"}},
            id=self._intent_ids.id(self._workspace, intent.id, step),
            user_id=self._node,
            source="system",
        )

    def _calls(self, found: Sequence[_Found], tip: Tip) -> list[Call]:
        seqs = self._key | {"seqs": f"{{{','.join(str(event.seq) for event in found)}}}"}
        types = self._key | {"types": sorted({event.type for event in found})}
        producers = self._key | {"producers": sorted({event.producer for event in found}), "counted": tip.counted}
        counting = [
            (COUNT_TYPES, self._key | {"counts": _moved(found)}),
            (UNCOUNT_TYPES, types),
            (COUNT_PRODUCERS, self._key | {"producers": _moved_producers(found)}),
        ]
        return [
            (LOCK_TOLD_SUBSCRIPTIONS, seqs),
            *(counting if tip.counted else ()),
            (UNCOUNT_PRODUCERS, producers),
            (ERASE_BODIES, seqs),
            (ERASE_ANSWERS, seqs),
            self._act(len(found), tip.seq + 1).call,
        ]


def _moved(found: Sequence[_Found]) -> str:
    """The changes of the counters of types: an event that had metadata has none now."""
    counted = sorted(Counter((event.type, event.source) for event in found if event.has_metadata).items())
    counts = [
        {"type": type_, "source": source, "has_metadata": has_metadata, "events": -events if has_metadata else events}
        for (type_, source), events in counted
        for has_metadata in (False, True)
    ]
    return msgspec.json.encode(counts).decode()


def _moved_producers(found: Sequence[_Found]) -> str:
    """The changes of the counters of producers. An erased event, like one without a producer, counts for its source."""
    moved: Counter[str] = Counter()
    for event in found:
        moved[event.producer] -= 1
        moved[event.source] += 1
    counts = [{"producer": producer, "events": events} for producer, events in sorted(moved.items()) if events]
    return msgspec.json.encode(counts).decode()
