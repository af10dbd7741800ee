"""Publishing with webhook subscriptions: none, a thousand that do not match, and a thousand of which one matches.

The cases share noise: they take turns in changing order with one PostgreSQL, and the median of the rounds is printed.
The subscription that matches exists only during its run, so that no other run pays for its deliveries.
"""

import argparse
import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import database, machine
from benchmarks.calls import CALLS
from benchmarks.contestants import EVENT, Contestant, our_process
from benchmarks.errors import BenchmarkError
from benchmarks.load import CONNECTIONS, Load, measure
from benchmarks.trpc import Client

OPERATIONS = {name: CALLS[name].name for name in ("publish", "log")}
CASES = {"none": "no subscription", "other": "none matches", "one": "one matches"}
WARM_UP_SECONDS = 2

SETTINGS = {
    "SYNAP_RATE_PUBLISH": "0",
    "SYNAP_MAX_SUBSCRIPTIONS": "0",
    "SYNAP_WEBHOOK_ALLOW_HTTP": "true",
    "SYNAP_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
}

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Results = dict[tuple[str, str], list[Load]]
"""Runs, by operation and case."""


class Receiver:
    """Answers every POST with success."""

    def __init__(self) -> None:
        self.url = ""
        self.received = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.received += 1
            writer.write(OK)
        writer.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `publish`."""
    parser.add_argument("--subscriptions", type=int, default=1000, help="of the workspace that has some (%(default)s)")
    parser.add_argument("--seconds", type=int, default=6, help="length of a run, after its warm-up (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each case and operation (%(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print one table."""
    machine.program("wrk")  # fails before anything is started
    with ExitStack() as stack:
        workspace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cluster = stack.enter_context(database.cluster())
        receiver = stack.enter_context(_receiving())
        servers: dict[str, Contestant] = {}
        for name in ("none", "some"):
            cluster.create_database(name)
            servers[name] = stack.enter_context(our_process(cluster, workspace, name, SETTINGS))
            servers[name].probe()
        for _ in range(arguments.subscriptions - 1):
            _subscribe(servers["some"], "nobody.logs.this", receiver.url)
        results: Results = {}
        for operation, described in OPERATIONS.items():
            for turn in range(arguments.rounds):
                for case in CASES if turn % 2 == 0 else reversed(CASES):
                    cluster.settle(list(servers))
                    server = servers["none" if case == "none" else "some"]
                    load = _measure(operation, case, server, receiver, arguments.seconds)
                    results.setdefault((operation, case), []).append(load)
                    print(f"{described:16} {CASES[case]:16} {_figures(load)}", flush=True)
        facts = {**machine.facts(), **cluster.facts()}
    print()
    print("\n".join(_table(results)))
    print()
    print(
        f"{arguments.subscriptions:,} subscriptions, {CONNECTIONS} connections, {arguments.seconds} s a run, "
        f"median of {arguments.rounds}, no request failed; {receiver.received:,} deliveries were received; "
        "load, receiver, server and database share this machine."
    )
    print(", ".join(f"{name} {value}" for name, value in facts.items()))


def _measure(operation: str, case: str, server: Contestant, receiver: Receiver, seconds: int) -> Load:
    """Measure one run, after a warm-up of which only failures count."""
    request = CALLS[operation].request([])
    before = receiver.received
    if case != "none":
        id_ = _subscribe(server, EVENT["type"] if case == "one" else "nobody.logs.this", receiver.url)
    measure(server.url, server.token, request, seconds=WARM_UP_SECONDS)
    load = measure(server.url, server.token, request, seconds=seconds)
    if case != "none":
        _call(server, "subscriptions.delete", {"subscriptionId": id_})
    if (receiver.received > before) != (case == "one"):
        raise BenchmarkError(f"{CASES[case]}: {receiver.received - before} deliveries were received.")
    return load


def _subscribe(server: Contestant, type_: str, url: str) -> str:
    """Create a subscription, and return its id."""
    return str(_call(server, "subscriptions.create", {"eventTypes": [type_], "webhookUrl": url})["subscriptionId"])


def _call(server: Contestant, name: str, value: object) -> Any:
    client = Client(f"{server.url}/trpc", server.token)
    try:
        return client.mutation(name, value)
    finally:
        client.close()


@contextmanager
def _receiving() -> Iterator[Receiver]:
    """Run a receiver in a thread during the block."""
    receiver, loop, listens = Receiver(), asyncio.new_event_loop(), threading.Event()

    async def start() -> None:
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, backlog=1000)
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        listens.set()

    def serve() -> None:
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    if not listens.wait(10):
        raise BenchmarkError("The receiver of webhooks does not listen.")
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def _figures(load: Load) -> str:
    """One run in one line."""
    return f"{load.requests_per_second:10,.0f} req/s   p50 {load.p50_ms:7.1f} ms   p99 {load.p99_ms:7.1f} ms"


def _table(results: Results) -> Iterator[str]:
    """The medians, one line for each operation. A ratio compares with the rate without subscriptions."""
    columns = "".join(f"{described:>18}{'p99 ms':>9}{'ratio':>8}" for described in CASES.values())
    yield f"{'req/s':16}{columns}"
    for operation, described in OPERATIONS.items():
        rates = {case: median(load.requests_per_second for load in results[operation, case]) for case in CASES}
        line = f"{described:16}"
        for case in CASES:
            p99 = median(load.p99_ms for load in results[operation, case])
            line += f"{rates[case]:18,.0f}{p99:9.1f}{rates[case] / rates['none']:7.2f}x"
        yield line
