"""Readers of a live stream: many sockets in one process, which does so little work that the server is measured.

`Readers` runs this module as that process. It uses HTTP/1.0, whose answers are not chunked.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import msgspec
import uvloop

from benchmarks.errors import BenchmarkError

CONNECT_SECONDS = 30.0
DRAIN_SECONDS = 20.0
"""How long readers may take to receive the last event."""

LINGER_SECONDS = 0.3
"""How long readers listen after the last event, for events that should not come."""

CONNECTING_AT_ONCE = 50

CONNECTED = "connected"


class Task(msgspec.Struct, frozen=True):
    """The task of the process, from its argument."""

    url: str
    token: str
    readers: int
    field: str
    """The field of an event with its number."""
    file: str
    """The path of the file for the receipts."""


class Receipts(msgspec.Struct, frozen=True):
    """The numbers of the events that one reader received, in order, and the times by the monotonic clock."""

    numbers: Sequence[int]
    at_ns: Sequence[int]


class _Written(msgspec.Struct, frozen=True):
    """Receipts as bytes."""

    numbers: bytes
    at_ns: bytes


class Readers:
    """The running process of the readers."""

    def __init__(self, process: subprocess.Popen[str], file: Path) -> None:
        """`process` has connected all its readers."""
        self.pid = process.pid
        self._process = process
        self._file = file

    def receipts(self, events: int) -> list[Receipts]:
        """Wait until each reader has received `events` events, or DRAIN_SECONDS.

        End the process, and return the receipts.
        """
        try:
            self._process.communicate(f"{events}\n", timeout=DRAIN_SECONDS + 30)
        except subprocess.TimeoutExpired:
            raise BenchmarkError("The readers did not end.") from None
        if self._process.returncode != 0:
            raise BenchmarkError(f"The readers failed with {self._process.returncode}.")
        written = msgspec.msgpack.decode(self._file.read_bytes(), type=list[_Written])
        return [Receipts(array("q", one.numbers), array("q", one.at_ns)) for one in written]


@contextmanager
def reading(url: str, token: str, readers: int, *, field: str) -> Iterator[Readers]:
    """Open so many readers of the subscription at `url`. The block begins when all of them listen."""
    with tempfile.TemporaryDirectory(prefix="bench-readers-") as folder:
        file = Path(folder, "receipts")
        task = msgspec.json.encode(Task(url, token, readers, field, str(file))).decode()
        command = [sys.executable, "-m", "benchmarks.readers", task]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None  # noqa: S101 - for the type checker
                answer = process.stdout.readline().strip()
                if answer != CONNECTED:
                    raise BenchmarkError(f"The readers could not connect: {answer or 'see above'}")
                yield Readers(process, file)
            finally:
                process.kill()


class _Reader(asyncio.Protocol):
    """One connection."""

    def __init__(self, number: re.Pattern[bytes]) -> None:
        self.numbers = array("q")
        self.at_ns = array("q")
        self.listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number = number
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        text = self._rest + data if self._rest else data
        end = text.rfind(b"\n") + 1
        self._rest = text[end:]
        if not self.listening.done():
            if b"event: connected" not in text:
                return
            self.listening.set_result(None)
        for found in self._number.finditer(text, 0, end):
            self.numbers.append(int(found[1]))
            self.at_ns.append(now)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.listening.done():
            self.listening.set_exception(ConnectionError(f"{self._rest[:500]!r} {error or ''}"))

    async def listen(self, host: str, port: int, request: bytes) -> Self:
        """Connect and subscribe, and wait until the server says that it is connected."""
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, host, port)
        transport.write(request)
        await self.listening
        return self


async def _read(task: Task) -> list[_Written]:
    """Open the readers, report that, and return what they received when the process is told how much to wait for."""
    parts = urlsplit(task.url)
    host, port = parts.hostname or "", parts.port or 80
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    request = (
        f"GET {target} HTTP/1.0\r\nhost: {host}:{port}\r\n"
        f"authorization: Bearer {task.token}\r\naccept: text/event-stream\r\n\r\n"
    ).encode()
    number = re.compile(rb'"%s":(\d+)' % task.field.encode())
    turn = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def opened() -> _Reader:
        async with turn:
            return await _Reader(number).listen(host, port, request)

    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            readers = await asyncio.gather(*(opened() for _ in range(task.readers)))
    except (OSError, TimeoutError) as error:
        print(type(error).__name__, error, flush=True)
        sys.exit(1)
    print(CONNECTED, flush=True)
    wanted = int(await asyncio.to_thread(sys.stdin.readline) or 0)
    deadline = time.monotonic() + DRAIN_SECONDS
    while any(len(reader.numbers) < wanted for reader in readers):
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(LINGER_SECONDS)
    return [_Written(reader.numbers.tobytes(), reader.at_ns.tobytes()) for reader in readers]


def _main() -> None:
    task = msgspec.json.decode(sys.argv[1], type=Task)
    Path(task.file).write_bytes(msgspec.msgpack.encode(uvloop.run(_read(task))))


if __name__ == "__main__":
    _main()
