"""The state of intents: a projection of the log, which moves in the transaction that appends.

`docs/decisions/0024-intents.md` has the life of an intent. Every row can be made again from the log. Whoever writes
here holds the lock on the log's tip.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from app.ledger.intents import DEFAULT_TIMEOUT_SECONDS, DEFAULT_USES, Terms
from app.store.postgres.pipe import Call, PipedConnection, Row, uuid_array
from app.store.postgres.walk import one_sql
from schemas.errors import Unavailable
from schemas.intents import IntentState
from schemas.synap import DecisionKind, Intent, OutcomeKind

HAS_INTENTS = "SELECT to_regclass('intent_party') IS NOT NULL"
"""Whether the schema has the tables of intents."""

INTENT_COLUMNS = (
    "workspace_id, id, seq, user_id, expires_at, timeout_seconds, uses, approvers, decision, ended, started"
)
"""The columns of `IntentRow`, in its order."""

START_COLUMNS = "workspace_id, intent_id, use, id, request_id, started_at, due_at, outcome, late"
"""The columns of `StartRow`, in its order."""

PARTY_COLUMNS = "workspace_id, intent_id, user_id, seq, state"
"""The columns of `Party`, in its order."""

PUT_INTENTS = f"""
INSERT INTO intent ({INTENT_COLUMNS}, state, due_at)
SELECT {INTENT_COLUMNS}, state, due_at FROM json_to_recordset(%(rows)s::json) AS row (
    workspace_id text, id uuid, seq bigint, user_id text, expires_at timestamptz, timeout_seconds int, uses int,
    approvers text[], decision text, ended text, started int, state text, due_at timestamptz)
ON CONFLICT (workspace_id, id) DO UPDATE SET user_id = excluded.user_id, expires_at = excluded.expires_at,
    timeout_seconds = excluded.timeout_seconds, uses = excluded.uses, approvers = excluded.approvers,
    decision = excluded.decision, ended = excluded.ended, started = excluded.started, state = excluded.state,
    due_at = excluded.due_at
"""
"""Stores the state of intents."""

PUT_STARTS = f"""
INSERT INTO intent_start ({START_COLUMNS})
SELECT {START_COLUMNS} FROM json_to_recordset(%(rows)s::json) AS row (
    workspace_id text, intent_id uuid, use int, id uuid, request_id text, started_at timestamptz, due_at timestamptz,
    outcome text, late text)
ON CONFLICT (workspace_id, intent_id, use) DO UPDATE SET request_id = excluded.request_id, due_at = excluded.due_at,
    outcome = excluded.outcome, late = excluded.late
"""
"""Stores the state of starts."""

PUT_PARTIES = f"""
INSERT INTO intent_party ({PARTY_COLUMNS})
SELECT {PARTY_COLUMNS} FROM json_to_recordset(%(rows)s::json) AS row (
    workspace_id text, intent_id uuid, user_id text, seq bigint, state text)
ON CONFLICT (workspace_id, intent_id, user_id) DO UPDATE SET state = excluded.state
WHERE intent_party.state <> excluded.state
"""
"""Stores whose intents are, and in which state."""

FORGET_PARTIES = "DELETE FROM intent_party WHERE workspace_id = %(workspace)s AND intent_id = %(id)s::uuid"
"""Forgets whose an intent was. It is one intent, because of several the planner may read all rows of the workspace."""

GET_INTENT = one_sql("id", "%(id)s::uuid", columns=INTENT_COLUMNS, table="intent")
"""The state of the intent with this id."""

LIST_INTENTS_BY_ID = f"""
SELECT found.* FROM unnest(%(ids)s::uuid[]) AS asked (value) CROSS JOIN LATERAL (
    {one_sql("id", "asked.value", columns=INTENT_COLUMNS, table="intent")}) AS found
"""
"""The states of the intents among these ids."""

LIST_STARTS_BY_ID = f"""
SELECT found.* FROM unnest(%(ids)s::uuid[]) AS asked (value) CROSS JOIN LATERAL (
    {one_sql("id", "asked.value", columns=START_COLUMNS, table="intent_start")}) AS found
"""
"""The states of the starts among these ids."""

LIST_STARTS_OF_INTENTS = f"""
SELECT found.* FROM unnest(%(ids)s::uuid[]) AS asked (value) CROSS JOIN LATERAL (
    SELECT {START_COLUMNS} FROM intent_start
    WHERE workspace_id = %(workspace)s AND intent_id >= asked.value AND intent_id <= asked.value
    ORDER BY intent_id, use) AS found
"""
"""The states of the starts of these intents."""

TOO_OLD = "This database does not know intents yet; an administrator must run: synap migrate"


class IntentRow(Struct, frozen=True, kw_only=True):
    """The state of one intent."""

    workspace_id: str
    id: UUID
    seq: int
    user_id: str
    """Who asked. Empty if the intent is erased."""
    expires_at: datetime | None
    """None if the intent is erased."""
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    uses: int = DEFAULT_USES
    approvers: list[str] | None = None
    decision: DecisionKind | None = None
    """What the event of the step `decision` says."""
    ended: Literal["expired", "withdrawn"] | None = None
    """What the event of the step `end` says."""
    started: int = 0
    """How many uses are started."""

    @classmethod
    def of(cls, row: Row) -> "IntentRow":
        """A row of `INTENT_COLUMNS`."""
        return cls(**dict(zip(cls.__struct_fields__, row, strict=True)))

    @classmethod
    def new(
        cls, workspace: str, id: UUID, seq: int, user_id: str, intent: Intent, recorded_at: datetime
    ) -> "IntentRow":
        """An intent that was just stored."""
        terms = Terms.of(intent, recorded_at)
        return cls(workspace_id=workspace, id=id, seq=seq, user_id=user_id, **asdict(terms))

    @property
    def is_erased(self) -> bool:
        """Whether the event has no body any more."""
        return self.expires_at is None

    @property
    def state(self) -> IntentState:
        """Where the intent stands."""
        if self.decision is None:
            return "open"
        if self.decision != "approved":
            return self.decision
        return self.ended or ("approved" if self.started < self.uses else "used_up")

    @property
    def due_at(self) -> datetime | None:
        """When it expires. None if it cannot expire any more."""
        return self.expires_at if self.state in {"open", "approved"} else None

    @property
    def parties(self) -> list["Party"]:
        """Whose it is: who asked, and who is named to approve it. None if it is erased."""
        users = set() if self.is_erased else {self.user_id, *(self.approvers or ())}
        return [Party(self.workspace_id, self.id, user, self.seq, self.state) for user in sorted(users)]

    def stored(self) -> dict[str, object]:
        """What `PUT_INTENTS` stores."""
        return asdict(self) | {"state": self.state, "due_at": self.due_at}

    def erased(self) -> "IntentRow":
        """The same without what the event's body said: readers apply the defaults."""
        return IntentRow(
            workspace_id=self.workspace_id,
            id=self.id,
            seq=self.seq,
            user_id="",
            expires_at=None,
            decision=self.decision,
            ended=self.ended,
            started=self.started,
        )


class Party(Struct, frozen=True):
    """A user whose an intent is. A row of `PARTY_COLUMNS`."""

    workspace_id: str
    intent_id: UUID
    user_id: str
    seq: int
    state: IntentState


class StartRow(Struct, frozen=True, kw_only=True):
    """The state of one use of an intent."""

    workspace_id: str
    intent_id: UUID
    use: int
    id: UUID
    request_id: str | None
    """None if the start is erased."""
    started_at: datetime
    due_at: datetime | None
    """When its outcome becomes `unknown`. None if it has an outcome."""
    outcome: OutcomeKind | None = None
    """What the event of the step `outcome` says."""
    late: Literal["executed", "failed"] | None = None
    """What the event of the step `late` says."""

    @classmethod
    def of(cls, row: Row) -> "StartRow":
        """A row of `START_COLUMNS`."""
        return cls(**dict(zip(cls.__struct_fields__, row, strict=True)))

    def without_terms(self) -> "StartRow":
        """The same for an intent that is erased: the default applies."""
        return replace(self, due_at=self.due_at and self.started_at + timedelta(seconds=DEFAULT_TIMEOUT_SECONDS))


def put_intents(rows: Sequence[IntentRow]) -> list[Call]:
    """The statements that store these states, and whose the intents are."""
    if not rows:
        return []
    states, parties = [row.stored() for row in rows], [party for row in rows for party in row.parties]
    return [(PUT_INTENTS, _rows(states)), (PUT_PARTIES, _rows(parties))]


def put_starts(rows: Sequence[StartRow]) -> list[Call]:
    """The statements that store these states."""
    return [(PUT_STARTS, _rows(rows))] if rows else []


def _rows(rows: Sequence[object]) -> dict[str, object]:
    return {"rows": msgspec.json.encode(rows).decode()}


def require_intents(answer: Sequence[Row]) -> None:
    """Raise Unavailable if the answer to `HAS_INTENTS` is that the schema has no intents."""
    if answer != [(True,)]:
        raise Unavailable(TOO_OLD, retry_after_seconds=60)


class ErasedIntents(Struct, frozen=True):
    """What an erasure changes of the states of intents."""

    withdrawn: list[IntentRow]
    """The intents that it withdraws, as they are afterwards."""
    calls: list[Call]


async def erased_intents(connection: PipedConnection, workspace: str, ids: Sequence[UUID]) -> ErasedIntents:
    """What to change if the events with these ids lose their bodies. `connection` holds the lock on the tip."""
    named: dict[str, object] = {"workspace": workspace, "ids": uuid_array(ids)}
    [has_intents] = await connection.trip([(HAS_INTENTS, {})])
    if has_intents == [(False,)]:
        return ErasedIntents([], [])
    intents, starts, theirs = await connection.trip(
        [(LIST_INTENTS_BY_ID, named), (LIST_STARTS_BY_ID, named), (LIST_STARTS_OF_INTENTS, named)]
    )
    changed = {start.id: start.without_terms() for start in map(StartRow.of, theirs)}
    for start in map(StartRow.of, starts):
        changed[start.id] = replace(changed.get(start.id, start), request_id=None)
    states = [_erased(IntentRow.of(row)) for row in intents]
    withdrawn = [after for after, is_withdrawn in states if is_withdrawn]
    forget = [(FORGET_PARTIES, {"workspace": workspace, "id": after.id}) for after, _ in states]
    return ErasedIntents(
        withdrawn, [*put_intents([after for after, _ in states]), *forget, *put_starts(list(changed.values()))]
    )


def _erased(intent: IntentRow) -> tuple[IntentRow, bool]:
    """The state after an erasure, and whether that withdraws the intent."""
    if intent.state == "open":
        return replace(intent.erased(), decision="withdrawn"), True
    if intent.state == "approved" and not intent.started:
        return replace(intent.erased(), ended="withdrawn"), True
    return intent.erased(), False
