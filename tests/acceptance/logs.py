"""An event log in the test's own process, for orders of events that only a single event loop can force."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import msgspec

from app.ledger.draft import Draft, Drafting
from app.ledger.keyring import Keyring
from app.server.install import ready
from app.settings import Settings
from app.store.events.event_log import EventLog
from app.store.postgres.database import Database
from schemas.event import LogEvent
from schemas.principal import EVERY, Principal

OWNER = Principal(key_id="test", user_id="user-1", scopes=frozenset({EVERY}), workspaces=(EVERY,))


@asynccontextmanager
async def event_log(database_url: str, data_dir: Path) -> AsyncIterator[EventLog]:
    """Open the log of a migrated database whose keys are in `data_dir`."""
    settings = Settings(database_url=database_url, data_dir=data_dir)
    with ready(settings, serving=False, init=True) as install:
        database = Database(install.database_url)
        await database.open()
        log = EventLog(database, Keyring(settings.node_key_path), install.node)
        try:
            yield log
        finally:
            await log.drain()
            await database.close()


def draft(data: object, *, id: UUID | None = None, **more: object) -> Draft:
    """The draft of an event with this `data`. `more` are other fields that a caller may send."""
    sent = {"type": "note.created", "data": data} | ({"id": str(id)} if id else {}) | more
    event = msgspec.json.decode(msgspec.json.encode(sent), type=LogEvent)
    return Drafting("did:key:z").draft(event, OWNER, "default")
