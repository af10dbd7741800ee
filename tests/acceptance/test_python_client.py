"""The server is killed repeatedly: everything that the Python client logged or spooled is in the log exactly once.

CLIENT_EVENTS sets the number of events. With 20,000 or more the server is killed ten times (`make soak`).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import psycopg
import pytest
from msgspec import Struct

from benchmarks.process import free_port
from tests.acceptance.processes import kill
from tests.kit.checks import check_log
from tests.kit.paths import ROOT
from tests.kit.servers import Server, serving, until

EVENTS = int(os.environ.get("CLIENT_EVENTS", "1000"))

KILLS = 10 if EVENTS >= 20_000 else 3

THREADS = 4

SOURCE = ROOT / "clients" / "python" / "src"

WRITER = """
import asyncio, itertools, os, sys, threading, time
from synap_client import AsyncSynap, Synap

url, token, spool, kind, writer, start, events, enough, threads, returned = sys.argv[1:]
PAUSE = 0.01
start, events, threads = int(start), int(events), int(threads)
file = os.open(returned, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def numbers(first, step):
    return itertools.takewhile(lambda n: n < events or not os.path.exists(enough), itertools.count(first, step))

def note(n, id):
    os.write(file, f"{n} {id}\\n".encode())

def fields(n):
    return "client.logged", {"writer": writer, "n": n}

if kind == "foreground":
    client = Synap(url, token, retry_seconds=120.0)
    def work(first):
        for n in numbers(first, threads):
            note(n, client.log(*fields(n)).id)
            time.sleep(PAUSE)
    workers = [threading.Thread(target=work, args=(first,)) for first in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
elif kind == "background":
    with Synap(url, token).recorder(spool=spool, max_backoff_seconds=1.0, batch_events=50) as recorder:
        for n in numbers(start, 1):
            note(n, recorder.log(*fields(n)))
            time.sleep(PAUSE)
        assert recorder.flush(120)
else:
    async def main():
        async with AsyncSynap(url, token) as client:
            async with client.recorder(spool=spool, max_backoff_seconds=1.0, batch_events=50) as recorder:
                for n in numbers(start, 1):
                    note(n, await recorder.log(*fields(n)))
                    await asyncio.sleep(PAUSE)
                assert await recorder.flush(120)
    asyncio.run(main())
"""

SWEEPER = """
import sys
from synap_client import Synap

url, token, spool = sys.argv[1:]
with Synap(url, token).recorder(spool=spool) as recorder:
    assert recorder.flush(60)
"""

KINDS = ("foreground", "foreground", "background", "loop")

VICTIM = 2
"""The writer that is killed. The next writer in its directory sends what it had spooled."""

STORED = "SELECT seq + 1 FROM event_tip WHERE workspace_id = 'default'"


class Writer(Struct, frozen=True):
    """A process that logs events, and the file in which it records each call that returned."""

    name: str
    process: subprocess.Popen[bytes]
    noted: Path
    log: Path

    def returned(self) -> dict[int, str]:
        """The id of each event whose call returned, by its number.

        A last line that the kill cut short does not count.
        """
        lines = self.noted.read_text().splitlines(keepends=True) if self.noted.exists() else []
        pairs = [line.split() for line in lines if line.endswith("\n")]
        return {int(number): id_ for number, id_ in pairs}


@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_while_the_server_is_killed(
    database_url: str, data_dir: Path, tmp_path: Path
) -> None:
    port, spool, spooled, start, enough = free_port(), tmp_path / "spool", 0, 0, tmp_path / "enough"
    started = time.monotonic()
    with ExitStack() as stack, psycopg.connect(database_url, autocommit=True) as connection:

        def is_stored(events: int) -> bool:
            for each in writers:
                assert each.process.poll() in {None, 0, -signal.SIGKILL}, each.log.read_text()
            return any(seq >= events for (seq,) in connection.execute(STORED))

        server = stack.enter_context(serving(data_dir, database_url=database_url, port=port))
        writers = [stack.enter_context(_writing(server, place, spool, tmp_path)) for place in range(len(KINDS))]
        victim = writers[VICTIM]
        for killed in range(1, KILLS + 1):
            until(lambda: is_stored(EVENTS * killed // (KILLS + 3)), seconds=120)  # noqa: B023
            kill(server)
            if killed == max(1, KILLS // 3):
                before = len(victim.returned())
                until(lambda: len(victim.returned()) > before + 20)  # noqa: B023 - on disk, and not sent to a server
                victim.process.kill()
                victim.process.wait()
                spooled = len(victim.returned()) - before
                # Another writer continues after the event that this one may have been logging.
                start = len(victim.returned()) + 1
                writers.append(stack.enter_context(_writing(server, VICTIM, spool, tmp_path, start)))
            server = stack.enter_context(serving(data_dir, database_url=database_url, port=port))
        enough.touch()
        for writer in writers:
            wanted = -signal.SIGKILL if writer is victim else 0
            assert writer.process.wait(timeout=240) == wanted, writer.log.read_text()
        _run(SWEEPER, server.url, server.token, str(spool)).wait(timeout=90)
    seconds = time.monotonic() - started

    assert sorted(path.name for path in spool.iterdir()) == ["spool.json"]
    log = check_log(database_url)
    keys = [(event["payload"]["writer"], event["payload"]["n"]) for event in log]
    stored = dict(zip(keys, (event["event_id"] for event in log), strict=True))
    assert len(stored) == len(log)
    returned = {(writer.name, n): id_ for writer in writers for n, id_ in writer.returned().items()}
    assert {key: stored.get(key) for key in returned} == returned
    # The log has at most one more event: the one whose call was about to return to the killed writer.
    rest = stored.keys() - returned.keys()
    assert len(rest) <= 1
    assert {name for name, _ in rest} <= {victim.name}
    assert len(returned) >= EVENTS // 4 * 4 - 1
    print(  # noqa: T201 - the figures for `make soak`
        f"\n{len(returned)} calls returned, in 4 processes and one that followed a killed one: each event is in the "
        f"log once, {len(log)} in all. The server was killed {KILLS} times; of the killed process {start - 1} calls "
        f"had returned, the last {spooled} while there was no server. {seconds:.0f} s"
    )


@contextmanager
def _writing(server: Server, place: int, spool: Path, folder: Path, start: int = 0) -> Iterator[Writer]:
    """Run a writer that logs its share of the events from `start`, and goes on until the file `enough` is there."""
    name, noted, log = f"{KINDS[place]}-{place}", folder / f"noted-{place}-{start}", folder / f"{place}-{start}.log"
    with log.open("wb") as output:
        process = _run(
            WRITER,
            server.url,
            server.token,
            str(spool),
            KINDS[place],
            name,
            str(start),
            str(EVENTS // 4),
            str(folder / "enough"),
            str(THREADS),
            str(noted),
            output=output,
        )
    try:
        yield Writer(name, process, noted, log)
    finally:
        process.kill()
        process.wait()


def _run(script: str, *arguments: str, output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    return subprocess.Popen([sys.executable, "-c", script, *arguments], env=environment, stdout=output, stderr=output)
