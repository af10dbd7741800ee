"""An intent as it stands, read behind the lock on the log's tip, and what it permits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from app.ledger.draft import Draft
from app.ledger.intents import Followed, parameters_of
from app.store.events.intents import GET_INTENT, LIST_STARTS_BY_ID, START_COLUMNS, IntentRow, StartRow
from app.store.events.linker import FIND_STORED, stored
from app.store.events.rows import to_body
from app.store.postgres.pipe import PipedConnection, Row, uuid_array
from schemas.errors import Conflict, Forbidden, IntentEnded, NotApproved, NotFound, ParametersDiffer, UsedUp
from schemas.event import SynapEvent

LIST_STARTS_BY_REQUEST = f"""
SELECT {START_COLUMNS} FROM intent_start
WHERE workspace_id = %(workspace)s AND intent_id = %(id)s::uuid AND (request_id = %(request_id)s OR request_id IS NULL)
ORDER BY request_id LIMIT 1
"""
"""The start of an intent that this request began, else one whose request is erased."""

NO_INTENT = "Intent not found; intents.list returns the intents that the caller may see"

ERASED = "The intent was erased; only what has started may be finished"


DIFFERENT = (
    "These are not the parameters that were approved: send `data.parameters` of the intent (all of its `data` if it "
    "has no such member), or ask with another intent"
)


class Caller(Struct, frozen=True):
    """Who acts."""

    user_id: str
    decides_own: bool = False
    """Whether the user may decide on intents of their own."""
    sees_erased: bool = True
    """Whether the caller may read what remains of an erased event."""


class Decision(Struct, frozen=True):
    """What a caller decides, on an intent with this `hash` (`sha256:<hex>`)."""

    hash: str
    decision: Literal["approved", "rejected"]
    reason: str | None = None


class Start(Struct, frozen=True):
    """What a caller starts: canonical `parameters`, of an intent with this `hash`."""

    hash: str
    parameters: bytes
    request_id: str


class Standing(Struct, frozen=True):
    """An intent as it stands: its state, the row of its event, and the events that were looked for."""

    state: IntentRow
    event: Row
    stored: dict[UUID, Row]

    @property
    def is_erased(self) -> bool:
        """Whether the event has no body any more. The event says it, because an older server may have erased it."""
        return bool(self.event[2])

    @property
    def hash(self) -> str:
        """The hash of the intent."""
        return f"sha256:{self.event[3].hex()}"

    @property
    def followed(self) -> Followed:
        """What the events that follow say of it."""
        body = to_body(self.event)
        return Followed(self.state.id, self.event[1], self.event[3], body.subject_id, body.correlation_id)

    def require_hash(self, hash: str) -> None:
        """Raise Conflict if a caller has looked at another content."""
        if hash != self.hash:
            raise Conflict(
                "The intent has another hash: look at it again, and send the hash of what you saw",
                hash=self.hash,
                id=self.state.id,
                field="hash",
            )

    def require_decidable(self, caller: Caller, at: datetime) -> None:
        """Raise Forbidden or IntentEnded if the caller may not decide on it at the time `at`."""
        if self.is_erased:
            raise IntentEnded(ERASED, hash=self.hash)
        self._require_open(at)
        approvers = self.state.approvers
        if approvers is not None and caller.user_id not in approvers:
            raise Forbidden("The intent names its approvers, and the caller's user is none of them", field="eventId")
        if caller.user_id == self.state.user_id and not caller.decides_own:
            raise Forbidden(
                "The caller's user asked for it, so another user decides, or a key with intents:decide-own",
                field="eventId",
            )

    def require_withdrawable(self, caller: Caller, at: datetime) -> None:
        """Raise Forbidden, IntentEnded or UsedUp if the caller may not withdraw it at the time `at`."""
        self._require_asker(caller)
        if self.state.decision is None:
            self._require_open(at)
        else:
            self._require_approved(at)

    def require_startable(self, start: Start, caller: Caller, at: datetime) -> None:
        """Raise why the caller may not start it at the time `at`: every error of `intents.start` but NotFound."""
        self._require_asker(caller)
        if self.state.decision is None:
            self._require_open(at)
            raise NotApproved("The intent is not approved yet; intents.wait returns when it is decided", hash=self.hash)
        self._require_approved(at)
        if start.parameters != parameters_of(to_body(self.event).data):
            raise ParametersDiffer(DIFFERENT, field="parameters")

    def require_finishable(self, start: StartRow, caller: Caller) -> None:
        """Raise Forbidden or IntentEnded if the caller has not started this use."""
        begun = self.stored[start.id]
        starter = begun[4] if not begun[2] else self.event[4]
        if not starter:
            raise IntentEnded("The start and its intent were erased, so nobody can tell who started; it stays unknown")
        if starter != caller.user_id:
            raise Forbidden("Only the user who started it may finish it", field="startId")

    def _require_asker(self, caller: Caller) -> None:
        if self.is_erased:
            raise IntentEnded(ERASED, hash=self.hash)
        if caller.user_id != self.state.user_id:
            raise Forbidden("Only the user who asked for it may start or withdraw an intent", field="eventId")

    def _require_open(self, at: datetime) -> None:
        if self.state.decision is not None:
            raise IntentEnded(f"The intent is {self.state.state} already", hash=self.hash)
        self._require_time(at)

    def _require_approved(self, at: datetime) -> None:
        state = self.state.state
        if state == "used_up":
            raise UsedUp(f"All uses of the intent ({self.state.uses}) are started", hash=self.hash)
        if state != "approved":
            raise IntentEnded(f"The intent is {state}", hash=self.hash)
        self._require_time(at)

    def _require_time(self, at: datetime) -> None:
        if self.state.expires_at is None or at >= self.state.expires_at:
            raise IntentEnded("The intent is expired", hash=self.hash)


async def read_intent(
    connection: PipedConnection, workspace: str, intent_id: UUID, ids: Sequence[UUID] = ()
) -> Standing:
    """An intent, and those of the events with these ids that are stored. Raises NotFound."""
    found, events = await connection.trip(
        [
            (GET_INTENT, {"workspace": workspace, "id": intent_id}),
            (FIND_STORED, {"workspace": workspace, "ids": uuid_array([intent_id, *ids])}),
        ]
    )
    if not found:
        raise NotFound(NO_INTENT, field="eventId")
    rows = {row[0]: row for row in events}
    return Standing(IntentRow.of(found[0]), rows[intent_id], rows)


async def read_start(connection: PipedConnection, workspace: str, start_id: UUID) -> StartRow:
    """The state of a start. Raises NotFound."""
    named = {"workspace": workspace, "ids": uuid_array([start_id])}
    [found] = await connection.trip([(LIST_STARTS_BY_ID, named)])
    if not found:
        raise NotFound("Start not found; send the id of the event that intents.start returned", field="startId")
    return StartRow.of(found[0])


async def begun_before(
    connection: PipedConnection, intent: Standing, request_id: str, caller: Caller
) -> tuple[int, SynapEvent] | None:
    """The use that this request of the same user began.

    Raises IntentEnded if a start is erased and the request may have begun that one.
    """
    named = {"workspace": intent.state.workspace_id, "id": intent.state.id, "request_id": request_id}
    [found] = await connection.trip([(LIST_STARTS_BY_REQUEST, named)])
    if not found:
        return None
    start = StartRow.of(found[0])
    [[row]] = await connection.trip([(FIND_STORED, {"workspace": start.workspace_id, "ids": uuid_array([start.id])})])
    is_erased = bool(row[2])
    if is_erased and intent.state.state == "approved":
        raise IntentEnded("A start of the intent was erased, so nobody can tell whether this request began it")
    return None if is_erased or row[4] != caller.user_id else (start.use, stored(row))


def repeated(draft: Draft, row: Row, caller: Caller, *, with_metadata: bool = True) -> SynapEvent:
    """The stored event, a row of `FIND_STORED`, if the draft says the same. Raises Conflict, which names it.

    What the server itself adds does not count: it may say something else by now, after an erasure.
    """
    id_, type_, erased, hash_, *_ = row
    if erased:
        if type_ == draft.type and caller.sees_erased:
            return stored(row)
        raise Conflict(f"The event {id_} is stored already, and was erased", id=id_)
    body, mine = to_body(row), draft.body
    if (
        type_ == draft.type
        and (body.user_id, body.data) == (mine.user_id, mine.data)
        and (not with_metadata or body.metadata == mine.metadata)
    ):
        return stored(row)
    message = f"The event {id_} of type {type_} is stored already, and the first one counts"
    raise Conflict(message, hash=f"sha256:{hash_.hex()}", id=id_)
