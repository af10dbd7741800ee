"""No cache stores answers, browsers do not treat them as pages, and URLs do not contain tokens."""

import json
from typing import Any

import httpx
import msgspec
import pytest

from tests.kit import web
from tests.kit.servers import Server
from tests.surfaces.conftest import Observed

EVENT: dict[str, Any] = {"type": "note.created", "data": {"html": "<script>alert(1)</script>"}}

PUBLISHED = EVENT | {"source": "notes"}

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "events_list", "arguments": {}}}

BATCH = {"content-type": "application/cloudevents-batch+json"}

CLOUD_EVENT = {"specversion": "1.0", "id": "1", "source": "s", "type": "a.b", "data": {}}

ANSWERS: dict[str, tuple[str, str, Any, dict[str, str]]] = {
    "tRPC, a query": ("GET", "/trpc/events.list", None, {}),
    "tRPC, a mutation": ("POST", "/trpc/events.log", EVENT, {}),
    "tRPC, a batch": ("GET", "/trpc/events.list,events.page?batch=1", None, {}),
    "tRPC, a streamed batch": ("GET", "/trpc/events.list?batch=1", None, {"trpc-accept": "application/jsonl"}),
    "tRPC, a refusal": ("GET", "/trpc/events.get", None, {}),
    "publish, an event": ("POST", "/v1/events", PUBLISHED, {}),
    "publish, a query": ("GET", "/v1/events", None, {}),
    "publish, CloudEvents": ("POST", "/v1/events", [CLOUD_EVENT], BATCH),
    "publish, a query for CloudEvents": ("GET", "/v1/events", None, {"accept": BATCH["content-type"]}),
    "publish, a refusal": ("POST", "/v1/events", {}, {}),
    "browse, a page": ("GET", "/api/events", None, {}),
    "browse, nothing there": ("GET", "/api/events/nosuch", None, {}),
    "ledger, events": ("GET", "/ledger/v1/events", None, {}),
    "ledger, an export": ("GET", "/ledger/v1/events/export", None, {}),
    "ledger, the audit": ("GET", "/ledger/v1/audit", None, {}),
    "MCP, a call": ("POST", "/mcp", CALL, {}),
    "MCP, a refusal": ("POST", "/mcp", [], {}),
    "no route": ("GET", "/nosuch", None, {}),
    "a head": ("HEAD", "/api/events", None, {}),
}


@pytest.mark.parametrize(("method", "path", "body", "headers"), ANSWERS.values(), ids=list(ANSWERS))
def test_no_answer_is_cached_or_treated_as_a_page(
    observed: Observed, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    server = observed.server
    sent = {"content-type": "application/json"} | server.headers | headers
    content = None if body is None else json.dumps(body)

    answer = web.request(method, f"{server.url}{path}", content=content, headers=sent, timeout=60)

    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


def test_an_event_stream_is_not_cached(observed: Observed) -> None:
    server = observed.server
    with web.stream("GET", f"{server.url}/trpc/events.stream", headers=server.headers, timeout=60) as answer:
        assert answer.headers.get_list("cache-control") == ["no-cache, no-store, no-transform"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_files_of_the_docs_may_be_cached(observed: Observed) -> None:
    answer = web.get(f"{observed.server.url}/docs/swagger_style.css")

    assert answer.headers.get_list("cache-control") == ["public, max-age=31536000, immutable"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


def asked(server: Server, path: str, **headers: str) -> httpx.Response:
    """Make a call whose URL has the token."""
    params = {"connectionParams": msgspec.json.encode({"token": server.token}).decode(), "token": server.token}
    return web.get(f"{server.url}{path}", params=params, headers=headers, timeout=60)


@pytest.mark.parametrize(
    "path",
    ["/trpc/events.list", "/v1/events", "/api/events", "/ledger/v1/events", "/metrics"],
    ids=["tRPC", "publish", "browse", "ledger", "metrics"],
)
def test_a_token_in_a_url_does_not_authenticate_a_call(observed: Observed, path: str) -> None:
    answer = asked(observed.server, path, host="events.example")

    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == "Bearer"
    assert observed.server.token not in answer.text


def test_the_error_for_a_token_in_a_url_says_where_it_belongs(observed: Observed) -> None:
    message = asked(observed.server, "/trpc/events.list").json()["error"]["message"]

    assert message == (
        "A token in the URL works only for event streams and WebSockets; send it as 'Authorization: Bearer <token>'"
    )


def test_a_token_in_a_url_does_not_replace_the_header(observed: Observed) -> None:
    server = observed.server

    assert asked(server, "/trpc/events.list", authorization=f"Bearer {server.token}").status_code == 200
    assert asked(server, "/trpc/events.list", authorization="Bearer nosuch").status_code == 401


def test_an_event_stream_takes_a_token_in_its_url(observed: Observed) -> None:
    params = {"connectionParams": msgspec.json.encode({"token": observed.server.token}).decode()}
    with web.stream("GET", f"{observed.server.url}/trpc/events.stream", params=params, timeout=60) as answer:
        first = next(answer.iter_text())

    assert first.startswith("event: connected")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST:9090", "127.0.0.1:1"])
def test_a_scrape_by_a_name_of_this_machine_needs_no_key(observed: Observed, host: str) -> None:
    assert web.get(f"{observed.server.url}/metrics", headers={"host": host}, timeout=60).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "[", ""])
def test_a_scrape_by_another_name_needs_a_key(observed: Observed, host: str) -> None:
    server = observed.server
    url = f"{server.url}/metrics"

    assert web.get(url, headers={"host": host}, timeout=60).status_code == 401
    assert web.get(url, headers={"host": host} | server.headers, timeout=60).status_code == 200
