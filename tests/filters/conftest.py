"""An open store, with an own log for each test."""

from collections.abc import Iterator

import pytest

from app.store.install.install import connect
from tests.filters.logs import Logs
from tests.kit.servers import cloned
from tests.store.opened import opened


@pytest.fixture(scope="package")
def open_logs(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logs]:
    """One store for all tests of this package."""
    with (
        cloned(postgres_url, template, "test_filters") as url,
        opened(url, tmp_path_factory.mktemp("filters")) as store,
        connect(url) as connection,
    ):
        yield Logs(store, connection)


@pytest.fixture
def logs(open_logs: Logs) -> Logs:
    """The shared store with an empty log."""
    open_logs.begin()
    return open_logs
