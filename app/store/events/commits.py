"""The transaction that appends a group, in one of three ways.

Alone: one statement is the whole transaction (`alone.py`). In line: the same statement behind a lock on the tip, in two
round trips; all calls that gather before the first one ends join the group. Complete: under the lock too, read the tip
and find the ids; then store, move the tip and commit. That way handles every case. If one of the other two ways does
nothing, the group is appended in the complete way.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from uuid import UUID

from psycopg import Error
from psycopg.errors import UniqueViolation

from app.ledger.draft import Draft
from app.ledger.keyring import Keyring
from app.ledger.signer import Signer
from app.store.events.ahead import Ahead
from app.store.events.alone import Ends, append_call
from app.store.events.groups import Group
from app.store.events.idempotency import GET_IDEMPOTENCY_SINCE, former_ids, with_ids
from app.store.events.intents import HAS_INTENTS
from app.store.events.linker import FIND_STORED, LOCK_TIP, Linker, Tip
from app.store.postgres.clock import Clock
from app.store.postgres.database import BEGIN, COMMIT, ROLLBACK, is_broken
from app.store.postgres.pipe import Call, PipedConnection, Row, uuid_array
from schemas.errors import NotFound, ProcedureError, Unavailable
from schemas.event import SynapEvent

THREAD_FROM = 100
"""A group of this many events is hashed and signed (30 µs each) in a thread, so that the event loop serves other
calls."""

LOST_EVENTS = (
    "The log {} has lost or changed events: it does not extend the checkpoint of its first {} events that was kept. "
    "Nothing was stored. An administrator must restore the database, or accept the loss: synap node accept-rollback"
)

STOPPED_SECONDS = 60
"""The `retry-after` of an append to a stopped log: an administrator has to act first."""

GroupAnswers = list[list[SynapEvent] | ProcedureError]
"""The result for each caller of a group: its stored events, or its error."""


class OutcomeUnknownError(Exception):
    """The connection was lost when the commit may already have been sent."""


class Commits:
    """Commits groups, for one process. The caller commits the groups of one workspace one after the other."""

    def __init__(self, keys: Keyring, node: str, clock: Clock) -> None:
        """`node` is the install's id (`did:key:z…`)."""
        self._keys = keys
        self._node = node
        self._clock = clock
        self._ends = Ends()
        self._ahead = Ahead(self._linker_ahead)
        self._counted: set[tuple[str, str, str]] = set()

    async def commit(
        self, connection: PipedConnection, workspace: str, group: Group, *, finds_all: bool
    ) -> tuple[Linker, GroupAnswers]:
        """Append each caller's drafts in one transaction. Returns the linker, and the result for each caller.

        More calls may join the group while it waits for the lock. With `finds_all` it looks up every id, also one that
        the server has just made, because this is a retry. A distributed database always needs that, and the complete
        way: its nodes do not say which error a duplicate is. Raises NotFound, Unavailable, OutcomeUnknownError, and
        psycopg's errors if nothing was stored.
        """
        finds_all = finds_all or connection.is_distributed
        try:
            done = None
            if not finds_all:
                done = await self._as_foreseen(connection, workspace, group)
            if done is None and not finds_all and self._is_plain(workspace, group):
                done = await self._alone(connection, workspace, group) or await self._in_line(
                    connection, workspace, group
                )
            return done or await self._locked(connection, workspace, group.calls, finds_all=finds_all)
        except UniqueViolation:
            if finds_all:
                raise
            return await self._locked(connection, workspace, group.calls, finds_all=True)
        finally:
            self._ahead.ended(workspace)

    def foresee(self, workspace: str, drafts: Sequence[Draft]) -> None:
        """Record which drafts will be appended next. They may be linked while the running group is stored."""
        self._ahead.foresee(workspace, drafts)

    def linker(
        self, workspace: str, tips: list[Row], stored: Mapping[UUID, Row], *, takes_intents: bool = True
    ) -> Linker:
        """A linker for the locked tip of a log. Raises NotFound, Unavailable (stopped log, clock, key)."""
        tip = tip_of(workspace, tips)
        now = self._clock.agreed(tips[0][-1])
        signer = self._signer(tip)
        if signer is None:
            raise Unavailable("This server's signing key is not the one in force; nothing was stored, retry")
        return Linker(signer, self._node, workspace, tip, stored, now, takes_intents=takes_intents)

    def _linker_ahead(self, workspace: str, tip: Tip, drafts: Sequence[Draft]) -> Linker | None:
        """A linker behind the expected tip; None if one statement does not suffice, or would often be in vain."""
        signer = self._signer(tip)
        if signer is None or self._ends.own(workspace, 1) is None or not self._are_plain(workspace, drafts):
            return None
        return Linker(signer, self._node, workspace, tip, {}, self._clock.now())

    async def _as_foreseen(
        self, connection: PipedConnection, workspace: str, group: Group
    ) -> tuple[Linker, GroupAnswers] | None:
        """Append by one statement what was linked ahead. Returns None if nothing was stored.

        It looks up no ids: in an import hardly any is taken, and the unique index finds those.
        """
        linked = await self._ahead.take(workspace, group.calls)
        if linked is None:
            return None
        if linked.linker.behind != self._ends.own(workspace, 1):
            self._ahead.unlink(workspace)
            return None
        return await self._one_statement(connection, linked.linker, [linked.answer], set())

    async def _alone(
        self, connection: PipedConnection, workspace: str, group: Group
    ) -> tuple[Linker, GroupAnswers] | None:
        """Append by one statement behind the tip that this process left. Returns None if nothing was stored."""
        tip = self._ends.own(workspace)
        if tip is None or (signer := self._signer(tip)) is None:
            return None
        linker = Linker(signer, self._node, workspace, tip, {}, self._clock.now())
        answers = [linker.link(drafts) for drafts in group.calls]
        return await self._one_statement(connection, linker, answers, _ids(group.calls, with_new=False))

    async def _one_statement(
        self, connection: PipedConnection, linker: Linker, answers: GroupAnswers, ids: set[UUID]
    ) -> tuple[Linker, GroupAnswers] | None:
        """Append without the lock. Returns None if nothing was stored, for example if one of the `ids` is taken."""
        if linker.linked and await self._moves(connection, linker, ids):
            return linker, answers
        self._lost(linker.workspace, ids_are_new=not ids)
        return None

    async def _in_line(
        self, connection: PipedConnection, workspace: str, group: Group
    ) -> tuple[Linker, GroupAnswers] | None:
        """Append by the same statement under the lock, with all calls that gather until this process has the lock.

        Returns None if nothing was stored.
        """
        if not self._ends.suffices(workspace):
            return None
        key = {"workspace": workspace}
        _, tips = await connection.trip([BEGIN, (LOCK_TIP, key)])
        try:
            linker = self.linker(workspace, tips, {})
            group.join(partial(self._are_plain, workspace), most=THREAD_FROM - 1)
            answers = [linker.link(drafts) for drafts in group.calls]
            if linker.linked and await self._moves(connection, linker, _ids(group.calls, with_new=False), COMMIT):
                return linker, answers
        except BaseException:
            await roll_back(connection)
            raise
        await roll_back(connection)
        return None

    async def _moves(self, connection: PipedConnection, linker: Linker, ids: set[UUID], *after: Call) -> bool:
        """Run the statement. Returns whether it moved the tip, and so stored everything."""
        self._ahead.sent(linker.workspace, linker.tip)
        try:
            call = append_call(linker, ids, self._clock.around(linker.now))
            moved, *_ = await connection.trip([call, *after])
        except Error as error:
            self._lost(linker.workspace)
            if is_broken(error):
                raise OutcomeUnknownError from error
            raise
        if moved:
            self._ends.left(linker.workspace, linker.tip, found=linker.behind)
        return bool(moved)

    def _lost(self, workspace: str, *, ids_are_new: bool = True) -> None:
        """Record that the tip of a log is not, or may not be, the one that a statement was to leave."""
        self._ends.lost(workspace, ids_are_new=ids_are_new)
        self._ahead.unlink(workspace)

    def _is_plain(self, workspace: str, group: Group) -> bool:
        """Whether the one statement suffices for a group: it is small, and its drafts are plain."""
        return group.events < THREAD_FROM and all(self._are_plain(workspace, drafts) for drafts in group.calls)

    def _are_plain(self, workspace: str, drafts: Sequence[Draft]) -> bool:
        """Whether the drafts have one possible id each, their kinds were counted, and none is an intent."""
        return all(
            draft.former_id is None and draft.asked is None and _kind(workspace, draft) in self._counted
            for draft in drafts
        )

    async def _locked(
        self, connection: PipedConnection, workspace: str, calls: Sequence[Sequence[Draft]], *, finds_all: bool
    ) -> tuple[Linker, GroupAnswers]:
        """Append in a transaction under the lock on the tip, in two round trips."""
        former = former_ids(calls)
        ids = former | _ids(calls, with_new=finds_all)
        key = {"workspace": workspace}
        trip: dict[str, Call] = {"begin": BEGIN, "tip": (LOCK_TIP, key)}
        if ids:
            trip["stored"] = FIND_STORED, {**key, "ids": uuid_array(ids)}
        if former:
            trip["since"] = GET_IDEMPOTENCY_SINCE, {}
        if any(draft.asked for drafts in calls for draft in drafts):
            trip["intents"] = HAS_INTENTS, {}
        read = await connection.trip_by_name(trip)
        try:
            rows = {row[0]: row for row in read.get("stored", ())}
            for (since,) in read.get("since", ()):
                calls = [with_ids(drafts, since, rows) for drafts in calls]
            linker = self.linker(workspace, read["tip"], rows, takes_intents=read.get("intents") != [(False,)])
            answers = await _linked(connection, linker, calls)
        except BaseException:
            await roll_back(connection)
            raise
        await self._write(connection, linker)
        if not connection.is_distributed:
            self._ends.left(workspace, linker.tip, found=linker.behind, ids_are_new=not rows)
        self._counted.update(linker.kinds())
        return linker, answers

    async def _write(self, connection: PipedConnection, linker: Linker) -> None:
        self._ahead.sent(linker.workspace, linker.tip)
        try:
            await connection.trip([*linker.writes(self._counted), COMMIT])
        except Error as error:
            if is_broken(error):
                raise OutcomeUnknownError from error
            await roll_back(connection)
            raise

    def _signer(self, tip: Tip) -> Signer | None:
        """The signer with the key of a tip; None if this server does not have that key (yet)."""
        try:
            return self._keys.signer(tip.kid)
        except (ValueError, OSError):
            return None


def tip_of(workspace: str, tips: Sequence[Row]) -> Tip:
    """The tip from the rows of `GET_TIP` or `LOCK_TIP`.

    Raises NotFound if the workspace does not exist, and Unavailable if its log lost events.
    """
    if not tips:
        raise NotFound("There is no such workspace", field="workspace")
    tip = Tip(*tips[0][:-1])
    if tip.lost_size is not None:
        raise Unavailable(LOST_EVENTS.format(workspace, tip.lost_size), retry_after_seconds=STOPPED_SECONDS)
    return tip


async def roll_back(connection: PipedConnection) -> None:
    """End a transaction that failed. If that fails too, the connection is closed, which also ends the transaction."""
    with contextlib.suppress(Error):
        await connection.trip([ROLLBACK])


def _ids(calls: Iterable[Sequence[Draft]], *, with_new: bool) -> set[UUID]:
    """The ids under which an event may be stored already: those that callers sent, and `with_new` all of them."""
    return {draft.id for drafts in calls for draft in drafts if with_new or not draft.is_id_new}


def _kind(workspace: str, draft: Draft) -> tuple[str, str, str]:
    """The kind of a draft, as `Linker.kinds` has it."""
    return workspace, draft.type, draft.body.producer or draft.body.source


async def _linked(connection: PipedConnection, linker: Linker, calls: Sequence[Sequence[Draft]]) -> GroupAnswers:
    """The result of `Linker.link` for each caller.

    If there are many events, the database stores a part of them while the next part is linked.
    """
    if sum(map(len, calls)) < THREAD_FROM:
        return [linker.link(drafts) for drafts in calls]
    answers: GroupAnswers = []
    parts = linker.link_parts(calls, answers)
    part = await asyncio.to_thread(next, parts, None)
    while part is not None:
        # In this order, so that the part is sent before the thread occupies the processor.
        _, part = await asyncio.gather(connection.trip([part]), asyncio.to_thread(next, parts, None))
    return answers
