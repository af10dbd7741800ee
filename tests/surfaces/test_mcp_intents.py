"""Intents over MCP: an agent asks with tools, and its client's user finds the page on which a person decides."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult
from msgspec import Struct

from app.surfaces.mcp.approvals import MAX_OFFERED, Offers
from app.surfaces.shared.requests import asked_address
from tests.kit import web
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed, answered
from tests.surfaces.conftest import Observed

VERSIONS = ["legacy", "2026-07-28"]
"""The versions of the protocol: with a handshake (2025-11-25 and before), and without one."""

PARAMETERS = {"orderId": "order-7", "amount": 82000}


class Desk(Struct, frozen=True):
    """An agent, the person who decides, and their workspace."""

    workspace: str
    agent: Server
    boss: Server

    def decide(self, event_id: str) -> None:
        """Approve an intent."""
        seen = answered(self.boss.query("intents.get", {"eventId": event_id}))["event"]
        named = {"eventId": event_id, "hash": seen["hash"], "decision": "approved"}
        answered(self.boss.mutate("intents.decide", named))

    def link(self, event_id: str) -> str:
        """The page on which a person decides."""
        return f"{self.agent.url}/console#/{self.workspace}/inbox/{event_id}"


@pytest.fixture
def desk(observed: Observed) -> Desk:
    """The two, in a workspace of their own."""
    keyed = Keyed(observed.server, observed.database_url)
    slug = keyed.workspace()
    agent = keyed.key("events:write", "events:read-own", user="agent", workspaces=(slug,))[1]
    boss = keyed.key("intents:decide", "events:read", user="boss", workspaces=(slug,))[1]
    return Desk(slug, agent, boss)


def in_turn(
    server: Server, mode: str, talk: Callable[[Client], Any], shown: Callable[[ElicitRequestParams], str] | None = None
) -> Any:
    """Talk with the official client.

    With `shown` it declares that it shows links. The function returns what its user does.
    """

    async def elicited(context: object, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG001
        assert shown is not None
        return ElicitResult.model_validate({"action": await asyncio.to_thread(shown, params)})

    async def run() -> Any:
        async with (
            httpx2.AsyncClient(headers=server.headers, timeout=90, verify=web.NO_AUTHORITIES) as http,
            Client(
                streamable_http_client(f"{server.url}/mcp", http_client=http),
                mode=mode,
                elicitation_callback=None if shown is None else elicited,
            ) as client,
        ):
            return await talk(client)

    return asyncio.run(run())


def _texts(result: CallToolResult) -> list[str]:
    return [content.text for content in result.content if content.type == "text"]


async def _called(client: Client, name: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, _texts(result)
    content: dict[str, Any] = result.structured_content
    return content


async def _asked(client: Client) -> dict[str, Any]:
    intent = {"synap": {"intent": {"summary": "Refund order 7"}}}
    wanted = {"type": "payment.refund.requested", "data": {"parameters": PARAMETERS}, "metadata": intent}
    return await _called(client, "events_log", **wanted)


@pytest.mark.parametrize("mode", VERSIONS)
def test_an_agent_asks_and_runs_with_tools(desk: Desk, mode: str) -> None:
    async def talk(client: Client) -> tuple[str, str, dict[str, Any]]:
        asked = await _asked(client)
        named = {"eventId": asked["id"], "hash": asked["hash"]}
        open_ = await _called(client, "intents_wait", eventId=asked["id"], timeoutSeconds=0)
        await asyncio.to_thread(desk.decide, asked["id"])
        approved = await _called(client, "intents_wait", eventId=asked["id"])
        other = await client.call_tool(
            "intents_start", {**named, "parameters": PARAMETERS | {"amount": 820000}, "requestId": "r"}
        )
        assert _texts(other)[0].startswith("parameters_differ: ")
        started = await _called(client, "intents_start", **named, parameters=PARAMETERS, requestId="r")
        await _called(client, "intents_finish", startId=started["event"]["id"], outcome="executed")
        return open_["state"], approved["state"], await _called(client, "intents_get", eventId=asked["id"])

    before, after, chain = in_turn(desk.agent, mode, talk)

    assert (before, after, chain["state"]) == ("open", "approved", "used_up")
    assert chain["runs"][0]["outcome"] == "executed"


@pytest.mark.parametrize("mode", VERSIONS)
def test_a_result_says_where_a_person_decides(desk: Desk, mode: str) -> None:
    async def talk(client: Client) -> tuple[str, list[list[str]], list[list[str]]]:
        wanted = {"type": "a.b.requested", "data": {}, "metadata": {"synap": {"intent": {}}}}
        logged = await client.call_tool("events_log", wanted)
        assert logged.structured_content is not None
        event_id = logged.structured_content["id"]
        waiting = [logged, await client.call_tool("intents_wait", {"eventId": event_id, "timeoutSeconds": 0})]
        waiting.append(await client.call_tool("intents_get", {"eventId": event_id}))
        await asyncio.to_thread(desk.decide, event_id)
        decided = [await client.call_tool("intents_get", {"eventId": event_id})]
        decided.append(await client.call_tool("events_log", {"type": "a.b", "data": {}}))
        return event_id, [_texts(each) for each in waiting], [_texts(each) for each in decided]

    event_id, waiting, decided = in_turn(desk.agent, mode, talk)

    assert all(f" at {desk.link(event_id)} - show them" in texts[-1] for texts in waiting)
    assert not any("/console" in text for texts in decided for text in texts)


@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_a_client_that_shows_links_offers_one_once(desk: Desk, answer: str) -> None:
    seen: list[ElicitRequestParams] = []

    def shown(wanted: ElicitRequestParams) -> str:
        seen.append(wanted)
        if answer == "accept":
            desk.decide(urlsplit(str(getattr(wanted, "url", ""))).fragment.rpartition("/")[2])
        return answer

    async def talk(client: Client) -> tuple[str, list[str]]:
        asked = await _asked(client)
        calls = [await _called(client, "intents_wait", eventId=asked["id"], timeoutSeconds=1) for _ in range(2)]
        return asked["id"], [chain["state"] for chain in calls]

    event_id, states = in_turn(desk.agent, "2026-07-28", talk, shown)

    assert states == ["approved" if answer == "accept" else "open"] * 2
    [offered] = seen
    assert (offered.mode, getattr(offered, "url", "")) == ("url", desk.link(event_id))
    assert offered.message.startswith("The intent payment.refund.requested waits for approval.")


def test_a_client_of_the_handshake_gets_the_text_only(desk: Desk) -> None:
    async def talk(client: Client) -> str:
        asked = await _asked(client)
        state: str = (await _called(client, "intents_wait", eventId=asked["id"], timeoutSeconds=0))["state"]
        return state

    assert in_turn(desk.agent, "legacy", talk, lambda _: pytest.fail("nothing is offered")) == "open"


def test_nobody_is_sent_to_an_intent_that_has_expired(desk: Desk) -> None:
    terms = {"synap": {"intent": {"expiresAt": "2001-01-01T00:00:00+02:00"}}}

    async def talk(client: Client) -> list[str]:
        return _texts(
            await client.call_tool("events_log", {"type": "payment.refund.requested", "data": {}, "metadata": terms})
        )

    texts = in_turn(desk.agent, "legacy", talk)

    assert len(texts) == 1
    assert "console" not in texts[0]


def test_offers_are_remembered_within_a_limit() -> None:
    offers = Offers()

    assert [offers.is_new("key", str(number)) for number in range(MAX_OFFERED + 1)] == [True] * (MAX_OFFERED + 1)

    assert not offers.is_new("key", str(MAX_OFFERED))
    assert offers.is_new("other key", str(MAX_OFFERED))
    assert offers.is_new("key", "0"), "the oldest is forgotten"


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"host": "events.example:8000"}, "http://events.example:8000"),
        ({"host": "x", "x-forwarded-proto": "https", "x-forwarded-host": "a.example, b"}, "https://a.example"),
        ({"host": "a b"}, ""),
        ({}, ""),
    ],
    ids=["as asked", "behind proxies", "no address", "no host"],
)
def test_the_address_is_the_one_that_was_asked(headers: dict[str, str], address: str) -> None:
    assert asked_address("http", headers) == address
