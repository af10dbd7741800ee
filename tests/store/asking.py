"""The acts on intents as callers have them done, for tests that call the store directly."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct

from app.ledger.canonical import canonical
from app.ledger.draft import Drafting
from app.store.audit.log import Act
from app.store.events.erasure import ErasureRequest
from app.store.events.event_log import EventLog
from app.store.events.intents import GET_INTENT, IntentRow
from app.store.install.install import connect
from app.store.intents.acts import Begun, Finish, Intents
from app.store.intents.deadlines import Deadlines
from app.store.intents.rebuild import Rebuilt, rebuild_intents
from app.store.intents.standing import Caller, Decision, Start
from schemas.event import SynapEvent
from tests.store.opened import INTENT_IDS, Store, draft

REFUND = "payment.refund.requested"

ONCE = "01938c1e-0000-7000-8000-000000000009"

_drafting = Drafting("did:key:z")


class Asking(Struct, frozen=True):
    """One who asks (`u1`), one who decides (`boss`), and the server, in the workspace of a store."""

    store: Store
    log: EventLog

    @property
    def intents(self) -> Intents:
        """What acts, in a process with this log."""
        return Intents(self.store.database, self.log, INTENT_IDS, _drafting)

    @property
    def deadlines(self) -> Deadlines:
        """What writes for the server, in the same process."""
        return Deadlines(self.store.database, self.log, INTENT_IDS, node=self.store.node, now=self.store.clock)

    def ask(self, data: object = None, *, subject: str | None = None, **intent: object) -> SynapEvent:
        """Ask for a refund."""
        asked = draft(REFUND, data or {"parameters": {"amount": 82000}}, subject_id=subject, metadata=synap(**intent))
        return self.store.append(asked)[0]

    def ask_once(self, **intent: object) -> SynapEvent:
        """Ask for a refund, by the same event each time."""
        asked = draft(REFUND, {"parameters": {"amount": 82000}}, id=ONCE, metadata=synap(**intent))
        return self.store.append(asked)[0]

    def approved(self, **intent: object) -> SynapEvent:
        """An intent that is approved."""
        asked = self.ask(**intent)  # type: ignore[arg-type] # terms, not a subject
        self.decide(asked)
        return asked

    def decide(self, intent: SynapEvent, decision: Any = "approved", by: str = "boss", **more: Any) -> SynapEvent:
        """Decide on an intent; `own` says that the key may decide on its own user's."""
        caller = Caller(by, decides_own=more.pop("own", False))
        decided = Decision(more.pop("hash", intent.hash), decision, **more)
        answer: SynapEvent = self._run(self.intents.decide(self.store.workspace, intent.id, decided, caller))
        return answer

    def withdraw(self, intent: SynapEvent, reason: str | None = None, by: str = "u1") -> SynapEvent:
        """Withdraw an intent."""
        answer: SynapEvent = self._run(self.intents.withdraw(self.store.workspace, intent.id, reason, Caller(by)))
        return answer

    def start(self, intent: SynapEvent, request: str = "r1", by: str = "u1", **more: Any) -> Begun:
        """Start an intent, with its own parameters unless others are named."""
        parameters = more.pop("parameters", {"amount": 82000})
        start = Start(more.pop("hash", intent.hash), canonical(json.dumps(parameters).encode(), ""), request)
        answer: Begun = self._run(self.intents.start(self.store.workspace, intent.id, start, Caller(by)))
        return answer

    def finish(self, start: SynapEvent, outcome: Any = "executed", data: object = None, by: str = "u1") -> SynapEvent:
        """Finish a start."""
        finish = Finish(outcome, json.dumps(data or {}).encode())
        answer: SynapEvent = self._run(self.intents.finish(self.store.workspace, start.id, finish, Caller(by)))
        return answer

    def pass_time(self, **time: float) -> None:
        """Let time pass, and the server look."""
        self.store.clock.at += timedelta(**time)
        self._run(self.deadlines.write_due())

    def erase(self, *ids: UUID, **by: str) -> None:
        """Erase events by their ids, or by `userId` or `subjectId`."""
        wanted = [ErasureRequest("ids", ids=ids)] if ids else []
        for name, value in by.items():
            wanted.append(ErasureRequest(name, value=value))  # type: ignore[arg-type] # one of its two others
        for each in wanted:
            self._run(self.store.erasure(self.log).erase(self.store.workspace, each, self._act))

    def state(self, intent: SynapEvent) -> str:
        """Where an intent stands."""
        [row] = self._run(self.store.database.rows(GET_INTENT, {"workspace": self.store.workspace, "id": intent.id}))
        return IntentRow.of(row).state

    def parties(self) -> set[tuple[UUID, str]]:
        """Whose the intents are, as the database has it."""
        with connect(self.store.url) as connection:
            of = "SELECT intent_id, user_id FROM intent_party WHERE workspace_id = %s"
            return {(id_, user) for id_, user in connection.execute(of, [self.store.workspace])}

    def types(self) -> list[str]:
        """The last words of the log's types, oldest first."""
        return [event["type"].rpartition(".")[2] for event in reversed(self.store.list(limit=1000))]

    def rebuilt(self) -> Rebuilt:
        """What a rebuild finds."""
        with connect(self.store.url) as connection:
            return rebuild_intents(connection, self.store.workspace, INTENT_IDS)

    def _act(self, events: int, seq: int) -> Act:
        return Act.of("events.erased", "k", {"events": events, "seq": seq}, [self.store.workspace])

    def _run(self, awaitable: Any) -> Any:
        return self.store.run(awaitable)


def synap(**intent: object) -> dict[str, Any]:
    """Metadata with an intent on these terms."""
    return {"synap": {"intent": intent}}


def asking(store: Store) -> Asking:
    """Those who ask and decide in a store."""
    return Asking(store, store.log)


def said(event: SynapEvent) -> dict[str, Any]:
    """What an event has under `metadata.synap`."""
    found: dict[str, Any] = json.loads(bytes(event.metadata))["synap"]  # type: ignore[arg-type] # it has metadata
    return found
