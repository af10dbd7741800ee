"""Exports: a log, or a part of it, as one signed bundle that anyone can verify (`docs/reference/evlog1.md`, Exports).

An export is written piece by piece: the server holds two pieces in memory, however long the log is. Events never
change, so the pieces need no common snapshot, which would burden the database for as long as the client reads. The last
seq is fixed at the start. An event that is erased meanwhile may appear with or without its body, but the bundle ends
before the event that reports the erasure. In that case its checkpoint covers the whole log, so that a verifier calls
the missing body unconfirmed, not forged.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from weakref import WeakSet

import msgspec
import uuid_utils
from msgspec import Struct

from app.capacity.answers import hold, taken
from app.ledger import merkle
from app.ledger.chain import ERASED_TYPE, GENESIS, ROTATED_TYPE, export_text, instant
from app.ledger.notes import to_base64, to_texts
from app.store.events.rows import EVENT_BYTES, LEDGER_JSON
from app.store.ledger.ledger import Ledger, keys_up_to
from app.store.ledger.trees import Trees
from app.store.postgres.database import Database
from app.store.postgres.pipe import Row
from app.store.postgres.searches import limited
from app.store.postgres.walk import Entry, Walk, one_sql
from schemas.errors import InvalidInput, Issue, RateLimited, Unavailable

T = TypeVar("T")

PIECE_EVENTS = 1000
PIECE_BYTES = 2**21
"""The maximum of data and metadata in a piece, which has at least one event."""

PATIENCE_SECONDS = 30.0
"""How long an export waits for a database that is away."""

RETRY_SECONDS = 0.5

MAX_OPEN = 8
"""How many exports of one workspace a process writes at once."""

MAX_OPEN_IN_ALL = 32
"""How many exports a process writes at once. Each takes some MiB of memory."""

BUSY_SECONDS = 10
"""The retry-after of an export beyond the maximum."""

GET_PIECE = f"""
SELECT convert_to(E',\\n' || string_agg({LEDGER_JSON}, E',\\n' ORDER BY seq), 'UTF8'), max(seq) FROM (
    SELECT *, sum({EVENT_BYTES}) OVER oldest AS bytes, row_number() OVER oldest AS place FROM (
        SELECT * FROM event WHERE workspace_id = %(workspace)s AND seq > %(after)s AND seq <= %(last)s
        ORDER BY seq LIMIT {PIECE_EVENTS}
    ) AS piece WINDOW oldest AS (ORDER BY seq)
) AS measured WHERE bytes <= {PIECE_BYTES} OR place = 1
"""
"""The next events of a log as JSON, up to a size, and the last seq among them."""

_ERASED_SINCE = Walk(entry=Entry(column="type", value=f"'{ERASED_TYPE}'"), low=["%(last)s::bigint + 1"])

GET_SEAL = f"""
SELECT first.hash, last.hash, last.kid, last.type, last.data, tip.seq, tip.kid,
    (SELECT true FROM ({_ERASED_SINCE.rows(descending=False, limit=1)}) AS erased) IS NOT NULL
FROM event_tip AS tip
LEFT JOIN LATERAL ({one_sql("seq", "%(first)s")}) AS first ON true
LEFT JOIN LATERAL ({one_sql("seq", "%(last)s")}) AS last ON true
WHERE tip.workspace_id = %(workspace)s
"""
"""The facts at the end of a bundle: about its first and last event and the log's tip, and whether anything was erased
since its last event."""


class Sealed(Struct, frozen=True):
    """The ends of an exported part: their hashes, the key in force after it, and how the log continues."""

    root: bytes
    tip: bytes
    kid: str
    log_seq: int
    log_kid: str
    erased_since: bool


class Export:
    """One export. Call `open`, then iterate over its text once."""

    def __init__(self, database: Database, ledger: Ledger, trees: Trees, workspace: str) -> None:
        self.id = f"exp_{uuid_utils.uuid7().hex}"
        self.first = 0
        self.last = -1
        self._database = database
        self._ledger = ledger
        self._trees = trees
        self.workspace = workspace
        self._to_end = False

    async def open(self, first: int | None, last: int | None) -> "Export":
        """Fix the exported part: from the seq `first` to `last` (None: the end of the log), both included.

        Raises InvalidInput if the log does not have this part, NotFound, and Unavailable.
        """
        end, _ = await self._ledger.tip(self.workspace)
        self.first, self.last, self._to_end = first or 0, end if last is None else last, last is None
        if self.first > max(end, 0):
            raise InvalidInput([Issue("fromSeq", f"is past the end of the log, which is seq {end}")])
        if self.last > end:
            raise InvalidInput([Issue("toSeq", f"is past the end of the log, which is seq {end}; leave it out")])
        if self.last < self.first and end >= 0:
            raise InvalidInput([Issue("toSeq", "must not be less than fromSeq")])
        self._ledger.signer((await self._seal()).kid)  # raises now if the key is missing: later the response has begun
        return self

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield the text of the bundle in pieces. Raises Unavailable if the database stays away."""
        node = await _patiently(self._ledger.node)
        yield (
            f'{{"export_id":"{self.id}","node_did":"{node.node_did}","log":"{self.workspace}",'
            f'"first_seq":{self.first},"events":['
        ).encode()
        after = self.first - 1
        is_first = True
        async with aclosing(self._pieces(after)) as pieces:
            async for text, _ in pieces:
                yield text[1:] if is_first else text
                is_first = False
        sealed = await _patiently(self._seal)
        yield await _patiently(partial(self._end, sealed))

    async def _pieces(self, after: int) -> AsyncGenerator[tuple[bytes, int], None]:
        """Yield each piece behind `after`, and its last seq. The next piece is read while one is sent."""
        reading = self._reading(after) if after < self.last else None
        while reading is not None:
            text, after = await self._piece(reading, after)
            reading = self._reading(after) if after < self.last else None
            yield text, after

    async def _piece(self, reading: asyncio.Task[list[Row]], after: int) -> tuple[bytes, int]:
        """Return the piece behind `after` that `reading` reads.

        If it fails because the database is away, read it again.
        """

        async def read() -> list[Row]:
            nonlocal reading
            if reading.done() and reading.exception() is not None:
                reading = self._reading(after)
            return await asyncio.shield(reading)

        [(text, seq)] = await _patiently(read)
        return text, seq

    def _reading(self, after: int) -> asyncio.Task[list[Row]]:
        """Start one read. It is never cancelled, because that would cost the pool a connection.

        It ends soon by itself.
        """
        reading = asyncio.create_task(self._read(after))
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())  # maybe nobody waits any more
        return reading

    async def _read(self, after: int) -> list[Row]:
        """Read a piece. The call of the export holds memory for what it read."""
        parameters = {"workspace": self.workspace, "after": after, "last": self.last}
        await hold(self.workspace, PIECE_BYTES)
        size = 0
        try:
            rows = await self._database.search(GET_PIECE, parameters, is_planned=False, is_metered=False)
            size = len(rows[0][0])
        finally:
            taken(max(PIECE_BYTES - size, 0))
        return rows

    async def _seal(self) -> Sealed:
        parameters = {"workspace": self.workspace, "first": self.first, "last": self.last}
        rows = await self._database.rows_alone(GET_SEAL, parameters)
        [(root, tip, kid, type_, data, log_seq, log_kid, erased_since)] = rows
        if type_ == ROTATED_TYPE:
            kid = msgspec.json.decode(data)["rotations"][-1]["kid_new"]
        return Sealed(root or GENESIS, tip or GENESIS, kid or log_kid, log_seq, log_kid, erased_since)

    async def _end(self, sealed: Sealed) -> bytes:
        """The text after the events."""
        node = await self._ledger.node()
        generated_at = instant(datetime.now(UTC))
        count = self.last - self.first + 1
        root, tip = f"sha256:{sealed.root.hex()}", f"sha256:{sealed.tip.hex()}"
        signed = export_text(
            node=node.node_did,
            log=self.workspace,
            export_id=self.id,
            first_seq=self.first,
            last_seq=self.last,
            count=count,
            root=root,
            tip=tip,
            generated_at=generated_at,
        )
        # If the bundle contains the whole log, the checkpoint covers exactly that, so a verifier can compute its root.
        is_whole = self._to_end and not sealed.erased_since
        size, kid = (self.last + 1, sealed.kid) if is_whole else (sealed.log_seq + 1, sealed.log_kid)
        cosigned = None if sealed.erased_since else await self._ledger.cosigned(self.workspace, count and self.last + 1)
        if cosigned is not None:
            size, kid = cosigned.size, sealed.kid if cosigned.size == self.last + 1 else sealed.log_kid
        nodes = await self._trees.nodes(self.workspace, size, [self.last, size - 1] if count else [])
        proof = merkle.inclusion_proof(self.last, size, nodes) if count else []
        lines = "" if cosigned is None else cosigned.lines
        checkpoint = await self._ledger.signed(self.workspace, size, merkle.root(size, nodes), kid, lines)
        end = {
            "last_seq": self.last,
            "count": count,
            "chain_root_hash": root,
            "chain_tip_hash": tip,
            "generated_at": generated_at,
            "kid": sealed.kid,
            "keys": keys_up_to(node, kid),
            "checkpoint": checkpoint.note,
            "inclusion_proof": to_texts(proof),
            "bundle_signature": to_base64(self._ledger.signer(sealed.kid).sign(signed)),
        }
        return b"\n]," + msgspec.json.encode(end)[1:] + b"\n"


async def _patiently(read: Callable[[], Awaitable[T]]) -> T:
    """Return the result of `read`, which is retried while the database is away, up to `PATIENCE_SECONDS`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while True:
        try:
            return await read()
        except RateLimited as error:  # other reads of its workspace fill the limit
            await asyncio.sleep(error.retry_after_seconds)
        except Unavailable:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(RETRY_SECONDS)


class Exports:
    """Opens exports, for one process. Any number of tasks may use it at once."""

    def __init__(self, database: Database, ledger: Ledger, trees: Trees) -> None:
        self._parts = database, ledger, trees
        self._open: WeakSet[Export] = WeakSet()

    async def open(self, workspace: str, first: int | None, last: int | None) -> Export:
        """Open an export of a log from the seq `first` to `last`.

        It counts as open until nothing references it any more.

        Raises RateLimited or Unavailable if too many are open, and what `Export.open` raises.
        """
        if sum(each.workspace == workspace for each in self._open) >= MAX_OPEN:
            raise limited(
                f"{MAX_OPEN} exports of this workspace are under way; retry when one of them has ended",
                limit=MAX_OPEN,
                retry_after_seconds=BUSY_SECONDS,
            )
        if len(self._open) >= MAX_OPEN_IN_ALL:
            raise Unavailable("The server is busy with other exports; retry later", retry_after_seconds=BUSY_SECONDS)
        export = Export(*self._parts, workspace)
        self._open.add(export)
        return await export.open(first, last)
