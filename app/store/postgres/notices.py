"""News of commits and of changed subscriptions between processes: PostgreSQL's NOTIFY and LISTEN.

A notice may be lost: who needs to be sure looks at the log itself now and then.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog
from psycopg import Error

from app.store.postgres.pipe import PipedConnection

CHANNEL = "synap_commit"
"""The channel on which processes tell each other of commits."""

SEND_NOTICES = f"SELECT pg_notify('{CHANNEL}', notice) FROM json_array_elements_text(%(notices)s::json) AS notice"
"""Sends one notice for each text."""

CHANGED = "changed"
"""What a notice says of a workspace, in place of a seq, if its subscriptions were changed."""

COALESCE_SECONDS = 0.005
"""Between two messages of one process: the commits meanwhile share the next."""

RETRY_SECONDS = 1.0

logger = structlog.get_logger("synap.notices")


class Notices:
    """Tells the other processes what this one committed, and hears of theirs. For one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._untold: dict[tuple[str, bool], str] = {}
        """What to say of a workspace: how far its log has come, or (True) that its subscriptions were changed."""
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def open(
        self, heard: Callable[[str, int], None], changed: Callable[[str], None], missed: Callable[[], None]
    ) -> None:
        """Begin to listen and to tell.

        `heard` is called with a workspace and a seq that its log has reached, `changed` with one whose subscriptions
        were changed; `missed` if notices may have been missed, because the connection was only made now.
        """
        listening = self._listening(heard, changed, missed)
        self._tasks = [asyncio.create_task(listening), asyncio.create_task(self._telling())]

    async def close(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tell(self, workspace: str, seq: int) -> None:
        """Tell the others, soon, that a log has reached `seq`."""
        self._untold[workspace, False] = str(seq)
        self._wake.set()

    def tell_changed(self, workspace: str) -> None:
        """Tell the others, soon, that subscriptions of a workspace were changed."""
        self._untold[workspace, True] = CHANGED
        self._wake.set()

    async def _listening(
        self, heard: Callable[[str, int], None], changed: Callable[[str], None], missed: Callable[[], None]
    ) -> None:
        while True:
            with suppress(Error, OSError):
                async with await self._connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    missed()
                    async for notice in connection.notifies():
                        workspace, _, said = notice.payload.partition(" ")
                        if said.isdigit():
                            heard(workspace, int(said))
                        elif said == CHANGED:
                            changed(workspace)
            logger.warning("listening was interrupted")
            await asyncio.sleep(RETRY_SECONDS)

    async def _telling(self) -> None:
        while True:
            with suppress(Error, OSError):
                async with await self._connect() as connection:
                    # A notice is worth nothing after a crash: no commit of one need wait for the disk.
                    await connection.execute("SET synchronous_commit = off")
                    while True:
                        await self._wake.wait()
                        self._wake.clear()
                        untold, self._untold = self._untold, {}
                        notices = [f"{workspace} {said}" for (workspace, _), said in untold.items()]
                        try:
                            await connection.trip([(SEND_NOTICES, {"notices": msgspec.json.encode(notices).decode()})])
                        except (Error, OSError):
                            self._untold = untold | self._untold  # told by the next connection
                            self._wake.set()
                            raise
                        await asyncio.sleep(COALESCE_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)

    async def _connect(self) -> PipedConnection:
        return await PipedConnection.connect(
            self._url, autocommit=True, connect_timeout=3, application_name="synap listener"
        )
