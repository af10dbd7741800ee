"""Reads the tiles of a log with an independent library: `read_tiles.py URL VKEY INDEX…`, an older note on stdin.

It prints what it proved as JSON, and how many bytes of hashes the largest proof of an entry took. It runs in its own
environment, and imports none of our code.
"""

import json
import sys
from typing import Any

from aics_tlog import (
    HttpTileReader,
    VerifiedTileReader,
    audit_tiles,
    consistency_proof_from_tiles,
    inclusion_proof_from_tiles,
    parse_note,
    parse_vkey,
    verify_checkpoint,
    verify_consistency,
    verify_leaf_inclusion,
)


class Counting:
    """Counts the bytes of the hash tiles that a reader fetches."""

    def __init__(self, files: Any) -> None:
        self._files = files
        self.fetched = 0

    def __getattr__(self, name: str) -> Any:
        """What the reader has."""
        return getattr(self._files, name)

    def read_tile(self, level: int, index: int, width: int | None) -> Any:
        """Fetch a tile."""
        tile = self._files.read_tile(level, index, width)
        self.fetched += len(tile or b"")
        return tile


url, key, *indexes = sys.argv[1:]
vkey = parse_vkey(key)
older = verify_checkpoint(parse_note(sys.stdin.read()), vkey)
files = HttpTileReader([url], proxies={})
newer = verify_checkpoint(parse_note(files.read_checkpoint().decode()), vkey)
assert older.ok, older
assert newer.ok, newer
reader = VerifiedTileReader(files, newer.size, newer.root)
entries, most = {}, 0
for index in map(int, indexes):
    entry = reader.entry(index)
    proof = inclusion_proof_from_tiles(reader, index, newer.size)
    assert verify_leaf_inclusion(entry, index, newer.size, proof, newer.root)
    entries[index] = entry.decode()
    counting = Counting(HttpTileReader([url], proxies={}))  # it has nothing yet
    alone = VerifiedTileReader(counting, newer.size, newer.root)
    assert proof == inclusion_proof_from_tiles(alone, index, newer.size)
    most = max(most, counting.fetched)
proof = consistency_proof_from_tiles(reader, older.size, newer.size)
assert verify_consistency(older.size, newer.size, older.root, newer.root, proof)
report = audit_tiles(files, newer.size, newer.root)
json.dump({"sizes": [older.size, newer.size], "entries": entries, "most": most, "audit": str(report)}, sys.stdout)
