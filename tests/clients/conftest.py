"""The Python client, as it is installed: its folder is on the module path."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "clients" / "python" / "src"

sys.path.insert(0, str(SOURCE))

from synap_client import Synap  # noqa: E402 - it is found from here on

from tests.servers import Server  # noqa: E402 - as above


@pytest.fixture
def client(server: Server) -> Iterator[Synap]:
    """A client of the shared server, which may do everything."""
    with Synap(server.url, server.token) as made:
        yield made
