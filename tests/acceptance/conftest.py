"""Two server processes that share a database, for all stories that do not stop them."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from msgspec import Struct

from app.store.install.workspaces import create_workspace
from tests.kit.servers import Server, cloned, serving

_numbers = itertools.count()


class Pair(Struct, frozen=True):
    """Two servers on one database, with one data directory for their keys."""

    database_url: str
    data_dir: Path
    servers: tuple[Server, Server]


@pytest.fixture(scope="session")
def pair(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two servers that no test stops."""
    data_dir = tmp_path_factory.mktemp("pair")
    with cloned(postgres_url, template, "pair") as url, ExitStack() as stack:
        first, second = (stack.enter_context(serving(data_dir, database_url=url)) for _ in range(2))
        yield Pair(url, data_dir, (first, second))


@pytest.fixture
def workspace(pair: Pair) -> str:
    """A workspace of the test's own, empty, in the database of `pair`."""
    slug = f"workspace-{next(_numbers)}"
    with psycopg.connect(pair.database_url, autocommit=True) as connection:
        assert create_workspace(connection, slug)
    return slug
