"""A shared open store, with an own log for each test."""

import itertools
from collections.abc import Iterator

import msgspec
import pytest

from app.store.install.install import connect
from app.store.install.workspaces import create_workspace
from tests.kit.servers import cloned
from tests.store.corpus import Corpus
from tests.store.opened import START, Store, opened

_numbers = itertools.count()


@pytest.fixture(scope="package")
def open_store(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all tests of this package."""
    with cloned(postgres_url, template, "test_store") as url, opened(url, tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def store(open_store: Store) -> Store:
    """The store with an empty workspace, and another one as `other`."""
    own = msgspec.structs.replace(open_store, workspace=f"w{next(_numbers)}")
    own.clock.at = START
    with connect(own.url) as connection:
        for slug in (own.workspace, own.other):
            create_workspace(connection, slug)
    return own


@pytest.fixture(scope="package")
def corpus(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    """Some hundreds of events."""
    with (
        cloned(postgres_url, template, "test_reader_corpus") as url,
        opened(url, tmp_path_factory.mktemp("corpus"), workspaces=["other"]) as store,
    ):
        filled = Corpus(store)
        filled.fill()
        yield filled
