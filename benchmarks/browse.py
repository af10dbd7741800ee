"""Costs by the size of a log: calls in a small and a large log, then pages of `GET /api/events` in the largest.

`synap import` fills each log, which has its own server. The servers take turns.
"""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from app.sealing.cursors import Cursors
from app.store.install.secret import read_secret
from benchmarks import costs, database, machine
from benchmarks.browse_queries import LIMIT, Bounds, Door, Result, line, measure, queries
from benchmarks.contestants import Contestant, our_process
from benchmarks.database import Cluster
from benchmarks.errors import BenchmarkError
from benchmarks.filling import check_disk, fill
from benchmarks.trpc import Client
from schemas.errors import Unavailable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `browse`."""
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 1_000_000], metavar="EVENTS", help="of the log (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each call and log (%(default)s)")
    parser.add_argument("--requests", type=int, default=300, help="of each query at most (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="for each call, and each query at most (%(default)s)")
    parser.add_argument("--warm-up", type=int, default=2, metavar="SECONDS", help="before each call (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print two tables. Raises BenchmarkError if a query reads more rows than it may."""
    machine.program("wrk")  # fails before anything is started
    sizes = sorted(arguments.sizes)
    check_disk(sum(sizes))
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = stack.enter_context(database.cluster())
        logs = [filled(stack, cluster, workspace, size) for size in sizes]
        found = costs.measure(logs, arguments)
        print(", ".join(f"{name} {value}" for name, value in {**machine.facts(), **cluster.facts()}.items()))
        print("\n".join(costs.table(logs, found)))
        print(
            f"\n{sizes[-1]:,} events, {LIMIT} a page; at most {arguments.requests} requests or {arguments.seconds} s "
            "of each, one after the other; x is to the first page; server and database share this machine."
        )
        results = _pages(logs[-1], workspace, Bounds(arguments.requests, arguments.seconds))
    if failed := [result.query.name for result in results if result.verdict == "FAILED"]:
        raise BenchmarkError(f"More rows were met than three times what was shown, and a page: {', '.join(failed)}.")


def filled(stack: ExitStack, cluster: Cluster, workspace: Path, size: int) -> costs.Log:
    """Fill a log with so many events, on its own server."""
    name = f"log_{size}"
    cluster.create_database(name)
    server = stack.enter_context(our_process(cluster, workspace, name))
    fill(cluster, name, workspace / f"synap-{name}", size)
    _grow_tree(server)
    cluster.settle([name])
    return costs.opened(server, cluster, size)


def _grow_tree(server: Contestant) -> None:
    """Ask for a checkpoint, so that the tree over the events is complete before the server's work is measured."""
    client = Client(f"{server.url}/trpc", server.token)
    client.query("ledger.checkpoint", {})
    client.close()


def _pages(log: costs.Log, workspace: Path, bounds: Bounds) -> Sequence[Result]:
    """Run every query, and print a line for each."""
    server, cluster = log.server, log.cluster
    cursors = Cursors(read_secret(workspace / f"synap-{server.database}" / "install.secret"))
    results: list[Result] = []
    for query in queries(cluster, server.database):
        door = Door(server)  # a new connection, because the server closes idle ones while plans are examined
        try:
            results.append(measure(query, door, cluster.url(server.database), cursors, bounds))
            print(line(results[-1], results[0]), flush=True)
        except (BenchmarkError, Unavailable) as error:  # at the door, or in the database
            if query.held:
                raise
            print(f"{query.name:20} {error}", flush=True)
        finally:
            door.close()
    return results
