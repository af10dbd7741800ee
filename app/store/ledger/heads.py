"""What the log `_node` says about the other logs: which of them grew, the leaves of each event, and the proof of one.

`tree_head` has one row for each log, with its tree as of its last leaf, so a leaf costs only the hashes of the events
that are new. `tree_leaf` has all leaves. Both are written in the transaction that appends the event.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
import structlog
from msgspec import Struct

from app.ledger.chain import NODE_LOG
from app.ledger.heads import SALT_BYTES, Head, path_of
from app.ledger.merkle import Frontier, split
from app.store.events.rows import LEDGER_JSON
from app.store.ledger.trees import Trees
from app.store.postgres.database import Database
from app.store.postgres.pipe import Call, PipedConnection, Row
from app.store.postgres.walk import one_sql
from schemas.ledger import LedgerEvent

PAGE_LOGS = 500
"""How many logs one statement reads or writes."""

MAX_NEW = 1024
"""How many new hashes of one log are read. The tree of a log with more is taken from its stored nodes."""

HAS_HEADS = "SELECT to_regclass('tree_leaf') IS NOT NULL"
"""Whether the schema has the tables of heads, which an older one lacks."""

LEASE_HEADS = """
UPDATE install SET headed_at = now()
WHERE headed_at <= now() - make_interval(secs => %(seconds)s::float8) RETURNING headed_at
"""
"""Lets this process append the next event, unless one had its turn less than `seconds` ago. The time that it returns
shows later that no other process has had a turn since."""

LIST_GROWN = f"""
SELECT tip.workspace_id, tip.seq + 1, tip.hash, coalesce(head.size, 0), coalesce(head.peaks, ''), new.hashes
FROM event_tip AS tip LEFT JOIN tree_head AS head ON head.workspace_id = tip.workspace_id
LEFT JOIN LATERAL (
    SELECT string_agg(hash, ''::bytea ORDER BY seq) AS hashes FROM event
    WHERE workspace_id = tip.workspace_id AND seq BETWEEN coalesce(head.size, 0) AND tip.seq
) AS new ON tip.seq + 1 - coalesce(head.size, 0) <= {MAX_NEW} AND (head.size IS NULL OR head.hash = (
    SELECT hash FROM event WHERE workspace_id = tip.workspace_id AND seq = head.size - 1))
WHERE tip.workspace_id > %(after)s AND tip.workspace_id <> '{NODE_LOG}' AND tip.lost_size IS NULL
    AND tip.seq >= coalesce(head.size, 0)
ORDER BY tip.workspace_id LIMIT {PAGE_LOGS}
"""
"""The logs that have grown since their last leaf: name, size, last hash, the tree of that leaf, and the hashes since.
The hashes are null if there are many, or if the log no longer extends that tree. A stopped log is not anchored.

The last hash is looked up as a value. With EXISTS, PostgreSQL may read all events first, to answer from a table of
their hashes."""

GET_PLACE_OF_HEADS = f"""
SELECT seq + 1 FROM event_tip WHERE workspace_id = '{NODE_LOG}'
    AND (SELECT headed_at FROM install) = %(leased_at)s::timestamptz AND (
        SELECT count(*) FROM unnest(%(logs)s::text[], %(seqs)s::bigint[], %(hashes)b::bytea[]) AS grown (log, seq, hash)
        JOIN event ON event.workspace_id = grown.log AND event.seq = grown.seq AND event.hash = grown.hash
    ) = %(count)s::bigint
"""
"""The seq that the event gets. Returns no row if another process had its turn since, or if one of the logs was deleted
or lost events."""

INSERT_LEAVES = f"""
INSERT INTO tree_leaf (workspace_id, seq, place, log, size, root, salt, hash)
SELECT '{NODE_LOG}', %(seq)s::bigint, %(first)s::int + place - 1, log, size, root, salt, hash
FROM unnest(%(logs)s::text[], %(sizes)s::bigint[], %(roots)b::bytea[], %(salts)b::bytea[], %(leaves)b::bytea[])
    WITH ORDINALITY AS leaf (log, size, root, salt, hash, place)
"""
"""Stores leaves of one event."""

PUT_HEADS = """
INSERT INTO tree_head (workspace_id, size, hash, peaks)
SELECT * FROM unnest(%(logs)s::text[], %(sizes)s::bigint[], %(hashes)b::bytea[], %(peaks)b::bytea[])
ON CONFLICT (workspace_id) DO UPDATE SET size = excluded.size, hash = excluded.hash, peaks = excluded.peaks
"""
"""Stores how far logs are anchored."""

FORGET_LEAVES = f"""
UPDATE tree_leaf SET log = NULL, size = NULL, root = NULL, salt = NULL
WHERE workspace_id = '{NODE_LOG}' AND log = %(workspace)s
"""
"""Leaves only the hashes of what `_node` said about a log. They do not tell its name, and other proofs need them."""

FORGET_HEAD = "DELETE FROM tree_head WHERE workspace_id = %(workspace)s"
"""Makes `_node` anchor a log anew."""

FORGET_LOST_LEAVES = f"""
DELETE FROM tree_leaf
WHERE workspace_id = '{NODE_LOG}' AND seq > (SELECT seq FROM event_tip WHERE workspace_id = '{NODE_LOG}')
"""
"""Deletes the leaves of events that `_node` lost."""

FORGET_HEADS = "DELETE FROM tree_head"
"""Makes `_node` anchor all logs anew."""

FIND_LEAF = f"""
SELECT seq, place, log, size, root, salt FROM tree_leaf
WHERE workspace_id = '{NODE_LOG}' AND log = %(log)s AND size > %(seq)s ORDER BY size LIMIT 1
"""
"""The first leaf of a log that covers the event at a seq of it."""

LIST_LEAVES_OF_HEADS = f"SELECT hash FROM tree_leaf WHERE workspace_id = '{NODE_LOG}' AND seq = %(seq)s ORDER BY place"
"""All leaves of one event."""

GET_HEADS_EVENT = one_sql("seq", "%(seq)s", columns=f"convert_to({LEDGER_JSON}, 'UTF8')")
"""The event with these leaves."""

logger = structlog.get_logger("synap.heads")


class Grown(Struct, frozen=True):
    """A log that grew: its head, its last hash, and its tree."""

    head: Head
    hash: bytes
    peaks: bytes
    leaf: bytes


class AnchoredHead(Struct, frozen=True):
    """The proof that `_node` anchored a log: its head, the place of that among `count` leaves, the path, the event."""

    head: Head
    place: int
    count: int
    path: list[bytes]
    event: LedgerEvent


class Heads:
    """Reads and writes the heads of logs, for one process. Every method may raise Unavailable."""

    def __init__(self, database: Database, trees: Trees) -> None:
        self._database = database
        self._trees = trees

    async def lease(self, seconds: float) -> datetime | None:
        """The time of this process's turn to append; None if a turn was less than `seconds` ago."""
        if not await self._database.holds(HAS_HEADS):
            return None
        rows = await self._database.rows_alone(LEASE_HEADS, {"seconds": seconds})
        return rows[0][0] if rows else None

    async def grown(self) -> list[Grown]:
        """The logs that grew since their last leaf, in the order of their names' bytes, each with a new salt."""
        found: list[Grown] = []
        after = ""
        while rows := await self._database.rows_alone(LIST_GROWN, {"after": after}):
            after = rows[-1][0]
            stored = {row[0]: await self._stored(row) for row in rows if row[-1] is None}
            found += await asyncio.to_thread(_extended, rows, stored)
        return found

    async def anchored(self, log: str, seq: int) -> AnchoredHead | None:
        """The first proof that covers the event at `seq` of a log; None if `_node` has not anchored it yet."""
        if not await self._database.holds(HAS_HEADS):
            return None
        rows = await self._database.rows(FIND_LEAF, {"workspace": NODE_LOG, "log": log, "seq": seq})
        if not rows:
            return None
        at, place, *head = rows[0]
        leaves, [(event,)] = await self._database.atomic(
            [(LIST_LEAVES_OF_HEADS, {"seq": at}), (GET_HEADS_EVENT, {"workspace": NODE_LOG, "seq": at})]
        )
        hashes = [leaf for (leaf,) in leaves]
        path = await asyncio.to_thread(path_of, hashes, place)
        return AnchoredHead(Head(*head), place, len(hashes), path, msgspec.json.decode(event, type=LedgerEvent))

    async def _stored(self, row: Row) -> Frontier | None:
        """The tree of a log from its stored nodes; None if the log lacks events that its tip counts."""
        log, size, *_ = row
        with suppress(KeyError):
            return Frontier.of(size, await self._trees.nodes(log, size, [size - 1]))
        return None


def _extended(rows: Sequence[Row], stored: dict[str, Frontier | None]) -> list[Grown]:
    """The head of each log in rows of `LIST_GROWN`, from its stored tree or else from its tree at its last leaf."""
    found = []
    for log, size, hash_, size_then, peaks, new in rows:
        tree = stored[log] if new is None else Frontier(size_then, split(peaks))
        for each in split(new or b""):
            tree.push(each)  # type: ignore[union-attr] # only a stored tree can be missing
        if tree is None or tree.size != size:
            logger.error("a log lacks events that its tip counts", log=log, remedy="synap doctor")
            continue
        head = Head(log, size, tree.root(), os.urandom(SALT_BYTES))
        found.append(Grown(head, hash_, tree.peaks, head.leaf))
    return found


async def place_of_heads(connection: PipedConnection, grown: Sequence[Grown], leased_at: datetime) -> int | None:
    """The seq of the event that anchors these logs; None if it must not be appended.

    Call it in a transaction that holds the lock on the log `_node`.
    """
    asked = {
        "leased_at": leased_at,
        "logs": [each.head.log for each in grown],
        "seqs": [each.head.size - 1 for each in grown],
        "hashes": [each.hash for each in grown],
        "count": len(grown),
    }
    [rows] = await connection.trip([(GET_PLACE_OF_HEADS, asked)])
    return rows[0][0] if rows else None


def put_heads(grown: Sequence[Grown], seq: int) -> list[Call]:
    """The statements that store the leaves of the event at `seq` of `_node`."""
    calls: list[Call] = []
    for first in range(0, len(grown), PAGE_LOGS):
        page = grown[first : first + PAGE_LOGS]
        heads = [each.head for each in page]
        logs, sizes = [head.log for head in heads], [head.size for head in heads]
        leaves = {
            "roots": [head.root for head in heads],
            "salts": [head.salt for head in heads],
            "leaves": [each.leaf for each in page],
        }
        trees = {"hashes": [each.hash for each in page], "peaks": [each.peaks for each in page]}
        calls.append((INSERT_LEAVES, {"seq": seq, "first": first, "logs": logs, "sizes": sizes, **leaves}))
        calls.append((PUT_HEADS, {"logs": logs, "sizes": sizes, **trees}))
    return calls
