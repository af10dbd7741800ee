"""The embedded PostgreSQL is killed under a running server."""

import os
import signal
from pathlib import Path

import pytest

from app.store.postgres.embedded import postgres
from benchmarks.process import free_port
from tests.acceptance.processes import synap
from tests.acceptance.writers import writing
from tests.kit.checks import check_log
from tests.kit.servers import serving, until

HEAL_SECONDS = 60
"""Much longer than it takes, because the machine may be busy."""

RUNS_AGAIN = "the embedded PostgreSQL runs again"
"""What the server logs then."""


def _kill(data_dir: Path) -> None:
    """Kill the main process of the embedded database, but not its children."""
    pid = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)


@pytest.mark.usefixtures("started_before")
def test_a_killed_database_is_started_again_and_keeps_what_was_acknowledged(data_dir: Path) -> None:
    with serving(data_dir) as server, writing([server], clients=8) as writers:
        for kill in range(2):
            before = len(writers.acknowledged)
            until(lambda: len(writers.acknowledged) > before + 100)  # noqa: B023
            _kill(data_dir)
            until(lambda: server.log.read_text().count(RUNS_AGAIN) > kill, seconds=HEAL_SECONDS)  # noqa: B023
            healed_at = len(writers.acknowledged)
            until(lambda: len(writers.acknowledged) > healed_at + 100, seconds=HEAL_SECONDS)  # noqa: B023
        writers.stop()
        doctor = synap(data_dir, "doctor", port=server.url.rsplit(":", 1)[1])

    assert "wrong:" not in doctor
    log = server.log.read_text()
    assert log.count("the embedded PostgreSQL ended and is started again") == 2
    assert log.count(RUNS_AGAIN) == 2
    assert server.process.returncode == 0
    with postgres(data_dir, ours=True) as url:
        stored = {event["event_id"]: event["hash"] for event in check_log(url)}
    assert {id_: event["hash"] for id_, event in writers.acknowledged.items()}.items() <= stored.items()


@pytest.mark.usefixtures("started_before")
def test_doctor_starts_and_makes_nothing(data_dir: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in data_dir.rglob("*")}

    stopped = synap(data_dir, "doctor", code=1, port=free_port())
    never = synap(data_dir / "metrics", "doctor", code=1, port=free_port())

    assert stopped.splitlines()[0] == (
        f"wrong: The embedded database in {data_dir} is stopped, so it was not checked; synap serve starts it."
    )
    assert f"ok: The install secret {data_dir / 'install.secret'} can be read." in stopped
    assert never.startswith(f"wrong: There is no database in {data_dir / 'metrics'}; synap serve makes one.")
    assert {path: path.stat().st_mtime_ns for path in data_dir.rglob("*")} == before
