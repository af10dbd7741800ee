"""How an MCP client and the door agree on a format (`Accept`) and on the version of the protocol."""

from typing import Any

import httpx
import pytest

from tests.kit import web
from tests.kit.servers import Server

LATEST_HANDSHAKE = "2025-11-25"
MODERN = "2026-07-28"

KNOWN = ["2024-11-05", "2025-03-26", "2025-06-18", LATEST_HANDSHAKE, MODERN]


def _post(server: Server, message: dict[str, Any], *headers: tuple[str, str]) -> httpx.Response:
    """Make a POST with only these headers; httpx would add an `Accept`."""
    with web.client(timeout=60) as client:
        request = client.build_request("POST", f"{server.url}/mcp", json=message, headers=server.headers)
        del request.headers["accept"]
        request.headers = httpx.Headers([*request.headers.multi_items(), *headers])
        return client.send(request)


def _initialize(version: str) -> dict[str, Any]:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
CALL = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "events_list", "arguments": {"limit": 1}}}


@pytest.mark.parametrize(
    "accept",
    [
        [],
        [("Accept", "")],
        [("Accept", "*/*")],
        [("Accept", "application/*")],
        [("Accept", "application/json")],
        [("Accept", "APPLICATION/JSON; charset=utf-8")],
        [("Accept", "application/json;q=0.5, text/event-stream")],
        [("Accept", "text/event-stream"), ("Accept", "application/json")],
    ],
    ids=str,
)
@pytest.mark.parametrize("message", [_initialize(LATEST_HANDSHAKE), LIST, CALL], ids=["initialize", "list", "call"])
def test_an_answer_in_json_is_welcome(server: Server, message: dict[str, Any], accept: list[tuple[str, str]]) -> None:
    response = _post(server, message, *accept)

    assert response.status_code == 200, response.text
    assert response.json()["id"] == message["id"]


@pytest.mark.parametrize("accept", ["text/html", "text/event-stream", "image/*"])
def test_a_client_that_accepts_no_json_is_rejected(server: Server, accept: str) -> None:
    response = _post(server, LIST, ("Accept", accept))

    assert response.status_code == 406


@pytest.mark.parametrize("header", [None, "", *KNOWN, "2027-01-01", "9999-12-31", "draft", "1.0"])
@pytest.mark.parametrize("asked", [*KNOWN, "2027-01-01", "draft"])
def test_a_handshake_agrees_on_a_version(server: Server, header: str | None, asked: str) -> None:
    headers = [] if header is None else [("MCP-Protocol-Version", header)]

    response = _post(server, _initialize(asked), *headers)

    agreed = response.json()["result"]["protocolVersion"]
    assert agreed == (asked if asked in KNOWN[:-1] else LATEST_HANDSHAKE)


@pytest.mark.parametrize("header", [None, "", *KNOWN[:-1]])
@pytest.mark.parametrize("message", [LIST, CALL], ids=["list", "call"])
def test_calls_in_a_version_that_a_handshake_agreed_on_are_answered(
    server: Server, message: dict[str, Any], header: str | None
) -> None:
    headers = [] if header is None else [("MCP-Protocol-Version", header)]

    response = _post(server, message, *headers)

    assert response.status_code == 200, response.text
    assert "result" in response.json()


@pytest.mark.parametrize("header", ["2027-01-01", "draft", "2025-11-26", "x" * 999])
@pytest.mark.parametrize("message", [LIST, CALL], ids=["list", "call"])
def test_a_version_that_nobody_agreed_on_is_rejected_with_those_that_are_known(
    server: Server, message: dict[str, Any], header: str
) -> None:
    response = _post(server, message, ("MCP-Protocol-Version", header))

    error = response.json()["error"]
    assert response.status_code == 400
    assert error["code"] == -32022
    assert error["data"]["supported"] == KNOWN
    assert header[:128] == error["data"]["requested"]
    assert "_meta" not in error["message"]


def test_the_end_of_a_handshake_is_accepted(server: Server) -> None:
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}

    assert _post(server, initialized, ("MCP-Protocol-Version", LATEST_HANDSHAKE)).status_code == 202
    assert _post(server, initialized).status_code == 202
