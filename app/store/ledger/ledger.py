"""The ledger's read side: events as verifiers read them, the install's keys, checkpoints and proofs."""

from uuid import UUID

import msgspec
from msgspec import Struct

from app.capacity.answers import keep
from app.ledger import checkpoint, merkle
from app.ledger.chain import NODE_LOG
from app.ledger.checkpoint import Checkpoint
from app.ledger.keyring import Keyring
from app.ledger.notes import to_base64, to_texts
from app.ledger.signer import Signer, public_key
from app.store.events import pieces
from app.store.events.counting import counted
from app.store.events.pieces import ANSWERED, fitting, measured
from app.store.events.query import EventConditions
from app.store.events.rows import LEDGER_JSON
from app.store.ledger.key_history import LIST_ROTATIONS, to_rotation
from app.store.ledger.node_notes import NodeNotes
from app.store.ledger.node_witnesses import CosignedCheckpoint
from app.store.ledger.trees import Trees
from app.store.postgres.database import Database
from app.store.postgres.walk import one_sql
from schemas.errors import NotFound, Unavailable
from schemas.event import EventQuery
from schemas.ledger import (
    ConsistencyProof,
    InclusionProof,
    LedgerEvent,
    LedgerNode,
    LedgerPage,
    SignedCheckpoint,
    SigningKey,
)
from schemas.written import Written

GET_IDENTITY = "SELECT node, kid FROM install"
"""The node of the install, and its key in force."""

GET_TIP_AND_KEY = "SELECT seq, kid FROM event_tip WHERE workspace_id = %(workspace)s"
"""The last seq of a log, and the key that signs it."""

_ENTRY_COLUMNS = f"seq, hash, user_id, convert_to({LEDGER_JSON}, 'UTF8')"
"""The seq, hash, user and JSON of an entry."""

FIND_ENTRY_BY_ID = one_sql("id", "%(named)s::uuid", columns=_ENTRY_COLUMNS)
"""The entry with this event id."""

FIND_ENTRY_BY_HASH = one_sql("hash", "%(named)b::bytea", columns=_ENTRY_COLUMNS)
"""The entry with this hash."""


def entries_sql(rows: str, limit: int) -> str:
    """SQL of `rows`, oldest first, as one row: their JSON or their sizes."""
    page = f"SELECT {measured(LEDGER_JSON, limit, order='ORDER BY seq')} FROM ({rows}) AS page"
    return f"SELECT {ANSWERED} FROM ({page}) AS measured"


class FoundEntry(Struct, frozen=True):
    """An entry of the ledger: the seq, hash, user and JSON of an event."""

    seq: int
    hash: bytes
    user_id: str
    json: bytes


class Ledger:
    """Reads entries and makes proofs, for one process. For any number of tasks. Every method may raise Unavailable."""

    def __init__(
        self, database: Database, trees: Trees, keys: Keyring, origin: str, *, node_notes: NodeNotes | None = None
    ) -> None:
        """`origin` is the first part of the checkpoints' origins. `node_notes` makes those of a witnessed `_node`."""
        self._database = database
        self._trees = trees
        self._keys = keys
        self._origin = origin
        self._node_notes = node_notes

    async def entries(
        self, workspace: str, query: EventQuery, limit: int, only_user: str | None
    ) -> Written[LedgerPage]:
        """The oldest events that match, and the number of all matches; with `only_user`, only that user's."""
        matching = EventConditions(query, workspace, only_user)
        rows = matching.rows(descending=False, limit="%(limit)s::bigint")
        parameters = matching.parameters | {"limit": limit}
        [(json, large, total)] = await self._database.search(
            matching.statement(matching.beside_total(entries_sql(rows, limit))),
            parameters,
            is_planned=matching.is_planned,
            is_metered=matching.meets_others,
        )
        seqs, sizes = pieces.measures(large)
        count = fitting(sizes)
        parts = await pieces.page(self._database, workspace, LEDGER_JSON, json, seqs[:count], sizes[:count])
        if total is None:
            # Counted after the events are read: otherwise the total could be less than their number.
            total = await counted(self._database, matching)
        return Written(b'{"events":[', *parts, b'],"total":%d}' % total)

    async def find(self, workspace: str, reference: UUID | bytes) -> FoundEntry | None:
        """The event with this id, or with this hash (32 bytes), or None."""
        sql = FIND_ENTRY_BY_ID if isinstance(reference, UUID) else FIND_ENTRY_BY_HASH
        rows = await self._database.rows(sql, {"workspace": workspace, "named": reference})
        if not rows:
            return None
        found = FoundEntry(*rows[0])
        keep(workspace, len(found.json))
        return found

    async def node(self) -> LedgerNode:
        """The install's id and signing keys."""
        [identity], rotations = await self._database.atomic([(GET_IDENTITY, {}), (LIST_ROTATIONS, {})])
        node, kid = identity
        history = [to_rotation(row) for row in rotations]
        first = SigningKey(kid=node.removeprefix("did:key:"))
        return LedgerNode(
            node_did=node,
            kid=kid,
            public_identity=to_base64(public_key(kid) or b""),
            origin=self._origin,
            keys=[first, *(SigningKey(kid=each.kid_new, rotation=each) for each in history)],
        )

    async def tip(self, workspace: str) -> tuple[int, str]:
        """The last seq of a log (-1: empty) and the key in force. Raises NotFound."""
        rows = await self._database.rows(GET_TIP_AND_KEY, {"workspace": workspace})
        if not rows:
            raise NotFound("There is no such workspace", field="workspace")
        return rows[0][0], rows[0][1]

    async def checkpoint(self, workspace: str) -> SignedCheckpoint:
        """The newest checkpoint of a log; of a witnessed `_node` the newest that a quorum cosigned. Raises NotFound."""
        cosigned = await self.cosigned(workspace)
        if cosigned is None:
            return await self.current(workspace)
        _, kid = await self.tip(workspace)
        return await self.signed(workspace, cosigned.size, cosigned.root, kid, cosigned.lines)

    async def current(self, workspace: str) -> SignedCheckpoint:
        """A signed checkpoint of a log as it is now, whether it is cosigned or not. Raises NotFound."""
        seq, kid = await self.tip(workspace)
        nodes = await self._trees.nodes(workspace, seq + 1, [seq] if seq >= 0 else [])
        return await self.signed(workspace, seq + 1, merkle.root(seq + 1, nodes), kid)

    async def cosigned(self, workspace: str, at_least: int = 0) -> CosignedCheckpoint | None:
        """The newest checkpoint of a log that a quorum of witnesses cosigned, if it covers `at_least` events."""
        if self._node_notes is None or workspace != NODE_LOG:
            return None
        return await self._node_notes.cosigned(at_least)

    async def proved_tree(self, workspace: str, seq: int) -> tuple[int, str, str]:
        """The tree to which proofs of events up to `seq` of a log lead: its size, its key, and its cosignatures.

        It is the newest one that witnesses cosigned, if that has the events; otherwise that of the log now.
        """
        last, kid = await self.tip(workspace)
        cosigned = await self.cosigned(workspace, seq + 1)
        return (last + 1, kid, "") if cosigned is None else (cosigned.size, kid, cosigned.lines)

    async def inclusion(self, workspace: str, entry: FoundEntry) -> InclusionProof:
        """The proof that a log contains an event."""
        size, kid, lines = await self.proved_tree(workspace, entry.seq)
        nodes = await self._trees.nodes(workspace, size, [entry.seq, size - 1])
        node = await self.node()
        return InclusionProof(
            event=msgspec.json.decode(entry.json, type=LedgerEvent),
            proof=to_texts(merkle.inclusion_proof(entry.seq, size, nodes)),
            checkpoint=await self.signed(workspace, size, merkle.root(size, nodes), kid, lines),
            keys=keys_up_to(node, kid),
            node_did=node.node_did,
        )

    async def consistency(self, workspace: str, old: int, new: int, tip: tuple[int, str]) -> ConsistencyProof:
        """The proof that the tree of size `new` extends that of size `old`.

        The log, which ended at `tip`, must have both.
        """
        last, kid = tip
        nodes = await self._trees.nodes(workspace, new, [size - 1 for size in (old, new) if size])
        node = await self.node()
        is_now = new == last + 1
        cosigned = await self.cosigned(workspace, new)
        lines = "" if cosigned is None or cosigned.size != new else cosigned.lines
        return ConsistencyProof(
            from_size=old,
            to_size=new,
            proof=to_texts(merkle.consistency_proof(old, new, nodes)),
            checkpoint=await self.signed(workspace, new, merkle.root(new, nodes), kid, lines) if is_now else None,
            keys=keys_up_to(node, kid),
            node_did=node.node_did,
        )

    async def path(self, workspace: str, old: int, new: int) -> list[bytes]:
        """The consistency proof from the tree of `old` events of a log, which has both, to that of `new`."""
        nodes = await self._trees.nodes(workspace, new, [size - 1 for size in (old, new) if size])
        return merkle.consistency_proof(old, new, nodes)

    async def signed(self, workspace: str, size: int, root: bytes, kid: str, lines: str = "") -> SignedCheckpoint:
        """A checkpoint signed with the key `kid`; one of a witnessed `_node` also by former keys, and with `lines`."""
        plain = self._sign(workspace, size, root, kid)
        if self._node_notes is None or workspace != NODE_LOG:
            return plain
        return await self._node_notes.add_signatures(plain, lines)

    def _sign(self, workspace: str, size: int, root: bytes, kid: str) -> SignedCheckpoint:
        origin = f"{self._origin}/{workspace}"
        note = checkpoint.sign(Checkpoint(origin, size, root), self.signer(kid))
        encoded = to_base64(root)
        return SignedCheckpoint(note=note, origin=origin, size=size, root=encoded, vkey=checkpoint.vkey(origin, kid))

    def signer(self, kid: str) -> Signer:
        """The signer with the key `kid`. Raises Unavailable if this server does not have that key (yet)."""
        try:
            signer = self._keys.signer(kid)
        except (ValueError, OSError):
            signer = None
        if signer is None:
            raise Unavailable("This server lacks the signing key that the call needs; retry later")
        return signer


def keys_up_to(node: LedgerNode, kid: str) -> list[SigningKey]:
    """The install's keys up to the one that signed a checkpoint, without keys that came later."""
    place = next(place for place, key in enumerate(node.keys) if key.kid == kid)
    return node.keys[: place + 1]
