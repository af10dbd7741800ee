"""What a server process counts, and how the processes of one machine show it to each other.

Counting adds to a dict, without locks, only in the thread of the event loop. Labels are never chosen by callers or
names of workspaces, so the number of series is limited.

Each process writes its counts to its own file once a second, so that any process can answer for all. No two share a
number: each takes the lowest that is free, so a restarted server uses the same numbers again.
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
"""How old the numbers of another process may be."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WAITS = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 604800.0)
EVENTS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)

Values = dict[tuple[str, ...], float]

logger = structlog.get_logger("synap.metrics")


class Counter:
    """A number that only grows, for each combination of its labels."""

    def __init__(self, name: str, help: str, *labels: str) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self.values: Values = {}
        if not labels:
            self.values[()] = 0.0  # shown even before anything is counted

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Add to the number."""
        self.values[labels] = self.values.get(labels, 0.0) + by

    def set(self, value: float, *labels: str) -> None:
        """Set the number to what another component has counted."""
        self.values[labels] = value


class Gauge(Counter):
    """A number that goes up and down. It is set when the metrics are read."""


class Histogram:
    """How many observations were at most as large as each bound, with their number and sum."""

    def __init__(self, name: str, help: str, *labels: str, bounds: tuple[float, ...] = SECONDS) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self.bounds = bounds
        self.values: dict[tuple[str, ...], list[float]] = {}
        """By labels: the observations from each bound down to the one before, those beyond the last, and the sum."""
        if not labels:
            self.values[()] = [0.0] * (len(bounds) + 2)

    def observe(self, value: float, *labels: str) -> None:
        """Add one observation."""
        counts = self.values.get(labels)
        if counts is None:
            counts = self.values[labels] = [0.0] * (len(self.bounds) + 2)
        counts[bisect_left(self.bounds, value)] += 1
        counts[-1] += value


CALLS = Counter("synap_calls", "Calls of procedures that have ended.", "procedure", "kind", "code")
CALL_SECONDS = Histogram(
    "synap_call_duration_seconds", "From reading a call to its answer; for a stream, to its start.", "procedure"
)
UNAUTHORIZED = Counter("synap_unauthorized", "Calls without a valid token.")
FAILURES = Counter("synap_failures", "Requests that failed outside a procedure by a fault of the server.", "door")
RATE_LIMITED = Counter("synap_rate_limited", "Calls that a rate limit rejected.", "allowance")

APPENDED = Counter("synap_events_appended", "Events that were stored, in any workspace.")
GROUP_EVENTS = Histogram("synap_commit_events", "Events of one transaction.", bounds=EVENTS)
GROUP_SECONDS = Histogram(
    "synap_commit_duration_seconds", "One group commit, from asking for a connection to the commit."
)
DECIDED_SECONDS = Histogram(
    "synap_intent_decision_seconds",
    "The time from an intent to its decision by a caller, by decision.",
    "decision",
    bounds=WAITS,
)
WITNESS_ANSWERS = Counter(
    "synap_witness_answers", "Answers of the witnesses of _node, by witness and answer.", "witness", "answer"
)
WITNESS_ALARMS = Gauge("synap_witness_alarms", "Witnesses that say that _node has another history.")
WITNESS_BEHIND = Gauge("synap_witness_behind_events", "Events of _node that no quorum of witnesses has cosigned yet.")
OUTCOMES = Counter("synap_intent_outcomes", "Outcomes of started intents, by outcome.", "outcome")

QUEUED_EVENTS = Gauge("synap_append_queue_events", "Events that are accepted but not yet committed.")
QUEUED_BYTES = Gauge("synap_append_queue_bytes", "Bytes of the events that are accepted but not yet committed.")

FEED_SECONDS = Histogram(
    "synap_feed_lag_seconds",
    "From storing an event until the streams of this process could read it, by the clocks of both.",
)
FEED_EVENTS = Gauge("synap_feed_lag_events", "Events that the furthest reader of this process is behind its log.")
STREAMS = Gauge("synap_streams", "Streams that are open, over any door, and calls that wait.")
CONNECTIONS = Gauge("synap_live_connections", "Connections that stay open: event streams and sockets.")

ATTEMPTS = Counter("synap_delivery_attempts", "Posts to webhooks, by outcome.", "outcome")
ATTEMPT_SECONDS = Histogram("synap_delivery_attempt_duration_seconds", "One post to a webhook.")
POSTS = Gauge("synap_delivery_posts", "Posts to webhooks that run now.")

POOL = Gauge("synap_database_connections", "Connections of the pool, by state.", "state")
POOL_WAITING = Gauge("synap_database_waiting", "Requests that wait for a connection of the pool.")
POOL_WAITED = Counter("synap_database_waited_seconds", "Total time of waiting for connections of the pool.")
POOL_REFUSED = Counter("synap_database_refused", "Requests that did not get a connection of the pool in time.")

DISK_FREE = Gauge("synap_disk_free_bytes", "Free space on the disk of the embedded database.", "disk")

LOOP_SECONDS = Gauge("synap_event_loop_lag_seconds", "How late the process was when it last wrote its numbers.")

INSTRUMENTS: tuple[Counter | Histogram, ...] = (
    CALLS,
    CALL_SECONDS,
    UNAUTHORIZED,
    FAILURES,
    RATE_LIMITED,
    APPENDED,
    GROUP_EVENTS,
    GROUP_SECONDS,
    DECIDED_SECONDS,
    OUTCOMES,
    WITNESS_ANSWERS,
    WITNESS_ALARMS,
    WITNESS_BEHIND,
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
    DISK_FREE,
    LOOP_SECONDS,
)


class Snapshot(Struct, frozen=True):
    """The counts of one process at a time (`at`, in seconds since 1970), with its number. `values` is by instrument."""

    number: int
    pid: int
    at: float
    values: dict[str, list[tuple[list[str], float | list[float]]]]


class Board:
    """The folder in which processes share their numbers. `open` it before use, `close` it at the end."""

    def __init__(self, folder: Path, measure: Callable[[], None]) -> None:
        """`measure` sets the gauges."""
        self._folder = folder
        self._measure = measure
        self._number = -1
        self._lock: int | None = None
        self._writing: asyncio.Task[None] | None = None
        self._one_writes = asyncio.Lock()

    def open(self) -> None:
        """Start. If the folder cannot be written, only the other processes' view of this one is lost."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                self._number, self._lock = next(self._free(folder))
                # The numbers of a process that died would be taken for those of this one, until it writes its own.
                with suppress(FileNotFoundError):
                    os.unlink(self._file(self._number).name, dir_fd=folder)
            finally:
                os.close(folder)
        except OSError as error:
            logger.warning("the metrics of this process cannot be shared", reason=error.strerror)
            return
        self._writing = asyncio.create_task(self._write_on())

    async def close(self) -> None:
        """Stop: this process is no longer shown."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._lock is not None:
            with suppress(OSError):
                self._file(self._number).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    async def all(self) -> list[Snapshot]:
        """The counts of every process: this one's as of now, the others' as last written.

        Each snapshot is written before it is returned, so the next scrape never shows smaller counts.
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
        """The free numbers of an open folder, each with the lock that reserves it."""
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
        """Whether the process that wrote this file still runs: its lock ends with it."""
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
        """Write regularly."""
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
                with suppress(OSError):  # the disk may be full: the others see the last numbers and their age
                    content = msgspec.json.encode(own)
                    await asyncio.to_thread(replace_file, self._file(self._number), content, durable=False)
        return own


_decoder = msgspec.json.Decoder(Snapshot)


def summed(snapshots: Sequence[Snapshot], instrument: Counter, *labels: str) -> float:
    """The sum of a number over processes, for one combination of its labels."""
    return sum(_numbers(snapshots, instrument, labels))


def largest(snapshots: Sequence[Snapshot], instrument: Counter, *labels: str) -> float:
    """The largest of a number of several processes, for one combination of its labels."""
    return max(_numbers(snapshots, instrument, labels), default=0.0)


def _numbers(snapshots: Sequence[Snapshot], instrument: Counter, labels: tuple[str, ...]) -> Iterator[float]:
    for snapshot in snapshots:
        for own, value in snapshot.values.get(instrument.name, []):
            if tuple(own) == labels and not isinstance(value, list):
                yield value


def cumulative(instrument: Histogram, counts: Sequence[float]) -> tuple[list[tuple[str, float]], float]:
    """A histogram's buckets in Prometheus's form, each including all smaller ones, and its sum."""
    buckets, below = [], 0.0
    for bound, number in zip([*map(repr, instrument.bounds), "+Inf"], counts, strict=False):
        below += number
        buckets.append((bound, below))
    return buckets, counts[-1]
