"""Node, its packages, and the official server, once per run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NODE = Path(__file__).with_name("node")
# Longer than any request line and header block that the tests send.
MAX_HEADER_BYTES = 131_072


@dataclass(frozen=True)
class Reference:
    """The official server, running."""

    url: str
    token: str = "sk_reference"


@pytest.fixture(scope="session")
def node() -> Path:
    """The folder of the node scripts, its packages installed as its lock says.

    Without node the tests are skipped; in CI they fail.
    """
    missing = [command for command in ("node", "npm") if shutil.which(command) is None]
    if missing:
        reason = f"{' and '.join(missing)} not found: the official tRPC packages cannot run"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    lock, installed = (NODE / "package-lock.json", NODE / "node_modules" / ".package-lock.json")
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # parallel test processes install once
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            subprocess.run(["npm", "ci"], cwd=NODE, check=True, timeout=600)
    return NODE


@pytest.fixture(scope="session")
def reference(node: Path) -> Iterator[Reference]:
    """The official server without a transformer."""
    with _running(node) as peer:
        yield peer


@pytest.fixture(scope="session")
def superjson_reference(node: Path) -> Iterator[Reference]:
    """The official server with superjson."""
    with _running(node, "superjson") as peer:
        yield peer


@contextmanager
def _running(node: Path, *arguments: str) -> Iterator[Reference]:
    command = ["node", f"--max-http-header-size={MAX_HEADER_BYTES}", "reference.mjs", "0", *arguments]
    with subprocess.Popen(command, cwd=node, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Reference(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.terminate()
