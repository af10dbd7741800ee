"""The unit of systemd."""

import shutil
import subprocess

import pytest

from tests.kit.paths import ROOT

UNIT = ROOT / "deploy" / "systemd" / "synap.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_the_unit_of_systemd_is_hardened() -> None:
    """The threshold is the exposure in tenths: 10 is worst."""
    analyzed = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)]

    done = subprocess.run(analyzed, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
