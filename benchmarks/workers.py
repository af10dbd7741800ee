"""`events.log` on servers of one and of several processes: into one workspace, and into eight.

Each server has a cluster of its own. They take turns, and are compared with the one of the fewest processes.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import psycopg
from msgspec.structs import replace

from app.store.install.workspaces import create_workspace
from benchmarks import database, machine
from benchmarks.calls import CALLS, SETTINGS, Call, Side, measured
from benchmarks.contestants import ours
from benchmarks.load import CONNECTIONS
from benchmarks.report import Figures

EVENTS = 1000
"""In each log that is measured alone, beforehand."""

WORKSPACES = [f"w{number}" for number in range(8)]

LOG_INTO = {
    1: replace(CALLS["log"], name="one workspace"),
    8: replace(CALLS["log"], name="eight workspaces", workspaces=WORKSPACES),
}
"""`events.log`, by the number of workspaces that it goes into."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what may be said after `workers`."""
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2, 4, 8], metavar="PROCESSES", help="of a server (%(default)s)"
    )
    parser.add_argument(
        "--workspaces", type=int, nargs="+", choices=LOG_INTO, default=list(LOG_INTO), help="at once (%(default)s)"
    )
    parser.add_argument("--seconds", type=int, default=5, help="length of a run, after its warm-up (%(default)s)")
    parser.add_argument("--warm-up", type=int, default=2, metavar="SECONDS", help="before each run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server and call (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print one table."""
    machine.program("wrk")  # before anything is started
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        sides = {workers: _started(stack, folder, workers) for workers in sorted(arguments.workers)}
        facts = machine.facts()
        for side in sides.values():
            facts |= side.cluster.facts() if side.cluster else {}
        calls = [LOG_INTO[workspaces] for workspaces in arguments.workspaces]
        found = {call.name: _rounds(call, sides, arguments) for call in calls}
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    print(
        f"{CONNECTIONS} connections, {arguments.seconds} s a run, median of {arguments.rounds}, no call failed; load, "
        "servers and databases share this machine."
    )
    print("\n".join(_table(found)))


def _started(stack: ExitStack, folder: Path, workers: int) -> Side:
    """A server of so many processes, which has the workspaces."""
    cluster = stack.enter_context(database.cluster())
    workspace = folder / str(workers)
    workspace.mkdir()
    server = stack.enter_context(ours(cluster, workspace, EVENTS, SETTINGS | {"SYNAP_WORKERS": str(workers)}))
    with psycopg.connect(cluster.url(server.database)) as connection:
        for slug in WORKSPACES:
            create_workspace(connection, slug)
    return Side(server, cluster)


def _rounds(call: Call, sides: Mapping[int, Side], arguments: argparse.Namespace) -> dict[int, Figures]:
    """The median of all runs, by the number of processes."""
    found: dict[int, list[Figures]] = {workers: [] for workers in sides}
    for turn in range(arguments.rounds):
        for workers, side in list(sides.items())[:: 1 if turn % 2 == 0 else -1]:
            if side.cluster:
                side.cluster.settle([side.server.database])
            found[workers].append(measured(call, side, arguments))
            rate = found[workers][-1].calls_per_second
            print(f"{call.name:18} {workers} processes {rate:10,.0f}/s", file=sys.stderr, flush=True)
    return {workers: Figures.median(runs) for workers, runs in found.items()}


def _table(found: Mapping[str, Mapping[int, Figures]]) -> Iterator[str]:
    """One line for each call and server."""
    yield (
        f"{'events.log into':18}{'processes':>10}{'calls/s':>10}{'ratio':>8}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'server us':>11}{'database us':>13}{'all us':>9}{'ratio':>8}{'WAL':>8}{'group':>7}"
    )
    for name, servers in found.items():
        first = next(iter(servers.values()))
        for workers, each in servers.items():
            yield (
                f"{name:18}{workers:10}{each.calls_per_second:10,.0f}"
                f"{each.calls_per_second / first.calls_per_second:7.2f}x{each.p50_ms:9.1f}{each.p99_ms:9.1f}"
                f"{each.server_us:11,.0f}{each.database_us:13,.0f}{each.total_us:9,.0f}"
                f"{each.total_us / first.total_us:7.2f}x{each.wal_bytes:8,.0f}{each.group:7.1f}"
            )
