"""Request ids, and the server's log of calls: one JSON line each, without tokens and payloads."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.kit import web
from tests.kit.servers import Server, until
from tests.surfaces.conftest import Observed

EVENT = {"type": "note.created", "data": {}}

MARKER = "mArKeR-7f3a"

Ask = Callable[[Server, str], httpx.Response]


def _lines(server: Server, request_id: str) -> list[dict[str, Any]]:
    """The log's lines about one request."""
    return [json.loads(line) for line in server.log.read_text().splitlines() if f'"{request_id}"' in line]


def _get(target: str, **headers: str) -> Ask:
    return lambda server, request_id: web.get(
        f"{server.url}/trpc/{target}", headers={**server.headers, "x-request-id": request_id, **headers}
    )


def _post(target: str, content: bytes, **headers: str) -> Ask:
    return lambda server, request_id: web.post(
        f"{server.url}/trpc/{target}",
        content=content,
        headers={**server.headers, "content-type": "application/json", "x-request-id": request_id, **headers},
        timeout=30,
    )


FAILING: dict[str, tuple[Ask, list[tuple[str, str]]]] = {
    "malformed JSON": (_post("events.log", b'{"' + MARKER.encode()), [("events.log", "invalid_input")]),
    "invalid input": (_post("events.log", b'{"data":"%b"}' % MARKER.encode()), [("events.log", "invalid_input")]),
    "no token": (_get("events.list", authorization=""), [("events.list", "unauthorized")]),
    "a wrong token": (_get("events.list", authorization=f"Bearer {MARKER}"), [("events.list", "unauthorized")]),
    "an unknown workspace": (_get("events.list", **{"x-workspace-id": MARKER}), [("events.list", "not_found")]),
    "not found": (_get(f'events.get?input="{MARKER}"'), [("events.get", "invalid_input")]),
    "too large": (
        _post("events.log", b'{"type":"a.b","data":{"t":"%b"}}' % (MARKER.encode() * 150_000)),
        [("events.log", "payload_too_large")],
    ),
    "two of a batch": (
        _get('events.get,events.page,events.get?batch=1&input={"0":{"eventId":"x"},"2":{"eventId":"y"}}'),
        [("events.get", "not_found"), ("events.get", "not_found")],
    ),
    "an unknown procedure": (_get("nosuch"), [("nosuch", "not_found")]),
    "another method": (_get("events.log"), [("events.log", "METHOD_NOT_SUPPORTED")]),
    "no content type": (
        _post("events.log", b"{}", **{"content-type": "text/plain"}),
        [("(request)", "UNSUPPORTED_MEDIA_TYPE")],
    ),
    "a malformed path": (_get("x%zz"), [("(request)", "BAD_REQUEST")]),
    "malformed parameters": (_get("events.list?connectionParams=["), [("(request)", "PARSE_ERROR")]),
}


@pytest.mark.parametrize(("ask", "expected"), FAILING.values(), ids=list(FAILING))
def test_every_failed_call_is_one_line(server: Server, ask: Ask, expected: list[tuple[str, str]]) -> None:
    request_id = f"failed-{uuid4()}"

    answer = ask(server, request_id)

    assert answer.status_code >= 207
    lines = until(lambda: _lines(server, request_id))
    assert sorted((line["procedure"], line["error"]) for line in lines) == expected
    for line in lines:
        assert line["event"] == "call"
        assert line["level"] == "warning"
        assert line["elapsed_ms"] >= 0


def test_a_conflict_and_a_forbidden_call_are_logged_by_code(server: Server) -> None:
    request_id = f"conflict-{uuid4()}"
    event = {**EVENT, "id": str(uuid4())}
    server.mutate("events.log", event)

    server.mutate("events.log", {**event, "data": {"text": MARKER}}, **{"x-request-id": request_id})

    (line,) = until(lambda: _lines(server, request_id))
    assert (line["procedure"], line["error"]) == ("events.log", "conflict")
    assert (line["principal"], line["workspace"]) == ("control", "default")
    assert line["request_id"] == request_id


def test_a_call_that_succeeds_is_not_logged(server: Server) -> None:
    quiet, loud = f"quiet-{uuid4()}", f"loud-{uuid4()}"

    assert server.mutate("events.log", EVENT, **{"x-request-id": quiet}).status_code == 200
    assert server.query("events.get", {"eventId": "x"}, **{"x-request-id": loud}).status_code == 404

    assert until(lambda: _lines(server, loud))
    assert _lines(server, quiet) == []


@pytest.mark.parametrize("name", ["events.log", "events.list", "events.page", "events.logBatch"])
def test_every_call_is_logged_on_request(observed: Observed, name: str) -> None:
    request_id = f"all-{uuid4()}"
    event = {"type": "note.created", "data": {"text": MARKER}}
    headers = {"x-request-id": request_id}

    if name.startswith("events.log"):
        answer = observed.server.mutate(name, event if name == "events.log" else {"events": [event]}, **headers)
    else:
        answer = observed.server.query(name, **headers)

    assert answer.status_code == 200
    (line,) = until(lambda: _lines(observed.server, request_id))
    assert line["event"] == "call"
    assert line["level"] == "info"
    assert (line["procedure"], line["error"]) == (name, None)
    assert (line["principal"], line["workspace"]) == ("control", "default")
    assert line["elapsed_ms"] > 0
    assert line["timestamp"].endswith("Z")


def test_the_log_has_no_token_and_no_payload(observed: Observed, server: Server) -> None:
    for one in (observed.server, server):
        for ask, _ in FAILING.values():
            ask(one, "marked")
        last = f"last-{uuid4()}"
        one.mutate("events.log", {"data": MARKER}, **{"x-request-id": last})
        until(partial(_lines, one, last))

        log = one.log.read_text()
        assert MARKER not in log
        assert one.token not in log


def test_every_line_of_the_log_is_json_or_the_announcement(observed: Observed) -> None:
    lines = [line for line in observed.server.log.read_text().splitlines() if line.startswith("{")]

    assert lines
    for line in lines:
        assert {"event", "level", "timestamp"} <= set(json.loads(line))


GIVEN = [
    "x",
    "a" * 128,
    "0:1/2+3=4._-",
    "0f8fad5b-d9cb-469f-a165-70867728950e",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
]


@pytest.mark.parametrize("given", GIVEN, ids=lambda text: text[:20])
def test_a_harmless_request_id_is_accepted(server: Server, given: str) -> None:
    answer = web.get(f"{server.url}/trpc/events.list", headers={**server.headers, "x-request-id": given})

    assert answer.headers["x-request-id"] == given


REPLACED = [b"", b"a" * 129, b"a b", b'{"a":1}', b"\xff\xfe", b"a\tb", b"<script>", "é".encode()]


@pytest.mark.parametrize("given", REPLACED, ids=lambda raw: repr(raw[:10]))
def test_any_other_request_id_is_replaced(server: Server, given: bytes) -> None:
    headers = [(b"authorization", f"Bearer {server.token}".encode()), (b"x-request-id", given)]

    answer = web.get(f"{server.url}/trpc/events.list", headers=headers)

    assert answer.status_code == 200
    assert UUID(answer.headers["x-request-id"]).version == 7


@pytest.mark.parametrize(
    "ask",
    [
        _get("events.list"),
        _get("events.list", authorization=""),
        _get("nosuch"),
        _get("x%zz"),
        _get("events.list?batch=1", **{"trpc-accept": "application/jsonl"}),
        _get("contract.ts"),
        lambda server, request_id: web.head(f"{server.url}/trpc", headers={"x-request-id": request_id}),
    ],
    ids=["200", "401", "404", "400", "JSON lines", "contract", "HEAD"],
)
def test_every_answer_names_its_request(server: Server, ask: Ask) -> None:
    assert ask(server, "my-request").headers["x-request-id"] == "my-request"


def test_requests_without_an_id_get_different_ones(server: Server) -> None:
    ids = {web.get(f"{server.url}/trpc/nosuch").headers["x-request-id"] for _ in range(3)}

    assert len(ids) == 3
