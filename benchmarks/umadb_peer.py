"""UmaDB, a durable event store in Rust that groups appends: a peer for `events.log` and `events.logBatch` only.

It stores the bytes that it gets, without checking them or a token, and without linking or signing events. Its packages
are installed on demand into their own folder, never into `.venv`, because they need glibc 2.34.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.contestants import EVENT, Contestant
from benchmarks.errors import Missing
from benchmarks.load import CONNECTIONS, Load, measured_by
from benchmarks.process import free_port, listens, serving

HERE = Path(__file__).parent / "peers" / "umadb"
INSTALLED = HERE / "installed"
CAVEAT = "umadb stores bytes: it checks neither events nor tokens, and it neither chains nor signs."
ENVIRONMENT = {"PYTHONPATH": str(INSTALLED), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def umadb(workspace: Path) -> Iterator[Contestant]:
    """Run its server with its default settings, on an empty log. Raises Missing if it cannot be installed here."""
    _install()
    folder = workspace / "umadb"
    folder.mkdir()
    port = free_port()
    program = "from umadb.umadb_server_cli import main; main()"
    command = [sys.executable, "-c", program, "--listen", f"127.0.0.1:{port}", "--db-path", str(folder)]
    with serving(command, environment=ENVIRONMENT, directory=folder, ready=partial(listens, port)) as pid:
        yield Contestant(name="umadb", url=f"http://127.0.0.1:{port}", token="", pid=pid)


def append(server: Contestant, events: int, *, seconds: int) -> Load:
    """Append `events` events with each call, over as many connections as wrk uses."""
    numbers = (str(CONNECTIONS), str(seconds), str(events))
    command = [sys.executable, str(HERE / "load.py"), server.url, *numbers, msgspec.json.encode(EVENT).decode()]
    return measured_by(command, ENVIRONMENT, what=f"umadb at {server.url}", folder=HERE)


def _install() -> None:
    """Install exactly the packages of the lock file, if they are not installed yet."""
    wanted, done = HERE / "requirements.txt", INSTALLED / ".done"
    if done.exists() and done.stat().st_mtime >= wanted.stat().st_mtime:
        return
    shutil.rmtree(INSTALLED, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    command = [*pip, "--no-deps", "--require-hashes", "--target", str(INSTALLED), "-r", str(wanted)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise Missing(f"pip cannot install umadb here: {ran.stderr.strip()}")
    done.touch()
