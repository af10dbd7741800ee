"""Pages of a listed origin may send the headers that common tools add, and may read the headers of an answer."""

import httpx
import pytest

from tests.cases.conftest import ORIGIN, Doors

PATHS = ["/trpc/events.log", "/v1/events", "/api/events", "/ledger/v1/events", "/mcp"]


def words(answer: httpx.Response, name: str) -> set[str]:
    """The elements of a header's list, in lower case."""
    return {word.strip().lower() for word in answer.headers.get(name, "").split(",")}


def preflight(doors: Doors, url: str, *headers: str) -> httpx.Response:
    """The preflight request of a browser before a call with these headers."""
    asked = {"access-control-request-method": "POST", "access-control-request-headers": ",".join(headers)}
    return doors.client.options(url, headers={"origin": ORIGIN} | asked)


SENT = [
    "baggage",
    "sentry-trace",
    "cache-control",
    "mcp-session-id",
    "pragma",
    "x-requested-with",
    "traceparent",
    "tracestate",
    "content-encoding",
    "if-none-match",
    "x-mine",
    "B3",
]


@pytest.mark.parametrize("header", SENT)
@pytest.mark.parametrize("path", PATHS)
def test_a_header_of_common_tools_is_allowed(doors: Doors, path: str, header: str) -> None:
    answer = preflight(doors, f"{doors.server.url}{path}", "authorization", "content-type", header)

    assert answer.is_success, answer.text
    assert header.lower() in words(answer, "access-control-allow-headers")


def test_a_header_is_allowed_at_the_ledgers_own_port(doors: Doors) -> None:
    assert preflight(doors, f"{doors.ledger_url}/v1/events", "authorization", "x-mine").is_success


def test_a_header_that_nobody_listed_is_not_allowed(doors: Doors) -> None:
    assert preflight(doors, f"{doors.server.url}/v1/events", "x-theirs").status_code == 400


@pytest.mark.parametrize("path", PATHS)
def test_a_page_can_read_the_headers_of_an_answer(doors: Doors, path: str) -> None:
    answer = doors.client.post(f"{doors.server.url}{path}", json={}, headers={"origin": ORIGIN})

    assert {
        "accept-encoding",
        "content-disposition",
        "retry-after",
        "www-authenticate",
        "x-ratelimit-remaining",
        "x-request-id",
    } <= words(answer, "access-control-expose-headers")


CALLS = ["/trpc/events.list", "/v1/events", "/api/events", "/ledger/v1/events"]


@pytest.mark.parametrize("path", CALLS)
def test_a_call_without_a_token_is_challenged(doors: Doors, path: str) -> None:
    answers = [
        doors.client.get(f"{doors.server.url}{path}", headers=headers)
        for headers in ({}, {"authorization": "Bearer nobody"})
    ]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert [answer.headers["www-authenticate"] for answer in answers] == ["Bearer", 'Bearer error="invalid_token"']
