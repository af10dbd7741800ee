"""The Python client against a real server: what each method returns, how it reports failures, and when it retries."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from synap_client import (
    Agent,
    AsyncSynap,
    Conflict,
    ConnectionLost,
    Event,
    Forbidden,
    InvalidInput,
    NewEvent,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    ServerFault,
    Synap,
    SynapError,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    agent,
    new_id,
)
from synap_client.wire import MessageReader

from benchmarks.process import free_port
from tests.acceptance.processes import kill
from tests.clients.conftest import SOURCE
from tests.kit.servers import Server, serving, until

README = SOURCE.parent / "README.md"


def test_log_returns_the_event_as_stored(client: Synap) -> None:
    occurred_at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    id_ = str(uuid4())

    event = client.log(
        "note.created",
        {"title": "Call John", "n": 1.5, "none": None},
        id=id_,
        metadata={"ai": {"agent": "orchestrator", "confidence": {"score": 0.92}}},
        subject_id="entity-456",
        correlation_id="run-1",
        causation_id="cause-1",
        user_id="control",
        source="intelligence",
        producer="tests",
        occurred_at=occurred_at,
    )

    assert event == client.get(id_) == client.get(f"evt_{event.hash.removeprefix('sha256:')}")
    assert (event.id, event.type, event.data) == (id_, "note.created", {"title": "Call John", "n": 1.5, "none": None})
    assert event.metadata == {"ai": {"agent": "orchestrator", "confidence": {"score": 0.92}}}
    assert (event.subject_id, event.correlation_id, event.causation_id) == ("entity-456", "run-1", "cause-1")
    assert (event.user_id, event.source, event.producer) == ("control", "intelligence", "tests")
    assert event.occurred_at == occurred_at
    assert event.timestamp.tzinfo is not None


def test_log_again_with_the_same_id_returns_the_first(client: Synap) -> None:
    first = client.log("note.created", {"n": 1}, id=uuid4())

    assert client.log("note.created", {"n": 1}, id=first.id) == first


def test_batch_keeps_its_order(client: Synap) -> None:
    cause = new_id()
    logged = client.log_batch(
        [NewEvent("note.created", {"n": 1}, id=cause), NewEvent("note.linked", {"n": 2}, causation_id=cause)]
    )

    assert [event.data["n"] for event in logged] == [1, 2]
    assert logged[1].seq == logged[0].seq + 1
    assert logged[1].causation_id == logged[0].id == cause


def test_ids_sort_by_the_time_of_their_making() -> None:
    ids = []
    for _ in range(3):
        ids.append(new_id())
        time.sleep(0.002)

    assert ids == sorted(ids)
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id_) for id_ in ids)


def test_lists_pages_and_walks_agree(client: Synap) -> None:
    run = new_id()
    ids = [client.log(f"walk.step-{n % 2}", {"n": n}, correlation_id=run).id for n in range(7)]
    newest_first = list(reversed(ids))

    assert [event.id for event in client.list(correlation_id=run)] == newest_first
    page = client.page(correlation_id=run, limit=3)
    assert ([event.id for event in page.events], page.total) == (newest_first[:3], 7)
    assert [event.id for event in client.events(correlation_id=run, limit=3)] == newest_first
    assert [len(page.events) for page in client.pages(correlation_id=run, limit=3)] == [3, 3, 1]
    assert [event.id for event in client.list(correlation_id=run, type="walk.step-1")] == newest_first[1::2]
    assert [event.data["n"] for event in client.list(correlation_id=run, filter={"data.n": {"gte": 5}})] == [6, 5]
    later = datetime.now(UTC) + timedelta(hours=1)
    assert client.list(correlation_id=run, from_=later) == []
    assert len(client.list(correlation_id=run, to=later)) == 7


def test_browse_orders_as_asked(client: Synap) -> None:
    subject = new_id()
    for n in range(3):
        client.log("browse.made", {"n": n}, subject_id=subject)

    page = client.browse(subject_id=subject, order_by=[{"createdAt": "asc"}], limit=2)

    assert [event.data["n"] for event in page.data] == [0, 1]
    assert (page.page_info.total, page.page_info.has_next_page) == (3, True)
    rest = client.browse(subject_id=subject, order_by=[{"createdAt": "asc"}], limit=2, after=page.page_info.end_cursor)
    assert [event.data["n"] for event in rest.data] == [2]


def test_validate_returns_every_reason_and_stores_nothing(client: Synap) -> None:
    run = new_id()
    judged = client.validate("created", {"n": 2**53}, correlation_id=run)

    assert not judged.valid
    assert {(issue.path, issue.code) for issue in judged.issues} == {
        ("type", "invalid_event_type"),
        ("data.n", "unsafe_number"),
    }
    assert client.validate("note.created", {"b": 1, "a": 2}, correlation_id=run).data == {"a": 2, "b": 1}
    assert client.list(correlation_id=run) == []


def test_trace_finds_causes_and_effects(client: Synap) -> None:
    cause = client.log("trace.cause", {})
    event = client.log("trace.event", {}, causation_id=cause.id)
    effect = client.log("trace.effect", {}, causation_id=event.id)

    traced = client.trace(event.id)

    assert [each.id for each in traced.ancestors] == [cause.id]
    assert [each.id for each in traced.descendants] == [effect.id]
    assert client.trace(cause.id, depth=1).truncated == {"descendants": "depth"}


def test_call_reaches_every_other_procedure(client: Synap) -> None:
    described = client.call("procedures.list", retry=True)

    assert "events.erase" in str(described)
    with pytest.raises(NotFound):
        client.call("no.such")
    with pytest.raises(UnexpectedAnswer, match="is a subscription"):
        client.call("events.stream", {})


def _key(client: Synap, *scopes: str) -> str:
    made = client.call("keys.create", {"userId": "ann", "scopes": scopes, "workspaces": ["default"]})
    token: str = made["token"]
    return token


@pytest.mark.parametrize(
    ("do", "kind"),
    [
        pytest.param(lambda client: client.log("created", {}), InvalidInput, id="invalid"),
        pytest.param(lambda client: client.get(uuid4()), NotFound, id="not found"),
        pytest.param(lambda client: client.log("note.created", {"x": "y" * 2**20}), PayloadTooLarge, id="too large"),
        pytest.param(lambda client: Synap(client.url, "sk_no").list(), Unauthorized, id="unauthorized"),
        pytest.param(
            lambda client: Synap(client.url, _key(client, "events:read")).log("a.b", {}), Forbidden, id="no scope"
        ),
        pytest.param(
            lambda client: Synap(client.url, _key(client, "events:write")).log("a.b", {}, user_id="bob"),
            Forbidden,
            id="another's user",
        ),
        pytest.param(
            lambda client: Synap(client.url.replace("/trpc", "/nowhere"), "sk_x").list(),
            UnexpectedAnswer,
            id="wrong URL",
        ),
    ],
)
def test_each_failure_has_a_class(client: Synap, do: Callable[[Synap], object], kind: type[SynapError]) -> None:
    with pytest.raises(SynapError) as raised:
        do(client)

    assert type(raised.value) is kind
    assert raised.value.message


def test_invalid_input_names_every_place(client: Synap) -> None:
    with pytest.raises(InvalidInput) as raised:
        client.log_batch([NewEvent("note.created", {}), NewEvent("x", {}, metadata={"ai": {}})])

    assert {issue.path for issue in raised.value.issues} == {"events.1.type", "events.1.metadata.ai.agent"}
    assert raised.value.reason == "invalid_event_type"


def test_conflict_has_the_stored_hash(client: Synap) -> None:
    stored = client.log("note.created", {"n": 1})

    with pytest.raises(Conflict) as raised:
        client.log("note.created", {"n": 2}, id=stored.id)

    assert raised.value.hash == stored.hash


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "\ud800", object()], ids=["nan", "inf", "surrogate", "object"]
)
def test_what_json_cannot_hold_is_rejected_before_it_is_sent(client: Synap, value: object) -> None:
    with pytest.raises(InvalidInput):
        client.log("note.created", {"deep": [{"value": value}], "none": None})


def test_nobody_listens() -> None:
    client = Synap(f"http://127.0.0.1:{free_port()}", "sk_x", retry_seconds=0.3)

    started = time.monotonic()
    with pytest.raises(ConnectionLost) as raised:
        client.log("note.created", {})

    assert not raised.value.sent
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("ftp://x", "t"),
        ("http://", "t"),
        ("http://u:p@x", "t"),
        ("http://x", ""),
        ("http://x", "a b"),
        ("http://x", "é"),
    ],
)
def test_urls_and_tokens_that_cannot_be_are_rejected_at_once(url: str, token: str) -> None:
    with pytest.raises(ValueError, match=r"URL|token") as raised:
        Synap(url, token)

    assert "é" not in str(raised.value)


def test_a_token_that_is_no_text_is_named_by_its_type_only() -> None:
    unset: Any = None

    with pytest.raises(TypeError, match=r"the text that keys\.create returned, not NoneType"):
        Synap("http://x", unset)
    with pytest.raises(TypeError, match="not bytes"):
        Synap("http://x", lambda: cast("str", b"sk_x")).log("a.b", {})


def _secret() -> str:
    """A token that occurs in no line of the test that searches for it."""
    return "sk_key-very-secret"


def test_the_token_is_shown_nowhere(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    client = Synap(server.url, _secret(), retry_seconds=0)

    with pytest.raises(Unauthorized) as raised:
        client.log("note.created", {})

    seen = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    with client.recorder() as recorder:
        shown = [repr(client), str(client), repr(vars(client)), repr(recorder), repr(vars(recorder))]
    assert "httpcore" in caplog.text
    assert not [each for each in (*shown, *seen.format(), caplog.text) if "very-secret" in each]


Peer = Callable[[httpx.Request], httpx.Response]


def _peer(
    *answers: Peer,
) -> tuple[list[dict[str, Any]], Callable[[], httpx.Client]]:
    """A network that returns these answers, one after the other, and the requests that were sent over it."""
    sent: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return answers[len(sent) - 1](request)

    return sent, lambda: httpx.Client(transport=httpx.MockTransport(answer))


def _lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("cut", request=request)


def _stored(request: httpx.Request) -> httpx.Response:
    sent = json.loads(request.content)
    event = {
        "version": "v1",
        "userId": "u",
        "source": "api",
        "timestamp": "2026-01-01T00:00:00Z",
        "seq": 0,
        "hash": "h",
    }
    return httpx.Response(200, json={"result": {"data": sent | event}})


def _failing(name: str, status: int, **data: object) -> Peer:
    error = {"message": "no", "code": -32603, "data": {"code": name, "httpStatus": status, **data}}
    return lambda _request: httpx.Response(status, json={"error": error})


def test_every_attempt_has_the_same_id() -> None:
    proxy = lambda _request: httpx.Response(502, text="<html>")  # noqa: E731
    sent, http = _peer(_lost, _failing("SERVICE_UNAVAILABLE", 503, retryAfterSeconds=0), proxy, _stored)

    event = Synap("http://peer", "sk_x", http=http).log("note.created", {"n": 1})

    assert len(sent) == 4
    assert sent == [sent[0]] * 4
    assert event.id == sent[0]["id"]


def test_the_pause_is_what_the_server_asks_for() -> None:
    sent, http = _peer(_failing("TOO_MANY_REQUESTS", 429, retryAfterSeconds=1), _stored)

    started = time.monotonic()
    Synap("http://peer", "sk_x", http=http).log("note.created", {})

    assert 1 <= time.monotonic() - started < 20
    assert len(sent) == 2


def test_a_pause_longer_than_the_patience_is_not_begun() -> None:
    sent, http = _peer(_failing("TOO_MANY_REQUESTS", 429, retryAfterSeconds=60))

    with pytest.raises(RateLimited) as raised:
        Synap("http://peer", "sk_x", http=http, retry_seconds=5).log("note.created", {})

    assert raised.value.retry_after_seconds == 60
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(_failing("INTERNAL_SERVER_ERROR", 500), ServerFault, id="defect"),
        pytest.param(_failing("BAD_REQUEST", 400), InvalidInput, id="invalid"),
        pytest.param(_failing("UNAUTHORIZED", 401), Unauthorized, id="unauthorized"),
        pytest.param(lambda _request: httpx.Response(200, text="{}"), UnexpectedAnswer, id="no envelope"),
        pytest.param(lambda _request: httpx.Response(200, text="hello"), UnexpectedAnswer, id="no JSON"),
        pytest.param(lambda _request: httpx.Response(302, headers={"location": "/"}), UnexpectedAnswer, id="redirect"),
    ],
)
def test_what_a_retry_cannot_cure_is_not_retried(answer: Peer, kind: type[SynapError]) -> None:
    sent, http = _peer(answer)

    with pytest.raises(kind):
        Synap("http://peer", "sk_x", http=http).log("note.created", {})

    assert len(sent) == 1


def test_a_call_that_may_have_been_done_is_repeated_only_if_allowed() -> None:
    sent, http = _peer(_lost, _lost, _stored)
    client = Synap("http://peer", "sk_x", http=http)

    with pytest.raises(ConnectionLost):
        client.call("keys.create", {"n": 1})
    assert len(sent) == 1
    assert client.call("keys.list", {"n": 1}, retry=True)["n"] == 1

    _, http = _peer(_failing("SERVICE_UNAVAILABLE", 503, ids=["i"]))
    with pytest.raises(Unavailable) as raised:
        Synap("http://peer", "sk_x", http=http).call("keys.create", {})
    assert raised.value.ids == ["i"]


def test_a_token_that_is_a_function_is_asked_each_time(server: Server) -> None:
    tokens = iter(["sk_wrong", server.token])
    client = Synap(server.url, lambda: next(tokens))

    with pytest.raises(Unauthorized):
        client.list(limit=1)
    client.list(limit=1)


def test_a_stream_follows_in_order(client: Synap) -> None:
    run = new_id()
    before = [client.log("stream.before", {}, correlation_id=run).id for _ in range(3)]
    following = client.stream("beginning", correlation_id=run)
    assert [next(following).id for _ in before] == before

    after = [client.log("stream.after", {}, correlation_id=run).id for _ in range(3)]

    assert [next(following).id for _ in after] == after
    following.close()
    assert [event.id for event in client.stream(before[-1], correlation_id=run, follow=False)] == after


def test_a_stream_on_a_loop_ends_its_connection_when_it_is_closed(server: Server) -> None:
    answers: list[httpx.Response] = []

    async def keep(answer: httpx.Response) -> None:
        answers.append(answer)

    async def main() -> None:
        http = lambda: httpx.AsyncClient(event_hooks={"response": [keep]})  # noqa: E731 - short
        async with AsyncSynap(server.url, server.token, http=http) as client:
            await client.log("stream.closed", {})
            async with aclosing(client.stream("beginning", type="stream.closed")) as following:
                await anext(following)
                assert [answer.is_closed for answer in answers] == [True, False]
            assert answers[-1].is_closed
            async for _ in client.stream("beginning", type="stream.closed", follow=False):
                pass
            assert [answer.is_closed for answer in answers] == [True, True, True]

    asyncio.run(main())


@pytest.fixture
def superjson(superjson_server: Server) -> Synap:
    return Synap(superjson_server.url, superjson_server.token, transformer="superjson")


def test_a_server_may_write_superjson(superjson: Synap) -> None:
    run, at = new_id(), datetime(2024, 12, 9, 1, 2, 3, 4, tzinfo=UTC)
    logged = superjson.log("packed.logged", {"json": {"meta": None}}, correlation_id=run, occurred_at=at)
    with superjson.recorder() as recorder:
        recorder.log("packed.recorded", {}, correlation_id=run)

    assert (logged.data, logged.occurred_at) == ({"json": {"meta": None}}, at)
    assert superjson.get(logged.id) == logged
    assert [event.type for event in superjson.events(correlation_id=run, limit=1)] == [
        "packed.recorded",
        "packed.logged",
    ]
    assert next(superjson.stream("beginning", correlation_id=run, follow=False)) == logged
    assert superjson.trace(logged.id).event.id == logged.id
    with pytest.raises(InvalidInput) as refused:
        superjson.log("packed", {})
    assert [issue.path for issue in refused.value.issues] == ["type"]
    with pytest.raises(InvalidInput):
        next(superjson.stream("nowhere"))
    with pytest.raises(NotFound):
        superjson.get(new_id())

    async def main() -> None:
        twin = superjson.twin()
        async with AsyncSynap(twin.url, superjson._bearer.token, transformer="superjson") as client:  # noqa: SLF001
            assert await client.get(logged.id) == logged
            assert [event async for event in client.stream("beginning", type="packed.logged", follow=False)][
                -1
            ] == logged

    asyncio.run(main())


def test_a_client_of_the_other_transformer_gets_a_clear_error(
    client: Synap, server: Server, superjson_server: Server
) -> None:
    client.log("packed.mistaken", {})
    plain = Synap(superjson_server.url, superjson_server.token)
    packed = Synap(server.url, server.token, transformer="superjson")

    for call in (lambda: plain.log("packed.mistaken", {}), plain.list, lambda: plain.get(new_id())):
        with pytest.raises(UnexpectedAnswer, match="the server writes superjson; set transformer='superjson'"):
            call()
    for call in (lambda: packed.log("packed.mistaken", {}), packed.list, lambda: next(packed.stream())):
        with pytest.raises(UnexpectedAnswer, match="the server does not write superjson; omit transformer"):
            call()
    with pytest.raises(ValueError, match="must be 'none' or 'superjson'"):
        Synap(server.url, server.token, transformer="json")  # type: ignore[arg-type]


def test_a_stream_that_is_rejected_says_why(client: Synap) -> None:
    with pytest.raises(InvalidInput):
        next(client.stream("nowhere"))
    with pytest.raises(Unauthorized):
        next(Synap(client.url, "sk_x").stream())
    with pytest.raises(NotFound):
        next(client.subscribe("no.such"))


def test_other_subscriptions_are_followed_by_name(client: Synap) -> None:
    logged = client.log("ledger.seen", {})

    _, entry = next(client.subscribe("ledger.stream", {"after": -1, "type": "ledger.seen"}))

    assert entry["event_id"] == logged.id


def test_a_stream_resumes_over_a_server_that_is_killed(database_url: str, data_dir: Path) -> None:
    port, seen, logged = free_port(), list[Event](), list[str]()

    def follow() -> None:
        for event in Synap(f"http://127.0.0.1:{port}", token).stream("beginning"):
            seen.append(event)
            if event.type == "resume.last":
                return

    with serving(data_dir, database_url=database_url, port=port) as first:
        token = first.token
        client = Synap(first.url, token)
        logged += [client.log("resume.first", {"n": n}).id for n in range(20)]
        follower = threading.Thread(target=follow)
        follower.start()
        until(lambda: len(seen) == 20)
        logged += [client.log("resume.first", {"n": n}).id for n in range(20)]
        kill(first)
    time.sleep(0.5)
    with serving(data_dir, database_url=database_url, port=port):
        logged += [event.id for event in client.log_batch([NewEvent("resume.again", {"n": n}) for n in range(20)])]
        logged.append(client.log("resume.last", {}).id)
        follower.join(timeout=60)

    assert [event.id for event in seen] == logged


def test_server_sent_events_are_read_whatever_the_pieces() -> None:
    value = '{"a":"\u2028\x85"}'
    text = (
        f"event: connected\r\ndata: {{}}\r\n\r\n: comment\ndata: {value}\nid: 7\n\n\nevent: ping\ndata: \n\n".encode()
    )

    for size in range(1, len(text)):
        reader = MessageReader()
        pieces = [text[place : place + size] for place in range(0, len(text), size)]
        messages = [message for piece in pieces for message in reader.feed(piece)]
        assert [(message.event, message.id) for message in messages] == [
            ("connected", None),
            ("message", "7"),
            ("ping", None),
        ]
        assert messages[1].data.decode() == '{"a":"\u2028\x85"}'


async def _all_methods(client: AsyncSynap) -> None:
    run = new_id()
    event = await client.log("async.made", {"n": 0}, correlation_id=run)
    await client.log_batch([NewEvent("async.made", {"n": n}, correlation_id=run) for n in range(1, 5)])
    assert await client.get(event.id) == event
    assert len(await client.list(correlation_id=run)) == 5
    assert (await client.page(correlation_id=run)).total == 5
    assert [event.data["n"] async for event in client.events(correlation_id=run, limit=2)] == [4, 3, 2, 1, 0]
    assert (await client.browse(limit=1)).data
    assert (await client.validate("async.made", {})).valid
    assert (await client.trace(event.id)).event.id == event.id
    assert [event.data["n"] async for event in client.stream("beginning", correlation_id=run, follow=False)] == list(
        range(5)
    )
    async for _, entry in client.subscribe("ledger.stream", {"after": -1}):
        assert entry["seq"] == 0
        break
    assert await client.call("metadata.kinds", retry=True)
    with pytest.raises(NotFound):
        await client.get(uuid4())


def test_the_async_client_does_the_same(server: Server) -> None:
    async def main() -> None:
        async with AsyncSynap(server.url, server.token) as client:
            await _all_methods(client)
            with pytest.raises(ConnectionLost):
                await AsyncSynap(f"http://127.0.0.1:{free_port()}", "sk_x", retry_seconds=0.2).list()

    asyncio.run(main())


def _chain(client: Synap, run: str) -> list[tuple[str, str, str | None]]:
    """The agent, the type and the type of the cause of each event of a run."""
    events = client.list(correlation_id=run)[::-1]
    by_id = {event.id: event for event in events}
    assert all(event.metadata and event.source == "intelligence" for event in events)
    return [
        (
            (event.metadata or {})["ai"]["agent"],
            event.type,
            by_id[event.causation_id].type if event.causation_id else None,
        )
        for event in events
    ]


def test_an_agent_logs_a_chain_with_its_reasons(client: Synap) -> None:
    with agent("orchestrator", client, subject_id="task-1") as a:
        a.observed("two tests fail", {"failed": 2})
        a.called_tool("grep", {"pattern": "x"}, result=["a.py"], duration_ms=12.5)
        decided = a.decided(
            "fix a.py\0", confidence=0.9, reasoning=["it is small", "it is ours"], alternatives=["ask"], token_count=31
        )

    assert _chain(client, a.correlation_id) == [
        ("orchestrator", "agent.started", None),
        ("orchestrator", "agent.observed", "agent.started"),
        ("orchestrator", "agent.tool.called", "agent.observed"),
        ("orchestrator", "agent.decided", "agent.tool.called"),
        ("orchestrator", "agent.finished", "agent.decided"),
    ]
    event = client.get(decided)
    assert event.subject_id == "task-1"
    assert event.data == {"decision": "fix a.py\0", "alternatives": ["ask"]}
    assert event.metadata == {
        "ai": {
            "agent": "orchestrator",
            "confidence": {"score": 0.9, "reasoning": "it is small it is ours"},
            "reasoning": {
                "steps": [
                    {"type": "thinking", "content": "it is small"},
                    {"type": "thinking", "content": "it is ours"},
                    {"type": "decision", "content": "fix a.py�"},
                ],
                "outcome": {"action": "fix a.py�", "confidence": 0.9, "alternatives": ["ask"]},
                "tokenCount": 31,
            },
        }
    }


def test_a_tool_whose_answer_is_no_json_is_rejected_as_any_event(client: Synap) -> None:
    with agent("orchestrator", client) as a, pytest.raises(InvalidInput, match="cannot be written as JSON"):
        a.called_tool("open", {"path": "a.py"}, result=object())


def test_agents_nest_in_one_run(client: Synap) -> None:
    def work(outer: Agent) -> None:
        outer.thought("delegate")
        with agent("worker", client) as inner:
            inner.log("report.written", {"pages": 2}, {"confidence": {"score": 0.5}})
        assert inner.correlation_id == outer.correlation_id
        outer.decided("publish")
        raise KeyError("printer")

    with pytest.raises(KeyError), agent("orchestrator", client) as outer:
        work(outer)

    assert _chain(client, outer.correlation_id) == [
        ("orchestrator", "agent.started", None),
        ("orchestrator", "agent.thought", "agent.started"),
        ("worker", "agent.started", "agent.thought"),
        ("worker", "report.written", "agent.started"),
        ("worker", "agent.finished", "report.written"),
        ("orchestrator", "agent.decided", "agent.finished"),
        ("orchestrator", "agent.failed", "agent.decided"),
    ]
    [failed] = client.list(correlation_id=outer.correlation_id, type="agent.failed")
    assert (failed.data["error"], failed.data["message"]) == ("KeyError", "'printer'")


def test_an_agent_logs_through_a_recorder_and_on_a_loop(client: Synap, server: Server) -> None:
    with client.recorder() as recorder, agent("quick", recorder, bounds=False) as a:
        a.thought("go on")
        a.decided("go")
    assert [type_ for _, type_, _ in _chain(client, a.correlation_id)] == ["agent.thought", "agent.decided"]

    async def main() -> str:
        async with AsyncSynap(server.url, server.token) as loop_client, agent("async", loop_client) as b:
            await b.observed("x")
            await b.called_tool("y", error="broken")
            await b.decided("z")
        return b.correlation_id

    assert [type_ for _, type_, _ in _chain(client, asyncio.run(main()))] == [
        "agent.started",
        "agent.observed",
        "agent.tool.called",
        "agent.decided",
        "agent.finished",
    ]


def test_the_examples_of_its_readme_run(server: Server, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    script = "\n".join(blocks).replace("http://127.0.0.1:8000", server.url)
    assert len(blocks) > 5

    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(SOURCE), "TOKEN": server.token},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    said = re.findall(r"# prints (.*)$", script, re.MULTILINE)
    assert said
    assert ran.stdout.splitlines() == said


def test_it_needs_nothing_of_the_server() -> None:
    """It imports nothing of the server, and only the dependencies in its pyproject."""
    script = (
        "import sys, synap_client\n"
        "ours = {'app', 'procedures', 'schemas', 'tests', 'structlog'}\n"
        "print(sorted(ours & {name.split('.')[0] for name in sys.modules}))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd="/",
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert ran.stdout == "[]\n"
