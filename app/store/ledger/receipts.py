"""Receipts: an event with all that belongs to it, and their proofs, as one file (`docs/reference/receipts.md`).

An event of an intent brings the whole chain: the intent, its decision, every start and every outcome. Any other event
stands for itself. Both bring their causes. The size is known before the events are read.
"""

from collections.abc import Sequence
from functools import cache
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from app.capacity.answers import hold
from app.filters.sql import USUAL_UUID
from app.ledger import merkle
from app.ledger.intents import intent_named_in
from app.ledger.notes import to_texts
from app.sealing.intent_ids import IntentIds
from app.store.events.intents import (
    HAS_INTENTS,
    LIST_INTENTS_BY_ID,
    LIST_STARTS_BY_ID,
    LIST_STARTS_OF_INTENTS,
    IntentRow,
    StartRow,
)
from app.store.events.rows import EVENT_BYTES, LEDGER_JSON
from app.store.intents.reader import Viewer
from app.store.ledger.ledger import Ledger, keys_up_to
from app.store.ledger.trees import Trees
from app.store.postgres.database import Database
from app.store.postgres.pipe import uuid_array
from app.store.postgres.walk import each_sql, one_sql
from schemas.errors import NotFound, PayloadTooLarge
from schemas.ledger import MAX_CAUSES, RECEIPT_VERSION, LedgerEvent, Receipt, ReceiptEntry, SignedCheckpoint
from schemas.written import Written

MAX_RECEIPT_BYTES = 8 * 2**20

ENTRY_BYTES = 1024
"""About what an entry takes besides its data and metadata."""

PROOFS_AT_ONCE = 16
"""How many proofs are computed before other calls of the process have their turn: some milliseconds of work."""

_ASKED = "id, user_id, erased, metadata"

FIND_ASKED_BY_ID = one_sql("id", "%(named)s::uuid", columns=_ASKED)
"""The event with this id, as far as a receipt needs it first."""

FIND_ASKED_BY_HASH = one_sql("hash", "%(named)b::bytea", columns=_ASKED)
"""The event with this hash, as far as a receipt needs it first."""

_PART = f"id, seq, user_id, {EVENT_BYTES}"

LIST_PARTS = f"""SELECT {_PART} FROM {each_sql("id", "%(ids)s::uuid[]")}"""
"""The events with these ids, by their sizes."""

_CAUSE = f"CASE WHEN line.causation_id ~ '{USUAL_UUID}' THEN line.causation_id::uuid END"

LIST_CAUSES = f"""
WITH RECURSIVE line AS (
    SELECT id, seq, user_id, 0 AS size, causation_id, 0 AS depth, ARRAY[seq] AS path
    FROM ({one_sql("id", "%(id)s::uuid")}) AS event
    UNION ALL
    SELECT cause.id, cause.seq, cause.user_id, cause.size, cause.causation_id, depth + 1, path || cause.seq
    FROM line CROSS JOIN LATERAL (
        SELECT {_PART} AS size, causation_id FROM ({one_sql("id", _CAUSE)}) AS event WHERE seq <> ALL(line.path)
    ) AS cause
    WHERE depth < {MAX_CAUSES}
        AND (depth = 0 OR %(only_user)s::text IS NULL OR line.user_id = %(only_user)s::text)
)
SELECT depth, id, seq, user_id, size FROM line WHERE depth > 0
"""
"""The causes of an event. With `only_user` the line ends with the first cause of another user."""

LIST_ENTRIES = f"""SELECT id, convert_to({LEDGER_JSON}, 'UTF8') FROM {each_sql("id", "%(ids)s::uuid[]")}"""
"""The events with these ids in the ledger's form."""


class _Part(Struct, frozen=True):
    """An event that belongs to a receipt, and the size of what it says."""

    id: UUID
    seq: int
    user_id: str
    size: int


class _Asked(Struct, frozen=True):
    """The event that a caller named."""

    id: UUID
    user_id: str
    erased: bool
    metadata: str | None


class Receipts:
    """Makes receipts, for one process. For any number of tasks. Every method may raise Unavailable."""

    def __init__(self, database: Database, ledger: Ledger, trees: Trees, ids: IntentIds) -> None:
        self._database = database
        self._ledger = ledger
        self._trees = trees
        self._ids = ids

    async def make(self, workspace: str, reference: UUID | bytes, only_user: str | None) -> Written[Receipt]:
        """The receipt of the event with this id, or with this hash (32 bytes).

        With `only_user` the event is this user's, or of an intent that this user asked for or is named to approve.
        Causes of other users are withheld. Raises NotFound, PayloadTooLarge.
        """
        asked, ids = await self._chain(workspace, reference, only_user)
        chain, causes = await self._parts(workspace, ids, only_user)
        size = sum(part.size + ENTRY_BYTES for part in (*chain, *causes))
        _require_small(size)
        await hold(workspace, 2 * size)
        events = await self._events(workspace, [*chain, *causes])
        checkpoint, kid, proofs = await self._proofs(workspace, [event.seq for event in events.values()])
        node = await self._ledger.node()

        def entry(part: _Part) -> ReceiptEntry:
            event = events[part.id]
            return ReceiptEntry(event=event, proof=proofs[event.seq])

        receipt = Receipt(
            v=RECEIPT_VERSION,
            event_id=str(asked.id),
            log=workspace,
            node_did=node.node_did,
            chain=[entry(part) for part in chain],
            causes=[
                _withheld(entry(part)) if only_user not in {None, part.user_id} else entry(part) for part in causes
            ],
            checkpoint=checkpoint,
            keys=keys_up_to(node, kid),
        )
        written = msgspec.json.encode(receipt)
        _require_small(len(written))
        return Written(written)

    async def _chain(self, workspace: str, reference: UUID | bytes, only_user: str | None) -> tuple[_Asked, list[UUID]]:
        """The event, and the ids of all events that can be in its chain. Raises NotFound."""
        sql = FIND_ASKED_BY_ID if isinstance(reference, UUID) else FIND_ASKED_BY_HASH
        found = await self._database.rows(sql, {"workspace": workspace, "named": reference})
        if not found:
            raise _not_found()
        asked = _Asked(*found[0])
        if await self._database.holds(HAS_INTENTS) and (ids := await self._intent_chain(workspace, asked, only_user)):
            return asked, ids
        if only_user not in {None, asked.user_id}:
            raise _not_found()
        return asked, [asked.id]

    async def _intent_chain(self, workspace: str, asked: _Asked, only_user: str | None) -> list[UUID]:
        """The ids that the events of its intent have, or would have. Empty if there is no intent that the user sees."""
        intent_id = await self._intent_id(workspace, asked)
        if intent_id is None:
            return []
        named = {"workspace": workspace, "ids": uuid_array([intent_id])}
        intents, starts = await self._database.atomic([(LIST_INTENTS_BY_ID, named), (LIST_STARTS_OF_INTENTS, named)])
        viewer = Viewer(only_user or "", only_own=only_user is not None)
        if not intents or not viewer.sees(IntentRow.of(intents[0])):
            return []
        ids = [intent_id, *(self._ids.id(workspace, intent_id, step) for step in ("decision", "end"))]
        for start in map(StartRow.of, starts):
            ids.append(start.id)
            ids += (self._ids.id(workspace, intent_id, step, start.use) for step in ("outcome", "late"))
        return ids

    async def _intent_id(self, workspace: str, asked: _Asked) -> UUID | None:
        """The intent that an event is or follows. Of an erased one, only an intent or a start is known as such."""
        if not asked.erased:
            return intent_named_in(asked.id, asked.metadata)
        named = {"workspace": workspace, "ids": uuid_array([asked.id])}
        intents, starts = await self._database.atomic([(LIST_INTENTS_BY_ID, named), (LIST_STARTS_BY_ID, named)])
        if starts:
            return StartRow.of(starts[0]).intent_id
        return asked.id if intents else None

    async def _parts(
        self, workspace: str, ids: Sequence[UUID], only_user: str | None
    ) -> tuple[list[_Part], list[_Part]]:
        """The stored events among `ids`, the oldest first, and the causes of the first of `ids`, the nearest first."""
        chain, causes = await self._database.atomic(
            [
                (LIST_PARTS, {"workspace": workspace, "ids": uuid_array(ids)}),
                (LIST_CAUSES, {"workspace": workspace, "id": ids[0], "only_user": only_user}),
            ]
        )
        parts = sorted((_Part(*row) for row in chain), key=lambda part: part.seq)
        return parts, [_Part(*row) for _, *row in sorted(causes)]

    async def _events(self, workspace: str, parts: Sequence[_Part]) -> dict[UUID, LedgerEvent]:
        ids = uuid_array([part.id for part in parts])
        rows = await self._database.rows_alone(LIST_ENTRIES, {"workspace": workspace, "ids": ids})
        return {id_: msgspec.json.decode(json, type=LedgerEvent) for id_, json in rows}

    async def _proofs(self, workspace: str, seqs: Sequence[int]) -> tuple[SignedCheckpoint, str, dict[int, list[str]]]:
        """A checkpoint of the log, its key, and for each seq the proof that its tree has that event."""
        size, kid, lines = await self._ledger.proved_tree(workspace, max(seqs))
        root, proofs = b"", dict[int, list[str]]()
        for at in range(0, len(seqs), PROOFS_AT_ONCE):
            some = seqs[at : at + PROOFS_AT_ONCE]
            nodes = await self._trees.nodes(workspace, size, [*some, size - 1])
            node = cache(nodes)  # proofs share most of their nodes
            proofs |= {seq: to_texts(merkle.inclusion_proof(seq, size, node)) for seq in some}
            root = merkle.root(size, node)
        return await self._ledger.signed(workspace, size, root, kid, lines), kid, proofs


def _withheld(entry: ReceiptEntry) -> ReceiptEntry:
    """The entry with the header of its event only."""
    event = msgspec.structs.replace(entry.event, payload=Raw(b"{}"), context=Raw(b"{}"), erased=False)
    return ReceiptEntry(event=event, proof=entry.proof, withheld=True)


def _require_small(size: int) -> None:
    if size > MAX_RECEIPT_BYTES:
        raise PayloadTooLarge(
            f"The receipt would have about {size / 2**20:.1f} MiB, and a receipt has at most 8 MiB; ledger.export "
            "returns a part of the log, and ledger.proof one event",
            field="eventId",
        )


def _not_found() -> NotFound:
    return NotFound("Event not found", field="eventId")
