"""An error says what is wrong: with JSON that cannot be read, with a cursor, with a workspace."""

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from websockets.sync.client import connect

from app.surfaces.trpc.frames import MalformedFrameError, messages_of
from app.surfaces.trpc.request import batch_inputs
from app.surfaces.trpc.transformer import TRANSFORMERS
from schemas.errors import InvalidInput
from schemas.event import ListEvents
from tests.cases.conftest import Doors
from tests.kit.servers import Server
from tests.procedures.conftest import Keyed

JSON = [("content-type", "application/json")]

FAULTS = {
    "half of a pair": (r'"\ud800"', "a string contains half of a surrogate pair"),
    "half of a pair, then text": (r'"\ud800 and so on"', "a string contains half of a surrogate pair"),
    "the second half of a pair": (r'"\udc00\ud800"', "a string contains half of a surrogate pair"),
    "half of a pair in a name": (r'{"\ud800 ":1}', "a string contains half of a surrogate pair"),
    "too deep": ("[" * 5000 + "]" * 5000, "is nested deeper than 64"),
    "an unknown word": ("None", "JSON is malformed: invalid character (byte"),
    "a control character": ('"\x1f"', "JSON is malformed: invalid character (byte"),
    "a comma at the end": ("[1,]", "JSON is malformed: trailing comma in array (byte"),
}

faults = pytest.mark.parametrize(("value", "told"), FAULTS.values(), ids=list(FAULTS))

EVENT = '{"type":"case.fault","data":{"v":%s}}'

Ask = Callable[[Doors, str], str]


def _posted(path: str, form: str) -> Ask:
    return lambda doors, value: doors.http("POST", path, JSON, content=form.replace("%s", value)).text


def _asked(path: str, form: str) -> Ask:
    return lambda doors, value: doors.http("GET", path + quote(form.replace("%s", value))).text


def _sent(doors: Doors, value: str) -> str:
    form = f'{{"id":1,"method":"mutation","params":{{"path":"events.log","input":{EVENT}}}}}'
    with connect(f"{doors.server.url.replace('http', 'ws')}/trpc?token={doors.server.token}", proxy=None) as socket:
        socket.send(form.replace("%s", value))
        return str(socket.recv(timeout=30))


DOORS: dict[str, Ask] = {
    "a mutation": _posted("/trpc/events.log", EVENT),
    "a batch of mutations": _posted("/trpc/events.log,events.log?batch=1", f'{{"0":{EVENT}}}'),
    "a query": _asked("/trpc/events.list?input=", '{"filter":{"data.v":%s}}'),
    "a batch of queries": _asked("/trpc/events.list?batch=1&input=", '{"0":{"filter":{"data.v":%s}}}'),
    "a socket": _sent,
    "publish": _posted("/v1/events", '{"type":"case.fault","source":"s","data":{"v":%s}}'),
    "browse": _asked("/api/events?filter=", '{"data.v":%s}'),
    "ledger": _asked("/ledger/v1/events?filter=", '{"data.v":%s}'),
    "mcp": _posted(
        "/mcp", f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"events_log","arguments":{EVENT}}}}}'
    ),
}


@faults
@pytest.mark.parametrize("ask", DOORS.values(), ids=list(DOORS))
def test_the_fault_is_named_at_every_door(doors: Doors, ask: Ask, value: str, told: str) -> None:
    assert told in ask(doors, value)


@pytest.mark.parametrize("sent", [b"[]", b"null", b"5", b'"x"'])
def test_inputs_of_a_batch_that_are_json_but_no_object_are_named_as_such(sent: bytes) -> None:
    with pytest.raises(InvalidInput, match="must be a JSON object, by index"):
        batch_inputs(sent)


@pytest.mark.parametrize(
    "sent",
    [
        b"{}",
        b"5",
        b'{"id":1}',
        b'{"id":true,"method":"query","params":{"path":"a.b"}}',
        b'{"id":1,"method":"query","params":{"path":"a.b","lastEventId":5}}',
        b'[{"id":1,"method":"query","params":{"path":"a.b"}},5]',
    ],
)
def test_the_error_for_a_frame_without_messages_says_what_one_is(sent: bytes) -> None:
    with pytest.raises(MalformedFrameError, match="A message has an `id`") as refused:
        messages_of(sent, TRANSFORMERS["none"], 100)

    assert "`params` with a `path`" in str(refused.value)


MARKED = {  # at /trpc it is an error, as in tRPC's own server
    "browse": "/api/events?limit=1&filter=",
    "browse in an order": "/api/events?limit=1&orderBy=",
    "ledger": "/ledger/v1/events?limit=1&filter=",
}


@pytest.mark.parametrize("path", MARKED.values(), ids=list(MARKED))
def test_a_byte_order_mark_is_skipped_in_a_url_too(doors: Doors, path: str) -> None:
    value = "[]" if "orderBy" in path else "{}"

    answer = doors.http("GET", path + quote(f"\ufeff{value}"))

    assert answer.status_code == 200, answer.text


METAS = {
    "a version as text": ('{"values":{"from":["undefined"]},"v":"1"}', None),
    "a version with a fraction": ('{"values":{"from":["undefined"]},"v":1.0}', None),
    "a huge version": ('{"v":1e400}', None),
    "an array": ("[]", "superjson's `meta` must be an object"),
    "a number": ("5", "superjson's `meta` must be an object"),
    "a huge number": ('{"values":{"from":[1e400]}}', "superjson's `meta` must be an object"),
}


@pytest.mark.parametrize(("meta", "told"), METAS.values(), ids=list(METAS))
def test_an_odd_meta_is_not_taken_for_another_transformer(meta: str, told: str | None) -> None:
    sent = f'{{"json":{{"type":"a.b","from":null}},"meta":{meta}}}'.encode()

    if told is None:
        assert json.loads(TRANSFORMERS["superjson"].input(sent, ListEvents) or b"")["type"] == "a.b"
    else:
        with pytest.raises(InvalidInput, match=told) as refused:
            TRANSFORMERS["superjson"].input(sent, ListEvents)
        assert refused.value.reason == "invalid_input"


def test_every_list_rejects_a_foreign_cursor_with_the_same_code(server: Server) -> None:
    lists = ["events.list", "events.page", "intents.list", "keys.list"]

    answers = {name: server.query(name, {"cursor": "x"}).json()["error"] for name in lists}

    assert {error["data"]["reason"] for error in answers.values()} == {"invalid_cursor"}
    assert {error["message"] for error in answers.values()} == {
        "cursor: is not a cursor of this list; send one from an earlier page, unchanged"
    }


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/events?orgId=nope", "orgId"),
        ("/v1/events?orgId=", "orgId"),
        ("/api/events?workspace_id=nope", "workspace_id"),
        ("/ledger/v1/events?log=nope", "log"),
    ],
)
def test_a_workspace_that_does_not_exist_is_not_blamed_on_the_key(doors: Doors, path: str, field: str) -> None:
    answer = doors.http("GET", path)

    error = answer.json()["error"]
    assert (error["message"], error["field"]) == ("There is no such workspace", field)


def test_a_key_of_another_workspace_does_not_learn_which_workspaces_exist(doors: Doors) -> None:
    keyed = Keyed(doors.server, doors.database_url)
    own, other = keyed.workspace(), keyed.workspace()
    _, called = keyed.key("events:read", workspaces=(own,))

    answers = [
        doors.client.get(f"{called.url}/api/events?workspace_id={name}", headers=called.headers)
        for name in (other, "nope")
    ]

    assert answers[0].json() == answers[1].json()
    assert answers[0].status_code == 403


WRITTEN_BY_THE_SERVER = {
    "decision": ({}, "call intents.decide or intents.withdraw"),
    "start": ({"use": "first"}, "call intents.start"),
    "outcome": ("executed", "call intents.finish"),
}


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [(name, *each) for name, each in WRITTEN_BY_THE_SERVER.items()],
    ids=list(WRITTEN_BY_THE_SERVER),
)
def test_a_member_that_only_the_server_writes_is_not_asked_for_in_full(
    server: Server, name: str, value: object, remedy: str
) -> None:
    event = {"type": "case.requested", "data": {}, "metadata": {"synap": {name: value}}}

    error = server.mutate("events.log", event).json()["error"]

    assert error["message"] == f"metadata.synap.{name}: is written by the server: {remedy}"
