"""Runs a server as a child process: starts it, waits for it, and ends it."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from urllib.parse import urlsplit

from benchmarks.errors import BenchmarkError

START_SECONDS = 60.0
STOP_SECONDS = 15.0


PORTS = range(10_000, 32_000)
"""Ports below those that systems give to connections, which could take a port before a server listens on it."""


def free_port() -> int:
    """A port that was just free, and that others are unlikely to take meanwhile."""
    while True:
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port := SystemRandom().choice(PORTS)))
            return port


@contextmanager
def serving(
    command: Sequence[str], *, environment: Mapping[str, str], directory: Path, ready: Callable[[], bool]
) -> Iterator[int]:
    """Run `command` in `directory` during the block, which begins with the process id when `ready` returns true.

    The child sees only PATH, HOME and `environment`, so that other variables cannot change a result. Its output goes to
    a file in `directory`, whose end is quoted if the server does not come up.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    name = Path(command[0]).name
    log = directory / f"{name}.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env={**inherited, **environment},
            cwd=directory,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its own process group, so that _end reaches its children
        )
    try:
        if not _comes_up(child, ready):
            tail = log.read_text(errors="replace")[-2000:].strip()
            raise BenchmarkError(f"`{name}` does not serve; its output ends:\n{tail}")
        yield child.pid
    finally:
        _end(child)


def _comes_up(child: subprocess.Popen[bytes], ready: Callable[[], bool]) -> bool:
    """Wait until `ready` returns true. Returns False if the child ends or START_SECONDS pass before that."""
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.05)
    return False


def listens(port: int) -> bool:
    """Whether a process accepts connections on `port` of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def answers(url: str, status: int) -> bool:
    """Whether a GET of `url` is answered with `status`."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask the child to end. After STOP_SECONDS, kill it and its children."""
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
