"""The transaction in which a group is appended: one statement where this process is alone, else under the lock.

Under the lock it takes two round trips: lock the tip, read it and find the ids; then store, move the tip and commit.
That way is complete. The one statement (`alone.py`) is used where it suffices, and whatever it cannot do is done again
under the lock.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from psycopg import Error
from psycopg.errors import FeatureNotSupported, UniqueViolation

from app.ledger.draft import Draft
from app.ledger.keyring import Keyring
from app.ledger.signer import Signer
from app.store.events.alone import Ends, append_call
from app.store.events.idempotency import GET_IDEMPOTENCY_SINCE, former_ids, with_ids
from app.store.events.linker import FIND_STORED, GET_TIP, LOCK_TIP, Linker, Tip
from app.store.postgres.database import BEGIN, COMMIT, ROLLBACK, is_broken
from app.store.postgres.pipe import Call, PipedConnection, Row, uuid_array
from schemas.errors import NotFound, ProcedureError, Unavailable
from schemas.event import SynapEvent

THREAD_FROM = 100
"""A group of this many events is hashed and signed (30 µs each) in a thread, so that the loop goes on answering."""

LOST_EVENTS = (
    "The log {} has lost or changed events: it does not extend the checkpoint of its first {} events that was kept. "
    "Nothing was stored. An administrator must restore the database, or accept the loss: synap node accept-rollback"
)

STOPPED_SECONDS = 60
"""When to retry an append to a log that an administrator has to look at."""

GroupAnswers = list[list[SynapEvent] | ProcedureError]
"""The answer to each caller of a group."""


class OutcomeUnknownError(Exception):
    """The connection was lost when the commit may have been on its way."""


class Commits:
    """Commits groups, for one process. Those of one workspace come one after the other."""

    def __init__(self, keys: Keyring, node: str, now: Callable[[], datetime]) -> None:
        """`node` is the install's id (`did:key:z…`)."""
        self._keys = keys
        self._node = node
        self._now = now
        self._ends = Ends()
        self._counted: set[tuple[str, str, str]] = set()

    async def commit(
        self, connection: PipedConnection, workspace: str, calls: Sequence[Sequence[Draft]], *, finds_all: bool
    ) -> tuple[Linker, GroupAnswers]:
        """Append each caller's drafts in one transaction, and answer what became of them.

        With `finds_all` every id is looked for, also one that was just made: it is tried again. Raises NotFound,
        Unavailable, OutcomeUnknownError, and what psycopg raises where nothing was stored.
        """
        try:
            done = None if finds_all else await self._alone(connection, workspace, calls)
            return done or await self._locked(connection, workspace, calls, finds_all=finds_all)
        except UniqueViolation:
            if finds_all:
                raise
            return await self._locked(connection, workspace, calls, finds_all=True)

    def linker(self, workspace: str, tips: list[Row], stored: Mapping[UUID, Row]) -> Linker:
        """Links to the end of the log that is locked. Raises NotFound, Unavailable (a stopped log, a missing key)."""
        tip = tip_of(workspace, tips)
        signer = self._signer(tip)
        if signer is None:
            raise Unavailable("This server's signing key is not the one in force; nothing was stored, retry")
        return Linker(signer, self._node, workspace, tip, stored, self._now())

    async def _alone(
        self, connection: PipedConnection, workspace: str, calls: Sequence[Sequence[Draft]]
    ) -> tuple[Linker, GroupAnswers] | None:
        """One statement behind the end that this process left; None where it did nothing."""
        tip = self._ends.own(workspace)
        if tip is None or not self._is_plain(workspace, calls) or (signer := self._signer(tip)) is None:
            return None
        linker = Linker(signer, self._node, workspace, tip, {}, self._now())
        answers = [linker.link(drafts) for drafts in calls]
        if linker.rows and await self._moves(connection, linker, _ids(calls, with_new=False)):
            self._ends.left(workspace, linker.tip, found=tip)
            return linker, answers
        self._ends.lost(workspace)
        return None

    async def _moves(self, connection: PipedConnection, linker: Linker, ids: Iterable[UUID]) -> bool:
        """Whether the statement moved the tip, and so stored everything."""
        try:
            [moved] = await connection.trip([append_call(linker, ids)])
        except FeatureNotSupported:
            self._ends.give_up()
            return False
        except Error as error:
            self._ends.lost(linker.workspace)
            if is_broken(error):
                raise OutcomeUnknownError from error
            raise
        return bool(moved)

    def _is_plain(self, workspace: str, calls: Sequence[Sequence[Draft]]) -> bool:
        """Whether the one statement does all that they need: few, with one id each, of counted kinds."""
        return sum(map(len, calls)) < THREAD_FROM and all(
            draft.former_id is None and _kind(workspace, draft) in self._counted for drafts in calls for draft in drafts
        )

    async def _locked(
        self, connection: PipedConnection, workspace: str, calls: Sequence[Sequence[Draft]], *, finds_all: bool
    ) -> tuple[Linker, GroupAnswers]:
        """A transaction under the lock on the tip, in two round trips."""
        former = former_ids(calls)
        ids = former | _ids(calls, with_new=finds_all)
        key = {"workspace": workspace}
        trip: dict[str, Call] = {"begin": BEGIN, "lock": (LOCK_TIP, key), "tip": (GET_TIP, key)}
        if ids:
            trip["stored"] = FIND_STORED, {**key, "ids": uuid_array(ids)}
        if former:
            trip["since"] = GET_IDEMPOTENCY_SINCE, {}
        read = await connection.trip_by_name(trip)
        try:
            rows = {row[0]: row for row in read.get("stored", ())}
            for (since,) in read.get("since", ()):
                calls = [with_ids(drafts, since, rows) for drafts in calls]
            linker = self.linker(workspace, read["tip"], rows)
            answers = await _linked(connection, linker, calls)
        except BaseException:
            await roll_back(connection)
            raise
        await self._write(connection, linker)
        self._ends.left(workspace, linker.tip, found=linker.behind, ids_are_new=not rows)
        self._counted.update(linker.kinds())
        return linker, answers

    async def _write(self, connection: PipedConnection, linker: Linker) -> None:
        try:
            await connection.trip([*linker.writes(self._counted), COMMIT])
        except Error as error:
            if is_broken(error):
                raise OutcomeUnknownError from error
            await roll_back(connection)
            raise

    def _signer(self, tip: Tip) -> Signer | None:
        """Who signs behind a tip; None where its key is not here (yet)."""
        try:
            return self._keys.signer(tip.kid)
        except (ValueError, OSError):
            return None


def tip_of(workspace: str, tips: Sequence[Row]) -> Tip:
    """The row of `GET_TIP`. Raises NotFound if there is none, Unavailable if the log lost events."""
    if not tips:
        raise NotFound("There is no such workspace", field="workspace")
    tip = Tip(*tips[0])
    if tip.lost_size is not None:
        raise Unavailable(LOST_EVENTS.format(workspace, tip.lost_size), retry_after_seconds=STOPPED_SECONDS)
    return tip


async def roll_back(connection: PipedConnection) -> None:
    """End a transaction that failed; where that fails too, the connection is closed, which ends it as well."""
    with contextlib.suppress(Error):
        await connection.trip([ROLLBACK])


def _ids(calls: Iterable[Sequence[Draft]], *, with_new: bool) -> set[UUID]:
    """The ids under which something may be stored already: those that somebody else made, or all of them."""
    return {draft.id for drafts in calls for draft in drafts if with_new or not draft.is_id_new}


def _kind(workspace: str, draft: Draft) -> tuple[str, str, str]:
    """One of `Linker.kinds`."""
    return workspace, draft.type, draft.body.producer or draft.body.source


async def _linked(connection: PipedConnection, linker: Linker, calls: Sequence[Sequence[Draft]]) -> GroupAnswers:
    """What `Linker.link` answers each caller. Of many events the database stores a part while the next is linked."""
    if sum(map(len, calls)) < THREAD_FROM:
        return [linker.link(drafts) for drafts in calls]
    answers: GroupAnswers = []
    parts = linker.link_parts(calls, answers)
    part = await asyncio.to_thread(next, parts, None)
    while part is not None:
        # In this order: the part is sent before the thread wants the processor.
        _, part = await asyncio.gather(connection.trip([part]), asyncio.to_thread(next, parts, None))
    return answers
