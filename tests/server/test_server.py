"""The server processes, as they are started and stopped from outside."""

import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from app.server.workers import Interrupt
from benchmarks.process import free_port
from tests.kit.command import SYNAP
from tests.kit.servers import cloned, environment, until


@pytest.mark.parametrize("delay_seconds", [0, 0.3, 0.6, 1.2])
def test_a_server_stops_if_asked_while_it_starts(
    postgres_url: str, template: str, tmp_path: Path, delay_seconds: float
) -> None:
    """A forked process first has its parent's signal handlers."""
    with cloned(postgres_url, template, f"test_server_{int(delay_seconds * 10)}") as url:
        settings = environment(tmp_path, port=free_port(), database_url=url, workers=2)
        with subprocess.Popen(
            [SYNAP, "serve", "--init"], env=settings, cwd=tmp_path, stdout=subprocess.DEVNULL
        ) as process:
            until(lambda: len(psutil.Process(process.pid).children()) == 2)
            time.sleep(delay_seconds)  # its processes are at different places then, and may be stopped at each

            process.send_signal(signal.SIGTERM)

            assert process.wait(timeout=60) == 0


def test_a_process_that_cannot_start_says_why(postgres_url: str, template: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import psycopg_pool\n\n"
        "async def fail(*_: object, **__: object) -> None:\n"
        '    raise RuntimeError("no pool today")\n\n'
        "psycopg_pool.AsyncConnectionPool.open = fail\n"
    )
    with cloned(postgres_url, template, "test_server_broken") as url:
        settings = environment(tmp_path, port=free_port(), database_url=url, extensions="broken")
        done = subprocess.run(
            [SYNAP, "serve", "--init"],
            env=settings,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert "this process cannot start" in done.stderr
    assert "no pool today" in done.stderr


def test_a_server_never_misses_the_request_to_stop() -> None:
    """Granian's loop clears the event that wakes it, and then acts on something else, such as a process to replace."""
    interrupt = Interrupt()
    interrupt.set()
    interrupt.clear()
    assert not interrupt.is_set()

    interrupt.set_for_good()
    interrupt.clear()

    assert interrupt.is_set()
