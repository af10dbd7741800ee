"""A server for browsers that logs every call, and whose database the tests can reach."""

from collections.abc import Iterator

import pytest
from msgspec import Struct

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
