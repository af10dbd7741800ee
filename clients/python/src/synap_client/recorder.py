"""Logs in the background: `log` passes an event on and returns; a thread or a task sends batches to the server.

With a spool, an event is on disk before `log` returns, and reaches the log once, even if this process or the server
crashes. Without one, it is in memory, and lost if the process ends before it is sent.
"""

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.util import Finalize, register_after_fork
from pathlib import Path
from typing import Self, TypedDict, Unpack
from weakref import WeakSet

from synap_client.aio import AsyncSynap
from synap_client.client import Synap
from synap_client.courier import ADOPT_SECONDS, Batch, Outbox, Send, Settings, Step, deliver
from synap_client.errors import SpoolError, SpoolFull, SynapError
from synap_client.events import EventFields, Record, recorded, written
from synap_client.interrupts import unmasked
from synap_client.journal import Fsync
from synap_client.quiet import at_work, logger
from synap_client.spool import Rejected

FULL_SECONDS = 0.02
"""How often an async `log` checks whether there is room again."""


class RecorderFields(TypedDict, total=False):
    """The settings of a recorder, with their defaults.

    spool: a directory on a local disk, created if needed. Processes may share it if they log to the same server and
        workspace with keys of one user. Default None: events wait in memory, and end with the process.
    batch_events, batch_bytes, batch_seconds: a batch is sent when it has this many events (default 500) or bytes
        (2 MiB), or when its first event has waited this long (0.2 s).
    max_bytes: the maximum that may wait, in the directory or in memory (256 MiB). Beyond it `log` raises SpoolFull, at
        once or after `full_wait_seconds` (0) without room.
    fsync: "always" (an event survives a power cut once `log` has returned), "second" (it survives the end of the
        process at once, a power cut after a second) or "never" (the system decides).
    on_rejected: called for each event that the server rejects permanently, on the thread that sends.
    max_backoff_seconds: the longest pause between attempts (10).
    exit_seconds: how long the end of the program waits for unsent events (5).
    """

    spool: str | Path | None
    batch_events: int
    batch_bytes: int
    batch_seconds: float
    max_bytes: int
    full_wait_seconds: float
    fsync: Fsync
    on_rejected: Callable[[Rejected], object] | None
    max_backoff_seconds: float
    exit_seconds: float


class _Recording:
    """The part that both recorders share."""

    def __init__(self, client: Synap | AsyncSynap, settings: RecorderFields) -> None:
        self.settings = Settings(**settings)
        self._outbox = Outbox(self.settings, f"{client.url} {client.workspace or ''}".strip())
        self._told = (
            f"{type(self).__name__}({client.url!r}, workspace={client.workspace!r}, spool={self.settings.spool!r})"
        )

    def __repr__(self) -> str:
        """A text without the token."""
        return self._told

    @property
    def pending(self) -> int:
        """The number of events that are not stored yet."""
        return self._outbox.pending

    @property
    def rejected(self) -> int:
        """The number of events that the server rejected permanently."""
        return self._outbox.rejected

    @property
    def last_error(self) -> SynapError | None:
        """Why events wait; None while they are sent."""
        return self._outbox.last_error


class Recorder(_Recording):
    """Logs in the background, with a thread that starts at the first event. For any number of threads.

    After a fork the child has an empty recorder with the same settings and its own journal; waiting events stay with
    the parent. At the end of the program it is flushed for `exit_seconds`.
    """

    def __init__(self, client: Synap, **settings: Unpack[RecorderFields]) -> None:
        """Raises SpoolError if the spool cannot be used."""
        super().__init__(client, settings)
        self.client = client.twin()
        """Its own client, for calls that need an answer."""
        self._starting = threading.RLock()  # a signal handler may log while its thread holds it
        self._thread: threading.Thread | None = None
        self._ends = False
        _live.add(self)
        if self._outbox.due_seconds() is not None:  # a killed process has left events
            self._start()

    def __enter__(self) -> Self:
        """Enter a block that flushes and closes the recorder at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Flush for `exit_seconds`, and close."""
        self.close()

    def log(self, type: str, data: Record, **more: Unpack[EventFields]) -> str:
        """Accept an event and return its id. `occurred_at` defaults to now.

        With a spool the event is on disk when this returns. Raises SpoolFull (it was not accepted), SpoolError (it may
        not be on disk: log it again with the error's `id`), and InvalidInput for data that is not JSON. Events that the
        server rejects go to `on_rejected`.
        """
        event = self.client.signed(recorded(type, data, more))
        try:
            self.put(written(event), self.settings.full_wait_seconds)
        except SpoolError as error:
            error.id = str(event.id)
            raise
        return str(event.id)

    @unmasked()
    def put(self, content: bytes, wait_seconds: float) -> None:
        """Accept an event that is already JSON and has an id."""
        self._outbox.put(content, wait_seconds)
        if self._thread is None:
            self._start()

    @unmasked()
    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything logged before is stored or rejected. Returns false after `timeout` seconds in vain."""
        outbox, count = self._outbox, self._outbox.put_count
        if count and self._thread is None:  # the first `log` was interrupted before it started one
            self._start()
        deadline = None if timeout is None else time.monotonic() + timeout
        with outbox.lock:
            outbox.hurried += 1
            try:
                outbox.changed.notify_all()
                while not outbox.has_settled(count):
                    left = None if deadline is None else deadline - time.monotonic()
                    if (left is not None and left <= 0) or self._ends:
                        return False
                    outbox.changed.wait(1.0 if left is None else min(left, 1.0))
            finally:
                outbox.hurried -= 1
        return True

    @unmasked()
    def close(self, timeout: float | None = None) -> bool:
        """Flush for `timeout` seconds (default `exit_seconds`), and close. Returns false if events are left.

        The next recorder sends what is left in a spool. Events that are left in memory are rejected.
        """
        done = self.flush(self.settings.exit_seconds if timeout is None else timeout)
        with self._outbox.lock:
            self._ends = True
            self._outbox.changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1.0)
        self.client.close()
        self._outbox.close()
        _live.discard(self)
        return done

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._ends:
                self._thread = threading.Thread(target=self._run, name="synap-recorder", daemon=True)
                try:
                    with unmasked():
                        self._thread.start()
                except BaseException as error:
                    self._thread = None  # the next event starts another
                    if not (isinstance(error, RuntimeError) and str(error).startswith("can't ")):
                        raise
                    # There are too many threads, or the interpreter is ending.
                    logger.warning("events wait, because no thread could be started: %s", error)

    def _run(self) -> None:
        with self._starting:  # the thread may run although a signal handler interrupted its start
            if self._thread is not threading.current_thread():
                return
        with at_work():
            while not self._ends:
                try:
                    self._send_next()
                except Exception as error:  # noqa: BLE001 - this thread must outlive whatever befalls one batch
                    self._outbox.fail(error)
                    self._wait(1.0)

    def _send_next(self) -> None:
        self._outbox.tend()
        changed = self._outbox.changed
        with self._outbox.lock:  # checks and waits under one lock, so that no event arrives unnoticed in between
            seconds = self._outbox.due_seconds()
            if seconds != 0:
                longest = 1.0 if self.settings.fsync == "second" else ADOPT_SECONDS
                if not self._ends:
                    changed.wait(longest if seconds is None else min(seconds, longest))
                return
        batch = self._outbox.take()
        if batch is None:
            return
        steps = deliver(self._outbox, batch)
        answer: SynapError | None = None
        with suppress(StopIteration):
            while not self._ends:
                step = steps.send(answer)
                answer = None
                if isinstance(step, Send):
                    answer = self._try(step)
                else:
                    self._wait(step.seconds)

    def _try(self, step: Send) -> SynapError | None:
        try:
            self.client.attempt(step.call)
        except SynapError as error:
            return error
        return None

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        changed = self._outbox.changed
        with self._outbox.lock:
            while not self._ends and (left := deadline - time.monotonic()) > 0:
                changed.wait(left)

    def _forked(self) -> None:
        self._outbox.forked()
        self._starting = threading.RLock()
        self._thread = None


class AsyncRecorder(_Recording):
    """Logs in the background, with a task of the event loop on which it was made. See `Recorder`.

    Close it, or use it in `async with`, because the end of the program cannot wait for a loop that has ended. It does
    not work in a forked child.
    """

    def __init__(self, client: AsyncSynap, **settings: Unpack[RecorderFields]) -> None:
        """Needs a running loop. Raises SpoolError if the spool cannot be used."""
        super().__init__(client, settings)
        self.client = client.twin()
        """Its own client, for calls that need an answer."""
        self._wake = asyncio.Event()
        self._ends = False
        self._task = asyncio.create_task(self._run(), name="synap-recorder")
        _live.add(self)

    async def __aenter__(self) -> Self:
        """Enter a block that flushes and closes the recorder at its end."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Flush for `exit_seconds`, and close."""
        await self.close()

    async def log(self, type: str, data: Record, **more: Unpack[EventFields]) -> str:
        """Accept an event and return its id. See `Recorder.log`. Other tasks do not wait for the disk or for room."""
        event = await self.client.signed(recorded(type, data, more))
        id_, content = str(event.id), written(event)
        deadline = time.monotonic() + self.settings.full_wait_seconds
        while True:
            try:
                if self.settings.spool is None:
                    self._outbox.put(content, 0)
                else:
                    await asyncio.to_thread(self._outbox.put, content, 0)
            except SpoolError as error:
                error.id = id_
                if not isinstance(error, SpoolFull) or time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(FULL_SECONDS)
            else:
                self._wake.set()
                return id_

    async def flush(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - false, not an exception
        """Wait until everything logged before is stored or rejected. Returns false after `timeout` seconds in vain."""
        count = self._outbox.put_count
        self._outbox.hurried += 1
        self._wake.set()
        try:
            async with asyncio.timeout(timeout):
                while not self._outbox.has_settled(count) and not self._ends:  # noqa: ASYNC110 - set by a thread
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pass
        finally:
            self._outbox.hurried -= 1
        return self._outbox.has_settled(count)

    async def close(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as above
        """Flush for `timeout` seconds (default `exit_seconds`), and close. Returns false if events are left."""
        done = await self.flush(self.settings.exit_seconds if timeout is None else timeout)
        self._ends = True
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.client.close()
        self._outbox.close()
        _live.discard(self)
        return done

    async def _run(self) -> None:
        with at_work():
            while True:
                try:
                    await self._send_next()
                except Exception as error:  # noqa: BLE001 - this task must outlive whatever befalls one batch
                    self._outbox.fail(error)
                    await asyncio.sleep(1.0)

    async def _send_next(self) -> None:
        self._wake.clear()
        await asyncio.to_thread(self._outbox.tend)
        seconds = self._outbox.due_seconds()
        if seconds != 0:
            longest = 1.0 if self.settings.fsync == "second" else ADOPT_SECONDS
            if seconds is not None:
                # More events change nothing until the batch is due or full.
                longest = min(seconds, 0.05)
            with suppress(TimeoutError):
                async with asyncio.timeout(longest):
                    await (self._wake.wait() if seconds is None else asyncio.sleep(longest))
            return
        batch = await asyncio.to_thread(self._outbox.take)
        if batch is not None:
            await self._deliver(batch)

    async def _deliver(self, batch: Batch) -> None:
        steps = deliver(self._outbox, batch)
        answer: SynapError | None = None
        with suppress(StopIteration):
            while True:
                step: Step = steps.send(answer)
                answer = None
                if isinstance(step, Send):
                    try:
                        await self.client.attempt(step.call)
                    except SynapError as error:
                        answer = error
                else:
                    await asyncio.sleep(step.seconds)

    def _forked(self) -> None:
        self._outbox.forked()


_live: WeakSet[Recorder | AsyncRecorder] = WeakSet()


def _close_all() -> None:
    for recorder in list(_live):
        try:
            if isinstance(recorder, Recorder):
                recorder.close()
            else:
                recorder._outbox.close()  # noqa: SLF001 - our own
        except Exception:  # noqa: BLE001 - the others are to be closed all the same
            logger.exception("%r could not be closed", recorder)


def _forked() -> None:
    for recorder in list(_live):
        recorder._forked()  # noqa: SLF001 - our own


def _close_at_the_end_of_this_child(_: object) -> None:
    Finalize(None, _close_all, exitpriority=0)


atexit.register(_close_all)
# A child that multiprocessing forks ends without `atexit`.
register_after_fork(_close_all, _close_at_the_end_of_this_child)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
