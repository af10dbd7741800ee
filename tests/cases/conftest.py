"""Servers that the cases share, and helpers that send any bytes as a request."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from msgspec import Struct

from benchmarks.process import free_port
from tests.delivery.conftest import run
from tests.kit.servers import Server, cloned, serving
from tests.procedures.conftest import Keyed

__all__ = ["run"]

ORIGIN = "https://app.example"

Pairs = list[tuple[str, str]]


class Doors(Struct, frozen=True):
    """A running server with both listeners, and its database."""

    server: Server
    ledger_url: str
    database_url: str
    client: httpx.Client
    """The shared client. It is created once, because that reads the system's certificates."""

    def http(self, method: str, path: str, headers: Pairs | None = None, **more: object) -> httpx.Response:
        """Send one request with the control token. A header may occur twice."""
        own = [*self.server.headers.items(), *(headers or [])]
        return self.client.request(method, f"{self.server.url}{path}", headers=own, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="package")
def doors(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """The doors for all tests of this package that only add events."""
    port = free_port()
    with (
        cloned(postgres_url, template, "test_cases") as url,
        serving(
            tmp_path_factory.mktemp("cases"),
            database_url=url,
            ledger_port=port,
            cors_origins=ORIGIN,
            cors_headers="X-Mine, b3",
            rate_publish=100_000,
            rate_query=100_000,
        ) as server,
        httpx.Client(timeout=30) as client,
    ):
        yield Doors(server, f"http://127.0.0.1:{port}", url, client)


@pytest.fixture
def org(doors: Doors) -> str:
    """A workspace of the test's own."""
    return Keyed(doors.server, doors.database_url).workspace()


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement as the database's owner."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def spoken(url: str, head: bytes, body: bytes = b"") -> bytes:
    """Send bytes that no library sends, and return the answer. The head must ask the server to close the connection."""
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=30) as connection:
        connection.sendall(head + body)
        answer = b""
        while data := connection.recv(65_536):
            answer += data
    return answer


def gone(doors: Doors, sent: bytes) -> None:
    """Send bytes, and close the connection."""
    parts = urlsplit(doors.server.url)
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=30) as connection:
        connection.sendall(sent)
