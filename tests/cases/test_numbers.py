"""Numbers keep the value that was sent: no digit is lost silently, and a whole number may be written in any form."""

import json
from collections.abc import Callable
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.importing.drafting import LineDrafts, LinePiece, Origin
from app.ledger.canonical import canonical
from procedures.registry import registry
from schemas.errors import InvalidInput
from schemas.event import ListEvents
from schemas.issues import decoded
from schemas.jsontext import MAX_SAFE_INTEGER
from tests.kit.servers import Server
from tests.kit.web import get, post
from tests.properties.test_bad_input import INPUTS

TOO_LONG = {
    "2^53": "9007199254740992",
    "-2^53": "-9007199254740992",
    "17 digits": "12345678901234567",
    "20 digits": "18446744073709551616",
    "21 digits": "999999999999999999999",
    "22 digits": "1000000000000000000001",
    "22 digits, rounded": "1000000000000000000000",
    "309 digits": "1" * 309,
    "5,000 digits": "1" * 5000,
    "-5,000 digits": "-" + "1" * 5000,
    "1e16": "1e16",
    "1e400": "1e400",
}

JSON = {"content-type": "application/json"}


def _trpc(server: Server, literal: str) -> tuple[int, str, str]:
    body = f'{{"type":"case.number","data":{{"list":[0,{{"n":{literal}}}]}}}}'
    return _issue(post(f"{server.url}/trpc/events.log", content=body, headers=server.headers | JSON))


def _custom(server: Server, literal: str) -> tuple[int, str, str]:
    body = f'{{"type":"case.number","data":{{}},"metadata":{{"custom":{{"n":{literal}}}}}}}'
    return _issue(post(f"{server.url}/trpc/events.log", content=body, headers=server.headers | JSON))


def _typed(server: Server, literal: str) -> tuple[int, str, str]:
    reasoning = f'{{"steps":[],"durationMs":{literal.lstrip("-")}}}'
    body = f'{{"type":"case.number","data":{{}},"metadata":{{"ai":{{"agent":"a","reasoning":{reasoning}}}}}}}'
    return _issue(post(f"{server.url}/trpc/events.log", content=body, headers=server.headers | JSON))


def _batch(server: Server, literal: str) -> tuple[int, str, str]:
    body = f'{{"events":[{{"type":"case.number","data":{{"n":{literal}}}}}]}}'
    return _issue(post(f"{server.url}/trpc/events.logBatch", content=body, headers=server.headers | JSON))


def _filter(server: Server, literal: str) -> tuple[int, str, str]:
    asked = quote(f'{{"filter":{{"data.n":{{"in":[1,{literal}]}}}}}}')
    return _issue(get(f"{server.url}/trpc/events.list?input={asked}", headers=server.headers))


def _browse(server: Server, literal: str) -> tuple[int, str, str]:
    asked = quote(f'{{"data.n":{literal}}}')
    return _refusal(get(f"{server.url}/api/events?filter={asked}", headers=server.headers))


def _ledger(server: Server, literal: str) -> tuple[int, str, str]:
    asked = quote(f'{{"data.n":{literal}}}')
    return _refusal(get(f"{server.url}/ledger/v1/events?filter={asked}", headers=server.headers))


def _publish(server: Server, literal: str) -> tuple[int, str, str]:
    body = f'{{"type":"case.number","source":"s","data":{{"n":{literal}}}}}'
    return _refusal(post(f"{server.url}/v1/events", content=body, headers=server.headers | JSON))


def _cloudevent(server: Server, literal: str) -> tuple[int, str, str]:
    body = f'{{"specversion":"1.0","id":"1","source":"s","type":"case.number","data":{{"n":{literal}}}}}'
    kind = {"content-type": "application/cloudevents+json"}
    return _refusal(post(f"{server.url}/v1/events", content=body, headers=server.headers | kind))


def _tool(server: Server, literal: str) -> tuple[int, str, str]:
    arguments = f'{{"type":"case.number","data":{{"n":{literal}}}}}'
    params = f'{{"name":"events_log","arguments":{arguments}}}'
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'
    answer = post(f"{server.url}/mcp", content=body, headers=server.headers | JSON).json()
    told = answer["result"]["structuredContent"]["error"]
    return 400, told["reason"], told["issues"][0]["path"]


def _issue(response: httpx.Response) -> tuple[int, str, str]:
    data = response.json()["error"]["data"]
    return response.status_code, data["reason"], data["issues"][0]["path"]


def _refusal(response: httpx.Response) -> tuple[int, str, str]:
    error = response.json()["error"]
    return response.status_code, error["code"], error["field"]


DOORS: dict[str, tuple[Callable[[Server, str], tuple[int, str, str]], str]] = {
    "events.log": (_trpc, "data.list.1.n"),
    "custom": (_custom, "metadata.custom.n"),
    "typed metadata": (_typed, "metadata.ai.reasoning.durationMs"),
    "events.logBatch": (_batch, "events.0.data.n"),
    "a filter": (_filter, "filter.data.n.in.1"),
    "browse": (_browse, "filter.data.n"),
    "ledger": (_ledger, "filter.data.n"),
    "publish": (_publish, "data.n"),
    "a CloudEvent": (_cloudevent, "data.n"),
    "a tool": (_tool, "data.n"),
}


@pytest.mark.parametrize("literal", TOO_LONG.values(), ids=list(TOO_LONG))
@pytest.mark.parametrize("door", DOORS)
def test_a_number_beyond_every_reader_is_named(server: Server, door: str, literal: str) -> None:
    send, path = DOORS[door]

    assert send(server, literal) == (400, "unsafe_number", path)


@pytest.mark.parametrize("meta", ["", ',"meta":{"values":{"subjectId":["undefined"]}}'], ids=["bare", "with meta"])
def test_superjson_hides_no_number(superjson_server: Server, meta: str) -> None:
    body = f'{{"json":{{"type":"case.number","subjectId":null,"data":{{"n":{TOO_LONG["22 digits"]}}}}}{meta}}}'

    response = post(f"{superjson_server.url}/trpc/events.log", content=body, headers=superjson_server.headers | JSON)

    data = response.json()["error"]["json"]["data"]
    assert (data["reason"], [issue["path"] for issue in data["issues"]]) == ("unsafe_number", ["data.n"])


@pytest.mark.parametrize("literal", TOO_LONG.values(), ids=list(TOO_LONG))
def test_an_imported_line_is_rejected_by_its_place(literal: str) -> None:
    lines = LineDrafts(Origin(workspace="w", name="n", user="u", max_event_bytes=100_000), "did:key:z")

    made = lines.drafted(LinePiece(1, [f'{{"type":"case.number","data":{{"n":[{literal}]}}}}'.encode()]))

    [refused] = made.refused
    assert [(issue.path, issue.code) for issue in refused.issues] == [("data.n.0", "unsafe_number")]


@pytest.mark.parametrize("literal", ["1e21", "1.5e300", "-1E+21", "1000000000000000000001.5"])
def test_who_writes_a_double_gets_one(literal: str) -> None:
    assert json.loads(canonical(f"[{literal}]".encode(), "data")) == [float(literal)]


@given(st.integers())
def test_an_integer_is_stored_as_it_was_sent_or_rejected(number: int) -> None:
    try:
        stored = canonical(b"[%d]" % number, "data")
    except InvalidInput:
        assert abs(number) > MAX_SAFE_INTEGER
    else:
        assert stored == b"[%d]" % number


WHOLE = {"5.0": 5, "5e0": 5, "0.5E+1": 5, "1e2": 100, "50e-1": 5}


@pytest.mark.parametrize("literal", WHOLE)
def test_a_whole_number_is_one_however_it_is_written(literal: str) -> None:
    wanted = decoded(f'{{"limit":{literal}}}'.encode(), registry()["events.list"].decoder)

    assert wanted == ListEvents(limit=WHOLE[literal])


def test_minus_zero_is_zero() -> None:
    assert decoded(b'{"limit":2.0,"offset":-0.0}', registry()["events.list"].decoder) == ListEvents(limit=2, offset=0)


@pytest.mark.parametrize("literal", ["5.5", '"5"', "true", "0.0", "-1.0", "1e400", "1001.0", "[5]", "1" * 5000])
def test_a_number_that_is_not_whole_or_in_range_is_named(literal: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decoded(f'{{"limit":{literal}}}'.encode(), registry()["events.list"].decoder)

    assert refused.value.message == "limit: must be a whole number from 1 to 1000"


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_every_whole_number_of_every_input_may_have_a_fraction(name: str) -> None:
    sent = INPUTS[name]
    fractions = {field: float(value) if type(value) is int else value for field, value in sent.items()}
    decoder = registry()[name].decoder

    assert decoded(json.dumps(fractions).encode(), decoder) == decoded(json.dumps(sent).encode(), decoder)


def test_stored_counts_are_stored_as_json_prints_them(server: Server) -> None:
    ai = {"agent": "a", "reasoning": {"steps": [], "tokenCount": 5.0, "durationMs": 1e2}}

    stored = server.mutate("events.log", {"type": "case.number", "data": {"n": 1.0}, "metadata": {"ai": ai}})

    event = stored.json()["result"]["data"]
    assert '"n":1}' in stored.text
    assert '"tokenCount":5}' in stored.text
    assert event["metadata"]["ai"]["reasoning"]["durationMs"] == 100


@pytest.mark.parametrize(
    "path",
    [
        "/v1/events?limit=5.0",
        "/v1/events?limit=1e1",
        "/api/events?limit=5.0",
        "/ledger/v1/events?limit=5.0",
        "/v1/events?offset=-0.0",
        "/ledger/v1/events/export?from_seq=0.0",
    ],
)
def test_a_whole_number_in_a_url_may_have_a_fraction(server: Server, path: str) -> None:
    server.mutate("events.log", {"type": "case.number", "data": {}})

    assert get(f"{server.url}{path}", headers=server.headers).status_code == 200


def test_a_tool_takes_what_models_send(server: Server) -> None:
    params = {"name": "events_list", "arguments": {"limit": 5.0}}

    answer = post(
        f"{server.url}/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        headers=server.headers,
    ).json()

    assert not answer["result"]["isError"], answer


def test_an_extension_of_a_cloudevent_may_have_a_fraction(server: Server) -> None:
    body = '{"specversion":"1.0","id":"f","source":"s","type":"case.number","count":5.0}'
    kind = {"content-type": "application/cloudevents+json", "accept": "application/cloudevents+json"}

    shown = post(f"{server.url}/v1/events", content=body, headers=server.headers | kind)

    assert '"count":5}' in shown.text
