"""A server for browsers that logs every call, and whose database the tests can reach."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests.kit.packages import STRANGERS_PYTHON, strangers_python
from tests.kit.servers import Server, cloned, serving

ORIGINS = ("https://app.example", "http://localhost:3000")


class Observed(Struct, frozen=True):
    """A running server and its database."""

    server: Server
    database_url: str


@pytest.fixture(scope="package")
def observed(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """One server for all tests of this package."""
    with (
        cloned(postgres_url, template, "test_surfaces") as url,
        serving(
            tmp_path_factory.mktemp("surfaces"),
            database_url=url,
            cors_origins=" , ".join(ORIGINS),
            log_calls=True,
            max_streams=2000,
        ) as server,
    ):
        yield Observed(server, url)


@pytest.fixture(scope="session")
def strangers() -> Path:
    """The Python that has other people's readers of logs. A machine without one that is new enough skips the tests."""
    python = strangers_python()
    if python is None:
        pytest.skip(f"no Python {'.'.join(map(str, STRANGERS_PYTHON))} or later found: these programs cannot run")
    return python
