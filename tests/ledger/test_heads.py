"""The leaves of heads, compared with JCS and with the tree that the log of events uses."""

import json
from hashlib import sha256

import pytest
import rfc8785

from app.ledger.heads import Head, is_anchored, path_of, root_of
from app.ledger.merkle import EMPTY_ROOT, Frontier, root, split

HEADS = [Head(f"log-{number}", number * 300, bytes([number]) * 32, bytes([number, 255]) * 8) for number in range(1, 12)]
LEAVES = [head.leaf for head in HEADS]


def test_a_leaf_is_the_hash_of_canonical_json() -> None:
    head = HEADS[3]

    assert head.text == rfc8785.dumps({"log": "log-4", "size": 1200, "root": f"sha256:{'04' * 32}", "salt": "04ff" * 8})
    assert head.leaf == sha256(b"\x00" + head.text).digest()
    assert list(json.loads(head.text)) == ["log", "root", "salt", "size"]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 11])
def test_each_leaf_is_proved_by_its_path_alone(count: int) -> None:
    whole = root_of(LEAVES[:count])

    for place, head in enumerate(HEADS[:count]):
        path = path_of(LEAVES[:count], place)

        assert is_anchored(head, place, count, path, whole)
        assert not is_anchored(HEADS[place - 1], place, count, path, whole) or count == 1
        assert not is_anchored(head, place, count, path, EMPTY_ROOT)
        assert not is_anchored(head, place + 1, count, path, whole)


def test_a_tree_goes_on_from_its_peaks() -> None:
    def node(height: int, place: int) -> bytes:
        return root_of(LEAVES[place << height : (place + 1) << height])

    for size in range(len(LEAVES) + 1):
        tree = Frontier.of(size, node)
        resumed = Frontier(size, split(tree.peaks))
        for leaf in LEAVES[size:]:
            resumed.push(leaf)

        assert tree.root() == root(size, node)
        assert resumed.root() == root_of(LEAVES)
