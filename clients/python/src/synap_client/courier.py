"""From the store to the server: the events that wait, their batches, and the outcome of each event.

This module neither sends nor sleeps. A thread or a task does, as `deliver` asks.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from msgspec import Raw, Struct

from synap_client.blame import blamed, of_one
from synap_client.errors import (
    ConnectionLost,
    Forbidden,
    SpoolError,
    SpoolFull,
    SynapError,
)
from synap_client.journal import Fsync, Journal
from synap_client.quiet import logger
from synap_client.retry import backoff_seconds
from synap_client.spool import Rejected, Spool
from synap_client.store import Line, Memory, Place, Store
from synap_client.wire import Call

ADOPT_SECONDS = 5.0
"""The time between two searches of the directory for journals without an owner."""

FULL_SECONDS = 0.5
"""The time between two checks for room that other processes have made."""


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of a recorder. `RecorderFields` describes them."""

    spool: str | Path | None = None
    batch_events: int = 500
    batch_bytes: int = 2 * 2**20
    batch_seconds: float = 0.2
    max_bytes: int = 256 * 2**20
    full_wait_seconds: float = 0.0
    fsync: Fsync = "always"
    on_rejected: Callable[[Rejected], object] | None = None
    max_backoff_seconds: float = 10.0
    exit_seconds: float = 5.0

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not 1 <= self.batch_events <= 1000:
            raise ValueError("batch_events must be 1 to 1000, the server's maximum")
        if self.fsync not in {"always", "second", "never"}:
            raise ValueError("fsync must be 'always', 'second' or 'never'")


class Batch(Struct, frozen=True):
    """Events of one store, in their order."""

    store: Store
    lines: list[Line]


class Outbox:
    """The events that wait to be sent, with their counts. For any number of threads; one of them takes and settles."""

    def __init__(self, settings: Settings, target: str) -> None:
        """`target` is the server and workspace. Raises SpoolError."""
        self.settings = settings
        self._new_lock()
        self.rejected = 0
        self.last_error: SynapError | None = None
        """Why events wait; None while they are sent."""
        self._spool = (
            None
            if settings.spool is None
            else Spool(
                Path(settings.spool).absolute(), target=target, max_bytes=settings.max_bytes, fsync=settings.fsync
            )
        )
        self._clear()
        self.adopt()

    def _clear(self) -> None:
        self._own: Store | None = None if self._spool else Memory()
        self._orphans: deque[Journal] = deque()
        self.hurried = 0
        """The number of callers that want batches to be sent at once."""
        self._settled = 0
        self._waiting_bytes = 0
        self._first_at: float | None = None
        self._adopted_at = self._synced_at = 0.0
        self._turn = False
        self._closed = False

    def put(self, content: bytes, wait_seconds: float) -> None:
        """Accept an event. Raises SpoolFull if there is no room within `wait_seconds`, and SpoolError."""
        deadline = time.monotonic() + wait_seconds
        with self.lock:
            store = self._store_with_room(len(content), deadline)
            end = store.append(content)
            self._waiting_bytes += len(content)
            if self._first_at is None or self._is_whole():
                self.changed.notify_all()
        store.secure(end)

    @property
    def pending(self) -> int:
        """The number of events that were put and are not settled."""
        return max(0, self.put_count - self._settled)

    @property
    def put_count(self) -> int:
        """How many events were put, as an argument of `has_settled`."""
        return 0 if self._own is None else self._own.count

    def has_settled(self, count: int) -> bool:
        """Whether the first `count` events, and all those taken over from other recorders, are stored or rejected."""
        return self._settled >= count and not self._orphans

    def due_seconds(self) -> float | None:
        """The seconds until the next batch should be sent; None if no event waits."""
        with self.lock:
            if self._orphans:
                return 0.0
            if not self.pending:
                return None
            if self._first_at is None:
                self._first_at = time.monotonic()
            if self._is_whole() or self.hurried:
                return 0.0
            return max(0.0, self._first_at + self.settings.batch_seconds - time.monotonic())

    def tend(self) -> None:
        """Do the regular work."""
        now = time.monotonic()
        if now > self._adopted_at + ADOPT_SECONDS:
            self.adopt()
        if self.settings.fsync == "second" and now > self._synced_at + 1 and self._own is not None:
            self._synced_at = now
            self._own.sync()

    def adopt(self) -> None:
        """Take over the journals whose owners are gone."""
        self._adopted_at = time.monotonic()
        if self._spool is None:
            return
        for journal in self._spool.orphans():
            if journal.is_empty:
                journal.close()
            else:
                logger.info("events that another recorder left in %s are sent now", journal.directory)
                with self.lock:
                    self._orphans.append(journal)
                    self.changed.notify_all()

    def take(self) -> Batch | None:
        """The next batch: our own events and those taken over have turns."""
        self._turn = not self._turn
        if self._orphans and (self._turn or not self.pending):
            journal = self._orphans[0]
            lines = journal.read(self.settings.batch_events, self.settings.batch_bytes)
            if lines:
                self._orphans.rotate()
                return Batch(journal, lines)
            with self.lock:
                self._orphans.popleft()
                journal.close()
                self.changed.notify_all()
        if self._own is None:
            return None
        lines = self._own.read(self.settings.batch_events, self.settings.batch_bytes)
        return Batch(self._own, lines) if lines else None

    def settle(self, store: Store, end: Place, count: int, size: int) -> None:
        """Note that the next `count` events of a store are stored or rejected."""
        store.advance(end)
        if self.last_error is not None:
            logger.info(
                "events are sent again"
            )  # without the lock: a thread that waits for it may hold a log handler's lock
            self.last_error = None
        with self.lock:
            if store is self._own:
                self._settled += count
                self._waiting_bytes -= size
                if not self.pending:
                    self._first_at, self._waiting_bytes = None, 0
            self.changed.notify_all()

    def refuse(self, content: bytes, error: SynapError) -> None:
        """Reject an event permanently. Raises OSError if that cannot be written."""
        rejected = Rejected.of(content, error)
        if self._spool is not None:
            self._spool.reject(rejected)
        self.rejected += 1
        logger.warning("event %s was rejected: %s: %s", rejected.event.get("id"), rejected.error, error.message)
        if self.settings.on_rejected is not None:
            try:
                self.settings.on_rejected(rejected)
            except Exception:  # noqa: BLE001 - the application's code must not end the sending of the rest
                logger.exception("on_rejected failed")

    def hold(self, error: SynapError) -> None:
        """Note that events wait because of `error`."""
        if self.last_error is None:
            logger.warning("events wait: %s: %s", type(error).__name__, error.message)
        self.last_error = error

    def fail(self, error: Exception) -> None:
        """Note that events wait although no call failed: the application did, for example when asked for a token."""
        if self.last_error is None:
            logger.error("events wait, because an error prevents sending them", exc_info=error)
        self.last_error = SynapError(f"sending failed: {type(error).__name__}: {error}")

    def close(self) -> None:
        """Close the stores. In a spool, unsent events wait for the next recorder; in memory they are rejected."""
        with self.lock:
            if self._closed:
                return
            self._closed = True
            self.changed.notify_all()
        if isinstance(self._own, Memory):
            for line in self._own.read(2**31, 2**62):
                self.refuse(
                    line.content, ConnectionLost("the recorder was closed before the server accepted it", sent=False)
                )
        elif self.pending:
            logger.warning("%d events wait in the spool for the next recorder", self.pending)
        if self._own is not None:
            self._own.sync()
            self._own.close()
        for journal in self._orphans:
            journal.close()

    def forked(self) -> None:
        """Reset in a forked child: the waiting events belong to the parent."""
        self._new_lock()
        for store in (self._own, *self._orphans):
            if isinstance(store, Journal):
                store.abandon()
        self._clear()

    def _new_lock(self) -> None:
        self.lock = threading.RLock()
        """Hold it by `with outbox.lock`: a signal handler that raises in `Condition.__enter__` leaves it locked."""
        self.changed = threading.Condition(self.lock)
        """Notified when an event is put, settled or taken over, and at the end."""

    def _store_with_room(self, size: int, deadline: float) -> Store:
        """Our own store, once it has room for `size` bytes. Raises SpoolFull and SpoolError."""
        while True:
            if self._closed:
                raise SpoolError("the recorder is closed")
            store = self._own_store()
            used = self._used(store)
            if used + size <= self.settings.max_bytes:
                return store
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._full(used)
            self.changed.wait(min(left, FULL_SECONDS))  # other processes make room without a notice

    def _own_store(self) -> Store:
        if self._own is None and self._spool is not None:
            self._use(self._spool.new_journal())
        assert self._own is not None  # noqa: S101 - there is a spool, or memory
        return self._own

    def _use(self, made: Journal) -> None:
        if self._own is None:
            self._own = made
        else:  # a signal handler that ran during this one's creation logged an event into another
            made.close()

    def _is_whole(self) -> bool:
        """Whether a batch has its maximum size."""
        return self.pending >= self.settings.batch_events or self._waiting_bytes >= self.settings.batch_bytes

    def _full(self, used: int) -> SpoolFull:
        where = "" if self._spool is None else f" in {self._spool.directory} (including what was rejected)"
        why = "" if self.last_error is None else f"; the server does not accept them: {self.last_error}"
        return SpoolFull(f"{used} bytes wait{where}, but the maximum is {self.settings.max_bytes}{why}")

    def _used(self, store: Store) -> int:
        beside = 0
        if self._spool is not None:
            beside = self._spool.size_beside(store if isinstance(store, Journal) else None)
        return store.size + beside


class Send(Struct, frozen=True):
    """Asks to send a call. The answer is None, or the failure."""

    call: Call[Any]


class Pause(Struct, frozen=True):
    """Asks to wait, unless the recorder ends."""

    seconds: float


Step = Send | Pause

PROBE: Call[Any] = Call("events.validate", {"type": "synap-client.probe", "data": {}}, Raw, safe=True)
"""A call that shows whether the key may log at all. It changes nothing."""


class _Part(Struct):
    """A part of a batch: the events still to send, its end, and its size."""

    lines: list[Line]
    end: Place
    count: int
    size: int

    @classmethod
    def of(cls, lines: list[Line]) -> "_Part":
        return cls(lines, lines[-1].end, len(lines), sum(len(line.content) for line in lines))


def deliver(outbox: Outbox, batch: Batch) -> Generator[Step, SynapError | None, None]:
    """Send a batch to the server in order, until each event is stored or rejected.

    An event that the server rejects permanently is set aside and delays no other. If the events are not at fault (no
    connection, no room, an invalid key, a defect), they wait as long as it takes.
    """
    parts = [_Part.of(batch.lines)]
    attempt, may_log = 0, False
    while parts:
        part = parts[-1]
        error = (yield Send(_log_batch(part.lines))) if part.lines else None
        if isinstance(error, Forbidden):
            could_log, may_log = may_log, (yield Send(PROBE)) is None
            if may_log and not could_log:
                continue  # the key may have been replaced before the probe
        try:
            if error is None:
                pass
            elif (places := blamed(error, part.lines, may_log=may_log)) is None:
                outbox.hold(error)
                yield Pause(backoff_seconds(attempt, outbox.settings.max_backoff_seconds, error))
                attempt += 1
                continue
            elif not places:
                middle = len(part.lines) // 2
                # The end and the size of the whole belong to the second half.
                first = _Part.of(part.lines[:middle])
                parts[-1:] = [
                    _Part(part.lines[middle:], part.end, part.count - first.count, part.size - first.size),
                    first,
                ]
                continue
            else:
                for done, place in enumerate(places):
                    outbox.refuse(part.lines[place - done].content, of_one(error, place))
                    del part.lines[
                        place - done
                    ]  # so that it is not rejected twice if the next rejection cannot be written
                if part.lines:
                    continue
            outbox.settle(batch.store, part.end, part.count, part.size)
            parts.pop()
            attempt = 0
        except OSError as failed:  # the disk failed: the rejections that could not be written are repeated
            outbox.hold(SpoolError(f"the spool cannot be written: {failed}"))
            yield Pause(backoff_seconds(attempt, outbox.settings.max_backoff_seconds))
            attempt += 1


def _log_batch(lines: list[Line]) -> Call[Any]:
    return Call(
        "events.logBatch", b'{"events":[%b]}' % b",".join([line.content for line in lines]), list[Raw], safe=True
    )
