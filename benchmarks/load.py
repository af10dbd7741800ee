"""Many connections that make one kind of call for some seconds."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.errors import BenchmarkError
from benchmarks.machine import program

CONNECTIONS = 64
THREADS = 2
SCRIPTS = Path(__file__).parent / "scripts"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one run. The client measures latencies, and waits for each answer on its connection."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    failed: int = 0
    """Answers with a status above 399."""
    broken: int = 0
    """Rejected or cut connections, and answers that took longer than TIMEOUT_SECONDS."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A GET of one of `paths`, or a POST of `body` as JSON, in one of `workspaces`; both are chosen at random."""

    paths: Sequence[str]
    body: Any = None
    workspaces: Sequence[str] = ()


TIMEOUT_SECONDS = 20


def measure(url: str, token: str, request: Request, *, seconds: int) -> Load:
    """Load the server at `url` with wrk.

    Raises BenchmarkError if even one request failed or was lost, because rejecting requests is fast.
    """
    command = [
        program("wrk"),
        *("--connections", str(CONNECTIONS)),
        *("--threads", str(THREADS)),
        *("--duration", f"{seconds}s"),
        *("--timeout", f"{TIMEOUT_SECONDS}s"),
        *("--script", "calls.lua"),
        url,
    ]
    with tempfile.TemporaryDirectory(prefix="bench-load-") as folder:
        paths = Path(folder, "paths")
        paths.write_text("\n".join(request.paths))
        environment = {"TOKEN": token, "PATHS": str(paths), "WORKSPACES": " ".join(request.workspaces)}
        if request.body is not None:
            body = Path(folder, "body")
            body.write_bytes(msgspec.json.encode(request.body))
            environment["BODY"] = str(body)
        return measured_by(command, environment, what=f"{request.paths[0]} at {url}", folder=SCRIPTS)


def measured_by(command: Sequence[str], environment: Mapping[str, str], *, what: str, folder: Path) -> Load:
    """Run a program that loads a server and prints a Load as a line of JSON.

    Raises BenchmarkError as `measure` does.
    """
    done = subprocess.run(command, env=dict(environment), cwd=folder, capture_output=True, text=True, check=False)
    report = next((line for line in done.stdout.splitlines() if line.startswith("{")), None)
    if done.returncode != 0 or report is None:
        name = Path(command[0]).name
        raise BenchmarkError(f"{name} failed with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    load = msgspec.json.decode(report, type=Load)
    if load.failed or load.broken or not load.requests:
        raise BenchmarkError(
            f"{what}: of {load.requests} requests {load.failed} were refused and {load.broken} were lost."
        )
    return load
