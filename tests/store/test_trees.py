"""Stored trees are the same however they grow, and are read in parts."""

import asyncio
import itertools
from collections.abc import Mapping
from random import Random
from typing import Any

import psycopg
import pytest

from app.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    Range,
    consistency_proof,
    inclusion_proof,
    ranges,
    root,
    verify_consistency,
    verify_inclusion,
)
from app.store.ledger.trees import INSERT_NODES, MAX_GROWN, WIDTH, Trees
from app.store.postgres.database import Database
from app.store.postgres.pipe import Row
from tests.kit.servers import until
from tests.store.opened import Store, draft

NODES = "SELECT height, place, hash FROM merkle_node WHERE workspace_id = %s ORDER BY height, place"

LEAVES = "SELECT hash FROM event WHERE workspace_id = %s ORDER BY seq"

EDGES = (1, 2, 255, 256, 257, 511, 512, 513, 1000, 2304, 2305)


def grown_to(store: Store, size: int) -> list[bytes]:
    """Append until the log has so many leaves, and return them."""
    leaves = leaves_of(store)
    while missing := size - len(leaves):
        leaves += [bytes.fromhex(each.hash.removeprefix("sha256:")) for each in _appended(store, min(missing, 1000))]
    return leaves


def _appended(store: Store, count: int) -> list[Any]:
    return list(store.append(*(draft() for _ in range(count))))


def leaves_of(store: Store) -> list[bytes]:
    """The hashes of the log's events."""
    return [hash_ for (hash_,) in _rows(store, LEAVES)]


def kept(store: Store) -> dict[tuple[int, int], bytes]:
    """The stored nodes, by height and place."""
    return {(height, place): hash_ for height, place, hash_ in _rows(store, NODES)}


def _rows(store: Store, query: str) -> list[Any]:
    with psycopg.connect(store.url) as connection:
        return connection.execute(query, [store.workspace]).fetchall()


def expected(leaves: list[bytes]) -> dict[tuple[int, int], bytes]:
    """The nodes of height 8 of a tree over these leaves."""
    return {(8, place): root_of(leaves[place * WIDTH : (place + 1) * WIDTH]) for place in range(len(leaves) // WIDTH)}


def root_of(leaves: list[bytes]) -> bytes:
    """The root over leaves, computed from all of them."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.push(leaf)
    return frontier.root()


def test_proofs_hold_at_the_edges_of_what_is_kept(store: Store) -> None:
    trees = Trees(store.database)
    roots: dict[int, bytes] = {0: EMPTY_ROOT}

    for size in EDGES:
        leaves = grown_to(store, size)
        roots[size] = root_of(leaves)
        for seq in sorted({0, 1, 254, 255, 256, size // 2, size - 2, size - 1} & set(range(size))):
            nodes = store.run(trees.nodes(store.workspace, size, [seq, size - 1]))
            assert root(size, nodes) == roots[size]
            proof = inclusion_proof(seq, size, nodes)
            assert verify_inclusion(leaves[seq], seq, size, proof, roots[size]), f"leaf {seq} of {size}"
        for old in (each for each in roots if 0 < each <= size):
            nodes = store.run(trees.nodes(store.workspace, size, [old - 1, size - 1]))
            proof = consistency_proof(old, size, nodes)
            assert verify_consistency(old, size, roots[old], roots[size], proof), f"{old} to {size}"
    assert kept(store) == expected(leaves_of(store))


def test_a_tree_of_the_past_is_proved_when_the_log_has_gone_on(store: Store) -> None:
    leaves = grown_to(store, 1500)
    trees = Trees(store.database)

    for size in (1, 255, 256, 300, 1499):
        nodes = store.run(trees.nodes(store.workspace, size, [size - 1]))
        assert root(size, nodes) == root_of(leaves[:size])
    nodes = store.run(trees.nodes(store.workspace, 700, [299, 699]))
    proof = consistency_proof(300, 700, nodes)
    assert verify_consistency(300, 700, root_of(leaves[:300]), root_of(leaves[:700]), proof)


@pytest.mark.parametrize("seed", range(3))
def test_in_whatever_order_a_tree_grows_its_nodes_are_the_same(store: Store, seed: int) -> None:
    leaves = grown_to(store, 3000)
    sizes = [Random(seed).randrange(1, 3001) for _ in range(12)]

    for size, trees in zip(sizes, itertools.cycle([Trees(store.database), Trees(store.database)]), strict=False):
        store.run(trees.nodes(store.workspace, size, []))
        assert kept(store) == expected(leaves[: max(sizes[: sizes.index(size) + 1])])


def test_two_processes_that_grow_a_tree_at_once_make_the_same_nodes(store: Store) -> None:
    leaves = grown_to(store, 3000)
    several = [Trees(store.database) for _ in range(4)]

    async def grow() -> list[Any]:
        return await asyncio.gather(
            *(trees.nodes(store.workspace, size, [size - 1]) for trees in several for size in (3000, 2900, 1200))
        )

    answers = store.run(grow())

    for nodes, size in zip(answers, itertools.cycle((3000, 2900, 1200)), strict=False):
        assert root(size, nodes) == root_of(leaves[:size])
    assert kept(store) == expected(leaves)


def test_callers_who_come_together_grow_a_tree_once(store: Store) -> None:
    leaves = grown_to(store, 3000)

    class Counting(Database):
        steps = 0

        async def rows_alone(self, query: str, parameters: Mapping[str, object]) -> list[Row]:
            self.steps += query == INSERT_NODES
            return await super().rows_alone(query, parameters)

    async def grow() -> tuple[int, list[Any]]:
        database = Counting(store.url)
        await database.open()
        try:
            trees = Trees(database)
            answers = await asyncio.gather(*(trees.nodes(store.workspace, 3000, [2999]) for _ in range(8)))
            return database.steps, answers
        finally:
            await database.close()

    steps, answers = store.run(grow())

    assert steps == 1
    assert {root(3000, nodes) for nodes in answers} == {root_of(leaves)}


def test_a_tree_that_another_process_has_grown_is_not_grown_again(store: Store) -> None:
    leaves = grown_to(store, 1000)
    store.run(Trees(store.database).nodes(store.workspace, 1000, []))
    changed = bytes(32)
    with psycopg.connect(store.url) as connection:
        connection.execute("UPDATE merkle_node SET hash = %s WHERE workspace_id = %s", [changed, store.workspace])

    nodes = store.run(Trees(store.database).nodes(store.workspace, 1000, [999]))

    assert root(1000, nodes) != root_of(leaves), "the root must come from stored nodes"
    assert set(kept(store).values()) == {changed}


def test_logs_have_trees_apart(store: Store) -> None:
    trees = Trees(store.database)
    leaves = grown_to(store, 300)
    store.append(*(draft() for _ in range(600)), workspace=store.other)

    nodes = store.run(trees.nodes(store.workspace, 300, [299]))
    store.run(trees.nodes(store.other, 600, [599]))

    assert root(300, nodes) == root_of(leaves)
    assert kept(store) == expected(leaves)


def test_a_long_stretch_of_appends_lets_the_tree_grow_meanwhile(store: Store) -> None:
    trees = Trees(store.database)

    async def committed(seq: int) -> None:
        trees.committed(store.workspace, seq)
        await asyncio.sleep(0.01)

    store.run(committed(-1))
    leaves = grown_to(store, MAX_GROWN * WIDTH + 10)
    store.run(committed(MAX_GROWN * WIDTH - 2))
    assert kept(store) == {}
    store.run(committed(MAX_GROWN * WIDTH + 9))

    def has_grown() -> bool:
        store.run(asyncio.sleep(0.02))
        return len(kept(store)) == MAX_GROWN

    until(has_grown)
    assert kept(store) == expected(leaves)
    store.run(trees.close())


def test_what_is_under_way_ends_with_the_process(store: Store) -> None:
    grown_to(store, MAX_GROWN * WIDTH)
    trees = Trees(store.database)

    async def begun() -> None:
        trees.committed(store.workspace, -1)
        trees.committed(store.workspace, MAX_GROWN * WIDTH - 1)
        await asyncio.sleep(0)
        assert await tasks() - before
        await trees.close()

    async def tasks() -> set[Any]:
        return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    before = store.run(tasks())
    store.run(begun())

    until(lambda: not store.run(tasks()) - before)  # a running read ends by itself
    nodes = store.run(Trees(store.database).nodes(store.workspace, MAX_GROWN * WIDTH, [0]))
    assert root(MAX_GROWN * WIDTH, nodes) == root_of(leaves_of(store))


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_535, 65_536, 65_537, 1_000_000, 2**24 + 1, 10**9])
def test_a_proof_reads_some_hundreds_of_hashes_however_long_the_log_is(size: int) -> None:
    chance = Random(size)
    heights = -(-size.bit_length() // 8)

    for seq in [0, size - 1, *(chance.randrange(size) for _ in range(200))]:
        read = ranges([seq, size - 1], size)
        assert sum(_places(each) for each in read) <= 2 * WIDTH * heights
        assert len(read) <= 2 * heights


def test_a_proof_reads_only_what_it_needs(store: Store) -> None:
    """It compares PostgreSQL's own counts of rows that indexes returned."""
    grown_to(store, 3000)
    trees = Trees(store.database)
    store.run(trees.nodes(store.workspace, 3000, []))
    wanted = ranges([700, 2999], 3000)

    nodes = store.run(trees.nodes(store.workspace, 3000, [700, 2999]))

    assert len(nodes._kept) == sum(_places(each) for each in wanted) == 256 + 184 + 11  # noqa: SLF001 - the nodes that were read


def _places(each: Range) -> int:
    return each.last - each.first + 1
