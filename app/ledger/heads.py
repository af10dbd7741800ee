r"""How the log `_node` anchors the other logs (`docs/reference/heads.md`).

    leaf text = JCS of {log, root, salt, size}
    leaf      = SHA-256(0x00 ‖ leaf text)
    root      = RFC 6962 root of the leaves, ordered by the bytes of `log`

The event `synap.tree.heads` has the number of leaves and their root. So the proof of one leaf shows one log, and names
no other.
"""

from collections.abc import Sequence

from msgspec import Struct

from app.ledger.chain import leaf_hash
from app.ledger.merkle import Frontier, inclusion_proof, verify_inclusion

SALT_BYTES = 16
"""The size of a salt. Without it, somebody who knows a log's name could guess its leaf."""


class Head(Struct, frozen=True):
    """The state of a log: its name, size and root, and the random salt of this leaf."""

    log: str
    size: int
    root: bytes
    salt: bytes

    @property
    def text(self) -> bytes:
        """The canonical JSON of the leaf. The name of a workspace has no character that JSON escapes."""
        return (
            f'{{"log":"{self.log}","root":"sha256:{self.root.hex()}","salt":"{self.salt.hex()}","size":{self.size}}}'
        ).encode()

    @property
    def leaf(self) -> bytes:
        """The leaf, 32 bytes."""
        return leaf_hash(self.text)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of these leaves."""
    tree = Frontier()
    for leaf in leaves:
        tree.push(leaf)
    return tree.root()


def said(count: int, root: bytes) -> dict[str, object]:
    """The data of the event that anchors `count` logs."""
    return {"count": count, "root": f"sha256:{root.hex()}"}


def path_of(leaves: Sequence[bytes], place: int) -> list[bytes]:
    """The inclusion proof of the leaf at `place`. ValueError if there is no such leaf."""

    def node(height: int, at: int) -> bytes:
        first = at << height
        return root_of(leaves[first : first + (1 << height)])

    return inclusion_proof(place, len(leaves), node)


def is_anchored(head: Head, place: int, count: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` shows the head at `place` of the `count` leaves with this root."""
    return verify_inclusion(head.leaf, place, count, path, root)
