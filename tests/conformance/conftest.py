"""Node, its packages, and the official server, once per run."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.exchange import Server, ask
from tests.conformance.requests import SEED, post, wrapped
from tests.conformance.subscriptions import STREAMED
from tests.kit.servers import Server as RealServer
from tests.kit.servers import cloned, serving

# Longer than any request line and header block that the tests send.
MAX_HEADER_BYTES = 131_072


@dataclass(frozen=True)
class Reference:
    """The running official server."""

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


@pytest.fixture(scope="session")
def server(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Our server, whose log has the events of the reference's log, and no events of other tests."""
    with (
        cloned(postgres_url, template, "test_conformance") as url,
        serving(tmp_path_factory.mktemp("conformance"), database_url=url) as started,
    ):
        yield started


@pytest.fixture(scope="session")
def superjson_server(
    postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    """Such a server with superjson."""
    with (
        cloned(postgres_url, template, "test_conformance_superjson") as url,
        serving(tmp_path_factory.mktemp("conformance"), database_url=url, transformer="superjson") as started,
    ):
        yield started


@pytest.fixture(scope="session")
def seeded(server: Server, reference: Server) -> tuple[Server, Server]:
    """Our server and the reference, both with the events that the tests need."""
    for peer in (server, reference):
        assert ask(peer, post("seed", "/events.log", SEED)).status == 200
        assert ask(peer, post("stream", "/events.logBatch", {"events": STREAMED})).status == 200
    return server, reference


@pytest.fixture(scope="session")
def superjson_seeded(superjson_server: Server, superjson_reference: Server) -> tuple[Server, Server]:
    """Our server and the reference with superjson, both with the events that the tests need."""
    for peer in (superjson_server, superjson_reference):
        assert ask(peer, post("seed", "/events.log", wrapped(SEED)), superjson=True).status == 200
        streamed = post("stream", "/events.logBatch", wrapped({"events": STREAMED}))
        assert ask(peer, streamed, superjson=True).status == 200
    return superjson_server, superjson_reference


@contextmanager
def _running(node: Path, *arguments: str) -> Iterator[Reference]:
    command = ["node", f"--max-http-header-size={MAX_HEADER_BYTES}", "reference.mjs", "0", *arguments]
    with subprocess.Popen(command, cwd=node, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Reference(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.terminate()
