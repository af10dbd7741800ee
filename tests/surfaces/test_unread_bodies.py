"""The server checks who calls, and whether it may, before it reads a body.

It does not wait for the body of a rejected call.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.surfaces.shared.exchange import Exchange
from tests.kit import web
from tests.kit.servers import Server, cloned, serving, until
from tests.procedures.conftest import Keyed
from tests.surfaces.conftest import Observed

BODY_BYTES = 8_000_000

DOORS = {
    "a tRPC call": ("/trpc/events.log", "application/json"),
    "a tRPC batch": ("/trpc/events.log,events.logBatch?batch=1", "application/json"),
    "a tRPC query by POST": ("/trpc/audit.list", "application/json"),
    "publish": ("/v1/events", "application/json"),
    "a CloudEvent": ("/v1/events", "application/cloudevents+json"),
    "CloudEvents": ("/v1/events", "application/cloudevents-batch+json"),
    "a webhook": ("/v1/events/subscriptions", "application/json"),
}
ALSO_WITHOUT_A_SCOPE = {
    "a stream": ("/trpc/events.stream", "application/json"),
    "MCP": ("/mcp", "application/json"),
}


@pytest.fixture
def keyed(observed: Observed) -> Keyed:
    """The shared server, with helpers that create keys."""
    return Keyed(observed.server, observed.database_url)


@contextmanager
def sending(server: Server, target: str, content_type: str, *more: str) -> Iterator[socket.socket]:
    """A connection on which the head of a request and one byte of its body were sent."""
    where = urlsplit(server.url)
    lines = [
        f"POST {target} HTTP/1.1",
        "host: x",
        f"content-type: {content_type}",
        f"content-length: {BODY_BYTES}",
        *([f"authorization: Bearer {server.token}"] if server.token else []),
        *more,
    ]
    with socket.create_connection((str(where.hostname), where.port), timeout=60) as connection:
        connection.sendall("\r\n".join([*lines, "", "{"]).encode())
        yield connection


def head_of(connection: socket.socket) -> str:
    """The head of the answer on a connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        assert piece, "the connection was closed without an answer"
        received += piece
    return received.partition(b"\r\n\r\n")[0].decode().lower()


@pytest.mark.parametrize("door", DOORS.values(), ids=list(DOORS))
def test_a_caller_without_the_scope_is_rejected_while_its_body_is_on_its_way(
    keyed: Keyed, door: tuple[str, str]
) -> None:
    _, reader = keyed.key("ledger:read")

    with sending(reader, *door) as connection:
        head = head_of(connection)

    assert head.startswith("http/1.1 403")
    assert "connection: close" in head


@pytest.mark.parametrize("door", (DOORS | ALSO_WITHOUT_A_SCOPE).values(), ids=list(DOORS | ALSO_WITHOUT_A_SCOPE))
def test_an_unknown_token_is_rejected_while_its_body_is_on_its_way(observed: Observed, door: tuple[str, str]) -> None:
    unknown = Server(observed.server.url, "sk_nobody_x", observed.server.process, observed.server.log)

    with sending(unknown, *door) as connection:
        head = head_of(connection)

    status = "200" if "stream" in door[0] else "401"  # a stream reports its error as an event
    assert head.startswith(f"http/1.1 {status}")


def test_a_batch_in_which_no_call_may_run_is_answered_without_its_body(keyed: Keyed) -> None:
    _, reader = keyed.key("ledger:read")

    with sending(reader, "/trpc/events.log,nope.nope?batch=1", "application/json") as connection:
        head = head_of(connection)

    assert head.startswith("http/1.1 207")


@pytest.mark.parametrize("size", [1, 5_000, 300_000, 6_000_000])
def test_the_connection_of_a_rejected_caller_goes_on_behind_its_body(observed: Observed, size: int) -> None:
    with web.client(base_url=observed.server.url, timeout=60) as client:
        answers = [client.post("/v1/events", content=b" " * size) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401] * 3
    assert not any("connection" in answer.headers for answer in answers)


def test_whoever_waits_to_be_asked_for_a_body_is_not_asked(observed: Observed) -> None:
    unknown = Server(observed.server.url, "", observed.server.process, observed.server.log)

    with sending(unknown, "/v1/events", "application/json", "expect: 100-continue") as connection:
        head = head_of(connection)

    assert head.startswith("http/1.1 401")
    assert "connection: close" in head


def test_a_body_whose_length_is_known_ends_with_its_last_byte() -> None:
    pieces = [b"ab", b"c"]

    async def receive() -> Any:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": True}

    async def received() -> list[bool]:
        head: Any = {"type": "http", "headers": [(b"content-length", b"3")]}
        exchange: Any = Exchange(head, receive, send, has_head=False)
        return [(await exchange.receive())["more_body"] for _ in range(2)]

    async def send(_: object) -> None:
        raise AssertionError("nobody answers")

    assert asyncio.run(received()) == [True, False]


def test_a_key_that_sends_too_much_delays_only_itself(keyed: Keyed) -> None:
    event = {"type": "a.b", "data": {"text": "x" * 900_000}}
    _, greedy = keyed.key("events:write")
    _, other = keyed.key("events:write")

    with ExitStack() as open_:
        for _ in range(2):
            open_.enter_context(sending(greedy, "/trpc/events.logBatch", "application/json"))
        until(lambda: greedy.mutate("events.log", event).status_code == 503)
        refused = greedy.mutate("events.log", event)
        small = greedy.mutate("events.log", {"type": "a.b", "data": {}})
        logged = other.mutate("events.log", event)

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert small.status_code == logged.status_code == 200


def test_a_key_without_the_scope_uses_up_nobodys_rate(
    postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        cloned(postgres_url, template, "test_unread_rates") as url,
        serving(tmp_path_factory.mktemp("rates"), database_url=url, rate_publish=2) as server,
    ):
        _, reader = Keyed(server, url).key("events:read")
        event = {"type": "a.b", "source": "s", "data": {}}

        refused = [web.post(f"{server.url}/v1/events", json=event, headers=reader.headers) for _ in range(5)]
        published = web.post(f"{server.url}/v1/events", json=event, headers=server.headers)

    assert {answer.status_code for answer in refused} == {403}
    assert published.status_code == 201


def test_the_refusals_of_keys_without_the_scope_are_counted(keyed: Keyed) -> None:
    _, reader = keyed.key("ledger:read")

    def forbidden() -> list[str]:
        text = web.get(f"{keyed.server.url}/metrics").text
        return [
            line
            for line in text.splitlines()
            if 'synap_calls_total{code="forbidden"' in line and '"events.log"' in line
        ]

    before = forbidden()
    web.post(f"{keyed.server.url}/v1/events", json={}, headers=reader.headers)

    assert forbidden() != before
