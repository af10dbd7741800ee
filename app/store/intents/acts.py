"""What callers do with an intent. Each act is one transaction under the lock on the log's tip.

An act reads what stands, looks for the event that it would append, and only then applies its rules. So an act that is
sent again returns the first event, whatever the rules say by then. `docs/decisions/0024-intents.md` has the rules.

The promise is that of `EventLog.append`: when an act returns, its event is durable. When it raises, nothing was stored,
or it says Unavailable; the same call settles it, because the event's id follows from the intent.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from app.ledger.draft import Draft, Drafting, follower_draft
from app.ledger.intents import following_type, names_other_parameters
from app.sealing.intent_ids import IntentIds
from app.store.events.event_log import EventLog
from app.store.events.intents import HAS_INTENTS, StartRow, put_intents, put_starts, require_intents
from app.store.events.linker import recorded_at
from app.store.events.rows import to_body
from app.store.intents.standing import (
    Caller,
    Decision,
    Standing,
    Start,
    begun_before,
    read_intent,
    read_start,
    repeated,
)
from app.store.postgres.database import Database
from app.store.postgres.pipe import Call, PipedConnection
from app.telemetry.metrics import DECIDED_SECONDS, OUTCOMES
from schemas.event import SynapEvent

Writes = tuple[Sequence[Draft], Sequence[Call]]


class Finish(Struct, frozen=True):
    """What a caller reports: `data` as it was sent."""

    outcome: Literal["executed", "failed"]
    data: bytes


class Begun(Struct, frozen=True):
    """A use that has started, now or (`replayed`) before."""

    event: SynapEvent
    use: int
    replayed: bool


class _Act(Struct, frozen=True):
    """In which workspace, on which intent or start, and by whom."""

    workspace: str
    id: UUID
    caller: Caller


class Intents:
    """Acts on intents in the logs of every workspace. For any number of tasks at once."""

    def __init__(self, database: Database, log: EventLog, ids: IntentIds, drafting: Drafting) -> None:
        self._database = database
        self._log = log
        self._ids = ids
        self._drafting = drafting

    async def decide(self, workspace: str, intent_id: UUID, decision: Decision, caller: Caller) -> SynapEvent:
        """Approve or reject an intent. Returns the event.

        Raises Conflict (another hash, another decision), IntentEnded, Forbidden (own intent, not an approver),
        NotFound, Unavailable.
        """
        waits: list[float] = []
        act = _Act(workspace, intent_id, caller)
        event = await self._appended(workspace, partial(self._decide, act, decision, waits))
        for seconds in waits:
            DECIDED_SECONDS.observe(seconds, decision.decision)
        return event

    async def withdraw(self, workspace: str, intent_id: UUID, reason: str | None, caller: Caller) -> SynapEvent:
        """Withdraw an intent that is open, or approved with uses left. Returns the event.

        Raises Conflict (another reason), UsedUp, IntentEnded, Forbidden (another's intent), NotFound, Unavailable.
        """
        return await self._appended(workspace, partial(self._withdraw, _Act(workspace, intent_id, caller), reason))

    async def start(self, workspace: str, intent_id: UUID, start: Start, caller: Caller) -> Begun:
        """Use an approved intent once, before the act.

        Raises NotApproved, UsedUp, IntentEnded, ParametersDiffer, Conflict (another hash), Forbidden (another's
        intent), NotFound, Unavailable.
        """
        uses: list[tuple[int, bool]] = []
        act = _Act(workspace, intent_id, caller)
        event = await self._appended(workspace, partial(self._start, act, start, uses))
        return Begun(event, *uses[-1])

    async def finish(self, workspace: str, start_id: UUID, finish: Finish, caller: Caller) -> SynapEvent:
        """Report how a use ended. Returns the event.

        Raises Conflict (another outcome), IntentEnded (nobody can tell who started), InvalidInput (data that does not
        fit the registered type), Forbidden (another's start), NotFound, Unavailable.
        """
        outcomes: list[str] = []
        act = _Act(workspace, start_id, caller)
        event = await self._appended(workspace, partial(self._finish, act, finish, outcomes))
        for outcome in outcomes:
            OUTCOMES.add(outcome)
        return event

    async def require_schema(self) -> None:
        """Raise Unavailable if the schema does not know intents yet."""
        require_intents([(await self._database.holds(HAS_INTENTS),)])

    async def _appended(
        self, workspace: str, prepare: Callable[[PipedConnection, datetime], Awaitable[Writes | SynapEvent]]
    ) -> SynapEvent:
        """The event that `prepare` drafts, or the stored one that it returns."""
        await self.require_schema()
        before: list[SynapEvent] = []

        async def prepared(connection: PipedConnection, at: datetime) -> Writes:
            done = await prepare(connection, at)
            if isinstance(done, SynapEvent):
                before.append(done)
                return [], []
            return done

        appended = await self._log.append_with(workspace, prepared)
        return (appended or before)[0]

    async def _decide(
        self, act: _Act, decision: Decision, waits: list[float], connection: PipedConnection, at: datetime
    ) -> Writes | SynapEvent:
        decision_id = self._ids.id(act.workspace, act.id, "decision")
        intent = await read_intent(connection, act.workspace, act.id, [decision_id])
        intent.require_hash(decision.hash)
        draft = _decided(intent, act.caller, decision.decision, decision.reason, decision_id)
        if row := intent.stored.get(decision_id):
            return repeated(draft, row, act.caller)
        intent.require_decidable(act.caller, at)
        waits.append((at - recorded_at(intent.event)).total_seconds())
        return [draft], put_intents([replace(intent.state, decision=decision.decision)])

    async def _withdraw(
        self, act: _Act, reason: str | None, connection: PipedConnection, at: datetime
    ) -> Writes | SynapEvent:
        decision_id, end_id = (self._ids.id(act.workspace, act.id, step) for step in ("decision", "end"))
        intent = await read_intent(connection, act.workspace, act.id, [decision_id, end_id])
        drafts = [_decided(intent, act.caller, "withdrawn", reason, id_) for id_ in (decision_id, end_id)]
        for draft in drafts:
            if (row := intent.stored.get(draft.id)) and row[1] == draft.type:
                return repeated(draft, row, act.caller)
        intent.require_withdrawable(act.caller, at)
        if intent.state.decision is None:
            return drafts[:1], put_intents([replace(intent.state, decision="withdrawn")])
        return drafts[1:], put_intents([replace(intent.state, ended="withdrawn")])

    async def _start(
        self, act: _Act, start: Start, uses: list[tuple[int, bool]], connection: PipedConnection, at: datetime
    ) -> Writes | SynapEvent:
        intent = await read_intent(connection, act.workspace, act.id)
        intent.require_hash(start.hash)
        if before := await begun_before(connection, intent, start.request_id, act.caller):
            uses.append((before[0], True))
            return before[1]
        intent.require_startable(start, act.caller, at)
        use = intent.state.started + 1
        uses.append((use, False))
        row = StartRow(
            workspace_id=act.workspace,
            intent_id=act.id,
            use=use,
            id=self._ids.id(act.workspace, act.id, "start", use),
            request_id=start.request_id,
            started_at=at,
            due_at=at + timedelta(seconds=intent.state.timeout_seconds),
        )
        draft = self._started(intent, row, act.caller)
        return [draft], [*put_intents([replace(intent.state, started=use)]), *put_starts([row])]

    def _started(self, intent: Standing, start: StartRow, caller: Caller) -> Draft:
        said = {
            **intent.followed.names,
            "decisionId": str(self._ids.id(start.workspace_id, start.intent_id, "decision")),
            "use": start.use,
            "requestId": start.request_id,
        }
        return follower_draft(
            intent.followed, "started", {"start": said}, id=start.id, user_id=caller.user_id, source="api"
        )

    async def _finish(
        self, act: _Act, finish: Finish, outcomes: list[str], connection: PipedConnection, _at: datetime
    ) -> Writes | SynapEvent:
        start = await read_start(connection, act.workspace, act.id)
        is_late = start.outcome == "unknown"
        id_ = self._ids.id(act.workspace, start.intent_id, "late" if is_late else "outcome", start.use)
        intent = await read_intent(connection, act.workspace, start.intent_id, [start.id, id_])
        draft = self._finished(intent, start, finish, act.caller, id_)
        if row := intent.stored.get(id_):
            return repeated(draft, row, act.caller, with_metadata=False)
        intent.require_finishable(start, act.caller)
        outcomes.append(finish.outcome)
        ended = replace(start, late=finish.outcome) if is_late else replace(start, outcome=finish.outcome)
        return [draft], put_starts([replace(ended, due_at=None)])

    def _finished(self, intent: Standing, start: StartRow, finish: Finish, caller: Caller, id: UUID) -> Draft:
        type_ = following_type(intent.followed.type, finish.outcome)
        data = self._drafting.data(type_, finish.data, "data").decode()
        said: dict[str, object] = {
            "startId": str(start.id),
            "intentId": str(start.intent_id),
            "outcome": finish.outcome,
        }
        if not intent.is_erased and names_other_parameters(data, to_body(intent.event).data):
            said["differs"] = True
        if start.outcome == "unknown":
            said["late"] = True
        return follower_draft(
            intent.followed, finish.outcome, {"outcome": said}, id=id, user_id=caller.user_id, source="api", data=data
        )


def _decided(intent: Standing, caller: Caller, word: str, reason: str | None, id: UUID) -> Draft:
    said = {**intent.followed.names, "decision": word} | ({} if reason is None else {"reason": reason})
    return follower_draft(intent.followed, word, {"decision": said}, id=id, user_id=caller.user_id, source="api")
