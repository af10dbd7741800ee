"""What a command reads the log of this install from, as a server does: the database, the trees and the ledger."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from app.ledger.keyring import Keyring
from app.server.install import ReadyInstall
from app.settings import Settings
from app.store.ledger.ledger import Ledger
from app.store.ledger.node_notes import NodeNotes
from app.store.ledger.trees import Trees
from app.store.postgres.database import Database


class Reading(Struct, frozen=True):
    """The open database of an install, and what reads it."""

    database: Database
    trees: Trees
    ledger: Ledger


@asynccontextmanager
async def reading(settings: Settings, install: ReadyInstall) -> AsyncIterator[Reading]:
    """Open the database during the block. Raises Unavailable."""
    database = Database(install.database_url)
    await database.open()
    trees = Trees(database)
    keys = Keyring(settings.node_key_path)
    # Also without the server's SYNAP_WITNESS_POLICY: the cosignatures in the database belong to what a command writes.
    notes = NodeNotes(database, keys, grace_days=settings.witness_grace_days)
    try:
        yield Reading(database, trees, Ledger(database, trees, keys, install.origin, node_notes=notes))
    finally:
        await trees.close()
        await database.close()
