"""What a server process counts of itself, and how the processes of one machine show it to each other.

Counting is adding to a dict: without locks, for the thread of the event loop alone. Nothing that a caller chooses is a
label, nor is a workspace: there is a bounded number of series.

Each process writes what it has counted into a file beside the others' once a second, so whichever of them is asked
answers for all. No two share a number: each has its own, the lowest that is free, and so after a restart the same ones
are taken again.
"""

import asyncio
import fcntl
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from app.files import replace_file

WRITE_SECONDS = 1.0
"""How old the numbers of another process than the one that is asked may be."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
EVENTS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)

Values = dict[tuple[str, ...], float]

logger = structlog.get_logger("synap.metrics")


class Counter:
    """What only grows: a number for each combination of its labels."""

    def __init__(self, name: str, help: str, *labels: str) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self.values: Values = {}
        if not labels:
            self.values[()] = 0.0  # shown before anything was counted

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Count."""
        self.values[labels] = self.values.get(labels, 0.0) + by

    def set(self, value: float, *labels: str) -> None:
        """Tell what somebody else has counted."""
        self.values[labels] = value


class Gauge(Counter):
    """What goes up and down: set when it is looked at."""


class Histogram:
    """How many observations were at most as large as each bound; their number and sum."""

    def __init__(self, name: str, help: str, *labels: str, bounds: tuple[float, ...] = SECONDS) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self.bounds = bounds
        self.values: dict[tuple[str, ...], list[float]] = {}
        """By labels: how many fell between each bound and the one before, beyond the last one, and then the sum."""
        if not labels:
            self.values[()] = [0.0] * (len(bounds) + 2)

    def observe(self, value: float, *labels: str) -> None:
        """Take note of one."""
        counts = self.values.get(labels)
        if counts is None:
            counts = self.values[labels] = [0.0] * (len(self.bounds) + 2)
        counts[bisect_left(self.bounds, value)] += 1
        counts[-1] += value


CALLS = Counter("synap_calls", "Calls of procedures that have ended.", "procedure", "kind", "code")
CALL_SECONDS = Histogram(
    "synap_call_duration_seconds", "From when a call was read to its answer; of a stream, to its start.", "procedure"
)
UNAUTHORIZED = Counter("synap_unauthorized", "Calls without a valid token.")
FAILURES = Counter("synap_failures", "Requests that failed outside a procedure by a fault of the server.", "door")
RATE_LIMITED = Counter("synap_rate_limited", "Calls that were refused by a rate limit.", "allowance")

APPENDED = Counter("synap_events_appended", "Events that were stored, in any workspace.")
GROUP_EVENTS = Histogram("synap_commit_events", "Events of one transaction.", bounds=EVENTS)
GROUP_SECONDS = Histogram(
    "synap_commit_duration_seconds", "One group commit, from asking for a connection to the commit."
)
QUEUED_EVENTS = Gauge("synap_append_queue_events", "Events that were accepted and are not yet committed.")
QUEUED_BYTES = Gauge("synap_append_queue_bytes", "The same, in bytes.")

FEED_SECONDS = Histogram(
    "synap_feed_lag_seconds",
    "From when an event was stored until it was at hand for the streams of this process, by the clocks of both.",
)
FEED_EVENTS = Gauge("synap_feed_lag_events", "Events that the furthest reader of this process is behind its log.")
STREAMS = Gauge("synap_streams", "Streams that are open, over any door.")
CONNECTIONS = Gauge("synap_live_connections", "Connections that stay open: event streams and sockets.")

ATTEMPTS = Counter("synap_delivery_attempts", "Posts to webhooks: delivered, or as they failed.", "outcome")
ATTEMPT_SECONDS = Histogram("synap_delivery_attempt_duration_seconds", "One post to a webhook.")
POSTS = Gauge("synap_delivery_posts", "Posts to webhooks that are under way.")

POOL = Gauge("synap_database_connections", "Connections of the pool, as they are used.", "state")
POOL_WAITING = Gauge("synap_database_waiting", "Who waits for a connection of the pool.")
POOL_WAITED = Counter("synap_database_waited_seconds", "Waited for connections of the pool, in all.")
POOL_REFUSED = Counter("synap_database_refused", "Who waited in vain for a connection of the pool.")

LOOP_SECONDS = Gauge("synap_event_loop_lag_seconds", "How late the process was when it last wrote its numbers down.")

INSTRUMENTS: tuple[Counter | Histogram, ...] = (
    CALLS,
    CALL_SECONDS,
    UNAUTHORIZED,
    FAILURES,
    RATE_LIMITED,
    APPENDED,
    GROUP_EVENTS,
    GROUP_SECONDS,
    QUEUED_EVENTS,
    QUEUED_BYTES,
    FEED_SECONDS,
    FEED_EVENTS,
    STREAMS,
    CONNECTIONS,
    ATTEMPTS,
    ATTEMPT_SECONDS,
    POSTS,
    POOL,
    POOL_WAITING,
    POOL_WAITED,
    POOL_REFUSED,
    LOOP_SECONDS,
)


class Snapshot(Struct, frozen=True):
    """What one process has counted, when (in seconds since 1970), and its number: `values` is by instrument."""

    number: int
    pid: int
    at: float
    values: dict[str, list[tuple[list[str], float | list[float]]]]


class Board:
    """Where the processes that share a folder show their numbers. `open` it before use, `close` it at the end."""

    def __init__(self, folder: Path, measure: Callable[[], None]) -> None:
        """`measure` sets the gauges."""
        self._folder = folder
        self._measure = measure
        self._number = -1
        self._lock: int | None = None
        self._writing: asyncio.Task[None] | None = None
        self._one_writes = asyncio.Lock()

    def open(self) -> None:
        """Begin. A folder that cannot be written costs the others' view of this process, and nothing else."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                self._number, self._lock = next(self._free(folder))
            finally:
                os.close(folder)
        except OSError as error:
            logger.warning("the numbers of this process are not shared", reason=error.strerror)
            return
        self._writing = asyncio.create_task(self._write_on())

    async def close(self) -> None:
        """End: this process is not shown any more."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._lock is not None:
            with suppress(OSError):
                self._file(self._number).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    async def all(self) -> list[Snapshot]:
        """What every process has counted: this one until now, the others when they last wrote.

        What is told here is written first: whoever is asked next, of no process less is told than before.
        """
        return [await self._write(), *await asyncio.to_thread(self._others)]

    def _own(self) -> Snapshot:
        self._measure()
        values = {each.name: [(list(labels), value) for labels, value in each.values.items()] for each in INSTRUMENTS}
        return Snapshot(self._number, os.getpid(), time.time(), values)

    def _others(self) -> list[Snapshot]:
        found = []
        for path in sorted(self._folder.glob("*.json")):
            if path != self._file(self._number) and self._is_alive(path):
                with suppress(OSError, msgspec.MsgspecError):
                    found.append(_decoder.decode(path.read_bytes()))
        return found

    def _free(self, folder: int) -> Iterator[tuple[int, int]]:
        """The numbers that nobody has in an open folder, and the locks that make them ours."""
        for number in count():
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            lock = os.open(f"{number}.lock", flags, 0o600, dir_fd=folder)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            else:
                yield number, lock

    def _is_alive(self, path: Path) -> bool:
        """Whether the process that wrote there still runs: a lock ends with the process that holds it."""
        try:
            lock = os.open(path.with_suffix(".lock"), os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.json"

    async def _write_on(self) -> None:
        """Write again and again."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + WRITE_SECONDS
            await self._write()
            await asyncio.sleep(due - loop.time())
            LOOP_SECONDS.set(max(loop.time() - due, 0.0))

    async def _write(self) -> Snapshot:
        async with self._one_writes:
            own = self._own()
            if self._lock is not None:
                with suppress(OSError):  # a disk that is full: the others see what was written last, and how old it is
                    content = msgspec.json.encode(own)
                    await asyncio.to_thread(replace_file, self._file(self._number), content, durable=False)
        return own


_decoder = msgspec.json.Decoder(Snapshot)


def cumulative(instrument: Histogram, counts: Sequence[float]) -> tuple[list[tuple[str, float]], float]:
    """A histogram's buckets as they are told (each with all that are smaller), and its sum."""
    buckets, below = [], 0.0
    for bound, number in zip([*map(repr, instrument.bounds), "+Inf"], counts, strict=False):
        below += number
        buckets.append((bound, below))
    return buckets, counts[-1]
