"""Browsers: preflights of every kind of client, and the headers without which a browser hides the answer."""

from collections.abc import Callable

import httpx
import pytest

from tests.kit import web
from tests.kit.servers import Server
from tests.surfaces.conftest import ORIGINS, Observed

ORIGIN = ORIGINS[0]

FOREIGN = [
    "https://evil.example",
    "https://app.example.evil.example",
    "http://app.example",
    "https://app.example:8443",
    "https://sub.app.example",
    "http://localhost:3001",
    "null",
    "*",
]

CLIENTS = {
    "a mutation": ("POST", ["content-type"]),
    "a mutation with a token": ("POST", ["authorization", "content-type"]),
    "a v10 query": ("GET", ["content-type"]),
    "a query with a token": ("GET", ["authorization"]),
    "a query with a key": ("GET", ["x-api-key"]),
    "httpBatchStreamLink": ("POST", ["authorization", "content-type", "trpc-accept"]),
    "httpBatchStreamLink for queries": ("GET", ["trpc-accept"]),
    "the v10 streaming link": ("GET", ["trpc-batch-mode"]),
    "an EventSource ponyfill that reconnects": ("GET", ["authorization", "last-event-id"]),
    "a call in another workspace": ("POST", ["authorization", "content-type", "x-workspace-id"]),
    "a call with a request id": ("GET", ["x-request-id"]),
    "a CloudEvent": (
        "POST",
        ["authorization", "ce-id", "ce-source", "ce-specversion", "ce-subject", "ce-time", "ce-type"],
    ),
    "a HEAD": ("HEAD", ["authorization"]),
}

TARGETS = ["events.log", "events.list,events.get?batch=1", "nosuch", ""]


def _words(answer: httpx.Response, name: str) -> set[str]:
    """The elements of a header's list, in lower case."""
    joined = ",".join(answer.headers.get_list(name))
    return {word.strip().lower() for word in joined.split(",") if word.strip()}


def _preflight(
    server: Server, origin: str, method: str, headers: list[str], target: str = "events.log"
) -> httpx.Response:
    return web.options(
        f"{server.url}/trpc/{target}",
        headers={
            "origin": origin,
            "access-control-request-method": method,
            "access-control-request-headers": ",".join(headers),
        },
    )


@pytest.mark.parametrize(("method", "headers"), CLIENTS.values(), ids=list(CLIENTS))
@pytest.mark.parametrize("origin", ORIGINS)
def test_a_preflight_allows_what_clients_send(observed: Observed, origin: str, method: str, headers: list[str]) -> None:
    answer = _preflight(observed.server, origin, method, headers)

    assert answer.is_success
    assert answer.headers["access-control-allow-origin"] == origin
    assert method.lower() in _words(answer, "access-control-allow-methods")
    assert set(headers) <= _words(answer, "access-control-allow-headers")
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "origin" in _words(answer, "vary")


@pytest.mark.parametrize("target", TARGETS)
def test_a_preflight_is_answered_whatever_is_called(observed: Observed, target: str) -> None:
    answer = _preflight(observed.server, ORIGIN, "POST", ["authorization", "content-type"], target)

    assert answer.is_success
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_preflight_of_a_foreign_origin_allows_nothing(observed: Observed, origin: str) -> None:
    answer = _preflight(observed.server, origin, "POST", ["content-type"])

    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_preflight_does_not_allow_other_methods(observed: Observed, method: str) -> None:
    answer = _preflight(observed.server, ORIGIN, method, ["content-type"])

    assert method.lower() not in _words(answer, "access-control-allow-methods")


def test_a_preflight_does_not_allow_other_headers(observed: Observed) -> None:
    answer = _preflight(observed.server, ORIGIN, "POST", ["x-nosuch"])

    assert "x-nosuch" not in _words(answer, "access-control-allow-headers")
    assert "*" not in _words(answer, "access-control-allow-headers")


JSON = {"content-type": "application/json"}
LINES = {"trpc-accept": "application/jsonl"}

Ask = Callable[[httpx.Client, dict[str, str]], httpx.Response]

ANSWERS: dict[str, tuple[int, Ask]] = {
    "success": (200, lambda client, token: client.get("/trpc/events.list?input={}", headers=token)),
    "a mutation": (
        200,
        lambda client, token: client.post("/trpc/events.log", json={"type": "a.b", "data": {}}, headers=token),
    ),
    "a batch": (200, lambda client, token: client.get("/trpc/events.list,events.page?batch=1", headers=token)),
    "a batch with both": (207, lambda client, token: client.get("/trpc/events.list,nosuch?batch=1", headers=token)),
    "JSON lines": (
        200,
        lambda client, token: client.get("/trpc/events.list,nosuch?batch=1", headers={**token, **LINES}),
    ),
    "malformed JSON": (
        400,
        lambda client, token: client.post("/trpc/events.log", content=b"{", headers={**token, **JSON}),
    ),
    "a whole-request error": (400, lambda client, _: client.get("/trpc/events.list,events.log?batch=1")),
    "a malformed path": (400, lambda client, _: client.get("/trpc/x%zz")),
    "no token": (401, lambda client, _: client.get("/trpc/events.list")),
    "an unknown procedure": (404, lambda client, token: client.get("/trpc/nosuch", headers=token)),
    "another method": (405, lambda client, token: client.get("/trpc/events.log", headers=token)),
    "too large": (
        413,
        lambda client, token: client.post("/trpc/events.log", content=b" " * 9_000_000, headers={**token, **JSON}),
    ),
    "another type": (415, lambda client, token: client.post("/trpc/events.log", content=b"x", headers=token)),
}

OTHER_ANSWERS: dict[str, tuple[int, Ask]] = {
    "HEAD": (204, lambda client, _: client.head("/trpc/events.list")),
    "the contract": (200, lambda client, _: client.get("/trpc/contract.ts")),
    "health": (200, lambda client, _: client.get("/healthz")),
    "readiness": (200, lambda client, _: client.get("/readyz")),
    "nothing there": (404, lambda client, _: client.get("/nosuch")),
    "another method than health takes": (405, lambda client, _: client.post("/healthz")),
}


@pytest.mark.parametrize(("status", "ask"), ANSWERS.values(), ids=list(ANSWERS))
def test_every_answer_of_the_door_is_shown_to_a_page(observed: Observed, status: int, ask: Ask) -> None:
    with web.client(base_url=observed.server.url, headers={"origin": ORIGIN}, timeout=30) as client:
        answer = ask(client, observed.server.headers)

    assert answer.status_code == status
    assert answer.headers.get_list("access-control-allow-origin") == [ORIGIN]
    assert {"origin", "trpc-accept", "accept"} <= _words(answer, "vary")
    assert answer.headers["x-synap-contract"]
    assert {"x-request-id", "retry-after", "x-synap-contract"} <= _words(answer, "access-control-expose-headers")


@pytest.mark.parametrize(("status", "ask"), OTHER_ANSWERS.values(), ids=list(OTHER_ANSWERS))
def test_every_other_answer_is_shown_to_a_page(observed: Observed, status: int, ask: Ask) -> None:
    with web.client(base_url=observed.server.url, headers={"origin": ORIGIN}, timeout=30) as client:
        answer = ask(client, observed.server.headers)

    assert answer.status_code == status
    assert answer.headers.get_list("access-control-allow-origin") == [ORIGIN]
    assert "origin" in _words(answer, "vary")


@pytest.mark.parametrize("origin", FOREIGN)
def test_no_answer_is_shown_to_a_foreign_page(observed: Observed, origin: str) -> None:
    with web.client(base_url=observed.server.url, headers={"origin": origin}, timeout=30) as client:
        answers = [ask(client, observed.server.headers) for _, ask in (*ANSWERS.values(), *OTHER_ANSWERS.values())]

    assert [answer for answer in answers if "access-control-allow-origin" in answer.headers] == []
    assert [answer.status_code for answer in answers] == [
        status for status, _ in (*ANSWERS.values(), *OTHER_ANSWERS.values())
    ]


def test_an_answer_that_no_page_asked_for_still_varies_by_origin(observed: Observed) -> None:
    answer = observed.server.query("events.list")

    assert {"origin", "trpc-accept", "accept"} <= _words(answer, "vary")


def test_without_the_setting_no_page_may_call(server: Server) -> None:
    preflight = _preflight(server, ORIGIN, "POST", ["content-type"])
    answer = web.get(f"{server.url}/trpc/events.list", headers={**server.headers, "origin": ORIGIN})

    assert answer.status_code == 200
    for each in (preflight, answer):
        assert "access-control-allow-origin" not in each.headers
    assert preflight.status_code == 415
