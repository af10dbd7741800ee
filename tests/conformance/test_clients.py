"""The official clients, v10 and v11, with every link and both transformers, live through the same story."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conformance.exchange import Server

COMBINATIONS = [
    ("client_v11.mjs", "httpLink"),
    ("client_v11.mjs", "httpBatchLink"),
    ("client_v11.mjs", "httpBatchStreamLink"),
    ("client_v10.mjs", "httpLink"),
    ("client_v10.mjs", "httpBatchLink"),
]


@pytest.mark.parametrize(("script", "link"), COMBINATIONS)
def test_client_is_served(node: Path, server: Server, script: str, link: str) -> None:
    _tell(node, server, script, link, "none")


@pytest.mark.parametrize(("script", "link"), COMBINATIONS)
def test_client_with_superjson_is_served(node: Path, superjson_server: Server, script: str, link: str) -> None:
    _tell(node, superjson_server, script, link, "superjson")


def _tell(node: Path, server: Server, script: str, link: str, transformer: str) -> None:
    command = ["node", script, server.url, server.token, link, transformer]

    told = subprocess.run(command, cwd=node, capture_output=True, text=True, timeout=120, check=False)

    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
    assert len(json.loads(told.stdout)["done"]) > 0
