"""Every door rejects searches of a workspace that has used its seconds, and serves the others."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tests.kit import web
from tests.kit.servers import Server, cloned, serving
from tests.procedures.conftest import Keyed
from tests.surfaces.test_mcp import call, refusal

FILTER = {"data.place": 7}


@pytest.fixture(scope="module")
def keyed(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server on which one search of a second uses up a workspace's minute."""
    options = quote("-c statement_timeout=1s")
    with (
        cloned(postgres_url, template, "test_search_limits") as url,
        serving(
            tmp_path_factory.mktemp("limits"), database_url=f"{url}&options={options}", search_seconds=0.5
        ) as server,
    ):
        yield Keyed(server, url)


@pytest.fixture(scope="module")
def spent(keyed: Keyed) -> Server:
    """The server for a workspace that has searched for too long."""
    _, server = keyed.key("*", workspaces=(keyed.workspace(),))
    with psycopg.connect(keyed.database_url) as connection:
        connection.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
        assert server.query("events.list", {"filter": FILTER}).status_code == 503
        connection.rollback()
    return server


def _trpc(name: str, **wanted: Any) -> Callable[[Server], tuple[int, str, float]]:
    def ask(server: Server) -> tuple[int, str, float]:
        answer = server.query(name, wanted)
        told = answer.json()["error"]
        assert answer.headers["retry-after"] == str(told["data"]["retryAfterSeconds"])
        assert told["data"]["reason"] == "rate_limit_exceeded"
        return answer.status_code, told["message"], told["data"]["retryAfterSeconds"]

    return ask


def _rest(path: str, **parameters: str) -> Callable[[Server], tuple[int, str, float]]:
    def ask(server: Server) -> tuple[int, str, float]:
        answer = web.get(f"{server.url}{path}", params=parameters, headers=server.headers, timeout=30)
        told = answer.json()["error"]
        assert told["code"] == "rate_limit_exceeded"
        assert answer.headers.get("x-ratelimit-limit", "300") == "300"  # the limit of the door's calls, not of searches
        return answer.status_code, told["message"], int(answer.headers["retry-after"])

    return ask


def _mcp(name: str, **wanted: Any) -> Callable[[Server], tuple[int, str, float]]:
    def ask(server: Server) -> tuple[int, str, float]:
        text, told = refusal(call(server, name, wanted))
        assert f"Retry after {told['retryAfterSeconds']} s." in text
        assert told["reason"] == "rate_limit_exceeded"
        return 429, told["message"], told["retryAfterSeconds"]

    return ask


YEAR = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}

DOORS = {
    "events.list": _trpc("events.list", filter=FILTER),
    "events.page": _trpc("events.page", filter=FILTER),
    "events.browse": _trpc("events.browse", filter=FILTER),
    "events.histogram": _trpc("events.histogram", filter=FILTER, **YEAR),
    "ledger.entries": _trpc("ledger.entries", filter=FILTER),
    "GET /v1/events": _rest("/v1/events", type="a.*", source="s"),
    "GET /ledger/v1/events": _rest("/ledger/v1/events", filter=json.dumps(FILTER)),
    "GET /api/events": _rest("/api/events", filter=json.dumps(FILTER)),
    "MCP": _mcp("events_list", filter=FILTER),
}


@pytest.mark.parametrize("ask", DOORS.values(), ids=list(DOORS))
def test_a_workspace_without_seconds_learns_when_to_retry(
    spent: Server, ask: Callable[[Server], tuple[int, str, float]]
) -> None:
    status, message, seconds = ask(spent)

    assert status == 429
    assert "0.5 seconds a minute" in message
    assert "narrow the filters" in message
    assert 1 <= seconds <= 120


def test_reads_that_an_index_serves_continue(spent: Server) -> None:
    [event] = spent.mutate("events.logBatch", {"events": [{"type": "a.b", "data": {}}]}).json()["result"]["data"]

    assert [each["id"] for each in spent.query("events.list", {"type": "a.b"}).json()["result"]["data"]] == [
        event["id"]
    ]
    for name, wanted in {
        "events.get": {"eventId": event["id"]},
        "events.trace": {"eventId": event["id"]},
        "events.page": {},
        "events.types": {},
        "events.histogram": {},
        "events.browse": {},
        "ledger.entries": {},
    }.items():
        answer = spent.query(name, wanted)
        assert answer.status_code == 200, (name, answer.text)


def test_other_workspaces_continue(keyed: Keyed, spent: Server) -> None:
    _, other = keyed.key("*", workspaces=(keyed.workspace(),))

    assert spent.query("events.list", {"filter": FILTER}).status_code == 429
    assert other.query("events.list", {"filter": FILTER}).status_code == 200
