"""The store without a server around it, for tests that call it directly."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from app.feed import Feed
from app.ledger.draft import Draft, Drafting
from app.ledger.keyring import Keyring
from app.sealing.cursors import Cursors
from app.sealing.intent_ids import IntentIds
from app.store.events.erasure import Erasure
from app.store.events.event_log import EventLog
from app.store.events.follower import EventFollower
from app.store.events.reader import EventReader
from app.store.install.install import Files, connect, set_up
from app.store.install.workspaces import create_workspace
from app.store.ledger.export import Exports
from app.store.ledger.ledger import Ledger
from app.store.ledger.trees import Trees
from app.store.postgres.database import Database
from schemas.event import ListEvents, LogEvent, SynapEvent
from schemas.principal import EVERY, Principal

SECRET = b"s" * 32

INTENT_IDS = IntentIds(SECRET)

OWNER = Principal(key_id="k", user_id="u1", scopes=frozenset({EVERY}), workspaces=(EVERY,))

START = datetime(2024, 12, 9, 1, tzinfo=UTC)
"""The first time of a store's clock."""

ANY_SKEW_SECONDS = 1e9
"""By how much that clock may differ from the database's: decades."""

T = TypeVar("T")

_drafting = Drafting("did:key:z")


class Clock:
    """A clock that the test sets."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        """The time."""
        return self.at


class Store(Struct, frozen=True, kw_only=True):
    """An open log and its reader on one event loop, in which `run` awaits. Calls use `workspace` by default."""

    url: str
    workspace: str = "default"
    node: str
    keys: Keyring
    database: Database
    log: EventLog
    reader: EventReader
    feed: Feed
    clock: Clock
    run: Callable[[Awaitable[Any]], Any]

    @property
    def other(self) -> str:
        """Another workspace of the test's own."""
        return f"{self.workspace}-other"

    def ledger(self, keys: Keyring | None = None) -> Ledger:
        """The read side of the ledger, in a process that has these keys."""
        return Ledger(self.database, Trees(self.database), keys or self.keys, self.node.removeprefix("did:key:"))

    def erasure(self, log: EventLog | None = None) -> Erasure:
        """What erases, in a process that appends by this log."""
        return Erasure(log or self.log, self.node, INTENT_IDS)

    def exports(self, keys: Keyring | None = None) -> Exports:
        """The exports, in a process that has these keys."""
        return Exports(self.database, self.ledger(keys), Trees(self.database))

    def append(self, *drafts: Draft, workspace: str | None = None) -> list[SynapEvent]:
        """Append in one call."""
        answer: list[SynapEvent] = self.run(self.log.append(workspace or self.workspace, drafts))
        return answer

    def append_at_once(self, *calls: Sequence[Draft]) -> list[Any]:
        """Append several calls that wait in the same group. Returns one answer or error for each."""
        awaited = [self.log.append(self.workspace, drafts) for drafts in calls]
        answers: list[Any] = self.run(_gathered(awaited))
        return answers

    def list(self, workspace: str | None = None, only_user: str | None = None, **query: Any) -> list[dict[str, Any]]:
        """Read a list, as a caller does."""
        asked = msgspec.convert(query, ListEvents)
        events: list[dict[str, Any]] = json.loads(
            self.run(self.reader.events(workspace or self.workspace, asked, only_user)).json
        )
        return events

    def page(self, workspace: str | None = None, only_user: str | None = None, **query: Any) -> dict[str, Any]:
        """Read one page, as a caller does."""
        asked = msgspec.convert(query, ListEvents)
        page: dict[str, Any] = json.loads(
            self.run(self.reader.page(workspace or self.workspace, asked, only_user)).json
        )
        return page

    def walk(self, workspace: str | None = None, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield every page, from the first to the last."""
        page = self.page(workspace, **query)
        yield page
        while cursor := page.get("nextCursor"):
            page = self.page(workspace, **query, cursor=cursor)
            yield page


def files(folder: Path) -> Files:
    """The paths of the install's files in a folder."""
    return Files(folder / "node.key", folder / "install.secret", folder / "control.token")


@contextmanager
def opened(
    url: str, keys: Path, *, workspaces: Sequence[str] = (), connected: Callable[[str], Database] = Database
) -> Iterator[Store]:
    """Open the store in the migrated database at `url`, with `connected` as its database. Its key is in `keys`."""
    with connect(url) as connection:
        identity = set_up(connection, files(keys))
        for slug in workspaces:
            create_workspace(connection, slug)
    keyring = Keyring(keys / "node.key")
    with asyncio.Runner() as runner:

        def run(awaitable: Awaitable[T]) -> T:
            return runner.run(_awaited(awaitable))

        database, clock, cursors = run(_opened(connected(url))), Clock(START), Cursors(SECRET)
        feed = Feed(EventFollower(database), cursors)
        yield Store(
            url=url,
            node=identity.node,
            keys=keyring,
            database=database,
            log=EventLog(database, keyring, identity.node, clock, feed.reached, ANY_SKEW_SECONDS),
            reader=EventReader(database, cursors),
            feed=feed,
            clock=clock,
            run=run,
        )
        run(feed.close())
        run(database.close())


def draft(
    type_: str = "note.created", data: object = None, *, id: str | UUID | None = None, **members: object
) -> Draft:
    """The draft of an event. Other members have their names in Python."""
    metadata = members.pop("metadata", None)
    event = LogEvent(
        id=UUID(id) if isinstance(id, str) else id,
        type=type_,
        data=Raw(data if isinstance(data, bytes) else json.dumps(data or {}).encode()),
        metadata=Raw(json.dumps(metadata).encode()),
        **members,  # type: ignore[arg-type] # LogEvent's own
    )
    return _drafting.draft(event, OWNER, "default")


async def _opened(database: Database) -> Database:
    await database.open()
    return database


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _gathered(awaited: Sequence[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*awaited, return_exceptions=True)
