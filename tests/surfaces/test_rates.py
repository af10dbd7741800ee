"""The rates of a key apply at every door."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.kit import web
from tests.kit.servers import Server, cloned, serving
from tests.procedures.conftest import Keyed
from tests.surfaces.test_mcp import call as call_tool
from tests.surfaces.test_mcp import refusal

EVENT = {"type": "a.b", "data": {}}
LIMIT = 2


@pytest.fixture(scope="module")
def limited(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server on which a key may read and write twice a minute."""
    with (
        cloned(postgres_url, template, "test_rates") as url,
        serving(tmp_path_factory.mktemp("rates"), database_url=url, rate_read=LIMIT, rate_write=LIMIT) as server,
    ):
        yield Keyed(server, url)


@pytest.fixture
def caller(limited: Keyed) -> Server:
    """The server as called with a new key."""
    _, server = limited.key("*")
    return server


def get(server: Server, path: str) -> httpx.Response:
    """Make a GET."""
    return web.get(f"{server.url}{path}", headers=server.headers, timeout=60)


DOORS: dict[str, Callable[[Server], httpx.Response]] = {
    "a query": lambda server: server.query("events.list"),
    "a mutation": lambda server: server.mutate("events.log", EVENT),
    "a query that is no input": lambda server: server.query("events.list", {"limit": "x"}),
    "publish": lambda server: web.post(
        f"{server.url}/v1/events", json=EVENT | {"source": "s"}, headers=server.headers, timeout=60
    ),
    "browse": lambda server: get(server, "/api/events"),
    "the ledger": lambda server: get(server, "/ledger/v1/events"),
    "an export": lambda server: get(server, "/ledger/v1/events/export"),
}


@pytest.mark.parametrize("call", DOORS.values(), ids=list(DOORS))
def test_a_key_is_rejected_beyond_its_rate(caller: Server, call: Callable[[Server], httpx.Response]) -> None:
    answers = [call(caller) for _ in range(LIMIT + 1)]

    assert 429 not in [answer.status_code for answer in answers[:LIMIT]]
    refused = answers[LIMIT]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60 / LIMIT
    error = refused.json()["error"]
    told = error["data"]["reason"] if "data" in error else error["code"]
    assert told == "rate_limit_exceeded"


@pytest.mark.parametrize("name", ["a query", "a mutation", "browse", "the ledger", "an export"])
def test_an_answer_has_the_remaining_calls_of_a_key(caller: Server, name: str) -> None:
    answer = DOORS[name](caller)

    assert answer.headers["x-ratelimit-limit"] == str(LIMIT)
    assert answer.headers["x-ratelimit-remaining"] == str(LIMIT - 1)
    assert int(answer.headers["x-ratelimit-reset"]) > 0


def test_each_call_of_a_batch_counts(caller: Server) -> None:
    names = ",".join(["events.log"] * (LIMIT + 1))
    content = json.dumps({str(index): EVENT for index in range(LIMIT + 1)})

    answer = web.post(
        f"{caller.url}/trpc/{names}?batch=1",
        content=content,
        headers=caller.headers | {"content-type": "application/json"},
        timeout=60,
    )

    errors = [call["error"]["data"] for call in answer.json() if "error" in call]
    assert [error["code"] for error in errors] == ["TOO_MANY_REQUESTS"]
    assert errors[0]["retryAfterSeconds"] >= 1


def test_reads_and_writes_are_counted_apart(caller: Server) -> None:
    for _ in range(LIMIT):
        DOORS["a mutation"](caller)

    assert DOORS["a query"](caller).status_code == 200


def test_a_key_has_one_rate_at_all_doors(caller: Server) -> None:
    answers = [DOORS[name](caller) for name in ("a query", "browse", "the ledger")]

    assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_the_calls_of_a_socket_count(caller: Server) -> None:
    def message(index: int) -> dict[str, Any]:
        return {"id": index, "method": "query", "params": {"path": "events.list", "input": {}}}

    with connect(f"{caller.url.replace('http', 'ws')}/trpc?token={caller.token}") as socket:
        for index in range(LIMIT + 1):
            socket.send(json.dumps(message(index)))
        answers = [json.loads(socket.recv(timeout=60)) for _ in range(LIMIT + 1)]

    errors = [answer["error"]["data"] for answer in answers if "error" in answer]
    assert [error["code"] for error in errors] == ["TOO_MANY_REQUESTS"]
    assert errors[0]["retryAfterSeconds"] >= 1


def test_the_calls_of_a_tool_count(caller: Server) -> None:
    results = [call_tool(caller, "events_list", {}) for _ in range(LIMIT + 1)]

    assert [result.is_error for result in results] == [False] * LIMIT + [True]
    _, told = refusal(results[-1])
    assert told["reason"] == "rate_limit_exceeded"
    assert told["retryAfterSeconds"] >= 1
