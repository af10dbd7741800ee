"""Reads pages that may be large: first their size, then one piece after the other, within the caller's memory budget.

The statement that finds a page also measures it, and returns its JSON if it is small. So a large page takes the process
its own size and one piece more, never a second copy, and no other read waits for more than a piece.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate

import msgspec

from app.capacity.answers import hold, keep
from app.store.events.rows import EVENT_BYTES
from app.store.postgres.database import Database
from app.store.postgres.walk import each_sql

MAX_PAGE_BYTES = 32 * 2**20
"""The maximum of data and metadata in one answer."""

SMALL_PAGE_BYTES = 2**19
"""The maximum of JSON that the statement returns without a second read."""

PIECE_BYTES = 2**20
"""The maximum of data and metadata in one read of a large page. A piece has at least one event."""

PIECE_EVENTS = 200

BESIDE_BYTES = 512
"""The usual size of an event without its data and metadata."""

_UNEVEN = 8
"""By how many times one event of a small page may exceed its share of the page."""


@cache
def measured(json: str, limit: int, *, order: str = "", where: str = "") -> str:
    """SQL of aggregates over at most `limit` rows: their `json` as one text, `seqs` and `sizes`, and whether all `fit`.

    The text is complete only if all fit. The JSON of a large event is not computed.
    """
    fits = f"{EVENT_BYTES} <= {min(SMALL_PAGE_BYTES, SMALL_PAGE_BYTES * _UNEVEN // limit)}"
    those = where and f"FILTER (WHERE {where})"
    return f"""
        string_agg(CASE WHEN {fits} THEN {json} END, ',' {order}) {those} AS json,
        array_agg(seq {order}) {those} AS seqs, array_agg({EVENT_BYTES} {order}) {those} AS sizes,
        coalesce(bool_and({fits}) {those}, true) AS fit"""


_IS_SMALL = f"fit AND coalesce(octet_length(json), 0) <= {SMALL_PAGE_BYTES}"

ANSWERED = f"""
    CASE WHEN {_IS_SMALL} THEN convert_to(coalesce(json, ''), 'UTF8') END,
    CASE WHEN NOT ({_IS_SMALL}) THEN
        convert_to(concat('[', array_to_json(seqs), ',', array_to_json(sizes), ']'), 'UTF8') END"""
"""The result of `measured` as two columns: the JSON of a small page, or the text that `measures` reads of a large one.

That text is JSON, because psycopg looks up the adapter of an array even if the column is null.
"""


def measures(of_large: bytes | None) -> tuple[list[int], list[int]]:
    """The seqs and the sizes of a large page, in its order."""
    if of_large is None:
        return [], []
    seqs, sizes = msgspec.json.decode(of_large, type=tuple[list[int], list[int]])
    return seqs, sizes


def fitting(sizes: Sequence[int]) -> int:
    """How many of the first events fit one answer, but at least 1."""
    return max(1, sum(total <= MAX_PAGE_BYTES for total in accumulate(sizes)))


async def page(
    database: Database,
    workspace: str,
    json: str,
    small: bytes | None,
    seqs: Sequence[int],
    sizes: Sequence[int],
) -> list[bytes]:
    """Return a page of events as `json`, in parts.

    The page is `small` if the statement returned its JSON; otherwise the events with these seqs are read. The running
    call holds its size. Raises PayloadTooLarge, Unavailable.
    """
    if small is None:
        return await large(database, workspace, json, seqs, sizes)
    keep(workspace, len(small))
    return [small]


async def large(
    database: Database, workspace: str, json: str, seqs: Sequence[int], sizes: Sequence[int]
) -> list[bytes]:
    """Return the events with these seqs as `json`, in this order. The joined parts are the inside of a JSON array.

    The running call holds their size before they are read. Raises PayloadTooLarge, Unavailable.
    """
    await hold(workspace, sum(sizes) + BESIDE_BYTES * len(sizes))
    parts: list[bytes] = []
    for piece in _pieces(seqs, sizes):
        parameters = {"workspace": workspace, "seqs": f"{{{','.join(map(str, piece))}}}"}
        [(text,)] = await database.rows(_piece_sql(json), parameters)
        if text is not None:  # null if the workspace was deleted meanwhile
            parts += [b",", text] if parts else [text]
    return parts


def _pieces(seqs: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    piece: list[int] = []
    size = 0
    for seq, bytes_ in zip(seqs, sizes, strict=True):
        if piece and (size + bytes_ > PIECE_BYTES or len(piece) == PIECE_EVENTS):
            yield piece
            piece, size = [], 0
        piece.append(seq)
        size += bytes_
    if piece:
        yield piece


@cache
def _piece_sql(json: str) -> str:
    return f"""
        SELECT convert_to(string_agg({json}, ','), 'UTF8') FROM {each_sql("seq", "%(seqs)s::bigint[]")}"""
