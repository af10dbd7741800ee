"""tRPC procedures under load: log one event, get one by id, list the newest 100.

Noise is shared: the servers take turns, in changing order, against one PostgreSQL, and the median of the rounds is
printed. Reads come before writes, so that both servers read from equally many events.
"""

import argparse
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec

from benchmarks import database, machine
from benchmarks.contestants import CONTESTANTS, EVENT, Contestant
from benchmarks.load import CONNECTIONS, Load, measure

OPERATIONS = {"get": "events.get", "list": "events.list of 100", "log": "events.log"}
WARM_UP_SECONDS = 2

Results = dict[tuple[str, str], list[Load]]
"""Runs, by operation and contestant."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what may be said after `rpc`."""
    parser.add_argument("--only", choices=CONTESTANTS, help="measure one server, without a comparison")
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=list(OPERATIONS), metavar="OPERATION")
    parser.add_argument("--seconds", type=int, default=8, help="length of a run, after its warm-up (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server and operation (%(default)s)")
    parser.add_argument("--events", type=int, default=20_000, help="events in each log beforehand (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print one table."""
    machine.program("wrk")  # before anything is started
    names = [arguments.only] if arguments.only else list(CONTESTANTS)
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = stack.enter_context(database.cluster())
        servers = {name: stack.enter_context(CONTESTANTS[name](cluster, workspace, arguments.events)) for name in names}
        for server in servers.values():
            server.probe()
        results: Results = {}
        for operation in arguments.operations:
            for turn in range(arguments.rounds):
                for name in names if turn % 2 == 0 else reversed(names):
                    cluster.settle(list(servers))
                    load = _measure(operation, servers[name], workspace, arguments.seconds)
                    results.setdefault((operation, name), []).append(load)
                    print(f"{OPERATIONS[operation]:20} {servers[name].name:5} {_figures(load)}", flush=True)
        facts = {**machine.facts(), **cluster.facts()}
        if "peer" in servers:
            facts["node"] = machine.node_version()
    print()
    print("\n".join(_table(results, arguments.operations, names)))
    print()
    print(_summary(facts, arguments))


def _measure(operation: str, server: Contestant, workspace: Path, seconds: int) -> Load:
    """One run, after a warm-up that nobody looks at (except for its failures)."""
    ids, body = workspace / f"{server.name}.ids", workspace / "body.json"
    ids.write_text("\n".join(server.ids))
    body.write_bytes(msgspec.json.encode(EVENT))
    environment = {"TOKEN": server.token, "IDS": str(ids), "BODY": str(body)}
    measure(operation, server.url, seconds=WARM_UP_SECONDS, environment=environment)
    return measure(operation, server.url, seconds=seconds, environment=environment)


def _figures(load: Load) -> str:
    """One run in one line."""
    return f"{load.requests_per_second:10,.0f} req/s   p50 {load.p50_ms:7.1f} ms   p99 {load.p99_ms:7.1f} ms"


def _table(results: Results, operations: Iterable[str], names: list[str]) -> Iterable[str]:
    """Medians, one line per operation; a ratio above 1 is in our favour."""
    heads = {"peer": "node", "ours": "ours"}
    columns = "".join(f"{heads[name] + ' req/s':>14}{'p50 ms':>10}{'p99 ms':>10}" for name in names)
    compared = len(names) > 1
    yield f"{'operation':20}{columns}" + (f"{'ratio':>9}" if compared else "")
    for operation in operations:
        rates = {name: median(load.requests_per_second for load in results[operation, name]) for name in names}
        line = f"{OPERATIONS[operation]:20}"
        for name in names:
            p50 = median(load.p50_ms for load in results[operation, name])
            p99 = median(load.p99_ms for load in results[operation, name])
            line += f"{rates[name]:14,.0f}{p50:10.1f}{p99:10.1f}"
        yield line + (f"{rates['ours'] / rates['peer']:8.1f}x" if compared else "")


def _summary(facts: Mapping[str, str], arguments: argparse.Namespace) -> str:
    """How and where it was measured."""
    method = (
        f"{CONNECTIONS} connections, {arguments.seconds} s a run, median of {arguments.rounds}, "
        f"{arguments.events:,} events beforehand, no request failed; "
        "load, servers and database share this machine."
    )
    return f"{method}\n" + ", ".join(f"{name} {value}" for name, value in facts.items())
