"""The Merkle tree of RFC 6962, section 2.1, over hashes that are already leaves: roots, proofs, verification.

An event's hash is SHA-256(0x00 ‖ header), so it is a leaf. A complete subtree has a height and a place: its leaves are
at place * 2**height and the 2**height - 1 places after that. Subtrees are stored if their height is a multiple of 8;
those of height 0 are the events.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

from msgspec import Struct

EMPTY_ROOT = sha256().digest()
"""The root of a tree without leaves."""

STORED_BITS = 8
"""Stored subtrees are this many levels apart: each is made of 256 of the next lower ones."""

HASH_BYTES = 32

NodeHash = Callable[[int, int], bytes]
"""`node(height, place)` is the root of that complete subtree, 32 bytes."""


def split(hashes: bytes) -> list[bytes]:
    """Hashes that were joined."""
    return [hashes[start : start + HASH_BYTES] for start in range(0, len(hashes), HASH_BYTES)]


class Frontier:
    """A growing tree, held as the roots of its complete subtrees: one for each bit that is set in its size."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """Begin with a tree of `size` leaves, of which `peaks` has the roots; the largest subtree comes first."""
        self.size = size
        self._peaks = list(peaks)

    @classmethod
    def of(cls, size: int, node: NodeHash) -> "Frontier":
        """The tree of the first `size` leaves, from its nodes."""
        return cls(size, reversed(list(_peaks(0, size, node))))

    @property
    def peaks(self) -> bytes:
        """The roots of the complete subtrees, joined; the largest subtree comes first."""
        return b"".join(self._peaks)

    def push(self, leaf: bytes) -> None:
        """Add the next leaf, 32 bytes."""
        peaks = self._peaks
        full = self.size
        self.size = full + 1
        while full & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            full >>= 1
        peaks.append(leaf)

    def root(self) -> bytes:
        """The root over all leaves so far."""
        return _folded(reversed(self._peaks))


class Range(Struct, frozen=True):
    """Stored subtrees of one height, at the places `first` to `last`, both included."""

    height: int
    first: int
    last: int


class Stored:
    """A `Node` over stored subtrees. It computes those between the stored heights.

    `kept` has the subtrees of `ranges`, by height and place. Raises KeyError for a subtree that it cannot compute.
    """

    def __init__(self, kept: Mapping[tuple[int, int], bytes]) -> None:
        self._kept = kept

    def __call__(self, height: int, place: int) -> bytes:
        """The root of the complete subtree at this height and place."""
        above = height % STORED_BITS
        first = place << above
        level = [self._kept[height - above, first + offset] for offset in range(1 << above)]
        while len(level) > 1:
            level = [_parent(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
        return level[0]


def ranges(places: Iterable[int], size: int) -> list[Range]:
    """The stored subtrees needed for proofs about the leaves at `places` in a tree of `size` leaves.

    For an inclusion proof the places are `seq` and `size - 1`, for a consistency proof `old - 1` and `new - 1`, for a
    root `size - 1`. At each stored height the result has the blocks of 256 above those leaves, as far as their subtrees
    are complete; adjacent blocks form one range. The lowest height comes first, then the order is by place. ValueError
    for a place beyond the tree.
    """
    leaves = set(places)
    if leaves and not 0 <= min(leaves) <= max(leaves) < size:
        raise ValueError(f"there is no such place in a tree of {size} leaves")
    found: list[Range] = []
    height = 0
    while size >> height:
        end = size >> height
        for block in sorted({leaf >> height + STORED_BITS for leaf in leaves}):
            first = block << STORED_BITS
            last = min(first + (1 << STORED_BITS), end) - 1
            if found and (found[-1].height, found[-1].last) == (height, first - 1):
                found[-1] = Range(height, found[-1].first, last)
            elif first <= last:
                found.append(Range(height, first, last))
        height += STORED_BITS
    return found


def root(size: int, node: NodeHash) -> bytes:
    """The root of the tree of the first `size` leaves. ValueError for a negative size."""
    if size < 0:
        raise ValueError(f"a tree has no {size} leaves")
    return _span(0, size, node)


def inclusion_proof(seq: int, size: int, node: NodeHash) -> list[bytes]:
    """The proof that the leaf at `seq` is in the tree of `size` leaves (RFC 6962, section 2.1.1), lowest hash first.

    ValueError if `seq` is not in the tree.
    """
    if not 0 <= seq < size:
        raise ValueError(f"there is no leaf {seq} in a tree of {size} leaves")
    proof = []
    first, end = 0, size
    while end - first > 1:
        middle = _middle(first, end)
        if seq < middle:
            proof.append(_span(middle, end, node))
            end = middle
        else:
            proof.append(_span(first, middle, node))
            first = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, node: NodeHash) -> list[bytes]:
    """The proof that the tree of `old` leaves begins the tree of `new` (RFC 6962, section 2.1.2), lowest hash first.

    It is empty if `old` is 0 or equals `new`. ValueError if `old` is negative or greater than `new`.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {old} leaves is not the beginning of one of {new}")
    if old == 0:
        return []
    proof = []
    first, end = 0, new
    while end != old:
        middle = _middle(first, end)
        if old <= middle:
            proof.append(_span(middle, end, node))
            end = middle
        else:
            proof.append(_span(first, middle, node))
            first = middle
    if first:  # otherwise it is the old root, which the verifier has
        proof.append(_span(first, end, node))
    return proof[::-1]


def verify_inclusion(leaf: bytes, seq: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows `leaf` at `seq` of the tree of `size` leaves with that root (RFC 9162, section 2.1.3.2).

    One proof can fit several sizes, so take `size` and `root` from the same checkpoint. For any other numbers and
    lengths the result is False, not an error.
    """
    if not 0 <= seq < size or not _are_hashes(leaf, root, *proof):
        return False
    at, last, found = seq, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = _parent(sibling, found)
            at, last = _up_to_right(at, last)
        else:
            found = _parent(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of `old` leaves begins that of `new` (RFC 9162, section 2.1.4.2).

    The empty tree, with the root `EMPTY_ROOT`, begins every other. For any other numbers and lengths the result is
    False, not an error.
    """
    if not 0 <= old <= new or not _are_hashes(old_root, new_root, *proof):
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    found_old = found_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            found_old, found_new = _parent(sibling, found_old), _parent(sibling, found_new)
            at, last = _up_to_right(at, last)
        else:
            found_new = _parent(found_new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found_old == old_root and found_new == new_root


def _up_to_right(at: int, last: int) -> tuple[int, int]:
    """The first ancestor that is a right child, or the edge: without a right sibling a proof has no hash."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _are_hashes(*hashes: bytes) -> bool:
    return all(len(one) == HASH_BYTES for one in hashes)


def _middle(first: int, end: int) -> int:
    """The place where RFC 6962 splits: the left part is the largest power of two smaller than the whole."""
    return first + (1 << (end - first - 1).bit_length() - 1)


def _span(first: int, end: int, node: NodeHash) -> bytes:
    """The root of the leaves from `first` to before `end`. The tree must be splittable at `first`."""
    return _folded(_peaks(first, end, node))


def _peaks(first: int, end: int, node: NodeHash) -> Iterator[bytes]:
    """The complete subtrees of the leaves from `first` to before `end`. The rightmost and smallest comes first."""
    rest, right = end - first, end
    while rest:
        height = (rest & -rest).bit_length() - 1
        right -= 1 << height
        yield node(height, right >> height)
        rest &= rest - 1


def _folded(peaks: Iterable[bytes]) -> bytes:
    """The root of adjacent complete subtrees, given from the rightmost and smallest."""
    found = EMPTY_ROOT
    for count, peak in enumerate(peaks):
        found = _parent(peak, found) if count else peak
    return found


def _parent(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
