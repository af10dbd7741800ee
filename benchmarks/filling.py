"""A log of a given size with events of many kinds, filled by `synap import`."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.database import Cluster
from benchmarks.errors import BenchmarkError, Missing
from benchmarks.progress import progress

WORKSPACE = "default"

TYPES = [
    f"entity.{name}" for name in ("created", "updated", "viewed", "linked", "moved", "shared", "archived", "deleted")
]

EVENT_BYTES, SPARE_BYTES = 1500, 2 * 10**9
"""The disk space for each event with its indexes, and for the WAL."""


def check_disk(events: int) -> None:
    """Raise Missing if the folder for temporary files has no room for a log of `events` events."""
    wanted, folder = events * EVENT_BYTES + SPARE_BYTES, tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise Missing(
            f"{events:,} events need {wanted / 1e9:.0f} GB in {folder}, which has {free / 1e9:.0f} GB: set TMPDIR to a "
            "folder on a larger disk, or name smaller sizes."
        )


def fill(cluster: Cluster, database: str, data_dir: Path, events: int) -> None:
    """Import `events` events into an empty log. A server may run meanwhile, with the same data directory."""
    command = [str(Path(sys.executable).with_name("synap")), "import", "-"]
    variables = {
        "SYNAP_DATABASE_URL": cluster.url(database),
        "SYNAP_DATA_DIR": str(data_dir),
        "PATH": os.environ["PATH"],
    }
    with (
        progress(f"filling to {events:,}", events) as moved,
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, env=variables, cwd=data_dir, stdin=subprocess.PIPE, stdout=said, stderr=said) as ran,
    ):
        assert ran.stdin is not None  # noqa: S101 - for the type checker
        with suppress(BrokenPipeError):  # it has ended, and prints why
            for place in range(events):
                ran.stdin.write(msgspec.json.encode(event(place)) + b"\n")
                moved(place + 1)
            ran.stdin.close()
        if ran.wait():
            said.seek(0)
            raise BenchmarkError(f"synap import ended with {ran.returncode}: {said.read()}")


def event(place: int) -> dict[str, Any]:
    """The event with this number. Most types, users, agents and kinds are common, and some are rare."""
    chance = random.Random(place)  # noqa: S311 - the same events in every run
    event: dict[str, Any] = {
        "type": TYPES[min(int(chance.expovariate(0.7)), len(TYPES) - 1)],
        "subjectId": f"entity-{chance.randrange(100_000)}",
        "userId": f"user-{chance.randrange(2000)}",
        "source": chance.choice(["api", "api", "intelligence", "sync"]),
        "data": {"title": f"Call John, {place}", "priority": chance.randrange(5)},
    }
    if place % 3 == 0:
        event["occurredAt"] = (
            datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(10**7))
        ).isoformat()
    if place % 1000 == 7:
        event["metadata"] = {"automation": {"ruleId": "r", "ruleName": "nightly", "trigger": {"type": "schedule"}}}
    elif place % 10 < 6:
        agent = "auditor" if place % 1000 == 1 else chance.choice(["orchestrator", "coder", "planner", "reviewer"])
        event["metadata"] = {"ai": {"agent": agent, "confidence": {"score": chance.randrange(101) / 100}}}
    return event
