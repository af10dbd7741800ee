"""Makes the state of intents again from the log: it is a projection, and nothing else may be in it.

What an erased event was is told by its header, and by the ids of the events that followed. An erased event is an intent
if an event has the id of its step `decision`: every intent that is erased was decided, or is withdrawn by the erasure.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app.ledger.intents import intent_in, start_in
from app.sealing.intent_ids import IntentIds, Step
from app.store.events.intents import (
    INTENT_COLUMNS,
    PARTY_COLUMNS,
    START_COLUMNS,
    IntentRow,
    Party,
    StartRow,
    put_intents,
    put_starts,
)
from app.store.events.linker import LOCK_TIP
from app.store.postgres.driver import Connection
from app.store.postgres.walk import each_sql
from schemas.synap import MAX_USES

BATCH = 500
"""Intents that are compared at once."""

USES_AT_ONCE = 50
"""Starts of an intent that are looked for at once."""

SCAN_REQUESTS = """
SELECT id, seq, user_id, recorded_at, erased, metadata FROM event
WHERE workspace_id = %(workspace)s AND type LIKE '%%.requested' AND (erased OR strpos(metadata, '"synap":') > 0)
ORDER BY seq
"""
"""The events of a log that may be intents."""

LIST_FOLLOWERS = f"SELECT id, type, recorded_at, erased, metadata FROM {each_sql('id', '%(ids)s::uuid[]')}"
"""Those of the events with these ids that are stored."""

LIST_STATES = f"""
SELECT {INTENT_COLUMNS}, state, due_at FROM intent WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s::uuid[])
"""
"""The states of these intents, as they are stored."""

LIST_START_STATES = f"""
SELECT {START_COLUMNS} FROM intent_start WHERE workspace_id = %(workspace)s AND intent_id = ANY(%(ids)s::uuid[])
"""
"""The states of the starts of these intents, as they are stored."""

LIST_PARTIES = f"""
SELECT {PARTY_COLUMNS} FROM intent_party WHERE workspace_id = %(workspace)s AND intent_id = ANY(%(ids)s::uuid[])
ORDER BY intent_id, user_id
"""
"""Whose these intents are, as it is stored."""

LIST_STATE_IDS = """
SELECT id FROM intent WHERE workspace_id = %(workspace)s
UNION SELECT intent_id FROM intent_start WHERE workspace_id = %(workspace)s
UNION SELECT intent_id FROM intent_party WHERE workspace_id = %(workspace)s
"""
"""The ids of all intents that have a state."""

DELETE_STARTS = "DELETE FROM intent_start WHERE workspace_id = %(workspace)s AND intent_id = ANY(%(ids)s::uuid[])"
"""Deletes the states of the starts of these intents."""

DELETE_PARTIES = "DELETE FROM intent_party WHERE workspace_id = %(workspace)s AND intent_id = ANY(%(ids)s::uuid[])"
"""Deletes whose these intents are."""

DELETE_STATES = "DELETE FROM intent WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s::uuid[])"
"""Deletes the states of these intents."""

T = TypeVar("T")


class Rebuilt(Struct, frozen=True):
    """What came of it: how many intents the log has, and of how many the state was another."""

    intents: int
    differed: int


class _Request(Struct, frozen=True):
    """An event that may be an intent."""

    id: UUID
    seq: int
    user_id: str
    recorded_at: datetime
    erased: bool
    metadata: str | None


class _Follower(Struct, frozen=True):
    """An event that follows an intent, by its id."""

    id: UUID
    type: str
    recorded_at: datetime
    erased: bool
    metadata: str | None

    @property
    def word(self) -> str:
        """The last part of its type."""
        return self.type.rpartition(".")[2]


class _States(Struct):
    """States of intents, and of all of their starts."""

    intents: dict[UUID, IntentRow] = msgspec.field(default_factory=dict)
    starts: dict[UUID, dict[int, StartRow]] = msgspec.field(default_factory=dict)


def rebuild_intents(connection: Connection, workspace: str, ids: IntentIds) -> Rebuilt:
    """Compare the states of a workspace's intents with its log, and make those again that differ.

    It holds the lock on the log's tip, so appends wait for it.
    """
    key = {"workspace": workspace}
    with connection.transaction():
        connection.execute(LOCK_TIP, key)
        known: set[UUID] = set()
        differed = 0
        for batch in _batches(_requests(connection, workspace)):
            said = _Log(connection, workspace, ids).states(batch)
            known |= said.intents.keys()
            differed += _replace(connection, workspace, said)
        extra = [id_ for (id_,) in connection.execute(LIST_STATE_IDS, key) if id_ not in known]
        _delete(connection, workspace, extra)
    return Rebuilt(len(known), differed + len(extra))


def _requests(connection: Connection, workspace: str) -> Iterator[_Request]:
    with connection.cursor("requests") as cursor:
        cursor.execute(SCAN_REQUESTS, {"workspace": workspace})
        yield from (_Request(*row) for row in cursor)


def _batches(items: Iterator[T]) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _replace(connection: Connection, workspace: str, said: _States) -> int:
    """Store the states that differ. Returns of how many intents they did."""
    named = {"workspace": workspace, "ids": list(said.intents)}
    intents = {row[1]: (IntentRow.of(row[:-2]), *row[-2:]) for row in connection.execute(LIST_STATES, named)}
    starts: dict[UUID, dict[int, StartRow]] = {}
    for row in connection.execute(LIST_START_STATES, named):
        start = StartRow.of(row)
        starts.setdefault(start.intent_id, {})[start.use] = start
    parties: dict[UUID, list[Party]] = {}
    for row in connection.execute(LIST_PARTIES, named):
        parties.setdefault(row[1], []).append(Party(*row))
    wrong = [
        id_
        for id_, intent in said.intents.items()
        if (intent, intent.state, intent.due_at) != intents.get(id_)
        or said.starts[id_] != starts.get(id_, {})
        or intent.parties != parties.get(id_, [])
    ]
    _delete(connection, workspace, wrong)
    made = [start for id_ in wrong for start in said.starts[id_].values()]
    for put, rows in (*put_intents([said.intents[id_] for id_ in wrong]), *put_starts(made)):
        connection.execute(put, rows)
    return len(wrong)


def _delete(connection: Connection, workspace: str, ids: Sequence[UUID]) -> None:
    for delete in (DELETE_STARTS, DELETE_PARTIES, DELETE_STATES):
        connection.execute(delete, {"workspace": workspace, "ids": list(ids)})


class _Log(Struct, frozen=True):
    """What a log says of intents."""

    connection: Connection
    workspace: str
    ids: IntentIds

    def states(self, requests: Sequence[_Request]) -> _States:
        """The states of those that are intents."""
        steps: tuple[Step, ...] = ("decision", "end")
        followers = self._stored(self._id(request.id, step) for request in requests for step in steps)
        said = _States()
        for request in requests:
            decision, end = (followers.get(self._id(request.id, step)) for step in steps)
            intent = self._intent(request, decision, end)
            if intent is not None:
                starts = self._starts(intent) if intent.decision == "approved" else {}
                said.intents[intent.id] = replace(intent, started=len(starts))
                said.starts[intent.id] = starts
        return said

    def _intent(self, request: _Request, decision: _Follower | None, end: _Follower | None) -> IntentRow | None:
        """Its state without its starts. None if it is no intent."""
        asked = None if request.erased else intent_in(request.metadata)
        if asked is not None:
            made = IntentRow.new(self.workspace, request.id, request.seq, request.user_id, asked, request.recorded_at)
        elif request.erased and decision is not None:
            made = IntentRow(workspace_id=self.workspace, id=request.id, seq=request.seq, user_id="", expires_at=None)
        else:
            return None
        words = {"decision": decision and decision.word, "ended": end and end.word}
        return msgspec.convert({**msgspec.structs.asdict(made), **words}, IntentRow)

    def _starts(self, intent: IntentRow) -> dict[int, StartRow]:
        """The states of an intent's starts. Uses are taken in their order, without gaps."""
        starts: dict[int, StartRow] = {}
        for first in range(1, MAX_USES + 1, USES_AT_ONCE):
            uses = range(first, first + USES_AT_ONCE)
            steps: tuple[Step, ...] = ("start", "outcome", "late")
            stored = self._stored(self._id(intent.id, step, use) for use in uses for step in steps)
            found = {
                use: self._start(intent, use, [stored.get(self._id(intent.id, step, use)) for step in steps])
                for use in uses
                if self._id(intent.id, "start", use) in stored
            }
            starts |= found
            if len(found) < USES_AT_ONCE:
                break
        return starts

    def _start(self, intent: IntentRow, use: int, followers: Sequence[_Follower | None]) -> StartRow:
        start, outcome, late = followers
        assert start is not None  # noqa: S101 - who asks has found it
        said = None if start.erased else start_in(start.metadata)
        due_at = None if outcome else start.recorded_at + timedelta(seconds=intent.timeout_seconds)
        words = {"outcome": outcome and outcome.word, "late": late and late.word}
        return msgspec.convert(
            {
                "workspace_id": self.workspace,
                "intent_id": intent.id,
                "use": use,
                "id": start.id,
                "request_id": said and said.request_id,
                "started_at": start.recorded_at,
                "due_at": due_at,
                **words,
            },
            StartRow,
        )

    def _id(self, intent_id: UUID, step: Step, use: int = 0) -> UUID:
        return self.ids.id(self.workspace, intent_id, step, use)

    def _stored(self, ids: Iterator[UUID]) -> Mapping[UUID, _Follower]:
        """Those of the events with these ids that are stored."""
        named = {"workspace": self.workspace, "ids": list(ids)}
        return {row[0]: _Follower(*row) for row in self.connection.execute(LIST_FOLLOWERS, named)}
