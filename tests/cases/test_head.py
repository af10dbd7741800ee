"""HEAD is answered as GET without a body (RFC 9110, section 9.3.2), at every route and both listeners."""

import httpx
import pytest

from tests.cases.conftest import Doors
from tests.kit import web

ROUTES = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/start.js",
    "/docs/swagger_style.css",
    "/llms.txt",
    "/trpc/contract.ts",
    "/trpc/contract.d.ts",
    "/v1/events",
    "/v1/events?limit=nonsense",
    "/v1/events/subscriptions",
    "/api/events",
    "/api/events/nosuch",
    "/api/events/nosuch/trace",
    "/ledger/v1/events",
    "/ledger/v1/events/export",
    "/ledger/v1/events/nosuch/proof",
    "/ledger/v1/node",
    "/ledger/v1/checkpoint",
    "/ledger/v1/consistency?from=0",
    "/ledger/v1/audit",
    "/ledger/v1/stream",
    "/mcp",
    "/nosuch",
    "/",
]

OWN_ROUTES = ["/healthz", "/readyz", "/v1/events", "/v1/events/export", "/v1/stream", "/metrics", "/nosuch"]

VARYING = {
    "date",
    "x-request-id",
    "content-length",
    "content-disposition",
    "transfer-encoding",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
}
"""The headers in which two answers may differ: their time, length and framing."""


def _same(doors: Doors, url: str, headers: dict[str, str]) -> httpx.Response:
    """Check that the answer to HEAD has no body and the headers of the answer to GET, and return it."""
    head = doors.client.head(url, headers=headers)
    answer = doors.client.get(url, headers=headers)
    assert (head.status_code, head.content) == (answer.status_code, b"")
    assert {name for name in head.headers if name not in VARYING} == {
        name for name in answer.headers if name not in VARYING
    }
    assert head.headers.get("content-type") == answer.headers.get("content-type")
    return head


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("known", [True, False], ids=["with a token", "without"])
def test_head_answers_as_get(doors: Doors, path: str, known: bool) -> None:  # noqa: FBT001
    _same(doors, f"{doors.server.url}{path}", doors.server.headers if known else {})


@pytest.mark.parametrize("path", OWN_ROUTES)
def test_head_answers_as_get_at_the_ledgers_own_port(doors: Doors, path: str) -> None:
    _same(doors, f"{doors.ledger_url}{path}", doors.server.headers)


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/trpc/contract.ts", "/healthz"])
def test_head_says_how_long_the_body_is(doors: Doors, path: str) -> None:
    head = _same(doors, f"{doors.server.url}{path}", {})

    assert int(head.headers["content-length"]) == len(web.get(f"{doors.server.url}{path}").content)


def test_one_connection_takes_heads_and_gets_in_turn(doors: Doors) -> None:
    with web.client(base_url=doors.server.url, headers=doors.server.headers, timeout=30) as client:
        statuses = [
            client.request(method, path).status_code
            for path in ("/healthz", "/ledger/v1/events/export", "/v1/events", "/ledger/v1/stream")
            for method in ("HEAD", "GET", "HEAD")
        ]

    assert statuses == [200] * 9 + [426] * 3


@pytest.mark.parametrize("path", ["/trpc/events.list", "/trpc/events.stream", "/trpc/nosuch", "/trpc"])
def test_the_trpc_door_answers_head_as_its_protocol_does(doors: Doors, path: str) -> None:
    head = web.head(f"{doors.server.url}{path}", headers=doors.server.headers, timeout=60)

    assert (head.status_code, head.content) == (204, b"")


@pytest.mark.parametrize("path", ["/healthz", "/v1/events/nosuch/nosuch", "/api/events", "/openapi.json"])
@pytest.mark.parametrize("method", ["OPTIONS", "PUT"])
def test_head_is_allowed_wherever_get_is(doors: Doors, method: str, path: str) -> None:
    answer = web.request(method, f"{doors.server.url}{path}")

    allowed = {word.strip() for word in answer.headers.get("allow", "").split(",")}
    assert ("HEAD" in allowed) == ("GET" in allowed)
