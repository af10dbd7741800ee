"""The paths and contents of the tiles of a log (C2SP tlog-tiles), apart from where they are stored."""

import re
from collections.abc import Iterable

from msgspec import Struct

from app.ledger.merkle import STORED_BITS, Range

TILE_WIDTH: int = 2**STORED_BITS
"""The hashes of a full tile."""

_PATH = re.compile(
    r"(?P<level>[0-9]|[1-5][0-9]|6[0-3]|entries)/(?P<index>(?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class Tile(Struct, frozen=True):
    """`width` consecutive hashes of a level, or entries if `level` is None, from `index * TILE_WIDTH`."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def is_full(self) -> bool:
        """Whether the tile never changes any more. A partial one is a beginning of it."""
        return self.width == TILE_WIDTH

    @property
    def range(self) -> Range:
        """The subtrees that the tile has; those of an entry are leaves."""
        first = self.index * TILE_WIDTH
        return Range((self.level or 0) * STORED_BITS, first, first + self.width - 1)

    def is_in(self, size: int) -> bool:
        """Whether a tree of `size` leaves has the tile."""
        return self.range.last < size >> self.range.height


def parse(path: str) -> Tile | None:
    """The tile of a path `<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]`; None for any other path."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level = None if found["level"] == "entries" else int(found["level"])
    width = TILE_WIDTH if found["width"] is None else int(found["width"])
    tile = Tile(level, int(re.sub(r"[x/]", "", found["index"])), width)
    return tile if path == spelled(tile) and width <= TILE_WIDTH else None


def spelled(tile: Tile) -> str:
    """The path of a tile. An index has three digits in each element: 1234067 is `x001/x234/067`."""
    digits = str(tile.index)
    *above, last = re.findall("...", digits.zfill(-(-len(digits) // 3) * 3))
    level = "entries" if tile.level is None else str(tile.level)
    index = "".join(f"x{each}/" for each in above) + last
    return f"{level}/{index}" if tile.is_full else f"{level}/{index}.p/{tile.width}"


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries, each after its length as a big-endian number of 16 bits. OverflowError for one of 64 KiB or more."""
    return b"".join(len(each).to_bytes(2, "big") + each for each in entries)
