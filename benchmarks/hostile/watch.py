"""Watches a server while it is attacked: its freezes, its memory, and the pace of a well-behaved caller."""

import http.client
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil
from msgspec import Struct

from benchmarks.contestants import EVENT
from benchmarks.errors import BenchmarkError
from benchmarks.hostile.target import Target
from benchmarks.trpc import Client

PAUSE_SECONDS = 0.005
"""The pause between two requests of one watcher, if the times matter."""

GIVEN_UP_SECONDS = 60
"""The watcher does not wait longer for a freeze to end."""


class Watched(Struct, frozen=True, kw_only=True):
    """The observations."""

    freeze_ms: float
    """The longest wait for `GET /healthz`."""
    most_bytes: int
    """The maximum resident memory of the server's processes."""
    seconds: float
    writes: int
    reads: int
    """The calls of the neighbour."""
    refused: int
    """Calls of the neighbour that failed."""

    @property
    def writes_per_second(self) -> float:
        """The neighbour's pace."""
        return self.writes / self.seconds

    @property
    def reads_per_second(self) -> float:
        """The neighbour's pace."""
        return self.reads / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """The observations by name."""
        return msgspec.structs.asdict(self)


def idle_bytes(pid: int) -> int:
    """The memory of the server's processes now."""
    return sum(map(_resident, _processes_of(pid)))


class Watch:
    """A process that watches a server."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def result(self) -> Watched:
        """Stop watching, and return the observations."""
        self._pipe.send(None)
        if not self._pipe.poll(GIVEN_UP_SECONDS + 30):
            raise BenchmarkError("The watchers did not end.")
        seen: Watched = self._pipe.recv()
        return seen


@contextmanager
def watching(attacked: Target, *, pause: float = PAUSE_SECONDS) -> Iterator[Watch]:
    """Watch during the block, within which the result must be requested.

    `pause` is the time between two requests of one watcher.
    """
    ours, theirs = multiprocessing.Pipe()
    process = _processes().Process(target=_watch, args=(theirs, attacked, pause))
    process.start()
    try:
        ours.recv()
        yield Watch(ours)
    finally:
        process.kill()
        process.join()


class _Watchers:
    """The threads of the watching process."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.ended = threading.Event()
        self.waits = [0.0]
        self.held = [0]
        self.done = {"write": 0, "read": 0}
        self.refused = 0

    def probe(self, url: str) -> None:
        """Request `/healthz` repeatedly."""
        parts = urlsplit(url)
        while not self.ended.is_set():
            asked = time.perf_counter()
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=GIVEN_UP_SECONDS)
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            except OSError:
                self.refused += 1
            finally:
                connection.close()
            self.waits.append(time.perf_counter() - asked)
            self.ended.wait(self.pause)

    def weigh(self, pid: int) -> None:
        """Measure the memory repeatedly. The processes are looked up once, because that reads all of the machine's."""
        processes = _processes_of(pid)
        while not self.ended.is_set():
            self.held.append(sum(map(_resident, processes)))
            time.sleep(4 * PAUSE_SECONDS)

    def work(self, kind: str, call: Callable[[], object]) -> None:
        """Call repeatedly."""
        while not self.ended.is_set():
            try:
                call()
                self.done[kind] += 1
            except (BenchmarkError, OSError, http.client.HTTPException):
                self.refused += 1
            self.ended.wait(self.pause)


@cache
def _processes() -> ForkServerContext:
    """Starts processes from one that has imported this module, and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _watch(pipe: Connection, attacked: Target, pause: float) -> None:
    """Run the watchers in a process of their own."""
    watchers = _Watchers(pause)
    writer, reader = (Client(f"{attacked.url}/trpc", attacked.neighbour) for _ in range(2))
    asked = {"eventId": attacked.event_id}
    threads = [
        threading.Thread(target=watchers.probe, args=(attacked.url,), daemon=True),
        threading.Thread(target=watchers.weigh, args=(attacked.pid,), daemon=True),
        threading.Thread(
            target=watchers.work, args=("write", lambda: writer.mutation("events.log", EVENT)), daemon=True
        ),
        threading.Thread(target=watchers.work, args=("read", lambda: reader.query("events.get", asked)), daemon=True),
    ]
    writer.mutation("events.log", EVENT)
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    pipe.send(None)
    pipe.recv()
    watchers.ended.set()
    for thread in threads:
        thread.join(GIVEN_UP_SECONDS)
    seconds = time.perf_counter() - started
    pipe.send(
        Watched(
            freeze_ms=max(watchers.waits) * 1000,
            most_bytes=max(watchers.held),
            seconds=seconds,
            writes=watchers.done["write"],
            reads=watchers.done["read"],
            refused=watchers.refused,
        )
    )


def _processes_of(pid: int) -> list[psutil.Process]:
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]


def _resident(process: psutil.Process) -> int:
    try:
        held: int = process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0
    return held
