"""After a power cut under an embedded database, a recorded process id can belong to another process."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.processes import kill, kill_tree
from tests.kit.servers import serving


@pytest.mark.usefixtures("started_before")
def test_start_after_a_power_cut_trusts_no_old_process_id(data_dir: Path) -> None:
    with serving(data_dir) as server:
        logged = server.mutate("events.log", {"type": "note.created", "data": {"n": 1}}).json()["result"]["data"]
        left_behind = data_dir / "postgres" / "postmaster.pid"
        pid, rest = left_behind.read_text().split("\n", 1)
        kill(server)
        kill_tree(int(pid))

    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as bystander:
        try:
            left_behind.write_text(f"{bystander.pid}\n{rest}")

            with serving(data_dir) as again:
                assert again.query("events.get", {"eventId": logged["id"]}).json()["result"]["data"] == logged

            assert bystander.poll() is None, "an unrelated process was stopped"
        finally:
            bystander.kill()
