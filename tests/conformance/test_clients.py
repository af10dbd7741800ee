"""The official clients, v10 and v11, run the same story with every link and both transformers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.exchange import Server
from tests.kit.servers import cloned, serving
from tests.kit.trpc import Trpc

CALLS = ["httpLink", "httpBatchLink", "httpBatchStreamLink"]
LIVE = ["httpSubscriptionLink", "wsLink"]
OF_VERSION_10 = ["httpLink", "httpBatchLink"]


@pytest.fixture(scope="session")
def restless_server(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that pings after a moment of silence, and whose clients reopen streams after a second of it."""
    with (
        cloned(postgres_url, template, "test_restless") as url,
        serving(
            tmp_path_factory.mktemp("restless"), database_url=url, sse_ping_seconds=0.1, sse_reconnect_seconds=1
        ) as started,
    ):
        yield started


@pytest.mark.parametrize("link", CALLS)
def test_client_is_served(trpc: Trpc, server: Server, link: str) -> None:
    _tell(trpc.folder, server, "client_v11.mjs", link, "none")


@pytest.mark.parametrize("link", LIVE)
def test_client_is_served_live(trpc: Trpc, restless_server: Server, link: str) -> None:
    _tell(trpc.folder, restless_server, "client_v11.mjs", link, "none")


@pytest.mark.parametrize("link", [*CALLS, *LIVE])
def test_client_with_superjson_is_served(node: Path, superjson_server: Server, link: str) -> None:
    _tell(node, superjson_server, "client_v11.mjs", link, "superjson")


@pytest.mark.parametrize("link", OF_VERSION_10)
def test_client_of_version_10_is_served(node: Path, server: Server, link: str) -> None:
    _tell(node, server, "client_v10.mjs", link, "none")


def test_client_of_version_10_is_served_live(node: Path, restless_server: Server) -> None:
    _tell(node, restless_server, "client_v10.mjs", "wsLink", "none")


@pytest.mark.parametrize("link", [*OF_VERSION_10, "wsLink"])
def test_client_of_version_10_with_superjson_is_served(node: Path, superjson_server: Server, link: str) -> None:
    _tell(node, superjson_server, "client_v10.mjs", link, "superjson")


@pytest.mark.parametrize("links", ["eager", "lazy", "retryLink"])
def test_a_stream_over_a_socket_continues_with_the_next_key(trpc: Trpc, server: Server, links: str) -> None:
    _continues(_ended_key(trpc.folder, "own", links, server, server.token))


@pytest.mark.parametrize("links", ["eager", "lazy", "retryLink"])
def test_a_stream_of_version_11_22_continues_with_the_next_key(node: Path, server: Server, links: str) -> None:
    _continues(_ended_key(node, "11.22", links, server, server.token))


def test_a_stream_over_a_socket_ends_if_the_next_key_is_bad_too(trpc: Trpc, server: Server) -> None:
    # Not with `retryLink`: with 11.22 it loses a stream over a socket after an error.
    assert _ended_key(trpc.folder, "own", "eager", server, "sk_wrong")["outcome"] == "UNAUTHORIZED"


def test_a_stream_of_version_11_22_ends_if_the_next_key_is_bad_too(node: Path, server: Server) -> None:
    assert _ended_key(node, "11.22", "eager", server, "sk_wrong")["outcome"] == "UNAUTHORIZED"


def _continues(told: dict[str, Any]) -> None:
    assert told["outcome"] == 7
    assert told["states"][-2:] == ["connecting", "pending"]


def _ended_key(folder: Path, version: str, links: str, server: Server, next_token: str) -> dict[str, Any]:
    """Run `ended_key.mjs`, and return what it prints."""
    command = ["node", "ended_key.mjs", version, links, server.url, server.token, next_token]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def _tell(folder: Path, server: Server, script: str, link: str, transformer: str) -> None:
    command = ["node", script, server.url, server.token, link, transformer]

    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)

    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
    assert len(json.loads(told.stdout)["done"]) > 0
