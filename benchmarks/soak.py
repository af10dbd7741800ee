"""Many readers of one server for some time: each must get every event once and in order.

It prints their lag and the server's memory. `make soak` runs it; it needs neither node nor wrk.
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks import database, machine
from benchmarks.contestants import our_process
from benchmarks.lag import check, lags, write
from benchmarks.readers import reading

MIB = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `soak`."""
    parser.add_argument("--readers", type=int, default=500, help="open streams (%(default)s)")
    parser.add_argument("--writers", type=int, default=4, help="connections that log (%(default)s)")
    parser.add_argument("--rate", type=int, default=20, help="events a second, of all writers (%(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="how long they log (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Run it and print the result. Raises BenchmarkError if a reader lost, doubled or misplaced an event."""
    events = arguments.rate * arguments.seconds
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        cluster = stack.enter_context(database.cluster())
        cluster.create_database("ours")
        server = stack.enter_context(our_process(cluster, workspace))
        server.probe()
        before = _memory(server.pid)
        stream = f"{server.url}/trpc/events.stream"
        with reading(stream, server.token, arguments.readers, field="seq") as readers:
            idle = _memory(server.pid)
            sent = write(
                server,
                events=events,
                rate=arguments.rate,
                writers=arguments.writers,
                place=lambda logged, _: int(logged["seq"]),
            )
            end = _memory(server.pid)
            received = readers.receipts(events)
        facts = {**machine.facts(), **cluster.facts()}
    check(received, sent)
    took = (max(event.answered_ns for event in sent.values()) - min(event.asked_ns for event in sent.values())) / 1e9
    lag = lags(received, {seq: event.answered_ns for seq, event in sent.items()})
    whole = lags(received, {seq: event.asked_ns for seq, event in sent.items()})
    print(
        f"{arguments.readers} readers got each of {events:,} events once and in order: "
        f"{events * arguments.readers:,} in {took:.0f} s."
    )
    for since, measured in (("answer", lag), ("request", whole)):
        print(
            f"{'lag after the ' + since:22} p50 {measured.p50_ms:.1f} ms, p90 {measured.p90_ms:.1f} ms, "
            f"p99 {measured.p99_ms:.1f} ms, longest {measured.max_ms:.1f} ms"
        )
    print(
        f"{'memory of the server':22} {before / MIB:.1f} MiB before, {idle / MIB:.1f} MiB with idle readers "
        f"({(idle - before) / arguments.readers / 1024:.1f} KiB each), {end / MIB:.1f} MiB at the end "
        f"({(end - before) / arguments.readers / 1024:.1f} KiB each)"
    )
    print()
    print(
        f"{arguments.writers} writers, {arguments.rate} events/s altogether; "
        "readers, server and database share this machine."
    )
    print(", ".join(f"{name} {value}" for name, value in facts.items()))


def _memory(pid: int) -> int:
    """The resident memory of a server's processes, in bytes."""
    server = psutil.Process(pid)
    return int(sum(process.memory_info().rss for process in (server, *server.children(recursive=True))))
