"""What the server itself writes about intents: that they expired, and that nobody has said how a start ended.

Every process that does background work looks for what is due, by its own clock. Behind the lock on the log's tip it
looks again, by the clock of the log. Whichever process is first appends; the others find nothing due. What a process
leaves when it dies is due still, and the next look of another one finds it.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import structlog
from msgspec.structs import replace

from app.ledger.draft import Draft, follower_draft
from app.ledger.intents import Followed
from app.repeating import Repeating
from app.sealing.intent_ids import IntentIds
from app.store.events.event_log import EventLog
from app.store.events.intents import (
    HAS_INTENTS,
    INTENT_COLUMNS,
    START_COLUMNS,
    IntentRow,
    StartRow,
    put_intents,
    put_starts,
)
from app.store.postgres import nodes
from app.store.postgres.database import Database
from app.store.postgres.nodes import spanning
from app.store.postgres.pipe import Call, PipedConnection, Row
from app.store.postgres.walk import one_sql
from app.telemetry.metrics import OUTCOMES
from schemas.errors import NotFound, Unavailable

LOOK_SECONDS = 2.0
"""Between two looks. What is due is written within five seconds."""

MAX_EVENTS = 100
"""Of each kind in one transaction. Appends wait for it as they wait for each other."""

LIST_DUE_WORKSPACES = spanning("""
SELECT workspace_id FROM intent WHERE due_at <= %(now)s AND {part}
UNION SELECT workspace_id FROM intent_start WHERE due_at <= %(now)s AND {part}
""")
"""The workspaces in which something is due."""

_FOLLOWED = "followed.id, followed.type, followed.hash, followed.subject_id, followed.correlation_id"

LIST_DUE_INTENTS = f"""
SELECT due.*, {_FOLLOWED} FROM (
    SELECT {INTENT_COLUMNS} FROM intent WHERE workspace_id = %(workspace)s AND due_at <= %(at)s
    ORDER BY due_at LIMIT {MAX_EVENTS}
) AS due CROSS JOIN LATERAL ({one_sql("id", "due.id")}) AS followed
"""
"""The intents of a workspace that expire, and what an event that follows says of each."""

LIST_DUE_STARTS = f"""
SELECT due.*, {_FOLLOWED} FROM (
    SELECT {START_COLUMNS} FROM intent_start WHERE workspace_id = %(workspace)s AND due_at <= %(at)s
    ORDER BY due_at LIMIT {MAX_EVENTS}
) AS due CROSS JOIN LATERAL ({one_sql("id", "due.intent_id")}) AS followed
"""
"""The starts of a workspace whose outcome becomes unknown, and what an event that follows says of their intents."""

_INTENT_FIELDS, _START_FIELDS = len(IntentRow.__struct_fields__), len(StartRow.__struct_fields__)

logger = structlog.get_logger("synap.intents")


class Deadlines:
    """The look-out of one process. `open` it before use, `close` it at the end. For one event loop."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        ids: IntentIds,
        *,
        node: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """`node` is the install's id, the user of what the server writes."""
        self._database = database
        self._log = log
        self._ids = ids
        self._node = node
        self._now = now
        self._looking = Repeating(self.write_due, logger, seconds=look_seconds)

    def open(self) -> None:
        """Begin to look."""
        self._looking.open()

    async def close(self) -> None:
        """Stop. Another process, or a later start, writes the rest. Before the log is closed, which it appends to."""
        await self._looking.close()

    async def write_due(self) -> None:
        """Append all that is due. Raises Unavailable."""
        if not await self._database.holds(HAS_INTENTS):
            return
        for (workspace,) in await nodes.rows(self._database, LIST_DUE_WORKSPACES, {"now": self._now()}):
            with suppress(NotFound, Unavailable):  # one log that takes no event holds up no other
                while await self._write_some(workspace) >= MAX_EVENTS:
                    pass

    async def _write_some(self, workspace: str) -> int:
        """Append some of what is due in a workspace. Returns how many events that were."""
        events = await self._log.append_with(workspace, partial(self._prepare, workspace))
        if unknown := sum(event.type.endswith(".unknown") for event in events):
            OUTCOMES.add("unknown", by=unknown)
        return len(events)

    async def _prepare(
        self, workspace: str, connection: PipedConnection, at: datetime
    ) -> tuple[Sequence[Draft], Sequence[Call]]:
        due = {"workspace": workspace, "at": at}
        intents, starts = await connection.trip([(LIST_DUE_INTENTS, due), (LIST_DUE_STARTS, due)])
        expired = [self._expired(IntentRow.of(row[:_INTENT_FIELDS]), _followed(row)) for row in intents]
        unknown = [self._unknown(StartRow.of(row[:_START_FIELDS]), _followed(row)) for row in starts]
        drafts = [draft for _, draft in expired] + [draft for _, draft in unknown]
        calls = [*put_intents([state for state, _ in expired]), *put_starts([state for state, _ in unknown])]
        return drafts, calls

    def _expired(self, intent: IntentRow, followed: Followed) -> tuple[IntentRow, Draft]:
        said = {"decision": {**followed.names, "decision": "expired"}}
        if intent.decision is None:
            id_ = self._ids.id(intent.workspace_id, intent.id, "decision")
            return replace(intent, decision="expired"), self._draft(followed, "expired", said, id_)
        id_ = self._ids.id(intent.workspace_id, intent.id, "end")
        return replace(intent, ended="expired"), self._draft(followed, "expired", said, id_)

    def _unknown(self, start: StartRow, followed: Followed) -> tuple[StartRow, Draft]:
        said = {"outcome": {"startId": str(start.id), "intentId": str(start.intent_id), "outcome": "unknown"}}
        id_ = self._ids.id(start.workspace_id, start.intent_id, "outcome", start.use)
        return replace(start, outcome="unknown", due_at=None), self._draft(followed, "unknown", said, id_)

    def _draft(self, followed: Followed, word: str, said: dict[str, dict[str, str]], id: UUID) -> Draft:
        return follower_draft(followed, word, said, id=id, user_id=self._node, source="system")


def _followed(row: Row) -> Followed:
    """The last columns of a row."""
    return Followed(*row[-5:])
