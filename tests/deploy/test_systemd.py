"""The unit of systemd."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit.paths import ROOT

DEPLOYING = (ROOT / "docs" / "operate" / "deploy.md").read_text()
UNIT = ROOT / "deploy" / "systemd" / "synap.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_the_unit_of_systemd_is_hardened() -> None:
    """The threshold is the exposure in tenths: 10 is worst."""
    analyzed = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)]

    done = subprocess.run(analyzed, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_the_unit_is_started_again_however_long_the_database_is_away() -> None:
    lines = UNIT.read_text().splitlines()

    assert {"Restart=on-failure", "StartLimitIntervalSec=0"} <= set(lines)


def test_a_shell_and_systemd_read_the_same_settings(tmp_path: Path) -> None:
    [(read, said)] = re.findall(r"^(set -a; \. (/etc/synap/environment); set \+a)$", DEPLOYING, re.MULTILINE)
    [example] = re.findall(r"# (SYNAP_DATABASE_URL='\.\.\.') and other settings$", DEPLOYING, re.MULTILINE)
    url = "postgresql://synap:p$s@db1,db2/synap?target_session_attrs=read-write&sslmode=require"
    (tmp_path / "environment").write_text(example.replace("...", url) + "\n")
    script = f"{read.replace(said, str(tmp_path / 'environment'))}; exec printenv SYNAP_DATABASE_URL"

    printed = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=False)

    assert (printed.stdout, printed.stderr) == (f"{url}\n", "")
