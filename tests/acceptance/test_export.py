"""Exports of a long log: what they cost the server, and what a reader gets if something breaks in the middle."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from app.ledger.verify import verify_bundle
from tests.acceptance.processes import Cluster
from tests.kit import web
from tests.kit.installs import copy
from tests.kit.servers import Server, serving, until

EVENTS = 1000

TEXT = "x" * 40_000
"""A text that makes an export larger than all buffers that may hold a part of it."""

MAX_GROWTH = 30 * 2**20

SMALL_BUFFER = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)]
"""A small buffer, so that data that a client has not read waits at the server."""

EXPORT = "/ledger/v1/events/export"

BUSY = (
    "SELECT count(*) FROM pg_stat_activity WHERE starts_with(application_name, 'synap server') AND state <> 'idle' "
    "AND datname = current_database()"
)


@pytest.fixture(scope="module")
def cluster(first_started: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A PostgreSQL that tests may stop. Each test leaves it running."""
    started = Cluster(copy(first_started, tmp_path_factory.mktemp("cluster") / "data"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Server]:
    """A server of that database, whose log is long."""
    with serving(cluster.data_dir, database_url=cluster.url) as started:
        batch = {"events": [{"type": "note.created", "data": {"text": TEXT}} for _ in range(100)]}
        for _ in range(EVENTS // 100):
            assert started.mutate("events.logBatch", batch).status_code == 200
        yield started


@contextmanager
def exporting(server: Server) -> Iterator[httpx.Response]:
    """Begin an export to a client that reads little at a time."""
    transport = httpx.HTTPTransport(socket_options=SMALL_BUFFER)
    with (
        httpx.Client(transport=transport, timeout=60, headers=server.headers) as client,
        client.stream("GET", server.url + EXPORT) as answer,
    ):
        assert answer.status_code == 200
        yield answer


class Memory:
    """The memory of a server's worker beyond its memory at the beginning."""

    def __init__(self, server: Server) -> None:
        [pid] = [each.pid for each in psutil.Process(server.process.pid).children()]
        self._process = psutil.Process(pid)
        self._first = int(self._process.memory_info().rss)
        self.peak = 0
        self._ended = threading.Event()

    @property
    def growth(self) -> int:
        """The growth until now, in bytes."""
        return int(self._process.memory_info().rss) - self._first

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Record the highest value during the block."""
        watching = threading.Thread(target=self._watch)
        watching.start()
        try:
            yield
        finally:
            self._ended.set()
            watching.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.peak = max(self.peak, self.growth)


def test_a_long_log_is_exported_in_bounded_memory(server: Server) -> None:
    memory = Memory(server)

    with memory.watched(), web.stream("GET", server.url + EXPORT, headers=server.headers, timeout=60) as answer:
        text = answer.read()

    assert len(text) > EVENTS * len(TEXT)
    assert memory.peak < MAX_GROWTH, "the server keeps in memory what it has sent"
    verdict = verify_bundle(text)
    assert (verdict.broken, verdict.count) == (None, EVENTS)


def test_a_slow_reader_slows_the_reading_down(server: Server) -> None:
    memory = Memory(server)
    size = 0

    with memory.watched(), exporting(server) as answer:
        for place, piece in enumerate(answer.iter_raw(2**20)):
            size += len(piece)
            time.sleep(1 if place % 40 == 0 else 0)

    assert size > EVENTS * len(TEXT)
    assert memory.peak < MAX_GROWTH, "the server keeps in memory what the reader has not read"


def test_several_readers_that_do_not_read_cost_a_few_pieces_each(server: Server) -> None:
    memory = Memory(server)

    with memory.watched(), ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(exporting(server))
        time.sleep(3)  # an export whose client reads is finished by then
        asked_at = time.monotonic()
        assert server.query("events.list", {"limit": 1}).status_code == 200
        assert time.monotonic() - asked_at < 10

    assert memory.peak < 2 * MAX_GROWTH


def test_clients_that_leave_in_the_middle_leave_nothing_running(cluster: Cluster, server: Server) -> None:
    memory = Memory(server)
    worker = psutil.Process(server.process.pid).children()[0]

    with psycopg.connect(cluster.url, autocommit=True) as connection:
        for _ in range(30):
            with exporting(server) as answer:
                assert next(answer.iter_raw(65536)).startswith(b'{"export_id":"exp_')

        until(lambda: connection.execute(BUSY).fetchone() == (0,), seconds=30)
        until(lambda: not _established(worker, server), seconds=30)
        until(lambda: connection.execute(BUSY).fetchone() == (0,), seconds=30)
    assert memory.growth < MAX_GROWTH, "the server keeps the pieces of exports that nobody reads"
    assert server.query("events.list", {"limit": 1}).status_code == 200


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_a_restart_of_the_database_in_the_middle_ends_in_a_whole_bundle_or_none(
    cluster: Cluster, server: Server, how: str
) -> None:
    text, is_whole = b"", True

    with exporting(server) as answer:
        pieces = answer.iter_raw()
        try:
            while len(text) < 2**20:
                text += next(pieces)
            getattr(cluster, how)()
            restarted = threading.Timer(2, cluster.start)
            restarted.start()
            text += b"".join(pieces)
        except httpx.RemoteProtocolError:
            is_whole = False
        finally:
            restarted.join()

    verdict = verify_bundle(text)
    assert (verdict.broken is None) == is_whole
    assert is_whole, "the export must wait for a short restart"
    assert verdict.count == EVENTS
    until(server.ready)


def test_a_database_that_stays_away_breaks_the_connection(cluster: Cluster, server: Server) -> None:
    """This takes long, because the server waits until it gives the database up."""
    with exporting(server) as answer:
        pieces = answer.iter_raw()
        begun = next(pieces)
        cluster.stop()
        try:
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)
        finally:
            cluster.start()

    assert begun.startswith(b'{"export_id":"exp_')
    calls = [json.loads(line) for line in server.log.read_text().splitlines() if '"ledger.export"' in line]
    assert [call["error"] for call in calls if call["elapsed_ms"] > 5000] == ["unavailable"]
    until(server.ready)


def _established(process: psutil.Process, server: Server) -> list[object]:
    """The open connections of the server's clients."""
    port = httpx.URL(server.url).port
    connections = process.net_connections("tcp")
    return [each for each in connections if each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port]
