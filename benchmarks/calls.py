"""Every kind of call under load, compared with the same call of a plain node server, and appends compared with UmaDB.

The servers share noise: they take turns in changing order, each with its own PostgreSQL, and the median of the rounds
counts. Reads run before writes, so that all servers read from equally many events. Processor time is that of the
processes of server and database during a run, divided by its calls. A busy machine affects it less than rates.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from benchmarks import database, machine, report, umadb_peer
from benchmarks.contestants import EVENT, Contestant, node, ours
from benchmarks.database import Cluster
from benchmarks.errors import Missing
from benchmarks.lag import check, lags, write
from benchmarks.load import CONNECTIONS, Load, Request, measure
from benchmarks.readers import reading
from benchmarks.report import Figures, Report
from benchmarks.usage import Usage, used

SERVERS = ("ours", "node", "umadb")
SETTINGS = {"SYNAP_RATE_PUBLISH": "0"}
"""Lifts the publish door's limit, which is far below the measured rates."""

READERS, EVENTS_PER_SECOND = 200, 10
"""The readers and the rate of the stream. The node peer needs tens of milliseconds to send one event to 200 readers."""

BATCH = 100


ANY_ID = "any-id"
"""A placeholder in a path for the id of any stored event."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of call: its path, the servers that have it, and how many events it appends.

    Without a path it is a stream.
    """

    name: str
    path: str = ""
    body: Any = None
    appends: int = 0
    servers: Sequence[str] = ("ours",)
    workspaces: Sequence[str] = ()
    """The workspaces it is made in, in turns; without any in the key's first one."""

    def request(self, ids: Sequence[str]) -> Request:
        """The request of the call. A path with ANY_ID becomes one path for each of `ids`."""
        paths = [self.path.replace(ANY_ID, id_) for id_ in ids] if ANY_ID in self.path else [self.path]
        return Request(paths=paths, body=self.body, workspaces=self.workspaces)


def query(name: str, **value: object) -> str:
    """The path of a tRPC query."""
    return f"/trpc/{name}?input={quote(msgspec.json.encode(value))}"


CALLS = {
    "get": Call(name="events.get, any id", path=query("events.get", eventId=ANY_ID), servers=("ours", "node")),
    "list": Call(name="events.list of 100", path=query("events.list", limit=100), servers=("ours", "node")),
    "page": Call(name="events.page of 100", path=query("events.page", limit=100)),
    "browse": Call(name="GET /api/events of 100", path="/api/events?limit=100"),
    "tile": Call(name="a tile of 256 hashes", path="/tiles/default/tile/0/000"),
    "entries": Call(name="a tile of 256 entries", path="/tiles/default/tile/entries/000"),
    "stream": Call(name=f"events.stream to {READERS}", servers=("ours", "node")),
    "publish": Call(
        name="POST /v1/events",
        path="/v1/events",
        body={name: EVENT[name] for name in ("type", "source", "data")},
        appends=1,
    ),
    "log": Call(name="events.log", path="/trpc/events.log", body=EVENT, appends=1, servers=SERVERS),
    "logBatch": Call(
        name=f"events.logBatch of {BATCH}",
        path="/trpc/events.logBatch",
        body={"events": [EVENT] * BATCH},
        appends=BATCH,
        servers=("ours", "umadb"),
    ),
}


class Side(msgspec.Struct, frozen=True):
    """A measured server, and its own cluster, if it has one."""

    server: Contestant
    cluster: Cluster | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `calls`."""
    parser.add_argument("--only", nargs="+", choices=SERVERS, default=SERVERS, help="measure these servers only")
    parser.add_argument("--calls", nargs="+", choices=CALLS, default=list(CALLS), metavar="CALL", help=", ".join(CALLS))
    parser.add_argument("--seconds", type=int, default=5, help="length of a run, after its warm-up (%(default)s)")
    parser.add_argument("--warm-up", type=int, default=2, metavar="SECONDS", help="before each run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server and call (%(default)s)")
    parser.add_argument("--events", type=int, default=20_000, help="events in each log beforehand (%(default)s)")
    parser.add_argument(
        "--unanalyzed", action="store_true", help="databases without statistics, as after a first start"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="print what changed since the figures in this file"
    )


def run(arguments: argparse.Namespace) -> None:
    """Measure and print one table."""
    machine.program("wrk")  # fails before anything is started
    before = report.read(arguments.compare) if arguments.compare else None
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        sides = {name: side for name in arguments.only if (side := _started(name, stack, workspace, arguments))}
        results = {
            CALLS[name].name: {of: Figures.median(runs) for of, runs in _rounds(CALLS[name], sides, arguments).items()}
            for name in arguments.calls
        }
        found = Report(machine=_machine(sides), method=_method(sides, arguments), figures=results)
    print("\n".join(report.table(found)))
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    if before:
        print("\n".join(report.comparison(before, found)))


def _started(name: str, stack: ExitStack, workspace: Path, arguments: argparse.Namespace) -> Side | None:
    """Start a server, and check its answers. Returns None if UmaDB cannot be installed, which does not stop the run."""
    if name == "umadb":
        try:
            return Side(stack.enter_context(umadb_peer.umadb(workspace)), None)
        except Missing as error:
            print(f"umadb is left out: {error}", file=sys.stderr, flush=True)
            return None
    cluster = stack.enter_context(database.cluster())
    if arguments.unanalyzed:
        cluster.leave_unanalyzed()
    if name == "node":
        server = stack.enter_context(node(cluster, workspace, arguments.events))
    else:
        server = stack.enter_context(ours(cluster, workspace, arguments.events, SETTINGS))
    server.probe()
    return Side(server, cluster)


def _rounds(call: Call, sides: dict[str, Side], arguments: argparse.Namespace) -> dict[str, list[Figures]]:
    """Run a call in all rounds. Returns the runs by server."""
    names = [name for name in sides if name in call.servers]
    found: dict[str, list[Figures]] = {name: [] for name in names}
    for turn in range(arguments.rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            side = sides[name]
            if side.cluster:
                side.cluster.settle([name], analyze=not arguments.unanalyzed)
            figures = measured(call, side, arguments)
            found[name].append(figures)
            print(f"{call.name:24} {name:6} {figures.calls_per_second:10,.0f}/s", file=sys.stderr, flush=True)
    return found


def measured(call: Call, side: Side, arguments: argparse.Namespace) -> Figures:
    """One run, of `arguments.seconds` after `arguments.warm_up`."""
    load, usage = _called(call, side, arguments) if call.path else _streamed(side, arguments.seconds)
    calls, appended = load.requests, load.requests * call.appends
    stored = side.cluster is not None
    return Figures(
        calls_per_second=load.requests_per_second,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        server_us=usage.server_seconds * 1e6 / calls,
        database_us=usage.database_seconds * 1e6 / calls if stored else None,
        wal_bytes=usage.wal_bytes / appended if stored and appended else None,
        disk_bytes=usage.disk_bytes / appended if stored and appended else None,
        group=usage.events / usage.commits if usage.commits and appended else None,
    )


def _called(call: Call, side: Side, arguments: argparse.Namespace) -> tuple[Load, Usage]:
    """Call over many connections at once, after a warm-up of which only failures count."""
    if arguments.warm_up:
        _load(call, side.server, arguments.warm_up)
    before = used(side.server, side.cluster)
    load = _load(call, side.server, arguments.seconds)
    return load, used(side.server, side.cluster).since(before)


def _load(call: Call, server: Contestant, seconds: int) -> Load:
    if server.name == "umadb":
        return umadb_peer.append(server, call.appends, seconds=seconds)
    return measure(server.url, server.token, call.request(server.ids), seconds=seconds)


def _streamed(side: Side, seconds: int) -> tuple[Load, Usage]:
    """One steady writer, and readers that must get each event once and in order. A call is one event at one reader."""
    server, events = side.server, EVENTS_PER_SECOND * seconds
    with reading(f"{server.url}/trpc/events.stream", server.token, READERS, field="number") as readers:
        before = used(server, side.cluster)
        sent = write(server, events=events, rate=EVENTS_PER_SECOND, place=lambda _, number: number)
        received = readers.receipts(events)
        usage = used(server, side.cluster).since(before)
    check(received, sent)
    lag = lags(received, {number: event.asked_ns for number, event in sent.items()})
    handed = events * READERS
    return Load(requests_per_second=handed / seconds, p50_ms=lag.p50_ms, p99_ms=lag.p99_ms, requests=handed), usage


def _machine(sides: Mapping[str, Side]) -> dict[str, str]:
    """The machine of the measurement."""
    facts = machine.facts()
    for side in sides.values():
        facts |= side.cluster.facts() if side.cluster else {}
    return facts | ({"node": machine.node_version()} if "node" in sides else {})


def _method(sides: Mapping[str, Side], arguments: argparse.Namespace) -> str:
    """The method of the measurement."""
    statistics = "never analyzed" if arguments.unanalyzed else "analyzed"
    text = (
        f"{CONNECTIONS} connections, {arguments.seconds} s a run, median of {arguments.rounds}, {arguments.events:,} "
        f"events beforehand, {statistics}, no call failed; load, servers and databases share this machine."
    )
    return text + (f" {umadb_peer.CAVEAT}" if "umadb" in sides else "")
