"""Makes proofs that travel (C2SP tlog-proof): from one event, over `_node`, to a checkpoint of `_node`.

`docs/reference/tlog-proof.md` has their form, `app/ledger/verify/anchored.py` verifies them.
"""

import msgspec
from msgspec import Raw

from app.ledger import merkle
from app.ledger.chain import NODE_LOG
from app.ledger.checkpoint import parse
from app.ledger.notes import to_texts
from app.ledger.tlogproof import TlogProof
from app.ledger.verify.anchored import VERSION
from app.store.ledger.heads import AnchoredHead, Heads
from app.store.ledger.ledger import FoundEntry, Ledger
from app.store.ledger.trees import Trees
from schemas.errors import NotFound

NOT_YET = (
    "This event has no proof that travels yet: with SYNAP_WITNESS_POLICY, _node anchors what has grown about once a "
    "minute, and its witnesses cosign that"
)


class Travelling:
    """Makes these proofs, for one process. For any number of tasks. Every method may raise Unavailable."""

    def __init__(self, trees: Trees, ledger: Ledger, heads: Heads) -> None:
        self._trees = trees
        self._ledger = ledger
        self._heads = heads

    async def proof(self, workspace: str, entry: FoundEntry) -> str:
        """The proof that `_node` covers an event. Raises NotFound if it does not do so yet."""
        node = await self._ledger.node()
        extra = {"v": VERSION, "node_did": node.node_did, "keys": node.keys, "event": Raw(entry.json)}
        index = entry.seq
        if workspace != NODE_LOG:
            anchored = await self._heads.anchored(workspace, entry.seq)
            if anchored is None:
                raise NotFound(NOT_YET, field="eventId")
            extra |= await self._way(workspace, entry.seq, anchored)
            index = anchored.event.seq
        note = (await self._ledger.checkpoint(NODE_LOG)).note
        size = parse(note).checkpoint.size
        if size <= index:
            raise NotFound(NOT_YET, field="eventId")
        hashes = merkle.inclusion_proof(index, size, await self._trees.nodes(NODE_LOG, size, [index, size - 1]))
        return TlogProof(index=index, hashes=hashes, note=note, extra=msgspec.json.encode(extra)).written()

    async def _way(self, workspace: str, seq: int, anchored: AnchoredHead) -> dict[str, object]:
        """The members of the way from an event to the event of `_node` that anchors its log."""
        head = anchored.head
        nodes = await self._trees.nodes(workspace, head.size, [seq, head.size - 1])
        return {
            "proof": to_texts(merkle.inclusion_proof(seq, head.size, nodes)),
            "head": Raw(head.text),
            "place": anchored.place,
            "path": to_texts(anchored.path),
            "heads": anchored.event,
        }
