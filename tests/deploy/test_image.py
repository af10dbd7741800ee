"""The image of `deploy/Dockerfile`: its steps are followed in a copy of this machine, because Docker needs a daemon."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks.process import free_port, listens
from tests.kit import images, web
from tests.kit.examples import ALL
from tests.kit.paths import ROOT
from tests.kit.servers import until

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
STEPS = images.parsed(DOCKERFILE.read_text())


LOOK = (
    "id -u; touch /tmp/ours /var/lib/synap/ours; touch /opt/synap/theirs 2>/dev/null || echo read-only; synap --version"
)


@pytest.fixture
def docker_run(tmp_path: Path) -> list[str | Path]:
    """The beginning of a command that makes the image, and runs it as `docker run` does."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("only root may follow a Dockerfile without Docker")
    if len({Path(path).stat().st_dev for path in ("/", ROOT, sys.prefix, sys.base_prefix)}) > 1:
        pytest.skip("the copy of this machine has only the files of its root file system")
    images.context(tmp_path / "context")
    follow = (sys.executable, "-m", "tests.kit.images", DOCKERFILE, tmp_path / "context", tmp_path / "image")
    return ["unshare", "--mount", *follow]


def test_the_image_runs_as_a_user_without_rights_on_read_only_files(docker_run: list[str | Path]) -> None:
    ran = subprocess.run([*docker_run, "--", "sh", "-c", LOOK], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.stdout.splitlines()[-3:] == ["10001", "read-only", f"synap {version('synap-events')}"], ran.stderr


@pytest.mark.skipif(not ALL, reason="only in make soak")
def test_the_image_serves(docker_run: list[str | Path]) -> None:
    port = free_port()
    assert health(port) != 0, "nobody listens"
    with subprocess.Popen([*docker_run, f"SYNAP_PORT={port}", "SYNAP_LEDGER_PORT=0", "--"], cwd=ROOT) as container:
        try:
            until(lambda: container.poll() is not None or listens(port), seconds=240)
            until(lambda: health(port) == 0)
            status = Path(f"/proc/{container.pid}/status").read_text()
            console = web.get(f"http://127.0.0.1:{port}/console")
            made = {path.name for path in Path(f"/proc/{container.pid}/root/var/lib/synap").iterdir()}
        finally:
            container.terminate()

    assert container.returncode == 0
    assert re.findall(r"^(?:Uid|CapBnd|NoNewPrivs):\s+(\w+)", status, re.MULTILINE) == ["10001", "0" * 16, "1"]
    assert console.status_code == 200
    assert {"control.token", "install.secret", "node.key", "postgres"} <= made


def test_the_image_has_the_versions_of_the_lock_and_no_root() -> None:
    steps = [(step.name, step.text) for step in STEPS]

    assert [text for name, text in steps if name == "FROM"] == ["python:3.13-slim AS build", "python:3.13-slim"]
    assert any("--require-hashes" in text and "--requirement requirements.lock" in text for _, text in steps)
    assert [text for name, text in steps if name == "USER"] == ["10001:10001"]


def health(port: int) -> int:
    """The exit code of the image's health check."""
    [check] = [step.text.partition("CMD ")[2] for step in STEPS if step.name == "HEALTHCHECK"]
    variables = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "SYNAP_PORT": str(port)}
    return subprocess.run(["sh", "-c", check], env=variables, stderr=subprocess.DEVNULL, check=False).returncode
