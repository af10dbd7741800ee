"""What a deployment takes from this repository: the unit of systemd, the alerts."""

import re
import shutil
import subprocess

import pytest

from tests.kit import web
from tests.kit.paths import ROOT
from tests.kit.servers import Server

UNIT = ROOT / "deploy" / "systemd" / "synap.service"
ALERTS = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
EXPOSED = re.compile(r"^# TYPE (\S+) ", re.MULTILINE)
NAMED = re.compile(r"\bsynap_[a-z_]+")


def test_every_metric_that_an_alert_names_is_exposed(server: Server) -> None:
    expressions = "\n".join(re.findall(r"expr: (.*)", ALERTS))
    # `synap_disk_free_bytes` is only of a server with an embedded database; tests/cli/test_sizes.py sees it there.
    exposed = {*EXPOSED.findall(web.get(f"{server.url}/metrics").text), "synap_disk_free_bytes"}

    named = set(NAMED.findall(expressions))

    assert len(named) >= 8
    assert named - exposed == set()


def test_every_alert_says_what_is_wrong() -> None:
    assert (
        ALERTS.count("- alert: ") == ALERTS.count("expr: ") == ALERTS.count("severity: ") == ALERTS.count("summary: ")
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_the_unit_of_systemd_is_hardened() -> None:
    """The threshold is the exposure in tenths: 10 is worst."""
    analyzed = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)]

    done = subprocess.run(analyzed, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
