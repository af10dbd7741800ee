"""The commands that tests run in forked processes."""

import signal
import subprocess
import sys

import psutil

from tests.kit.paths import ROOT
from tests.kit.servers import until

KILLED = """
import os, signal
from pathlib import Path
from tests.kit.command import start
from tests.kit.servers import environment

print(start("verify", "-", env=environment(Path("nowhere")), files=(0, 2, 2)).pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
"""It leaves a command behind that waits for its input."""


def test_a_killed_run_of_tests_leaves_no_command_behind() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        pid = int(tests.stdout.readline())

        until(lambda: not psutil.pid_exists(pid))

        assert tests.wait() == -signal.SIGKILL
