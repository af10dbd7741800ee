"""Live streams: the time from an event's answer to each of many readers, in the writer's process and in another.

One writer logs at a modest rate, so that latency is measured, not throughput: the peer needs tens of milliseconds to
send one event to 200 readers, and falls behind at twice this rate. The servers take turns in changing order, and the
median of the rounds is printed.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec

from benchmarks import database, machine
from benchmarks.contestants import Contestant, node_process, our_process
from benchmarks.lag import Lag, check, lags, write
from benchmarks.readers import reading

WAYS = {"same": "through one process", "other": "through another process"}
"""Whether readers use the process of the writer, or another process on the same database."""

NAMES = ("node", "ours")

WARM_UP_EVENTS = 20
"""The first events of a run, which are checked but not measured."""


class Run(msgspec.Struct, frozen=True):
    """The result of one run."""

    after_request: Lag
    after_answer: Lag


Results = dict[tuple[str, str], list[Run]]
"""Runs, by way and name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `live`."""
    parser.add_argument("--readers", type=int, default=200, help="open streams (%(default)s)")
    parser.add_argument("--rate", type=int, default=10, help="events a second (%(default)s)")
    parser.add_argument("--seconds", type=int, default=10, help="length of a run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server and way (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print one table."""
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = stack.enter_context(database.cluster())
        for name in NAMES:
            cluster.create_database(name)
        alone = stack.enter_context(node_process(cluster, workspace))
        peers = [stack.enter_context(node_process(cluster, workspace, notices=True)) for _ in range(2)]
        ours = [stack.enter_context(our_process(cluster, workspace)) for _ in range(2)]
        ends: dict[tuple[str, str], tuple[Contestant, Contestant]] = {
            ("same", "node"): (alone, alone),
            ("same", "ours"): (ours[0], ours[0]),
            ("other", "node"): (peers[0], peers[1]),
            ("other", "ours"): (ours[0], ours[1]),
        }
        results: Results = {}
        for way, described in WAYS.items():
            for turn in range(arguments.rounds):
                for name in NAMES if turn % 2 == 0 else reversed(NAMES):
                    cluster.settle(list(NAMES))
                    measured = _measure(*ends[way, name], arguments)
                    results.setdefault((way, name), []).append(measured)
                    print(f"{described:24} {name:5} {_figures(measured)}", flush=True)
        facts = {**machine.facts(), **cluster.facts(), "node": machine.node_version()}
    print()
    print("\n".join(_table(results)))
    print()
    print(
        f"{arguments.readers} readers, {arguments.rate} events/s from one writer for {arguments.seconds} s a run, "
        f"median of {arguments.rounds}; every reader got each event once, in order; "
        "readers, servers and database share this machine."
    )
    print(", ".join(f"{name} {value}" for name, value in facts.items()))


def _measure(writing: Contestant, read: Contestant, arguments: argparse.Namespace) -> Run:
    """Measure one run with readers at one server and a writer at the other."""
    events = WARM_UP_EVENTS + arguments.rate * arguments.seconds
    with reading(f"{read.url}/trpc/events.stream", read.token, arguments.readers, field="number") as readers:
        sent = write(writing, events=events, rate=arguments.rate, place=lambda _, number: number)
        received = readers.receipts(events)
    check(received, sent)
    counted = {number: event for number, event in sent.items() if number >= WARM_UP_EVENTS}
    return Run(
        after_request=lags(received, {number: event.asked_ns for number, event in counted.items()}),
        after_answer=lags(received, {number: event.answered_ns for number, event in counted.items()}),
    )


def _figures(measured: Run) -> str:
    """One run in one line."""
    after, whole = measured.after_answer, measured.after_request
    return (
        f"after the answer p50 {after.p50_ms:6.1f} ms  p99 {after.p99_ms:6.1f} ms   "
        f"after the request p50 {whole.p50_ms:6.1f} ms  p99 {whole.p99_ms:6.1f} ms"
    )


def _table(results: Results) -> Iterator[str]:
    """The medians, two lines for each way. If a ratio is above 1, our server is faster."""
    columns = "".join(f"{name + ' p50 ms':>14}{'p99 ms':>10}" for name in NAMES)
    yield f"{'written and read':45}{columns}{'ratio':>9}"
    for way, described in WAYS.items():
        for since in ("answer", "request"):
            line, p50s = f"{described + ', after the ' + since:45}", {}
            for name in NAMES:
                found: list[Lag] = [getattr(one, f"after_{since}") for one in results[way, name]]
                p50s[name] = median(lag.p50_ms for lag in found)
                line += f"{p50s[name]:14.1f}{median(lag.p99_ms for lag in found):10.1f}"
            # A ratio of times that may be negative has no meaning.
            yield line + (f"{p50s['node'] / p50s['ours']:8.1f}x" if since == "request" else "")
