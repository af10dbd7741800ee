"""News of commits and of changed subscriptions between processes: PostgreSQL's NOTIFY and LISTEN.

A notice may be lost: who needs to be sure looks at the log itself now and then. A process listens only while it has
somebody to tell, and gathers its own notices for longer while no other process listens.
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

LISTENER = "synap listener"
"""What PostgreSQL calls the connection of a process that listens."""

HAS_LISTENERS = f"""
SELECT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = '{LISTENER}' AND pid <> %(own)s::int)
"""
"""Whether another process listens. Older servers call the connection that tells a listener too."""

COALESCE_SECONDS = 0.005
"""Between two messages of one process: the commits meanwhile share the next."""

UNHEARD_SECONDS = 0.1
"""The same while no other process listens."""

COUNT_SECONDS = 1.0
"""The time between two checks whether another process listens. A new listener gets its first notices late."""

RETRY_SECONDS = 1.0

logger = structlog.get_logger("synap.notices")


class Notices:
    """Tells the other processes what this one committed, and hears of theirs. For one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._untold: dict[tuple[str, bool], str] = {}
        """What to say of a workspace: how far its log has come, or (True) that its subscriptions were changed."""
        self._wake = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._own_pid = 0
        """The backend of this process's listener; 0 if there is none."""
        self._is_heard = True
        self._counted_at = float("-inf")

    def open(self) -> None:
        """Begin to tell."""
        self._telling = asyncio.create_task(self._tell())

    def listen(
        self, heard: Callable[[str, int], None], changed: Callable[[str], None], missed: Callable[[], None]
    ) -> None:
        """Begin to listen, unless this has been called already.

        `heard` is called with a workspace and a seq that its log has reached, `changed` with one whose subscriptions
        were changed; `missed` if notices may have been missed, because the connection was only made now.
        """
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(heard, changed, missed))

    def stop_listening(self) -> None:
        """Stop listening, because nobody here waits for notices any more."""
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
            self._own_pid = 0

    async def close(self) -> None:
        """End."""
        tasks = [task for task in (self._telling, self._listening) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def tell(self, workspace: str, seq: int) -> None:
        """Tell the others, soon, that a log has reached `seq`."""
        self._untold[workspace, False] = str(seq)
        self._wake.set()

    def tell_changed(self, workspace: str) -> None:
        """Tell the others, soon, that subscriptions of a workspace were changed."""
        self._untold[workspace, True] = CHANGED
        self._wake.set()

    async def _listen(
        self, heard: Callable[[str, int], None], changed: Callable[[str], None], missed: Callable[[], None]
    ) -> None:
        while True:
            with suppress(Error, OSError):
                async with await self._connect(LISTENER) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._own_pid = connection.info.backend_pid
                    missed()
                    async for notice in connection.notifies():
                        workspace, _, said = notice.payload.partition(" ")
                        if said.isdigit():
                            heard(workspace, int(said))
                        elif said == CHANGED:
                            changed(workspace)
            logger.warning("listening was interrupted")
            await asyncio.sleep(RETRY_SECONDS)

    async def _tell(self) -> None:
        while True:
            with suppress(Error, OSError):
                async with await self._connect("synap teller") as connection:
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
                        await asyncio.sleep(await self._pause(connection))
            await asyncio.sleep(RETRY_SECONDS)

    async def _pause(self, connection: PipedConnection) -> float:
        """How long to gather notices."""
        now = asyncio.get_running_loop().time()
        if now - self._counted_at > COUNT_SECONDS:
            self._counted_at = now
            [[(self._is_heard,)]] = await connection.trip([(HAS_LISTENERS, {"own": self._own_pid})])
        return COALESCE_SECONDS if self._is_heard else UNHEARD_SECONDS

    async def _connect(self, name: str) -> PipedConnection:
        return await PipedConnection.connect(self._url, autocommit=True, connect_timeout=3, application_name=name)
