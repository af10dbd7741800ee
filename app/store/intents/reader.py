"""Intents as callers read them: their states, and the events that followed."""

from collections.abc import Sequence
from typing import get_args
from uuid import UUID

from msgspec import Struct

from app.ledger.chain import instant
from app.ledger.intents import intent_in, reason_in
from app.sealing.cursors import Cursor, Cursors
from app.sealing.intent_ids import IntentIds
from app.store.events.intents import (
    GET_INTENT,
    INTENT_COLUMNS,
    LIST_INTENTS_BY_ID,
    LIST_STARTS_OF_INTENTS,
    IntentRow,
    StartRow,
)
from app.store.events.linker import FIND_STORED, stored
from app.store.events.rows import to_body
from app.store.intents.standing import NO_INTENT
from app.store.postgres.database import Database
from app.store.postgres.pipe import Row, uuid_array
from app.store.postgres.walk import one_sql
from schemas.base import Way
from schemas.errors import NotFound
from schemas.intents import IntentChain, IntentRun, IntentState, ListedIntent
from schemas.synap import Intent

NEWEST_FIRST = "intents"
"""The order that the cursors of lists are bound to."""

LAST_PLACE = 2**63 - 1

_WAITS = """(%(decider)s::text IS NULL OR (
    (intent.approvers IS NULL OR %(decider)s::text = ANY(intent.approvers))
    AND (%(decides_own)s OR intent.user_id <> %(decider)s::text)))"""
"""True of the intents that the caller may decide on, if only those are wanted."""

_COLUMNS = ", ".join(f"intent.{column}" for column in INTENT_COLUMNS.split(", "))


def _page(found: str) -> str:
    """The intents that are found, with what their events say, newest first."""
    return f"""
SELECT found.*, event.hash, event.type, event.recorded_at, event.subject_id, event.metadata
FROM ({found} LIMIT %(limit)s) AS found CROSS JOIN LATERAL ({one_sql("id", "found.id")}) AS event ORDER BY seq DESC
"""


def _walk(way: Way, source: str, table: str, **named: str) -> str:
    """The intents of an index on these columns and seq, behind the place or before it. `named` has their values."""
    columns = ", ".join(f"{table}.{column}" for column in [*named, "seq"])
    low, high, direction = ("0", "%(place)s", "DESC") if way == "forward" else ("%(place)s", str(LAST_PLACE), "ASC")
    start, end = (">=", "<") if way == "forward" else (">", "<=")
    low, high = (", ".join([*named.values(), f"{seq}::bigint"]) for seq in (low, high))
    order = ", ".join(f"{column} {direction}" for column in columns.split(", "))
    return f"""
    SELECT {_COLUMNS} FROM {source} WHERE {table}.workspace_id = %(workspace)s
    AND ({columns}) {start} ({low}) AND ({columns}) {end} ({high}) AND {_WAITS} ORDER BY {order}"""


def _walk_of_user(way: Way) -> str:
    """The intents of a user: those of each state, merged by their seqs."""
    intent = one_sql("id", "party.intent_id", columns=INTENT_COLUMNS, table="intent")
    source = f"intent_party AS party CROSS JOIN LATERAL ({intent}) AS intent"
    of_state = _walk(way, source, "party", user_id="%(user)s::text", workspace_id="%(workspace)s", state="asked.value")
    return f"""
    SELECT met.* FROM unnest(%(states)s::text[]) AS asked (value)
    CROSS JOIN LATERAL ({of_state} LIMIT %(limit)s) AS met ORDER BY seq {"DESC" if way == "forward" else "ASC"}"""


LIST_INTENTS = {way: _page(_walk(way, "intent", "intent")) for way in get_args(Way)}
"""A page of the intents of a workspace, behind a place or right before it."""

LIST_INTENTS_BY_STATE = {way: _page(_walk(way, "intent", "intent", state="%(state)s::text")) for way in get_args(Way)}
"""The same of those in one state."""

LIST_INTENTS_OF_USER = {way: _page(_walk_of_user(way)) for way in get_args(Way)}
"""The same of those of a user, in some states."""


class Viewer(Struct, frozen=True):
    """Who reads."""

    user_id: str
    only_own: bool
    """Whether they see only what they asked for, or are named to approve."""
    decides_own: bool = False

    def sees(self, intent: IntentRow) -> bool:
        """Whether the intent is there for them."""
        return not self.only_own or self.user_id == intent.user_id or self.user_id in (intent.approvers or ())


class IntentReader:
    """Reads intents, for one process. For any number of tasks at once."""

    def __init__(self, database: Database, cursors: Cursors, ids: IntentIds) -> None:
        self._database = database
        self._cursors = cursors
        self._ids = ids

    async def state(self, workspace: str, intent_id: UUID, viewer: Viewer) -> IntentRow:
        """Where an intent stands. Raises NotFound, Unavailable."""
        return _visible(await self._database.rows(GET_INTENT, {"workspace": workspace, "id": intent_id}), viewer)

    async def chain(self, workspace: str, intent_id: UUID, viewer: Viewer) -> IntentChain:
        """An intent with all that followed. Raises NotFound, Unavailable."""
        decision_id, end_id = (self._ids.id(workspace, intent_id, step) for step in ("decision", "end"))
        named = {"workspace": workspace, "ids": uuid_array([intent_id])}
        found, starts, events = await self._database.atomic(
            [
                (LIST_INTENTS_BY_ID, named),
                (LIST_STARTS_OF_INTENTS, named),
                (FIND_STORED, {"workspace": workspace, "ids": uuid_array([intent_id, decision_id, end_id])}),
            ]
        )
        intent = _visible(found, viewer)
        rows = {row[0]: row for row in events}
        decision = rows.get(decision_id)
        return IntentChain(
            event=stored(rows[intent_id]),
            state=intent.state,
            expires_at=None if intent.expires_at is None else instant(intent.expires_at),
            uses=intent.uses,
            used=intent.started,
            decision_id=None if decision is None else str(decision_id),
            decided_by=(decision and decision[4]) or None,
            end_id=str(end_id) if end_id in rows else None,
            reason=_reason(rows.get(end_id) or decision),
            runs=[self._run(StartRow.of(row)) for row in starts],
        )

    async def page(
        self,
        workspace: str,
        viewer: Viewer,
        *,
        state: IntentState | None,
        waiting: bool,
        cursor: str | None,
        way: Way,
        limit: int,
    ) -> tuple[list[ListedIntent], bool]:
        """Intents, newest first, behind the cursor or right before it, and whether there are more on that way.

        With `waiting` they are open and the viewer may decide on them. Raises InvalidInput for a cursor that is not of
        such a list, Unavailable.
        """
        wanted = "open" if waiting else state
        asked: dict[str, object] = {
            "workspace": workspace,
            "decider": viewer.user_id if waiting else None,
            "decides_own": viewer.decides_own,
            "state": wanted,
            "place": LAST_PLACE if cursor is None else self._place(workspace, cursor),
            "limit": limit + 1,
        }
        sql = LIST_INTENTS[way] if wanted is None else LIST_INTENTS_BY_STATE[way]
        if viewer.only_own:
            sql = LIST_INTENTS_OF_USER[way]
            asked |= {"user": viewer.user_id, "states": [wanted] if wanted else list(get_args(IntentState))}
        found = await self._database.search(sql, asked, is_planned=False)
        more = len(found) > limit
        rows = found[:limit] if way == "forward" else found[-limit:]
        return [self._shown(row) for row in rows], more

    def cursor(self, workspace: str, seq: int) -> str:
        """The place of an intent in a list."""
        return self._cursors.seal(Cursor(NEWEST_FIRST, workspace, seq, b"", 0))

    def _place(self, workspace: str, cursor: str) -> int:
        return self._cursors.open(cursor, order=NEWEST_FIRST, workspace=workspace).seq

    def _run(self, start: StartRow) -> IntentRun:
        outcome_id, late_id = (
            str(self._ids.id(start.workspace_id, start.intent_id, step, start.use)) for step in ("outcome", "late")
        )
        return IntentRun(
            use=start.use,
            start_id=str(start.id),
            started_at=instant(start.started_at),
            request_id=start.request_id,
            outcome=start.outcome,
            outcome_id=outcome_id if start.outcome else None,
            late_outcome=start.late,
            late_outcome_id=late_id if start.late else None,
        )

    def _shown(self, row: Row) -> ListedIntent:
        *columns, hash_, type_, recorded_at, subject_id, metadata = row
        intent, asked = IntentRow.of(tuple(columns)), intent_in(metadata) or Intent()
        return ListedIntent(
            event_id=str(intent.id),
            hash=f"sha256:{hash_.hex()}",
            seq=intent.seq,
            type=type_,
            timestamp=instant(recorded_at),
            user_id=intent.user_id,
            subject_id=subject_id,
            state=intent.state,
            summary=asked.summary,
            risk=asked.risk,
            reversible=asked.reversible,
            approvers=intent.approvers,
            expires_at=None if intent.expires_at is None else instant(intent.expires_at),
            timeout_seconds=intent.timeout_seconds,
            uses=intent.uses,
            used=intent.started,
        )


def _reason(row: Row | None) -> str | None:
    """What the event that decided or ended an intent, a row of `FIND_STORED`, gives as its reason."""
    return None if row is None or row[2] else reason_in(to_body(row).metadata)


def _visible(found: Sequence[Row], viewer: Viewer) -> IntentRow:
    """The only row, if there is one and the viewer sees it. Raises NotFound."""
    intent = IntentRow.of(found[0]) if found else None
    if intent is None or not viewer.sees(intent):
        raise NotFound(NO_INTENT, field="eventId")
    return intent
