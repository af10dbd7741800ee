"""The Python client, as it is installed: its folder is on the module path."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.paths import ROOT

SOURCE = ROOT / "clients" / "python" / "src"

sys.path.insert(0, str(SOURCE))

from synap_client import Synap, new_id  # noqa: E402 - it is found from here on

from tests.kit.servers import Server  # noqa: E402 - as above


@pytest.fixture
def client(server: Server) -> Iterator[Synap]:
    """A client of the shared server, which may do everything."""
    with Synap(server.url, server.token) as made:
        yield made


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A spool that is not there yet."""
    return tmp_path / "spool"


@pytest.fixture
def run() -> str:
    """What the events of this test have in common."""
    return new_id()
