"""The logs' Merkle trees (RFC 6962), stored as the nodes of every eighth height.

An append does not write to the tree. A reader that needs a proof extends the tree first. If many events are appended,
the tree also grows in the background, so that no reader waits for more than some thousands of hashes. A proof then
reads some hundreds of hashes, however long the log is.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from weakref import WeakValueDictionary

from app.ledger.merkle import STORED_BITS, Frontier, Range, Stored, ranges
from app.store.postgres.database import Database
from app.store.postgres.pipe import Call
from schemas.errors import Unavailable

WIDTH = 2**STORED_BITS
"""How many nodes of one stored height a node of the next stored height covers."""

MAX_GROWN = 16
"""How many nodes one step computes: 4,096 hashes, some milliseconds of work."""

LIST_LEAVES_BETWEEN = """
SELECT seq, hash FROM event WHERE workspace_id = %(workspace)s AND seq BETWEEN %(first)s AND %(last)s ORDER BY seq
"""
"""The leaves of a tree between two seqs, which are the hashes of the events."""

LIST_NODES_BETWEEN = """
SELECT place, hash FROM merkle_node
WHERE workspace_id = %(workspace)s AND height = %(height)s AND place BETWEEN %(first)s AND %(last)s ORDER BY place
"""
"""The stored nodes of one height between two places."""

COUNT_NODES = """
SELECT coalesce(max(place), -1) + 1 FROM merkle_node WHERE workspace_id = %(workspace)s AND height = %(height)s
"""
"""How many nodes of one height are stored."""

INSERT_NODES = """
INSERT INTO merkle_node (workspace_id, height, place, hash)
SELECT %(workspace)s, %(height)s, %(first)s + place - 1, hash
FROM unnest(%(hashes)b::bytea[]) WITH ORDINALITY AS node (hash, place) ON CONFLICT DO NOTHING
"""
"""Stores nodes of one height. Every process computes the same nodes, so it does not matter which process is first."""


class Trees:
    """The trees of all logs, for one process. For any number of tasks of one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._grown: dict[str, int] = {}
        """The size up to which each tree is known to be stored."""
        self._growing: dict[str, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Held while a task computes nodes of a tree."""

    def committed(self, workspace: str, seq: int) -> None:
        """Note that a log has reached `seq`. If its tree is far behind, it grows now."""
        if seq - self._grown.setdefault(workspace, seq) >= MAX_GROWN * WIDTH and workspace not in self._growing:
            task = self._growing[workspace] = asyncio.create_task(self._follow(workspace, seq + 1))
            task.add_done_callback(lambda _: self._growing.pop(workspace))

    async def nodes(self, workspace: str, size: int, places: Iterable[int]) -> Stored:
        """The nodes that a proof about the leaves at `places` in a tree of `size` needs. Raises Unavailable."""
        wanted = ranges(places, size)
        await self._grow(workspace, size)
        found = await self._database.atomic([_read(workspace, each) for each in wanted])
        return Stored({(each.height, row[0]): row[1] for each, rows in zip(wanted, found, strict=True) for row in rows})

    async def hashes(self, workspace: str, size: int, wanted: Range) -> list[bytes]:
        """The complete subtrees of a stored height in a tree of `size`, which has all of them. Raises Unavailable."""
        if wanted.height:
            await self._grow(workspace, size)
        query, parameters = _read(workspace, wanted)
        return [hash_ for _, hash_ in await self._database.rows(query, parameters)]

    async def close(self) -> None:
        """Cancel the work in the background. It is repeated when it is needed."""
        for task in list(self._growing.values()):
            task.cancel()
        await asyncio.gather(*self._growing.values(), return_exceptions=True)

    async def _follow(self, workspace: str, size: int) -> None:
        with suppress(Unavailable, KeyError):  # a reader that needs the tree extends it itself
            await self._grow(workspace, size)

    async def _grow(self, workspace: str, size: int) -> None:
        """Compute and store the missing nodes of a tree of `size`."""
        height = STORED_BITS
        while complete := size >> height:
            if await self._stored(workspace, height) < complete:
                async with self._locks.setdefault(workspace, asyncio.Lock()):  # one task computes them for all
                    await self._fill(workspace, height, complete)
            height += STORED_BITS
        self._grown[workspace] = max(size, self._grown.get(workspace, 0))

    async def _stored(self, workspace: str, height: int) -> int:
        """How many nodes of a height are stored."""
        [(stored,)] = await self._database.rows(COUNT_NODES, {"workspace": workspace, "height": height})
        return int(stored)

    async def _fill(self, workspace: str, height: int, complete: int) -> None:
        """Compute and store the nodes of a height, until `complete` of them are stored."""
        stored = await self._stored(workspace, height)
        while stored < complete:
            stored += await self._step(workspace, height, stored, min(complete - stored, MAX_GROWN))

    async def _step(self, workspace: str, height: int, first: int, count: int) -> int:
        below = Range(height - STORED_BITS, first * WIDTH, (first + count) * WIDTH - 1)
        query, parameters = _read(workspace, below)
        rows = await self._database.rows_alone(query, parameters)
        if len(rows) < count * WIDTH:
            raise KeyError(len(rows))  # an event is missing: the wrong tree would be stored permanently
        hashes = []
        for start in range(0, len(rows), WIDTH):
            frontier = Frontier()
            for _, hash_ in rows[start : start + WIDTH]:
                frontier.push(hash_)
            hashes.append(frontier.root())
        await self._database.rows_alone(
            INSERT_NODES, {"workspace": workspace, "height": height, "first": first, "hashes": hashes}
        )
        return count


def _read(workspace: str, wanted: Range) -> Call:
    parameters = {"workspace": workspace, "first": wanted.first, "last": wanted.last}
    return (
        (LIST_NODES_BETWEEN, parameters | {"height": wanted.height})
        if wanted.height
        else (LIST_LEAVES_BETWEEN, parameters)
    )
