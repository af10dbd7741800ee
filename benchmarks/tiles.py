"""Tiles of a large log, read at random over 64 connections, and its checkpoint.

`synap import` fills the log.
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec

from app.ledger.tiles import TILE_WIDTH, Tile, spelled
from benchmarks import database, machine
from benchmarks.browse import filled
from benchmarks.calls import ANY_ID, Call, Side, measured
from benchmarks.filling import check_disk
from benchmarks.load import CONNECTIONS

CALLS = [
    Call(name="a tile of 256 hashes, anywhere", path=f"/tiles/default/tile/{ANY_ID}"),
    Call(name="a tile of 256 entries, anywhere", path=f"/tiles/default/tile/entries/{ANY_ID}"),
    Call(name="the checkpoint", path="/tiles/default/checkpoint"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `tiles`."""
    parser.add_argument("--events", type=int, default=1_000_000, help="in the log (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="for each call (%(default)s)")
    parser.add_argument("--warm-up", type=int, default=2, metavar="SECONDS", help="before each call (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print a line for each call."""
    machine.program("wrk")  # fails before anything is started
    check_disk(arguments.events)
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = stack.enter_context(database.cluster())
        log = filled(stack, cluster, workspace, arguments.events)
        print(", ".join(f"{name} {value}" for name, value in {**machine.facts(), **cluster.facts()}.items()))
        print(f"{CONNECTIONS} connections, {arguments.events:,} events; load, server and database share this machine.")
        for call in CALLS:
            level = None if "entries" in call.path else 0
            tiles = [Tile(level, index) for index in range(max(1, arguments.events // TILE_WIDTH))]
            places = [spelled(each).removeprefix("entries/") for each in tiles]
            server = msgspec.structs.replace(log.server, ids=places)
            figures = measured(call, Side(server, cluster), arguments)
            print(
                f"{call.name:32} {figures.calls_per_second:8,.0f}/s   p50 {figures.p50_ms:6.1f} ms   "
                f"p99 {figures.p99_ms:6.1f} ms   {figures.total_us:7,.0f} us of processor time",
                flush=True,
            )
