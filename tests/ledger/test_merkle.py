"""The tree compared with RFC 6962's recursive definition, a published verifier of inclusion, and published proofs."""

import base64
import json
from functools import cache
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore.errors import VerificationError
from sigstore_models.rekor.v1 import InclusionProof

from app.ledger.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Frontier,
    NodeHash,
    Range,
    Stored,
    consistency_proof,
    inclusion_proof,
    ranges,
    root,
    verify_consistency,
    verify_inclusion,
)
from tests.kit import paths
from tests.kit.examples import examples

VECTORS = json.loads((paths.VECTORS / "evlog1.json").read_text())

SIZES = range(1, 301)
BODIES = [f"body {seq}".encode() for seq in range(max(SIZES))]
LEAVES = [sha256(b"\x00" + body).digest() for body in BODIES]

LARGE = 1_000_000

PUBLISHED_LEAVES = [
    sha256(b"\x00" + bytes.fromhex(text)).digest()
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
PUBLISHED_ROOTS = [
    bytes.fromhex(text)
    for text in (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
PUBLISHED_CONSISTENCY = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}

Proof = list[bytes]


# RFC 6962, section 2.1, word for word; a list of leaves D[first:end] is the pair of its bounds.


@cache
def mth(first: int, end: int) -> bytes:
    """MTH(D[first:end])."""
    if end == first:
        return sha256().digest()
    if end - first == 1:
        return LEAVES[first]
    k = split(end - first)
    return sha256(b"\x01" + mth(first, first + k) + mth(first + k, end)).digest()


def path(m: int, first: int, end: int) -> Proof:
    """PATH(m, D[first:end])."""
    n = end - first
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return [*path(m, first, first + k), mth(first + k, end)]
    return [*path(m - k, first + k, end), mth(first, first + k)]


def subproof(m: int, first: int, end: int, *, known: bool) -> Proof:
    """SUBPROOF(m, D[first:end], known)."""
    n = end - first
    if m == n:
        return [] if known else [mth(first, end)]
    k = split(n)
    if m <= k:
        return [*subproof(m, first, first + k, known=known), mth(first + k, end)]
    return [*subproof(m - k, first + k, end, known=False), mth(first, first + k)]


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def complete(size: int) -> NodeHash:
    """A lookup of nodes that has only the complete subtrees of the tree of `size` leaves."""

    def node(height: int, place: int) -> bytes:
        first, end = place << height, (place + 1) << height
        assert 0 <= first < end <= size
        return mth(first, end)

    return node


def published(body: bytes, seq: int, size: int, proof: Proof, tree: bytes) -> bool:
    """Whether sigstore accepts an inclusion proof of the leaf of `body`."""
    try:
        said = InclusionProof.from_dict(
            {
                "logIndex": str(seq),
                "treeSize": str(size),
                "rootHash": base64.b64encode(tree).decode(),
                "hashes": [base64.b64encode(part).decode() for part in proof],
            }
        )
        entry = SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=said, canonicalized_body=body))
        verify_merkle_inclusion(cast(Any, entry))
    except (VerificationError, ValueError):
        return False
    return True


def altered(proof: Proof) -> dict[str, Proof]:
    """Every way to change one thing in a proof, by name."""
    other = sha256(b"other").digest()
    found = {}
    for place, part in enumerate(proof):
        for bit in (0, 100, 255):
            flipped = (int.from_bytes(part) ^ 1 << bit).to_bytes(32)
            found[f"bit {bit} of {place}"] = [*proof[:place], flipped, *proof[place + 1 :]]
        found[f"without {place}"] = [*proof[:place], *proof[place + 1 :]]
        found[f"shorter {place}"] = [*proof[:place], part[:-1], *proof[place + 1 :]]
        found[f"longer {place}"] = [*proof[:place], part + b"\x00", *proof[place + 1 :]]
        if place:
            found[f"swapped {place}"] = [*proof[: place - 1], part, proof[place - 1], *proof[place + 1 :]]
    for place in range(len(proof) + 1):
        found[f"more before {place}"] = [*proof[:place], other, *proof[place:]]
    found["longer than any tree"] = proof + [other] * 100
    return found


@st.composite
def pairs(draw: st.DrawFn) -> tuple[int, int]:
    """A place in a tree, and the tree's size."""
    size = draw(st.sampled_from(SIZES))
    return draw(st.integers(0, size - 1)), size


class TestRoots:
    def test_roots_are_those_of_the_golden_vectors(self) -> None:
        first, second = (bytes.fromhex(entry["hash"]) for entry in VECTORS["entries"][:2])

        tree = Frontier()
        tree.push(first)
        assert base64.b64encode(tree.root()).decode() == VECTORS["merkle"]["root_size_1"]
        tree.push(second)
        assert base64.b64encode(tree.root()).decode() == VECTORS["merkle"]["root_size_2"]

    def test_a_tree_without_leaves_is_the_hash_of_nothing(self) -> None:
        assert Frontier().root() == root(0, complete(0)) == EMPTY_ROOT == sha256(b"").digest()

    def test_roots_of_every_size_are_those_of_the_definition(self) -> None:
        tree = Frontier()

        for size in SIZES:
            tree.push(LEAVES[size - 1])
            assert tree.size == size
            assert tree.root() == root(size, complete(size)) == mth(0, size)

    def test_a_negative_size_is_rejected(self) -> None:
        with pytest.raises(ValueError, match="-1 leaves"):
            root(-1, complete(0))


class TestPublished:
    """The reference tree of Certificate Transparency, from google/trillian (merkle/merkle_tree_test.go)."""

    def test_roots_are_those_published(self) -> None:
        tree = Frontier()

        for leaf, expected in zip(PUBLISHED_LEAVES, PUBLISHED_ROOTS, strict=True):
            tree.push(leaf)
            assert tree.root() == expected

    @pytest.mark.parametrize(("old", "new"), PUBLISHED_CONSISTENCY)
    def test_consistency_proofs_are_those_published(self, old: int, new: int) -> None:
        node = Stored({(0, seq): leaf for seq, leaf in enumerate(PUBLISHED_LEAVES)})

        proof = consistency_proof(old, new, node)

        assert [part.hex() for part in proof] == PUBLISHED_CONSISTENCY[old, new]
        assert verify_consistency(old, new, PUBLISHED_ROOTS[old - 1], PUBLISHED_ROOTS[new - 1], proof)


class TestInclusion:
    def test_proofs_of_every_place_in_every_size_are_those_of_the_definition(self) -> None:
        for size in SIZES:
            node, tree = complete(size), mth(0, size)
            for seq in range(size):
                proof = inclusion_proof(seq, size, node)
                assert proof == path(seq, 0, size)
                assert verify_inclusion(LEAVES[seq], seq, size, proof, tree)

    def test_a_published_verifier_accepts_every_proof(self) -> None:
        for size in (*range(1, 41), 127, 128, 129, 255, 256, 257, 300):
            for seq in range(size):
                assert published(BODIES[seq], seq, size, inclusion_proof(seq, size, complete(size)), mth(0, size))

    @settings(max_examples=examples(60), deadline=None)
    @given(pairs())
    def test_an_altered_proof_is_rejected_by_both(self, pair: tuple[int, int]) -> None:
        seq, size = pair
        tree = mth(0, size)

        for name, proof in altered(path(seq, 0, size)).items():
            assert not verify_inclusion(LEAVES[seq], seq, size, proof, tree), name
            assert not published(BODIES[seq], seq, size, proof, tree), name

    @settings(max_examples=examples(60), deadline=None)
    @given(pairs(), st.data())
    def test_a_proof_of_something_else_is_rejected_by_both(self, pair: tuple[int, int], data: st.DataObject) -> None:
        seq, size = pair
        proof = path(seq, 0, size)
        place = data.draw(st.integers(-1, size + 1).filter(lambda place: place != seq))
        total = data.draw(st.integers(0, max(SIZES)).filter(lambda total: total != size))
        wrong = {
            "leaf": (BODIES[seq] + b"x", seq, size, mth(0, size)),
            "place": (BODIES[seq], place, size, mth(0, size)),
            "size": (BODIES[seq], seq, total, mth(0, total)),
            "root": (BODIES[seq], seq, size, mth(0, total)),
        }

        for name, (body, at, leaves, tree) in wrong.items():
            assert not verify_inclusion(sha256(b"\x00" + body).digest(), at, leaves, proof, tree), name
            assert not published(body, at, leaves, proof, tree), name

    @settings(max_examples=examples(200), deadline=None)
    @given(pairs(), pairs(), pairs())
    def test_both_verifiers_agree_on_any_question(
        self, said: tuple[int, int], proven: tuple[int, int], rooted: tuple[int, int]
    ) -> None:
        (seq, size), proof, tree = said, path(proven[0], 0, proven[1]), mth(0, rooted[1])

        assert verify_inclusion(LEAVES[seq], seq, size, proof, tree) == published(BODIES[seq], seq, size, proof, tree)

    @pytest.mark.parametrize(("seq", "size"), [(-1, 5), (5, 5), (0, 0), (0, -1)])
    def test_a_place_beyond_the_tree_is_rejected(self, seq: int, size: int) -> None:
        with pytest.raises(ValueError, match=f"no leaf {seq} in a tree of {size}"):
            inclusion_proof(seq, size, complete(5))


class TestConsistency:
    def test_proofs_of_every_pair_are_those_of_the_definition(self) -> None:
        for new in SIZES:
            node, tree = complete(new), mth(0, new)
            for old in range(1, new + 1):
                proof = consistency_proof(old, new, node)
                assert proof == subproof(old, 0, new, known=True)
                assert verify_consistency(old, new, mth(0, old), tree, proof)

    @settings(max_examples=examples(80), deadline=None)
    @given(pairs())
    def test_an_altered_proof_is_rejected(self, pair: tuple[int, int]) -> None:
        old, new = pair[0] + 1, pair[1]

        for name, proof in altered(subproof(old, 0, new, known=True)).items():
            assert not verify_consistency(old, new, mth(0, old), mth(0, new), proof), name

    @settings(max_examples=examples(100), deadline=None)
    @given(pairs(), st.data())
    def test_a_proof_of_something_else_is_rejected(self, pair: tuple[int, int], data: st.DataObject) -> None:
        old, new = pair[0] + 1, pair[1]
        proof = subproof(old, 0, new, known=True)
        other_old = data.draw(st.integers(1, max(SIZES)).filter(lambda size: size != old))
        other_new = data.draw(st.integers(1, max(SIZES)).filter(lambda size: size != new))

        assert not verify_consistency(other_old, new, mth(0, other_old), mth(0, new), proof)
        assert not verify_consistency(old, other_new, mth(0, old), mth(0, other_new), proof)
        assert not verify_consistency(old, new, mth(0, other_old), mth(0, new), proof)
        assert not verify_consistency(old, new, mth(0, old), mth(0, other_new), proof)

    @settings(max_examples=examples(100), deadline=None)
    @given(pairs(), st.data())
    def test_a_tree_with_another_past_has_no_proof(self, pair: tuple[int, int], data: st.DataObject) -> None:
        old, new = pair[0] + 1, pair[1]
        changed = data.draw(st.integers(0, old - 1))
        rewritten = Frontier()
        for seq, leaf in enumerate(LEAVES[:new]):
            rewritten.push(sha256(leaf).digest() if seq == changed else leaf)

        assert not verify_consistency(old, new, mth(0, old), rewritten.root(), subproof(old, 0, new, known=True))

    def test_a_proof_that_ends_below_the_root_is_rejected(self) -> None:
        for new in (2, 3, 100):
            proof = subproof(1, 0, new, known=True)
            assert not verify_consistency(1, new * 2, mth(0, 1), mth(0, new), proof)
            assert not verify_inclusion(LEAVES[0], 0, new * 2, path(0, 0, new), mth(0, new))

    def test_the_empty_tree_is_the_beginning_of_every_other(self) -> None:
        assert consistency_proof(0, 0, complete(0)) == consistency_proof(0, 5, complete(5)) == []

        assert verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
        assert verify_consistency(0, 5, EMPTY_ROOT, mth(0, 5), [])
        assert not verify_consistency(0, 5, EMPTY_ROOT, mth(0, 5), [LEAVES[0]])
        assert not verify_consistency(0, 5, LEAVES[0], mth(0, 5), [])
        assert not verify_consistency(0, 0, EMPTY_ROOT, mth(0, 5), [])

    def test_a_tree_is_consistent_only_with_itself(self) -> None:
        assert consistency_proof(7, 7, complete(7)) == []

        assert verify_consistency(7, 7, mth(0, 7), mth(0, 7), [])
        assert not verify_consistency(7, 7, mth(0, 7), mth(0, 6), [])
        assert not verify_consistency(7, 7, mth(0, 7), mth(0, 7), [LEAVES[0]])

    @pytest.mark.parametrize(("old", "new"), [(-1, 5), (6, 5), (1, 0)])
    def test_sizes_out_of_order_are_rejected(self, old: int, new: int) -> None:
        with pytest.raises(ValueError, match=f"{old} leaves is not the beginning of one of {new}"):
            consistency_proof(old, new, complete(5))


NUMBERS = st.one_of(st.integers(-2, 300), st.integers(-(2**70), 2**70))
HASHES = st.one_of(st.sampled_from(LEAVES[:4]), st.binary(max_size=40), st.just(EMPTY_ROOT))


class TestHostileInput:
    @settings(max_examples=examples(200), deadline=None)
    @given(HASHES, NUMBERS, NUMBERS, st.lists(HASHES, max_size=80), HASHES)
    def test_inclusion_is_true_of_a_lone_leaf_or_false(
        self, leaf: bytes, seq: int, size: int, proof: Proof, tree: bytes
    ) -> None:
        lone = (seq, size, proof, len(leaf)) == (0, 1, [], 32) and leaf == tree

        assert verify_inclusion(leaf, seq, size, proof, tree) is lone

    @settings(max_examples=examples(200), deadline=None)
    @given(NUMBERS, NUMBERS, HASHES, HASHES, st.lists(HASHES, max_size=80))
    def test_consistency_is_true_of_equal_or_empty_trees_or_false(
        self, old: int, new: int, old_root: bytes, new_root: bytes, proof: Proof
    ) -> None:
        hashes = len(old_root) == len(new_root) == 32
        same = 0 <= old == new and old_root == new_root
        empty = 0 == old < new and old_root == EMPTY_ROOT

        assert verify_consistency(old, new, old_root, new_root, proof) is (not proof and hashes and (same or empty))


class TestStored:
    @pytest.mark.parametrize("size", range(250, 301))
    def test_proofs_need_only_the_ranges(self, size: int) -> None:
        node = complete(size)

        for seq in range(0, size, 7):
            assert inclusion_proof(seq, size, Stored(fetched([seq, size - 1], size, node))) == path(seq, 0, size)
            old = seq + 1
            stored = Stored(fetched([seq, size - 1], size, node))
            assert consistency_proof(old, size, stored) == subproof(old, 0, size, known=True)
            assert root(size, stored) == mth(0, size)

    def test_a_subtree_that_was_not_fetched_is_missing(self) -> None:
        with pytest.raises(KeyError):
            Stored({(0, 0): LEAVES[0]})(1, 0)

    def test_blocks_side_by_side_are_one_range(self) -> None:
        assert ranges([0, 255, 256, 600], 1000) == [Range(0, 0, 767), Range(8, 0, 2)]
        assert ranges([0, 999], 1000) == [Range(0, 0, 255), Range(0, 768, 999), Range(8, 0, 2)]

    @settings(max_examples=examples(200), deadline=None)
    @given(st.data(), st.integers(1, 2**24 - 1))
    def test_a_proof_needs_at_most_40_kib_of_tiles(self, data: st.DataObject, size: int) -> None:
        seq = data.draw(st.integers(0, size - 1))

        hashes = sum(each.last - each.first + 1 for each in ranges([seq, size - 1], size))

        assert hashes * HASH_BYTES <= 40 * 1024

    def test_only_complete_subtrees_are_fetched(self) -> None:
        assert ranges([255], 256) == [Range(0, 0, 255), Range(8, 0, 0)]
        assert ranges([3, 3], 255) == [Range(0, 0, 254)]
        assert ranges([65_536], 65_537) == [Range(0, 65_536, 65_536), Range(16, 0, 0)]
        assert ranges([], 10) == ranges([], 0) == []

    @pytest.mark.parametrize(("places", "size"), [([0], 0), ([-1], 5), ([0, 5], 5)])
    def test_a_place_beyond_the_tree_is_rejected(self, places: list[int], size: int) -> None:
        with pytest.raises(ValueError, match=f"no such place in a tree of {size}"):
            ranges(places, size)


def fetched(places: list[int], size: int, node: NodeHash) -> dict[tuple[int, int], bytes]:
    """Only the subtrees that `ranges` names."""
    found = ranges(places, size)
    kept = {(one.height, place): node(one.height, place) for one in found for place in range(one.first, one.last + 1)}
    assert len(found) <= 6
    assert len(kept) == sum(one.last - one.first + 1 for one in found) <= 1600
    assert all(height % 8 == 0 for height, _ in kept)
    return kept


class Large:
    """A tree of a million leaves, stored at heights 8 and 16, with the roots of a Frontier."""

    SIZES = (65_535, 65_536, 65_537, 65_792, 131_072, 999_999, LARGE)

    def __init__(self) -> None:
        self.roots: dict[int, bytes] = {}
        self._kept: dict[tuple[int, int], bytes] = {}
        tree, blocks = Frontier(), Frontier()
        for first in range(0, LARGE, 256):
            block = Frontier()
            for seq in range(first, min(first + 256, LARGE)):
                leaf = self.leaf(seq)
                tree.push(leaf)
                block.push(leaf)
                if tree.size in self.SIZES:
                    self.roots[tree.size] = tree.root()
            if block.size == 256:
                self._kept[8, first >> 8] = block.root()
                blocks.push(block.root())
            if blocks.size == 256:
                self._kept[16, first >> 16] = blocks.root()
                blocks = Frontier()

    def leaf(self, seq: int) -> bytes:
        """The leaf at `seq`."""
        return sha256(b"%d" % seq).digest()

    def __call__(self, height: int, place: int) -> bytes:
        """The root of a stored subtree."""
        return self._kept[height, place] if height else self.leaf(place)


@pytest.fixture(scope="module")
def large() -> Large:
    """One large tree for all tests, because building it takes seconds."""
    return Large()


class TestLarge:
    @pytest.mark.parametrize("size", Large.SIZES)
    def test_proofs_of_a_large_tree_take_few_hashes(self, large: Large, size: int) -> None:
        places = {0, 1, 255, 256, 65_279, 65_534, size // 2, size // 3, size - 257, size - 1}

        for seq in places:
            node = Stored(fetched([seq, size - 1], size, large))
            assert root(size, node) == large.roots[size]
            proof = inclusion_proof(seq, size, node)
            assert verify_inclusion(large.leaf(seq), seq, size, proof, large.roots[size])

    @pytest.mark.parametrize("new", Large.SIZES)
    def test_consistency_proofs_of_a_large_tree_take_few_hashes(self, large: Large, new: int) -> None:
        for old in (old for old in Large.SIZES if old <= new):
            node = Stored(fetched([old - 1, new - 1], new, large))
            proof = consistency_proof(old, new, node)
            assert verify_consistency(old, new, large.roots[old], large.roots[new], proof)
            assert len(proof) <= 2 * new.bit_length()
