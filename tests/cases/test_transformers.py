"""A client with another transformer than the server's is rejected on every transport, before anything is done."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.sync.client import connect

from app.surfaces.trpc.transformer import PLAIN_EXPECTED, SUPERJSON_EXPECTED, TRANSFORMERS
from schemas.base import Input
from schemas.errors import InvalidInput
from schemas.event import ListEvents
from tests.kit.servers import Server
from tests.kit.web import request as ask

JSON = {"content-type": "application/json"}

PLAIN = {"type": "no.such"}
PACKED = {"json": {"type": "no.such"}}
UNDEFINED = {"json": None, "meta": {"values": ["undefined"], "v": 1}}


@pytest.fixture(params=["none", "superjson"])
def mismatched(
    request: pytest.FixtureRequest, server: Server, superjson_server: Server
) -> Iterator[tuple[Server, Any, str]]:
    """A server, an input as clients with the other transformer write it, and the error that they get."""
    if request.param == "none":
        yield server, PACKED, PLAIN_EXPECTED
    else:
        yield superjson_server, PLAIN, SUPERJSON_EXPECTED


def _told(error: dict[str, Any]) -> str:
    """The message of an error object, which both kinds of clients read alike."""
    assert error["json"] == {name: value for name, value in error.items() if name != "json"}
    assert error["data"]["httpStatus"] == 400
    assert error["data"]["reason"] == "wrong_transformer"
    message: str = error["message"]
    return message


def test_a_query_is_rejected(mismatched: tuple[Server, Any, str]) -> None:
    server, sent, sentence = mismatched

    response = server.query("events.list", sent)

    assert response.status_code == 400
    assert _told(response.json()["error"]) == sentence


def test_a_query_by_post_is_rejected(mismatched: tuple[Server, Any, str]) -> None:
    server, sent, sentence = mismatched

    response = server.mutate("events.list", sent)

    assert _told(response.json()["error"]) == sentence


def test_each_call_of_a_batch_is_rejected_by_itself(mismatched: tuple[Server, Any, str]) -> None:
    server, sent, sentence = mismatched
    asked = quote(json.dumps({"0": sent}))

    response = ask("GET", f"{server.url}/trpc/events.list,events.list?batch=1&input={asked}", headers=server.headers)

    refused, listed = response.json()
    assert response.status_code == 207
    assert _told(refused["error"]) == sentence
    assert "result" in listed


def test_a_mutation_stores_nothing(mismatched: tuple[Server, Any, str]) -> None:
    server, sent, sentence = mismatched
    event = {"type": "case.mismatch", "data": {}}

    response = server.mutate("events.log", {"json": event} if "json" in sent else event)

    assert _told(response.json()["error"]) == sentence


def test_a_stream_of_events_is_rejected(mismatched: tuple[Server, Any, str]) -> None:
    server, sent, sentence = mismatched
    url = f"{server.url}/trpc/events.stream?input={quote(json.dumps(sent))}"

    response = ask("GET", url, headers=server.headers)

    error = response.text.partition("event: serialized-error\ndata: ")[2].partition("\n")[0]
    assert _told(json.loads(error)) == sentence


@pytest.mark.parametrize(("method", "path"), [("query", "events.list"), ("subscription", "events.stream")])
def test_a_socket_rejects_the_call(mismatched: tuple[Server, Any, str], method: str, path: str) -> None:
    server, sent, sentence = mismatched
    message = {"id": 1, "method": method, "params": {"path": path, "input": sent}}

    with connect(f"{server.url.replace('http', 'ws')}/trpc", additional_headers=server.headers) as socket:
        socket.send(json.dumps(message))
        answer = json.loads(socket.recv(timeout=30))

    assert answer["id"] == 1
    assert _told(answer["error"]) == sentence


def test_a_missing_input_stays_missing(server: Server, superjson_server: Server) -> None:
    assert server.query("events.list").status_code == 200
    assert superjson_server.query("events.list").status_code == 200
    assert superjson_server.query("events.list", UNDEFINED).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [b'{"type":"a.b"}', b"{}", b"[]", b"null", b'"x"', b'{"meta":{}}', b'{"Json":{}}'],
)
def test_without_its_envelope_superjson_is_no_input(sent: bytes) -> None:
    with pytest.raises(InvalidInput, match="must be superjson"):
        TRANSFORMERS["superjson"].input(sent, ListEvents)


@pytest.mark.parametrize("sent", [b'{"meta":{"values":["undefined"]}}', json.dumps(UNDEFINED).encode()])
def test_undefined_is_no_input(sent: bytes) -> None:
    assert TRANSFORMERS["superjson"].input(sent, ListEvents) is None


@pytest.mark.parametrize("sent", [b'{"meta":{"v":1},"json":{}}', b' { "json" : null }', json.dumps(UNDEFINED).encode()])
def test_an_envelope_is_no_plain_input(sent: bytes) -> None:
    with pytest.raises(InvalidInput, match="must be plain JSON"):
        TRANSFORMERS["none"].input(sent, ListEvents)


class Document(Input, frozen=True, kw_only=True):
    """An input with a member that has the name of superjson's."""

    json: str


@pytest.mark.parametrize("sent", [b'{"json":"x"}', b'{"data":{"json":1}}', b'{"json":1,"type":"a.b"}', b'{"json"'])
def test_what_only_looks_like_an_envelope_is_read_as_it_is(sent: bytes) -> None:
    wanted = Document if sent == b'{"json":"x"}' else ListEvents

    assert TRANSFORMERS["none"].input(sent, wanted) == sent


CLIENT = """
import { createTRPCClient, httpLink, httpBatchLink } from '@trpc/client'
import superjson from 'superjson'
const [url, token, link, transformer] = process.argv.slice(2)
const make = link === 'batch' ? httpBatchLink : httpLink
const options = { url: `${url}/trpc`, headers: { authorization: `Bearer ${token}` } }
if (transformer === 'superjson') options.transformer = superjson
const client = createTRPCClient({ links: [make(options)] })
try { console.log('RESULT', JSON.stringify(await client.events.list.query({ type: 'no.such' }))) }
catch (error) { console.log(error.message); console.log(error.data?.code) }
"""


@pytest.mark.parametrize("link", ["one", "batch"])
def test_the_official_client_shows_the_sentence(
    node: Path, mismatched: tuple[Server, Any, str], tmp_path: Path, link: str
) -> None:
    server, sent, sentence = mismatched
    script = node / f"mismatch-{tmp_path.name}.mjs"
    script.write_text(CLIENT)
    transformer = "superjson" if "json" in sent else "none"

    try:
        command: list[str | Path] = ["node", script, server.url, server.token, link, transformer]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    finally:
        script.unlink()

    assert shown.splitlines() == [sentence, "BAD_REQUEST"]
