"""The official clients read the log as it is written, while connections are cut and servers are killed."""

import json
import os
import subprocess
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest
from msgspec import Struct, to_builtins

from benchmarks.process import free_port
from tests.acceptance.processes import kill
from tests.acceptance.proxy import Network, Proxy, networking
from tests.acceptance.writers import Writers, writing
from tests.kit.examples import ALL
from tests.kit.servers import Server, serving, until

EVENTS = 10_000 if ALL else 1000
"""The least number of events. The writers go on until all cuts and kills are done."""
WRITERS = 8
PAUSE_SECONDS = 0.04
"""The pause of each writer after each event, so that the cuts have time between the events."""
CUTS = 20 if ALL else 10

FIRST = {"type": "load.begun", "data": {"number": -1}}
LAST = {"type": "load.ended", "data": {"number": -2}}

CLIENTS = ("v11 SSE", "v11 WebSocket", "v10 WebSocket")


class Reader(Struct, frozen=True, rename="camel"):
    """A client, as `live.mjs` starts it."""

    name: str
    client: str
    url: str
    transformer: str
    markers: bool


class Receipt(Struct, frozen=True, array_like=True):
    """An event as it reached a reader's callback."""

    seq: int
    id: str
    number: int


class Readers:
    """The clients of `live.mjs`, which run in one process."""

    def __init__(self, process: subprocess.Popen[str], names: Iterable[str]) -> None:
        """`process` prints what they receive."""
        self.received: dict[str, list[Receipt]] = {name: [] for name in names}
        """The events that each reader received, in the order of its callbacks."""
        self.caught_up: Counter[str] = Counter()
        """How often each reader got the marker after the backlog."""
        self.failures: list[str] = []
        self._process = process

    def take(self) -> None:
        """Record what the process prints, until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                name, *told = json.loads(line)
            except ValueError:
                self.failures.append(line)
                continue
            if told[0] == "failed":
                self.failures.append(f"{name}: {told[1]}")
            elif told[0] == "caught up":
                self.caught_up[name] += 1
            else:
                self.received[name].append(Receipt(*told))

    def have(self, seq: int, names: Iterable[str]) -> bool:
        """Whether each of `names` has received the event at `seq` or a later one."""
        assert not self.failures, "\n".join(self.failures)
        return all(self.last(name) >= seq for name in names)

    def last(self, name: str) -> int:
        """The last seq that a reader received; -1 if it received none."""
        received = self.received[name]
        return received[-1].seq if received else -1


@pytest.mark.timeout(900)
def test_every_client_gets_each_event_once_and_in_order_whatever_breaks(
    database_url: str, data_dir: Path, node: Path
) -> None:
    seed = int(os.environ.get("SEED") or SystemRandom().randrange(2**32))
    print(f"SEED={seed}")  # noqa: T201 - shown with a failure
    chance = Random(seed)
    dying, other, superjson = free_port(), free_port(), free_port()
    # If a cut leaves a client without any message, it reopens its stream soon, not after the default of 45 s.
    settings = {"database_url": database_url, "sse_ping_seconds": 2, "sse_reconnect_seconds": 6}

    with ExitStack() as stack:
        network = stack.enter_context(networking(chance))
        first = stack.enter_context(serving(data_dir, **settings, port=dying))
        second = stack.enter_context(serving(data_dir, **settings, port=other))
        third = stack.enter_context(serving(data_dir, **settings, port=superjson, transformer="superjson"))
        plain = {f"{client}, plain": network.proxy([dying, other]) for client in CLIENTS}
        wrapped = {f"{client}, superjson": network.proxy([superjson]) for client in CLIENTS}
        proxies = plain | wrapped
        with _reading(node, first.token, proxies) as readers, ExitStack() as work:
            written = [_logged(second, FIRST)]
            # An EventSource that has received nothing yet waits for seconds before it reconnects.
            until(lambda: readers.have(0, proxies), seconds=60)
            writers = work.enter_context(writing([first, second], clients=WRITERS, pause_seconds=PAUSE_SECONDS))
            cuts = work.enter_context(_cutting(network, writers, chance))

            until(lambda: len(writers.acknowledged) > EVENTS // 5, seconds=120)
            _kill(first, plain, readers, network)
            stack.enter_context(serving(data_dir, **settings, port=dying))
            until(lambda: len(writers.acknowledged) > EVENTS // 2, seconds=120)
            _kill(third, wrapped, readers, network)
            stack.enter_context(serving(data_dir, **settings, port=superjson, transformer="superjson"))
            until(lambda: len(writers.acknowledged) >= EVENTS, seconds=180)
            cuts.result(timeout=180)
            writers.finish()
            work.close()
            for id_, event in writers.acknowledged.items():
                written.append(Receipt(event["seq"], id_, event["data"]["number"]))
            # An event after the last one shows whether a reader can still resume behind that one.
            with suppress(AssertionError):  # readers that are missing events are named below
                until(lambda: readers.have(len(writers.acknowledged), proxies), seconds=120)
                network.cut()
                written.append(_logged(second, LAST))
                until(lambda: readers.have(len(written) - 1, proxies), seconds=60)

    faults = [fault for name in proxies for fault in _faults(name, readers.received[name], written)]
    assert not readers.failures + faults, "\n".join([*readers.failures, *faults])
    assert sorted(event.seq for event in written) == list(range(len(writers.acknowledged) + 2))
    assert all(proxy.cuts >= CUTS for proxy in proxies.values()), "not every cut hit every reader"
    assert set(readers.caught_up) == set(plain), "only readers that asked for markers get them"


@contextmanager
def _reading(node: Path, token: str, proxies: Mapping[str, Proxy]) -> Iterator[Readers]:
    """Start a reader behind each proxy. The plain readers also ask for markers."""
    wanted = [
        Reader(
            name=name,
            client=name.rpartition(", ")[0],
            url=f"http://127.0.0.1:{proxy.port}",
            transformer="superjson" if name.endswith("superjson") else "none",
            markers=name.endswith("plain"),
        )
        for name, proxy in proxies.items()
    ]
    command = ["node", "live.mjs", token, json.dumps(to_builtins(wanted))]
    with subprocess.Popen(
        command, cwd=node, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        readers = Readers(process, proxies)
        taking = threading.Thread(target=readers.take)
        taking.start()
        try:
            yield readers
        finally:
            assert process.stdin is not None
            process.stdin.close()
            taking.join(timeout=20)
            process.kill()


@contextmanager
def _cutting(network: Network, writers: Writers, chance: Random) -> Iterator[Future[None]]:
    """Cut the connections of all readers CUTS times, each time after a random number of written events."""
    stopped = threading.Event()
    places = sorted(chance.sample(range(EVENTS // 100, EVENTS), CUTS))

    def cut() -> None:
        for place in places:
            until(lambda: stopped.is_set() or len(writers.acknowledged) >= place, seconds=300)  # noqa: B023
            until(lambda: stopped.is_set() or network.is_whole(), seconds=120)
            if not stopped.is_set():
                network.cut()

    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(cut)
        finally:
            stopped.set()


def _logged(server: Server, event: object) -> Receipt:
    """Log an event, and return what its readers should get."""
    logged = server.mutate("events.log", event).json()["result"]["data"]
    return Receipt(logged["seq"], logged["id"], logged["data"]["number"])


def _kill(server: Server, proxies: Mapping[str, Proxy], readers: Readers, network: Network) -> None:
    """Kill a server while it serves the reader behind each of `proxies`."""
    port = int(server.url.rpartition(":")[2])
    behind = {name: proxy.ports for name, proxy in proxies.items()}
    for proxy in proxies.values():
        proxy.ports = [port]
    network.cut(*proxies.values())
    had = {name: readers.last(name) for name in proxies}

    def unserved() -> list[str]:
        return [
            f"{name} has seq {readers.last(name)} after {had[name]}, connected to {proxy.leads_to}"
            for name, proxy in proxies.items()
            if proxy.leads_to != [port] or not readers.have(had[name] + 1, [name])
        ]

    try:
        until(lambda: not unserved(), seconds=60)
    except AssertionError as error:
        error.add_note(f"not served at {port}: {unserved()}")
        raise
    for name, proxy in proxies.items():
        proxy.ports = behind[name]
    kill(server)


def _faults(name: str, received: Sequence[Receipt], written: Sequence[Receipt]) -> Iterator[str]:
    """Yield what a reader lost, got twice, got out of order, or got with other content."""
    times = Counter(event.seq for event in received)
    places: dict[str, list[Any]] = {
        "lost": sorted({event.seq for event in written} - set(times)),
        "got more than once": sorted(seq for seq, count in times.items() if count > 1),
        "got after a later one": [event.seq for before, event in pairwise(received) if event.seq < before.seq],
        "got what was not written": sorted({event.seq for event in set(received) - set(written)}),
    }
    for fault, seqs in places.items():
        if seqs:
            more = f" and {len(seqs) - 10} more" if len(seqs) > 10 else ""
            yield f"{name} {fault}: seq {', '.join(map(str, seqs[:10]))}{more}"
