"""Notices between processes about commits and changed subscriptions, by PostgreSQL's NOTIFY and LISTEN.

A notice may be lost, so code that must not miss a commit also looks at the log itself now and then. A process listens
only while something in it waits for notices. While no other process listens in a hurry, it gathers its own notices for
longer. One that begins to listen in a hurry says so, by a notice.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog
from psycopg import Error

from app.store.postgres.pipe import Call, PipedConnection

CHANNEL = "synap_commit"
"""The channel on which processes notify each other of commits."""

SEND_NOTICES = f"SELECT pg_notify('{CHANNEL}', notice) FROM json_array_elements_text(%(notices)s::json) AS notice"
"""Sends one notice for each text."""

CHANGED = "changed"
"""Stands in a notice in place of the seq if a workspace's subscriptions were changed."""

LISTENING = "listening"
"""Stands in a notice in place of the seq if a process begins to listen in a hurry. It has no workspace."""

TELLER = "synap teller"
"""What PostgreSQL calls the connection by which a process tells of its commits. Each server process has one."""

LISTENER = "synap listener"
"""The application name of the connection of a process that listens in a hurry: a stream or a webhook waits for
notices."""

PATIENT_LISTENER = "synap patient listener"
"""The application name of the connection of a process that listens only for changed subscriptions."""

HAS_LISTENERS = f"""
SELECT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = '{LISTENER}' AND pid <> %(own)s::int)
"""
"""Whether another process listens in a hurry. Older servers also use this name for the connection that sends."""

LISTEN: Call = (f"LISTEN {CHANNEL}", {})
"""Begins to listen."""

RENAME = "SELECT set_config('application_name', %(name)s, false)"
"""Changes the application name of a connection."""

COALESCE_SECONDS = 0.005
"""The pause between two messages of one process. The commits of the pause share the next message."""

UNHEARD_SECONDS = 1.0
"""The pause between two messages while no other process listens in a hurry. Each message wakes all processes."""

COUNT_SECONDS = 1.0
"""The time between two checks whether another process listens in a hurry, and whether this one does."""

RETRY_SECONDS = 1.0

logger = structlog.get_logger("synap.notices")


class Notices:
    """Notifies the other processes of this one's commits, and receives their notices. For one event loop."""

    def __init__(self, url: str, unheard_seconds: float = UNHEARD_SECONDS) -> None:
        self._url = url
        self._unheard_seconds = unheard_seconds
        self._untold: dict[tuple[str, bool], str] = {}
        """The unsent notices. A key is a workspace and whether the notice is about its subscriptions (else about its
        log)."""
        self._wake = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._own_pid = 0
        """The process id of the backend of this process's listener; 0 if it does not listen."""
        self._teller_pid = 0
        """The process id of the backend that sends this process's notices."""
        self._hurry = asyncio.Event()
        """Ends the pause of a process that nobody seemed to hear."""
        self._is_heard = True
        self._counted_at = float("-inf")

    def open(self) -> None:
        """Begin to send notices."""
        self._telling = asyncio.create_task(self._tell())

    def listen(
        self,
        heard: Callable[[str, int], None],
        changed: Callable[[str], None],
        missed: Callable[[], None],
        *,
        is_hurried: Callable[[], bool] = lambda: True,
    ) -> None:
        """Begin to listen, unless this process listens already. Call it again when this process begins to hurry.

        `heard` is called with a workspace and the seq that its log has reached, `changed` with a workspace whose
        subscriptions were changed. `missed` is called after each connect, because notices may have been missed before.
        While it is not `is_hurried`, other processes gather their notices for longer.
        """
        if is_hurried():
            self._tell_at_once("", LISTENING)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(heard, changed, missed, is_hurried))

    def stop_listening(self) -> None:
        """Stop listening. Call it when nothing in this process waits for notices any more."""
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
            self._own_pid = 0

    async def close(self) -> None:
        """End both tasks."""
        tasks = [task for task in (self._telling, self._listening) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def tell(self, workspace: str, seq: int) -> None:
        """Notify the other processes soon that a log has reached `seq`."""
        self._untold[workspace, False] = str(seq)
        self._wake.set()

    def tell_changed(self, workspace: str) -> None:
        """Notify the other processes that a workspace's subscriptions were changed."""
        self._tell_at_once(workspace, CHANGED)

    def _tell_at_once(self, workspace: str, said: str) -> None:
        self._untold[workspace, True] = said
        self._hurry.set()
        self._wake.set()

    async def _listen(
        self,
        heard: Callable[[str, int], None],
        changed: Callable[[str], None],
        missed: Callable[[], None],
        is_hurried: Callable[[], bool],
    ) -> None:
        while True:
            with suppress(Error, OSError):
                name = PATIENT_LISTENER  # until its pid is known, so that this process does not take it for another's
                async with await self._connect(name) as connection:
                    self._own_pid = connection.info.backend_pid
                    await connection.trip([LISTEN])
                    missed()
                    while True:
                        if name != (name := _listener(is_hurried)):
                            await connection.trip([(RENAME, {"name": name})])
                        for teller_pid, notice in await connection.notices(COUNT_SECONDS):
                            workspace, _, said = notice.partition(" ")
                            if said.isdigit():
                                heard(workspace, int(said))
                                continue
                            if teller_pid != self._teller_pid:
                                self._assume_heard()
                            if said == CHANGED:
                                changed(workspace)
            logger.warning("listening for commits of other processes was interrupted")
            await asyncio.sleep(RETRY_SECONDS)

    def _assume_heard(self) -> None:
        """Another process listens in a hurry, or may do so soon. It may not have the name of such a listener yet."""
        self._is_heard = True
        self._counted_at = asyncio.get_running_loop().time() + COUNT_SECONDS
        self._hurry.set()

    async def _tell(self) -> None:
        while True:
            with suppress(Error, OSError):
                async with await self._connect(TELLER) as connection:
                    # A notice has no value after a crash, so its commit need not wait for the disk.
                    await connection.execute("SET synchronous_commit = off")
                    self._teller_pid = connection.info.backend_pid
                    while True:
                        await self._wake.wait()
                        self._wake.clear()
                        untold, self._untold = self._untold, {}
                        notices = [f"{workspace} {said}" for (workspace, _), said in untold.items()]
                        try:
                            await connection.trip([(SEND_NOTICES, {"notices": msgspec.json.encode(notices).decode()})])
                        except (Error, OSError):
                            self._untold = untold | self._untold  # the next connection sends them
                            self._wake.set()
                            raise
                        await self._pause(connection)
            await asyncio.sleep(RETRY_SECONDS)

    async def _pause(self, connection: PipedConnection) -> None:
        """Gather notices before the next message."""
        now = asyncio.get_running_loop().time()
        if now - self._counted_at > COUNT_SECONDS:
            self._counted_at = now
            [[(self._is_heard,)]] = await connection.trip([(HAS_LISTENERS, {"own": self._own_pid})])
        if not self._is_heard:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._unheard_seconds)
            self._hurry.clear()
        await asyncio.sleep(COALESCE_SECONDS)

    async def _connect(self, name: str) -> PipedConnection:
        return await PipedConnection.connect(self._url, autocommit=True, connect_timeout=3, application_name=name)


def _listener(is_hurried: Callable[[], bool]) -> str:
    return LISTENER if is_hurried() else PATIENT_LISTENER
