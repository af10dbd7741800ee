"""Sockets of hostile callers: the server checks messages before it parses them, and counts open streams."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from app.capacity.strangers import MAX_MESSAGE_BYTES
from app.surfaces.trpc.frames import CrowdedFrameError, MalformedFrameError, hello_params, messages_of
from app.surfaces.trpc.socket import MAX_SUBSCRIPTIONS
from app.surfaces.trpc.sse import PIECE_BYTES
from app.surfaces.trpc.transformer import TRANSFORMERS
from tests.kit import web
from tests.kit.servers import Server, cloned, serving, until
from tests.procedures.conftest import Keyed
from tests.surfaces.conftest import Observed
from tests.surfaces.test_live import ask, opened, subscribe, told

TINY = '{"id":1,"method":"query","params":{"path":"a"}}'
LIMIT = 100
MOST = LIMIT + MAX_SUBSCRIPTIONS
MIB = 2**20


def several(message: str, size: int) -> str:
    """An array that repeats a message until it has about `size` characters."""
    return f"[{','.join([message] * (size // (len(message) + 1)))}]"


def log_lines(server: Server, procedure: str) -> list[dict[str, Any]]:
    """The log's lines about calls of this name."""
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("procedure") == procedure]


def closing(client: ClientConnection) -> tuple[list[Any], int]:
    """The messages until the server closes the socket, and the close code."""
    heard: list[Any] = []
    with pytest.raises(ConnectionClosed) as closed:
        heard.extend(iter(lambda: told(client, seconds=30), None))
    assert closed.value.rcvd is not None, "the server closed the connection without a close frame"
    return heard, closed.value.rcvd.code


@pytest.mark.parametrize("kind", ["none", "superjson"])
def test_an_array_of_too_many_messages_is_not_read_to_its_end(kind: Any) -> None:
    behind = f"[{','.join([TINY] * (MOST + 1))},this is no JSON"

    with pytest.raises(CrowdedFrameError):
        messages_of(behind.encode(), TRANSFORMERS[kind], MOST)


def test_an_array_of_the_most_messages_is_read() -> None:
    frame = f" [{','.join([TINY] * MOST)}] "

    assert len(messages_of(frame.encode(), TRANSFORMERS["none"], MOST)) == MOST


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("[" * MIB, id="arrays in arrays"),
        pytest.param('{"a":{' * MIB, id="objects in objects"),
        pytest.param(f"[{'[' * MIB}", id="arrays in an array"),
        pytest.param('{"id":1,"method":"query","params":' + '{"path":' * MIB, id="params in params"),
        pytest.param(TINY.replace("1", f'"{"x" * 8192}"'), id="a long id"),
        pytest.param(TINY.replace('"a"', f'"{"x" * 8193}"'), id="a long path"),
        pytest.param("[1]", id="a number"),
        pytest.param(f"[{TINY},{{}}]", id="an empty one beside a good one"),
    ],
)
def test_a_malformed_frame_is_no_message(frame: str) -> None:
    with pytest.raises(MalformedFrameError):
        messages_of(frame.encode(), TRANSFORMERS["none"], MOST)


def test_members_that_the_protocol_does_not_know_are_skipped() -> None:
    unknown = ",".join(f'"{number}":{{"{number}":[]}}' for number in range(1000))
    frame = f'{{{unknown},"id":1,"method":"query","params":{{{unknown},"path":"a","input":{{"b":[]}}}}}}'

    [message] = messages_of(frame.encode(), TRANSFORMERS["none"], MOST)

    assert (message.id, message.path, message.input) == (1, "a", b'{"b":[]}')


def test_the_first_message_may_have_members_that_nobody_knows() -> None:
    hello = '{"x":[1],"method":"connectionParams","data":{"token":"t"}}'

    assert hello_params(hello.encode()) == {"token": "t"}


@pytest.mark.parametrize("query", ["?connectionParams=1", ""], ids=["first message", "without a token"])
@pytest.mark.parametrize(
    "message",
    [
        pytest.param(several(TINY, MAX_MESSAGE_BYTES + 100), id="calls"),
        pytest.param("é" * (MAX_MESSAGE_BYTES // 2 + 1), id="characters of several bytes"),
        pytest.param(several(TINY, 7 * MIB), id="7 MiB of calls"),
        pytest.param(b"x" * (MAX_MESSAGE_BYTES + 1), id="binary"),
    ],
)
def test_a_stranger_may_send_64_kib(observed: Observed, query: str, message: str | bytes) -> None:
    with opened(observed.server, query, additional_headers={}) as client:
        client.send(message)
        heard, code = closing(client)

    assert code == 1009
    assert [each["error"]["data"]["code"] for each in heard] == ([] if query else ["UNAUTHORIZED"])


def test_a_stranger_is_answered_as_many_calls_as_a_batch_may_have(observed: Observed) -> None:
    def heard() -> list[Any]:
        with opened(observed.server, additional_headers={}) as client:
            client.send(f"[{','.join([TINY] * (LIMIT + 50))}]")
            client.send(TINY)
            told_, code = closing(client)
        assert code == 1008
        return told_ if len(told_) > 1 else []  # on a slow machine they may take longer than a second

    errors = until(heard)

    assert [each["id"] for each in errors] == [None, *[1] * LIMIT]
    assert {each["error"]["data"]["code"] for each in errors} == {"UNAUTHORIZED"}


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        pytest.param(several(TINY, 7 * MIB), "BAD_REQUEST", id="7 MiB of calls"),
        pytest.param(several("0", 7 * MIB), "BAD_REQUEST", id="7 MiB of numbers"),
        pytest.param("[" * (7 * MIB), "PARSE_ERROR", id="7 MiB of arrays in arrays"),
        pytest.param('{"a":{' * MIB, "PARSE_ERROR", id="6 MiB of objects in objects"),
    ],
)
def test_a_frame_that_is_rejected_has_one_error_and_one_line_in_the_log(
    observed: Observed, frame: str, error: str
) -> None:
    server = observed.server
    before = len(log_lines(server, "(frame)"))
    with opened(server) as client:
        client.send(frame)
        refused = told(client)
        ask(client, id=2, method="query", params={"path": "events.list", "input": {"limit": 1}})
        answered = told(client)

    assert (refused["id"], refused["error"]["data"]["code"]) == (None, error)
    assert answered["id"] == 2
    assert len(log_lines(server, "(frame)")) == before + 1


def test_a_batch_of_too_many_calls_is_one_line_in_the_log_and_an_error_for_each(observed: Observed) -> None:
    server = observed.server
    before = len(log_lines(server, "(frame)")), len(log_lines(server, "a"))
    with opened(server) as client:
        client.send(f"[{','.join([TINY] * (LIMIT + 1))}]")
        errors = [told(client)["error"] for _ in range(LIMIT + 1)]

    assert {error["data"]["code"] for error in errors} == {"BAD_REQUEST"}
    assert (len(log_lines(server, "(frame)")), len(log_lines(server, "a"))) == (before[0] + 1, before[1])


@pytest.fixture(scope="module")
def narrow(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server on which a key may have three open streams."""
    with (
        cloned(postgres_url, template, "test_narrow") as url,
        serving(tmp_path_factory.mktemp("narrow"), database_url=url, max_streams=3) as server,
    ):
        yield Keyed(server, url)


def _over_sse(server: Server) -> dict[str, Any]:
    """The error of a rejected event stream."""
    with web.stream("GET", f"{server.url}/trpc/events.stream", headers=server.headers, timeout=30) as answer:
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith("event: serialized"))
        error: dict[str, Any] = json.loads(next(lines).removeprefix("data: "))
        return error


def _over_a_socket(server: Server) -> dict[str, Any]:
    """The error of a rejected socket."""
    with opened(server) as client:
        [refused], code = closing(client)
    assert (refused["id"], code) == (None, 1013)
    error: dict[str, Any] = refused["error"]
    return error


def _over_a_subscription(client: ClientConnection) -> dict[str, Any]:
    """The error of a rejected subscription."""
    ask(client, id="more", method="subscription", params={"path": "events.stream"})
    refused = told(client)
    assert refused["id"] == "more"
    error: dict[str, Any] = refused["error"]
    return error


def test_a_key_has_so_many_streams_and_sockets_at_every_door(narrow: Keyed) -> None:
    _, holder = narrow.key("events:read", "ledger:read")
    _, other = narrow.key("events:read")
    ledger = f"{holder.url.replace('http', 'ws')}/ledger/v1/stream"
    with ExitStack() as held:
        client = held.enter_context(opened(holder))
        subscribe(client)
        held.enter_context(web.stream("GET", f"{holder.url}/trpc/events.stream", headers=holder.headers, timeout=30))

        errors = [_over_a_subscription(client), _over_sse(holder), _over_a_socket(holder)]
        stream = held.enter_context(connect(ledger, additional_headers=holder.headers, proxy=None))
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(timeout=30)
        with opened(other) as unhindered:
            subscribe(unhindered)

    assert [error["data"]["code"] for error in errors] == ["TOO_MANY_REQUESTS"] * 3
    assert all(error["data"]["retryAfterSeconds"] > 0 for error in errors)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
    assert closed.value.rcvd.reason.startswith("rate_limit_exceeded: ")


def test_a_closed_stream_makes_room(narrow: Keyed) -> None:
    _, holder = narrow.key("events:read")
    with opened(holder) as client:
        subscribe(client, 0)
        for number in range(1, 100):
            subscribe(client, number)
            ask(client, id=number, method="subscription.stop")
            assert told(client) == {"id": number, "result": {"type": "stopped"}}

    until(lambda: _has_room(holder))


def _has_room(server: Server) -> bool:
    """Whether a key can open three streams."""
    with opened(server) as client:
        for number in range(2):
            ask(client, id=number, method="subscription", params={"path": "events.stream"})
            try:
                answer = told(client)
            except ConnectionClosed:
                return False
            if "error" in answer:
                return False
    return True


def test_a_large_message_ends_a_stream_of_the_ledger(observed: Observed) -> None:
    ledger = f"{observed.server.url.replace('http', 'ws')}/ledger/v1/stream"
    with connect(ledger, additional_headers=observed.server.headers, proxy=None) as client:
        client.send("x" * 65_537)
        with pytest.raises(ConnectionClosed) as closed:
            list(client)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_superjson_frames_are_judged_alike(
    postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder: Path = tmp_path_factory.mktemp("narrow-superjson")
    with (
        cloned(postgres_url, template, "test_narrow_superjson") as url,
        serving(folder, database_url=url, transformer="superjson") as server,
        opened(server) as client,
    ):
        client.send(several(TINY, 7 * MIB))
        refused = told(client)

    assert refused["id"] is None
    assert msgspec.convert(refused["error"]["json"]["data"]["code"], str) == "BAD_REQUEST"


def test_a_large_event_is_handed_to_the_network_in_pieces(observed: Observed) -> None:
    server = observed.server
    data = {"text": "x" * 300_000}
    event = server.mutate("events.log", {"type": "note.created", "data": data}).json()["result"]["data"]
    asked = quote(json.dumps({"filter": {"seq": {"gte": event["seq"]}}, "start": "beginning"}))
    sizes, text = [], b""
    host = urlsplit(server.url)
    with (
        socket.create_connection((host.hostname, host.port), timeout=30) as connection,
        connection.makefile("rb") as answer,
    ):
        connection.sendall(
            f"GET /trpc/events.stream?input={asked} HTTP/1.1\r\nhost: {host.netloc}\r\n"
            f"authorization: Bearer {server.token}\r\n\r\n".encode()
        )
        while answer.readline() != b"\r\n":
            pass
        while data["text"].encode() not in text:
            sizes.append(int(answer.readline(), 16))
            text += answer.read(sizes[-1] + 2)[:-2]

    assert max(sizes) == PIECE_BYTES
