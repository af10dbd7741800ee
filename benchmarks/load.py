"""wrk: many connections, one kind of request, for some seconds."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks.errors import BenchmarkError
from benchmarks.machine import program

CONNECTIONS = 64
THREADS = 2
SCRIPTS = Path(__file__).parent / "scripts"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed. Latencies are as the client saw them, with its connections waiting for each answer."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    failed: int
    """Answers with a status above 399."""
    broken: int
    """Connections refused or cut, and answers that took longer than TIMEOUT_SECONDS."""


TIMEOUT_SECONDS = 20


def measure(script: str, url: str, *, seconds: int, environment: Mapping[str, str]) -> Load:
    """Load the server at `url` with `scripts/<script>.lua`, which reads `environment`.

    A run with even one failed or lost request is no result: a server that refuses is fast. It raises BenchmarkError.
    """
    command = [
        program("wrk"),
        *("--connections", str(CONNECTIONS)),
        *("--threads", str(THREADS)),
        *("--duration", f"{seconds}s"),
        *("--timeout", f"{TIMEOUT_SECONDS}s"),
        *("--script", f"{script}.lua"),
        url,
    ]
    done = subprocess.run(command, env=dict(environment), cwd=SCRIPTS, capture_output=True, text=True, check=False)
    report = next((line for line in done.stdout.splitlines() if line.startswith("{")), None)
    if done.returncode != 0 or report is None:
        raise BenchmarkError(f"wrk failed with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    load = msgspec.json.decode(report, type=Load)
    if load.failed or load.broken or not load.requests:
        raise BenchmarkError(
            f"{script} at {url}: of {load.requests} requests {load.failed} were refused and {load.broken} were lost."
        )
    return load
