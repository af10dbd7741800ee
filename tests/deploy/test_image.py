"""The image of `deploy/Dockerfile`: its steps are followed in a copy of this machine, because Docker needs a daemon."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.process import free_port
from tests.kit import images, web
from tests.kit.paths import ROOT
from tests.kit.servers import until

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
STEPS = images.parsed(DOCKERFILE.read_text())


@pytest.fixture
def port() -> int:
    """The port of the image's server."""
    return free_port()


@pytest.fixture
def container(port: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What `docker run` starts from the image, with an embedded database."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("only root may follow a Dockerfile without Docker")
    images.context(tmp_path / "context")
    folders = (tmp_path / "context", tmp_path / "image")
    follow: list[str | Path] = ["unshare", "--mount", sys.executable, "-m", "tests.kit.images", DOCKERFILE, *folders]
    settings = (f"SYNAP_PORT={port}", "SYNAP_LEDGER_PORT=0")
    with subprocess.Popen([*follow, *settings], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_image_serves_as_a_user_without_rights_on_read_only_files(
    container: subprocess.Popen[bytes], port: int
) -> None:
    assert health(port) != 0, "it does not listen yet"
    until(lambda: container.poll() is not None or _listens(port), seconds=240)
    until(lambda: health(port) == 0)

    status = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{container.pid}/status").read_text(), re.MULTILINE))
    console = web.get(f"http://127.0.0.1:{port}/console")
    volume = Path(f"/proc/{container.pid}/root/var/lib/synap")
    made = {path.name for path in volume.iterdir()}
    container.terminate()
    code = container.wait(timeout=60)

    assert status["Uid"].split() == ["10001"] * 4
    assert (int(status["CapBnd"], 16), status["NoNewPrivs"]) == (0, "1")
    assert console.status_code == 200
    assert {"control.token", "install.secret", "node.key", "postgres"} <= made
    assert code == 0


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


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
