"""Reading what may be large: its size first, then, within what the caller may hold, one piece after the other.

The statement that finds a page measures it, and answers it at once if it is small. So a large one costs the process its
own size and one piece more, never a second copy; and no other read waits for more than a piece.
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
"""Of data and metadata in one answer."""

SMALL_PAGE_BYTES = 2**19
"""Of JSON that is answered without being measured before."""

PIECE_BYTES = 2**20
"""Of data and metadata in one read of a large page; it has one event at least."""

PIECE_EVENTS = 200

BESIDE_BYTES = 512
"""What an event usually has beside its data and metadata."""

_UNEVEN = 8
"""How many times its share an event of a small page may have."""


@cache
def measured(json: str, limit: int, *, order: str = "", where: str = "") -> str:
    """Aggregates of at most `limit` rows: their `json` as one text, their `seqs` and `sizes`, and whether all `fit`.

    The text is whole only if all fit: a large event is not even looked at.
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
"""What `measured` made, as two columns: the JSON of a small page, or else what `measures` reads.

That is JSON, because psycopg looks for what reads an array whether there is one or not.
"""


def measures(of_large: bytes | None) -> tuple[list[int], list[int]]:
    """The seqs and the sizes of a large page, in its order."""
    if of_large is None:
        return [], []
    seqs, sizes = msgspec.json.decode(of_large, type=tuple[list[int], list[int]])
    return seqs, sizes


def fitting(sizes: Sequence[int]) -> int:
    """How many of the first events one answer may have; never none."""
    return max(1, sum(total <= MAX_PAGE_BYTES for total in accumulate(sizes)))


async def page(
    database: Database,
    workspace: str,
    json: str,
    small: bytes | None,
    seqs: Sequence[int],
    sizes: Sequence[int],
) -> list[bytes]:
    """A page of events as `json`, in parts: the `small` one that was answered, else that of these seqs and sizes.

    The call that runs holds it. Raises PayloadTooLarge, Unavailable.
    """
    if small is None:
        return await large(database, workspace, json, seqs, sizes)
    keep(workspace, len(small))
    return [small]


async def large(
    database: Database, workspace: str, json: str, seqs: Sequence[int], sizes: Sequence[int]
) -> list[bytes]:
    """The events with these seqs as `json`, in this order, by parts that are a list's when joined.

    Held first. Raises PayloadTooLarge, Unavailable.
    """
    await hold(workspace, sum(sizes) + BESIDE_BYTES * len(sizes))
    parts: list[bytes] = []
    for piece in _pieces(seqs, sizes):
        parameters = {"workspace": workspace, "seqs": f"{{{','.join(map(str, piece))}}}"}
        [(text,)] = await database.rows(_piece_sql(json), parameters)
        if text is not None:  # else the workspace was deleted meanwhile
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
