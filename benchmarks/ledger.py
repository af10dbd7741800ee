"""The ledger: exports compared with COPY of the same rows, the server's memory meanwhile, and the time of a proof.

The proof is timed on a log of one batch and on the whole log, because its cost must not grow with the log.
"""

import argparse
import http.client
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks import database, machine
from benchmarks.contestants import LARGEST_BATCH, Contestant, our_process, seed
from benchmarks.database import Cluster
from benchmarks.errors import BenchmarkError
from benchmarks.trpc import Client

PROOFS = 50

COPY = "COPY (SELECT * FROM event WHERE workspace_id = 'default' ORDER BY seq) TO STDOUT"
"""The limit of the database alone: the same rows in its own text format."""

SAMPLE_SECONDS = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `ledger`."""
    parser.add_argument("--events", type=int, default=100_000, help="in the log that is exported (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="exports, and copies (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = stack.enter_context(database.cluster())
        cluster.create_database("ours")
        server = stack.enter_context(our_process(cluster, workspace))
        seed(server, LARGEST_BATCH)
        small = _proofs(server, LARGEST_BATCH)
        seed(server, arguments.events - LARGEST_BATCH)
        first = _proofs(server, arguments.events, count=1)
        large = _proofs(server, arguments.events)
        cluster.settle(["ours"])
        exports, copies, grown = [], [], 0
        for _ in range(arguments.rounds):
            copies.append(_copied(cluster))
            with _watching(server) as seen:
                exports.append(_exported(server, arguments.events))
            grown = max(grown, seen[-1])
        facts = {**machine.facts(), **cluster.facts()}
    export, copy = arguments.events / median(exports), arguments.events / median(copies)
    print(f"export         {export:12,.0f} events/s   {export / copy:5.2f}x of COPY, {copy:,.0f} rows/s")
    print(f"memory         {grown / 2**20:12,.1f} MiB more in the server while it exports")
    print(f"ledger.proof   {small:12,.2f} ms at {LARGEST_BATCH:,} events (median of {PROOFS})")
    print(f"               {large:12,.2f} ms at {arguments.events:,} events   {large / small:5.2f}x")
    print(f"               {first:12,.2f} ms the first one")
    print(", ".join(f"{name} {value}" for name, value in facts.items()))


def _proofs(server: Contestant, events: int, *, count: int = PROOFS) -> float:
    """The median milliseconds of a proof of any event in a log of `events` events."""
    client = Client(f"{server.url}/trpc", server.token)
    ids = [event["id"] for event in client.query("events.list", {"limit": count, "offset": events // 2})]
    times = []
    for id_ in ids:
        started = time.perf_counter()
        answer = client.query("ledger.proof", {"eventId": id_})
        times.append((time.perf_counter() - started) * 1000)
        if answer["checkpoint"]["size"] != events:
            raise BenchmarkError(f"The checkpoint is of {answer['checkpoint']['size']} events, not of {events}.")
    client.close()
    return median(times)


def _exported(server: Contestant, events: int) -> float:
    """The seconds of one export that is read as fast as possible."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=600)
    started = time.perf_counter()
    connection.request("GET", "/ledger/v1/events/export", headers={"authorization": f"Bearer {server.token}"})
    response = connection.getresponse()
    lines, end = 0, b""
    while piece := response.read(2**18):
        lines += (end[-1:] + piece).count(b"\n{")
        end = (end + piece)[-4096:]
    elapsed = time.perf_counter() - started
    connection.close()
    if lines != events or f'"count":{events},'.encode() not in end:
        raise BenchmarkError(f"The export has {lines} events, not {events}.")
    return elapsed


def _copied(cluster: Cluster) -> float:
    """The seconds of the COPY."""
    with cluster.connect("ours") as connection, connection.cursor() as cursor:
        started = time.perf_counter()
        with cursor.copy(COPY) as copy:
            for _ in copy:
                pass
        return time.perf_counter() - started


@contextmanager
def _watching(server: Contestant) -> Iterator[list[int]]:
    """Yield a list, whose last element is by how many bytes the server's memory grows at most during the block."""
    processes: list[Any] = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
    before = sum(process.memory_info().rss for process in processes)
    most, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_SECONDS):
            most.append(max(most[-1], sum(process.memory_info().rss for process in processes) - before))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()
