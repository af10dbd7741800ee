"""What a deployment takes from this repository: the wheel, the unit of systemd, the alerts."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.process import free_port
from tests.kit import web
from tests.kit.paths import ROOT
from tests.kit.servers import Server, environment, until

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


def test_the_wheel_has_all_that_a_server_needs(tmp_path: Path) -> None:
    """The server runs from the wheel's files alone, beside the packages that it depends on."""
    build = [*(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation")]
    subprocess.run([*build, "--wheel-dir", tmp_path / "wheels", ROOT], check=True, capture_output=True)
    [wheel] = (tmp_path / "wheels").iterdir()
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    port = free_port()
    variables = environment(tmp_path / "data", port=port) | {"PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-P", "-m", "synap_events", "serve"]

    with subprocess.Popen(command, cwd=tmp_path, env=variables) as process:
        try:
            until(lambda: process.poll() is not None or _answers(port), seconds=120)
            statuses = [
                web.get(f"http://127.0.0.1:{port}{path}").status_code
                for path in ("/readyz", "/docs", "/openapi.json", "/console")
            ]
        finally:
            process.terminate()

    assert statuses == [200] * 4
    assert not any(name.startswith(("tests/", "benchmarks/", "deploy/")) for name in zipfile.ZipFile(wheel).namelist())


def _answers(port: int) -> bool:
    try:
        return web.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except Exception:  # noqa: BLE001 - it does not listen yet
        return False
