"""Reads the tiles of logs (C2SP tlog-tiles)."""

from app.ledger import tiles
from app.ledger.chain import header_bytes
from app.ledger.tiles import Tile
from app.store.ledger.ledger import GET_TIP_AND_KEY
from app.store.ledger.trees import Trees
from app.store.postgres.database import Database
from app.store.postgres.instants import INSTANT
from schemas.errors import NotFound

LIST_HEADERS_BETWEEN = f"""
SELECT (SELECT node FROM install), kid, seq, id::text, type, {INSTANT.format("recorded_at")}, prev_hash, body_hash
FROM event WHERE workspace_id = %(workspace)s AND seq BETWEEN %(first)s AND %(last)s ORDER BY seq
"""
"""The parts of the headers of the events between two seqs. An erasure does not change them."""


class Tiles:
    """Reads tiles, for one process. For any number of tasks. Every method may raise Unavailable."""

    def __init__(self, database: Database, trees: Trees) -> None:
        self._database = database
        self._trees = trees

    async def read(self, workspace: str, tile: Tile) -> bytes:
        """The contents of a tile. Raises NotFound if the log does not exist, or is too short to have the tile."""
        rows = await self._database.rows(GET_TIP_AND_KEY, {"workspace": workspace})
        size = rows[0][0] + 1 if rows else 0
        if not tile.is_in(size):
            raise NotFound("The log has no such tile")
        if tile.level is None:
            return await self._entries(workspace, tile)
        return b"".join(await self._trees.hashes(workspace, size, tile.range))

    async def _entries(self, workspace: str, tile: Tile) -> bytes:
        between = {"workspace": workspace, "first": tile.range.first, "last": tile.range.last}
        rows = await self._database.rows(LIST_HEADERS_BETWEEN, between)
        return tiles.bundle(
            header_bytes(
                node=node,
                kid=kid,
                log=workspace,
                seq=seq,
                id=id_,
                type=type_,
                timestamp=timestamp,
                prev_hash=prev_hash,
                body_hash=body_hash,
            )
            for node, kid, seq, id_, type_, timestamp, prev_hash, body_hash in rows
        )
