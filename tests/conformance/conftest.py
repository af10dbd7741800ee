"""Node, its packages, and the official server, once per run."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

# Longer than any request line and header block that the tests send.
MAX_HEADER_BYTES = 131_072


@dataclass(frozen=True)
class Reference:
    """The official server, running."""

    url: str
    token: str = "sk_reference"


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
