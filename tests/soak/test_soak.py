"""The live stream under many readers."""

import subprocess
import sys

from tests.kit.paths import ROOT


def test_each_of_many_readers_gets_every_event_once_and_in_order() -> None:
    command = [sys.executable, "-m", "benchmarks", "soak", "--readers", "100", "--rate", "50", "--seconds", "3"]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("100 readers got each of 150 events once and in order"), ran.stdout
