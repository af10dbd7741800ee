"""No input makes the server fail, hang, or repeat confidential values."""

import json
from typing import Any
from urllib.parse import quote_from_bytes

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.contract.operation import Kind
from procedures.registry import registry
from schemas.issues import decoded
from tests.kit.examples import examples
from tests.kit.servers import Server, until
from tests.properties.door import Door, Reply

FEW = settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])

AT = "2024-12-09T01:00:00Z"

EVENT: dict[str, Any] = {
    "id": "01938c1e-0000-7000-8000-000000000001",
    "type": "note.created",
    "data": {"title": "Hello"},
    "subjectId": "entity-456",
    "userId": "u1",
    "source": "sync",
    "producer": "p",
    "correlationId": "c",
    "causationId": "d",
    "occurredAt": AT,
    "metadata": {
        "ai": {
            "agent": "a",
            "confidence": {"score": 0.5, "reasoning": "r"},
            "extraction": {"extractedFrom": {"messageId": "m", "threadId": "t"}, "method": "explicit"},
            "reasoning": {"steps": [{"type": "thinking", "content": "c", "timestamp": AT}], "tokenCount": 1},
        },
        "import": {"source": "csv", "importedAt": AT},
        "sync": {"deviceId": "d", "platform": "cli", "syncedAt": AT},
        "automation": {"ruleId": "r", "ruleName": "n", "trigger": {"type": "t"}},
        "custom": {"x": None},
    },
}

NOBODY = "01938c1e-0000-7000-8000-00000000dead"
"""An id that no event has."""

PAUSED = "paused"
"""A placeholder for the id of a paused webhook, to which nothing is sent."""

FILTER: dict[str, Any] = {
    "type": {"in": ["note.created"], "like": "note.*"},
    "OR": [{"data.title": {"startsWith": "H"}}, {"metadata.ai.confidence.score": {"gte": 0.5}}],
    "NOT": {"AND": [{"occurredAt": {"lt": AT}}, {"seq": 1, "id": {"ne": NOBODY}}]},
}

LIST: dict[str, Any] = {
    "limit": 3,
    "offset": 0,
    "cursor": None,
    "direction": "forward",
    "type": "note.*",
    "source": "sync",
    "producer": "p",
    "hasMetadata": True,
    "subjectId": "entity-456",
    "correlationId": "c",
    "causationId": "d",
    "userId": "u1",
    "from": AT,
    "to": AT,
    "filter": FILTER,
}

BROWSE: dict[str, Any] = {
    "limit": 3,
    "after": None,
    "before": None,
    "ids": [NOBODY],
    "filter": FILTER | {"children": {"none": {"parent": {"some": {"seq": {"lte": 3}}}}}},
    "orderBy": [{"subjectId": "desc_nulls_last"}, {"metadata.ai.agent": "asc"}],
    "type": "note.*",
    "subjectId": "entity-456",
    "parentId": "d",
    "createdAtAfter": AT,
    "createdAtBefore": AT,
    "userId": "u1",
}

PLACES = ("limit", "offset", "cursor", "direction")

STREAM = {name: value for name, value in LIST.items() if name not in PLACES}

HISTOGRAM = STREAM | {"buckets": 3, "bucketSeconds": None, "by": "type"}

SUBSCRIPTION: dict[str, Any] = {
    "eventTypes": ["note.*"],
    "webhookUrl": "https://127.0.0.1/hook",  # rejected, so that no webhook is created
    "secret": "whsec_c2VjcmV0",
    "description": "d",
    "ordered": True,
    "startFrom": "now",
    "filter": FILTER,
}

HASH = f"sha256:{'0' * 64}"

REPLAY: dict[str, Any] = {"eventId": None, "fromSeq": 0, "toSeq": 3, "from": None, "to": None}

INPUTS: dict[str, dict[str, Any]] = {
    "audit.list": {"since": AT, "until": AT, "action": "key.created", "limit": 3, "direction": "backward"},
    "events.browse": BROWSE,
    "events.erase": {"ids": [NOBODY], "userId": None, "subjectId": None},
    "events.get": {"eventId": "x"},
    "events.histogram": HISTOGRAM,
    "events.list": LIST,
    "events.log": EVENT,
    "events.logBatch": {"events": [EVENT]},
    "events.page": LIST,
    "events.stream": STREAM | {"start": "beginning", "lastEventId": None, "markers": True},
    "events.trace": {"eventId": NOBODY, "limit": 3, "depth": 3},
    "events.types": {"prefix": "note.", "after": "note.a", "limit": 3},
    "events.validate": EVENT,
    "intents.decide": {"eventId": "x", "hash": HASH, "decision": "approved", "reason": "r"},
    "intents.finish": {"startId": "x", "outcome": "failed", "data": {"error": "e"}},
    "intents.get": {"eventId": "x"},
    "intents.list": {"state": "open", "waiting": True, "limit": 3, "cursor": None, "direction": "forward"},
    "intents.start": {"eventId": "x", "hash": HASH, "parameters": {"amount": 1}, "requestId": "r"},
    "intents.wait": {"eventId": "x", "timeoutSeconds": 0},
    "intents.withdraw": {"eventId": "x", "reason": "r"},
    "keys.create": {
        "userId": "u1",
        "scopes": ["events:read"],
        "workspaces": ["default"],
        "expiresInSeconds": 60,
        "authors": ["did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"],
        "authorRequired": True,
    },
    "keys.current": {},
    "keys.list": {"includeEnded": True, "limit": 3, "cursor": None, "direction": "forward"},
    "keys.revoke": {"keyId": "x"},
    "keys.rotate": {"keyId": "x", "graceSeconds": 60},
    "ledger.checkpoint": {},
    "ledger.consistency": {"fromSize": 0, "toSize": 0},
    "ledger.entries": {"since": AT, "limit": 3, "type": "note.*", "filter": FILTER},
    "ledger.node": {},
    "ledger.proof": {"eventId": NOBODY, "tlogProof": True},
    "ledger.receipt": {"eventId": NOBODY, "tlogProof": True},
    "ledger.stream": {"after": -1, "type": "note.*", "filter": FILTER, "lastEventId": None, "markers": True},
    "metrics.current": {},
    "metadata.kinds": {},
    "procedures.list": {},
    "subscriptions.create": SUBSCRIPTION,
    "subscriptions.delete": {"subscriptionId": "x"},
    "subscriptions.deliveries": {
        "subscriptionId": PAUSED,
        "status": "failed",
        "limit": 3,
        "cursor": None,
        "direction": "forward",
    },
    "subscriptions.get": {"subscriptionId": PAUSED},
    "subscriptions.list": {"limit": 3, "after": "x"},
    "subscriptions.pause": {"subscriptionId": PAUSED},
    "subscriptions.replay": {"subscriptionId": PAUSED, **REPLAY},
    "subscriptions.resume": {"subscriptionId": "x"},
    "subscriptions.rotateSecret": {"subscriptionId": PAUSED, "secret": "whsec_c2VjcmV0", "graceSeconds": 60},
    "subscriptions.test": {"subscriptionId": "x"},
}
"""A good input of every procedure, with all members. Members that exclude others are null."""

STREAMS = [name for name, procedure in registry().items() if procedure.kind is Kind.SUBSCRIPTION]

CALLS = [name for name in INPUTS if name not in STREAMS]

TEXTS = ["subjectId", "userId", "producer", "correlationId", "causationId", "type", "source", "id", "occurredAt"]


def _event(**members: object) -> bytes:
    return json.dumps({"type": "a.b", "data": {}, **members}).encode()


def _nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


REFUSED: dict[str, tuple[str, bytes, int, str | None]] = {
    **{f"U+0000 in {name}": ("events.log", _event(**{name: "a.b\x00"}), 400, name) for name in TEXTS},
    **{
        f"U+0000 in the filter {name}": ("events.list", json.dumps({name: "a.b\x00"}).encode(), 400, name)
        for name in LIST
    },
    "U+0000 in an agent": ("events.log", _event(metadata={"ai": {"agent": "\x00"}}), 400, "metadata.ai.agent"),
    "an agent of 4,000 characters": (
        "events.log",
        _event(metadata={"ai": {"agent": "x" * 4000}}),
        400,
        "metadata.ai.agent",
    ),
    "a lone surrogate in data": ("events.log", b'{"type":"a.b","data":{"x":"\\ud800"}}', 400, None),
    "a lone surrogate as a key": ("events.log", b'{"type":"a.b","data":{"\\udfff":1}}', 400, None),
    "a lone surrogate in a field": ("events.log", b'{"type":"a.b","data":{},"subjectId":"\\ud800"}', 400, None),
    "a lone surrogate in a filter": ("events.list", b'{"subjectId":"\\ud800x"}', 400, None),
    "invalid UTF-8": ("events.log", b'{"type":"a.b","data":{"x":"\xff"}}', 400, None),
    "invalid UTF-8 in a field": ("events.log", b'{"type":"a.b","data":{},"subjectId":"\xc3("}', 400, None),
    **{
        f"depth {depth:,} in data": ("events.log", b'{"type":"a.b","data":%b}' % _nested(depth), 400, None)
        for depth in (65, 500, 900, 1000, 100_000)
    },
    **{
        f"depth {depth:,} in metadata": (
            "events.log",
            b'{"type":"a.b","data":{},"metadata":{"ai":null,"custom":%b}}' % _nested(depth),
            400,
            None,
        )
        for depth in (65, 500, 900, 940, 960, 980, 1000, 100_000)
    },
    "depth 100,000 of brackets": ("events.log", b"[" * 100_000, 400, None),
    "depth 20,000 in a filter": ("events.list", b'{"type":%b}' % _nested(20_000), 400, None),
    **{
        f"{number} in data": ("events.log", b'{"type":"a.b","data":{"n":[%b]}}' % number.encode(), 400, "data.n.0")
        for number in ("9007199254740992", "-9007199254740992", "1e16", "1e400", "-1E+999", "9" * 400)
    },
    **{
        f"{number} in metadata beside a null": (
            "events.log",
            b'{"type":"a.b","data":{},"metadata":{"custom":{"z":null,"n":%b}}}' % number.encode(),
            400,
            "metadata.custom.n",
        )
        for number in ("9007199254740992", "1e16", "1e400", "100000000000000000000")
    },
    "5,000 digits": ("events.log", b'{"type":"a.b","data":{"n":%b}}' % (b"9" * 5000), 400, None),
    "5,000 digits as a limit": ("events.list", b'{"limit":%b}' % (b"9" * 5000), 400, None),
    "1e400 as a limit": ("events.list", b'{"limit":1e400}', 400, None),
    "2^53 as an offset": ("events.list", b'{"offset":9007199254740992}', 400, "offset"),
    "2^64 as an offset": ("events.list", b'{"offset":18446744073709551616}', 400, "offset"),
    "a type of the server": ("events.log", _event(type="synap.key.rotated"), 400, "type"),
    "an event of 1.1 MB": ("events.log", _event(data={"t": "x" * 1_100_000}), 413, None),
    "a body of 9 MB": ("events.log", _event(data={"t": "x" * 9_000_000}), 413, None),
    "9 MB of white space": ("events.log", b" " * 9_000_000, 413, None),
    "an empty batch": ("events.logBatch", b'{"events":[]}', 400, "events"),
    "1,001 events": ("events.logBatch", b'{"events":[%b]}' % b",".join([_event()] * 1001), 400, "events"),
    "10,000 wrong events": ("events.logBatch", b'{"events":[%b]}' % b",".join([b"{}"] * 10_000), 400, "events"),
    "100,000 unknown fields": (
        "events.log",
        json.dumps({f"field{n}": n for n in range(100_000)}).encode(),
        400,
        None,
    ),
    "a field of a million letters": ("events.log", b'{"%b":1}' % (b"x" * 1_000_000), 400, None),
    "a cursor of 200,000 letters": ("events.list", json.dumps({"cursor": "A" * 200_000}).encode(), 400, "cursor"),
    "a cursor of a million letters": ("events.list", json.dumps({"cursor": "A" * 1_000_000}).encode(), 413, None),
    "white space": ("events.log", b" \n", 400, None),
    "null": ("events.log", b"null", 400, None),
    "NaN": ("events.log", b'{"type":"a.b","data":{"n":NaN}}', 400, None),
}


@pytest.mark.parametrize(("name", "text", "status", "place"), REFUSED.values(), ids=list(REFUSED))
def test_hostile_input_is_rejected_at_its_place(
    door: Door, name: str, text: bytes, status: int, place: str | None
) -> None:
    reply = door.mutate_raw(name, text)

    assert reply.status == status
    assert place is None or place in reply.places
    assert len(json.dumps(reply.body)) < 100_000


def test_a_missing_input_is_invalid(door: Door) -> None:
    undefined = b'{"json":null,"meta":{"values":["undefined"],"v":1}}'
    for content in (b"", undefined if door.superjson else b""):
        assert door.post("events.log", content).status == 400
        assert door.post("events.list", content).status == 200


def test_ten_thousand_calls_in_a_batch_are_rejected(door: Door) -> None:
    short = door.post(",".join(["a"] * 10_000) + "?batch=1", b"{}")
    long = door.raw("POST", b"/" + b",".join([b"events.log"] * 10_000) + b"?batch=1", b"{}")

    assert short.status == 400
    assert short.errors[0]["data"]["code"] == "BAD_REQUEST"
    assert (long if isinstance(long, int) else long.status) in {400, 414, 431}


@MANY
@given(content=st.binary(max_size=80), target=st.sampled_from([*CALLS, "events.log?batch=1", "events.log,x?batch=1"]))
def test_any_bytes_are_a_body(door: Door, content: bytes, target: str) -> None:
    door.post(target, content)


JSON_BITS = st.text('{}[]",:0123456789eE+-.truefalsn\\ \x00é', max_size=30).map(str.encode)


@MANY
@given(before=JSON_BITS, after=JSON_BITS, name=st.sampled_from(CALLS))
def test_almost_json_is_a_body(door: Door, before: bytes, after: bytes, name: str) -> None:
    good = json.dumps(INPUTS[name]).encode()

    door.mutate_raw(name, before + after)
    door.mutate_raw(name, before + good + after)


QUERY_BYTES = st.lists(
    st.sampled_from(
        [b"input=", b"batch=1", b"connectionParams=", b"&", b"=", b"%", b"%00", b"%zz", b"%ff", b"+", b"{}"]
    )
    | st.binary(max_size=5).map(lambda raw: quote_from_bytes(raw).encode()),
    max_size=12,
).map(b"".join)


@MANY
@given(query=QUERY_BYTES, name=st.sampled_from([*CALLS, "nosuch", ""]))
def test_any_query_string_is_answered(door: Door, query: bytes, name: str) -> None:
    reply = door.raw("GET", f"/{name}?".encode() + query)

    assert isinstance(reply, Reply)


@FEW
@given(
    params=st.binary(max_size=30)
    | st.recursive(st.none() | st.text(max_size=5), st.lists).map(json.dumps).map(str.encode)
)
def test_any_connection_params_are_answered(door: Door, params: bytes) -> None:
    door.get(f"events.list?connectionParams={quote_from_bytes(params)}")


@MANY
@given(
    path=st.binary(max_size=20).map(quote_from_bytes) | st.text("events.logit,/%2e0-~", max_size=20),
    batch=st.booleans(),
)
def test_any_path_is_answered(door: Door, path: str, batch: bool) -> None:  # noqa: FBT001
    target = f"/{path}{'?batch=1' if batch else ''}".encode()

    for method in ("GET", "POST"):
        assert isinstance(door.raw(method, target), Reply)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NOSUCH", "get"])
def test_any_method_is_answered(door: Door, method: str) -> None:
    reply = door.raw(method, b"/events.log")

    assert isinstance(reply, Reply)
    assert reply.status in {404, 405, 415}


HEADER_VALUES = st.lists(
    st.integers(0x21, 0x7E) | st.integers(0x80, 0xFF) | st.sampled_from([0x20, 0x09]), min_size=1, max_size=30
).map(lambda codes: bytes(codes).strip())

HEADERS = [
    b"x-workspace-id",
    b"x-request-id",
    b"authorization",
    b"content-type",
    b"trpc-accept",
    b"accept",
    b"origin",
    b"cookie",
    b"last-event-id",
    b"x-api-key",
]


@MANY
@given(name=st.sampled_from(HEADERS), value=HEADER_VALUES, prefix=st.sampled_from([b"", b"Bearer ", b"default"]))
def test_any_header_is_answered(door: Door, name: bytes, value: bytes, prefix: bytes) -> None:
    for target in ("events.list", "events.list,events.get?batch=1"):
        door.get(target, [(name, (prefix + value).strip())])
    door.post("events.log", b"{}", [(name, (prefix + value).strip())])


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["\x00", "x" * 257, "synap.x", "*", "__proto__", "constructor", AT, "null", "evt_" + "0" * 64]
)

ANY_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.sampled_from([2**53, -(2**53), 10**21, 10**400, 10**4200, 1e16, 1e-7, 1.5, -0.0]),
        st.floats(allow_nan=False, allow_infinity=False),
        ANY_TEXT,
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all places of an input."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, item in inner for place in paths(item, (*path, name)))]


def replaced(value: Any, path: tuple[Any, ...], new: object) -> Any:
    """A copy with another value at one place."""
    if not path:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.fixture(scope="module")
def paused(door: Door) -> str:
    """The id of a paused webhook."""
    wanted = SUBSCRIPTION | {"webhookUrl": "https://webhook.invalid/hook"}
    made = door.mutate("subscriptions.create", wanted)
    assert made.status == 200, made.body
    id_: str = door.output(made)["subscriptionId"]
    assert door.mutate("subscriptions.pause", {"subscriptionId": id_}).status == 200
    return id_


def test_every_procedure_has_an_input_with_every_field() -> None:
    fields = {name: msgspec.structs.fields(procedure.input) for name, procedure in registry().items()}

    assert {name: set(value) for name, value in INPUTS.items()} == {
        name: {field.encode_name for field in taken} for name, taken in fields.items()
    }
    for name, value in INPUTS.items():
        assert decoded(json.dumps(value).encode(), registry()[name].decoder)


@pytest.mark.parametrize("name", INPUTS)
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_json_may_stand_in_any_field(door: Door, paused: str, name: str, data: st.DataObject) -> None:
    good = {member: paused if value == PAUSED else value for member, value in INPUTS[name].items() if member != "id"}
    path = data.draw(st.sampled_from(paths(good)))

    sent = replaced(good, path, data.draw(ANY_JSON))

    if name in STREAMS:
        door.stream(name, sent)
        return
    door.mutate(name, sent)
    if registry()[name].kind is Kind.QUERY:
        door.query(name, sent)


def _number(low: int, high: int, digits: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(lambda number: f"{number:0{digits}}")


INSTANTS = st.tuples(
    st.sampled_from(["0000", "0001", "1582", "1970", "9999", "10000", "-0001"]) | _number(0, 9999, 4),
    st.sampled_from(["-", "-", "-", "/", ""]),
    _number(0, 13, 2),
    st.just("-"),
    _number(0, 32, 2),
    st.sampled_from(["T", "T", "t", " ", ""]),
    _number(0, 24, 2),
    st.just(":"),
    _number(0, 60, 2),
    st.sampled_from([":00", ":59", ":60", ":61", ""]),
    st.sampled_from(["", "", ".0", ".999999", ".9999999", ".999999999", ".1234567890123", ","]),
    st.sampled_from(["Z", "z", "+00:00", "-14:00", "+14:00", "+23:59", "-23:59", "+24:00", "+0100", "+00:00:30", ""]),
).map("".join)


@MANY
@given(text=INSTANTS)
def test_any_time_is_stored_or_rejected(door: Door, text: str) -> None:
    steps = [{"type": "decision", "content": "", "timestamp": text}]
    logged = door.mutate("events.log", {"type": "a.b", "data": {}, "occurredAt": text})
    noted = door.mutate(
        "events.log", {"type": "a.b", "data": {}, "metadata": {"ai": {"agent": "a", "reasoning": {"steps": steps}}}}
    )

    assert logged.status == 200 or logged.places == {"occurredAt"}
    assert noted.status == 200 or noted.places == {"metadata.ai.reasoning.steps.0.timestamp"}
    for bound in ("from", "to"):
        paged = door.query("events.page", {bound: text, "limit": 1, "type": "nosuch.*"})
        assert paged.status == 200 or paged.places == {bound}
        assert door.query("events.page", {bound: text, "limit": 1}).status == paged.status


META_STEPS = st.sampled_from(
    ["type", "data", "title", "metadata", "custom", "x", "0", "events", "nosuch", "", "\\.", "\\"]
)

META_PATHS = st.one_of(
    st.sampled_from(
        ["data", "metadata", "metadata.custom", "metadata.custom.x", "events", "events.0.metadata.custom.x"]
    ),
    st.lists(META_STEPS | st.text(max_size=4), max_size=5).map(".".join),
)

META_TREES = st.recursive(
    st.sampled_from(
        ["undefined", "Date", "bigint", "number", "set", "map", "regexp", "URL", "Error", "symbol", "class"]
    )
    | st.none()
    | st.integers(-2, 2**65)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(META_PATHS, inner, max_size=3),
    max_leaves=8,
)

METAS = st.one_of(
    META_TREES,
    st.fixed_dictionaries(
        {},
        optional={
            "values": META_TREES | st.dictionaries(META_PATHS, st.sampled_from([["undefined"], ["Date"], ["bigint"]])),
            "referentialEqualities": META_TREES
            | st.dictionaries(META_PATHS, st.lists(META_PATHS, max_size=3), max_size=3)
            | st.lists(st.lists(META_PATHS, max_size=3), max_size=2),
            "v": st.sampled_from([0, 1, 2, -1, "1", None, 2**70]),
        },
    ),
)


@settings(max_examples=examples(250), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(meta=METAS, name=st.sampled_from(["events.log", "events.list", "events.logBatch"]), data=st.data())
def test_any_meta_of_superjson_is_answered(superjson_door: Door, meta: Any, name: str, data: st.DataObject) -> None:
    value = data.draw(st.sampled_from([INPUTS[name], {**INPUTS[name], "type": None}, None, [None, [None]]]))

    superjson_door.post(name, json.dumps({"json": value, "meta": meta}).encode())


@FEW
@given(envelope=st.dictionaries(st.sampled_from(["json", "meta", "Json", ""]), ANY_JSON, max_size=3) | ANY_JSON)
def test_any_envelope_of_superjson_is_answered(superjson_door: Door, envelope: Any) -> None:
    superjson_door.post("events.log", json.dumps(envelope).encode())


def _equal(data: object, places: dict[str, list[str]]) -> dict[str, Any]:
    return {"json": {"type": "a.b", "data": data}, "meta": {"referentialEqualities": places}}


def _values(path: str, kind: str, data: object) -> dict[str, Any]:
    return {"json": {"type": "a.b", "data": data}, "meta": {"values": {path: [kind]}}}


ENVELOPES = {
    "an object in itself": _equal({"a": None}, {"data": ["data.a"]}),
    "an object in its member": _equal({"a": {"b": None}}, {"data": ["data.a.b"]}),
    "two objects in each other": _equal(
        {"a": {"b": None}, "b": {"a": None}}, {"data.a": ["data.b.a"], "data.b": ["data.a.b"]}
    ),
    "the input in itself": {
        "json": {"type": "a.b", "data": {"a": None}, "": None},
        "meta": {"referentialEqualities": {"": ["data.a", ""]}},
    },
    "a root that contains itself": {
        "json": {"type": "a.b", "data": {"a": None}},
        "meta": {"referentialEqualities": [["data.a"]]},
    },
    "a root that contains itself, and more": {
        "json": {"type": "a.b", "data": {"a": None}},
        "meta": {"referentialEqualities": [["data.a"], {"type": ["data.a"]}]},
    },
    "deeper than is allowed": _equal(
        {"a": json.loads("[" * 50 + "null" + "]" * 50), "b": json.loads("[" * 50 + "]" * 50)},
        {"data.b": ["data.a" + ".0" * 50]},
    ),
    "an index of 5,000 digits": _values(f"data.list.{'9' * 5000}.x", "undefined", {"list": [1]}),
    "an equal place of 5,000 digits": _equal({"list": [None]}, {"data": [f"data.list.{'9' * 5000}"]}),
    "an index of other digits": _values("data.list.\u0660\u00b2.x", "undefined", {"list": [1]}),
    "a negative index": _values("data.list.-1.x", "undefined", {"list": [{"x": 1}]}),
    "a path of 100,000 steps": _values(".".join("a" * 100_000), "undefined", {}),
    "a path of 100,000 dots": _values("." * 100_000, "undefined", {}),
    "a path of 100,000 backslashes": _values("\\" * 100_000, "undefined", {}),
    "100,000 paths": {
        "json": {"type": "a.b", "data": {}},
        "meta": {"values": {f"data.x{n}": ["bigint"] for n in range(100_000)}},
    },
    "100,000 equal places": _equal(
        {"list": [None] * 100_000}, {"data.list": [f"data.list.{n}" for n in range(100_000)]}
    ),
    "an unknown kind of a million letters": _values("data", "x" * 1_000_000, {}),
    "a meta of depth 900": {
        "json": {"type": "a.b", "data": {}},
        "meta": {"values": json.loads("[" * 900 + "]" * 900)},
    },
}


@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=list(ENVELOPES))
def test_hostile_superjson_is_answered(superjson_door: Door, envelope: object) -> None:
    reply = superjson_door.post("events.log", json.dumps(envelope).encode())

    assert len(json.dumps(reply.body)) < 100_000


MARKER = "mArKeR-91c4"

MARKED: dict[str, tuple[str, bytes]] = {
    "data of another kind": ("events.log", b'{"type":"a.b","data":"%b"}'),
    "data with an unsafe number": ("events.log", b'{"type":"a.b","data":{"a":"%b","n":1e16}}'),
    "data that is malformed": ("events.log", b'{"type":"a.b","data":{"a":"%b",}}'),
    "data with a lone surrogate": ("events.log", b'{"type":"a.b","data":{"a":"%b\\ud800"}}'),
    "data beside a wrong type": ("events.log", b'{"type":"x","data":{"a":"%b"}}'),
    "a text that is too long": ("events.log", b'{"type":"a.b","data":{},"subjectId":"%b' + b"x" * 300 + b'"}'),
    "an id that is none": ("events.log", b'{"type":"a.b","data":{},"id":"%b"}'),
    "a source that is none": ("events.log", b'{"type":"a.b","data":{},"source":"%b"}'),
    "a time that is none": ("events.log", b'{"type":"a.b","data":{},"occurredAt":"%b"}'),
    "a type that is none": ("events.log", b'{"type":"%b","data":{}}'),
    "a number that is none": (
        "events.log",
        b'{"type":"a.b","data":{},"metadata":{"ai":{"agent":"a","confidence":{"score":"%b"}}}}',
    ),
    "metadata of another kind": ("events.log", b'{"type":"a.b","data":{},"metadata":"%b"}'),
    "a choice that is none": ("events.log", b'{"type":"a.b","data":{},"metadata":{"sync":{"platform":"%b"}}}'),
    "a conflict": ("events.log", b'{"id":"00000000-0000-4000-8000-00000000c0de","type":"a.b","data":{"a":"%b"}}'),
    "an event that is too large": ("events.log", b'{"type":"a.b","data":{"a":"%b' + b"x" * 1_100_000 + b'"}}'),
    "a wrong cursor": ("events.list", b'{"cursor":"%b"}'),
    "a wrong pattern": ("events.list", b'{"type":"%b*"}'),
    "a wrong limit": ("events.list", b'{"limit":"%b"}'),
    "an id of nobody": ("events.get", b'{"eventId":"%b"}'),
    "a batch that is malformed": ("events.logBatch", b'{"events":["%b"'),
    "a wrong event in a batch": ("events.logBatch", b'{"events":["%b",{"type":"a.b","data":["%b"]}]}'),
}


@pytest.mark.parametrize(("name", "text"), MARKED.values(), ids=list(MARKED))
def test_an_error_repeats_no_value_that_was_sent(door: Door, name: str, text: bytes) -> None:
    if b"c0de" in text:
        door.mutate_raw(name, text.replace(b"%b", b"first"))

    reply = door.mutate_raw(name, text.replace(b"%b", MARKER.encode()))

    assert reply.errors
    assert MARKER not in json.dumps(reply.body)


def test_the_log_repeats_no_value_that_was_sent(door: Door) -> None:
    for name, text in MARKED.values():
        door.mutate_raw(name, text.replace(b"%b", MARKER.encode()))
        door.get(name, [(b"authorization", f"Bearer {MARKER}".encode())])
        door.get(f"{name}?connectionParams=%7B%22token%22%3A%22{MARKER}%22%7D", [(b"authorization", b"none")])
        door.get(name, [(b"x-workspace-id", MARKER.encode())])
    door.get("events.get?input=%7B%22eventId%22%3A%22x%22%7D", [(b"x-request-id", b"marked-last")])

    until(lambda: "marked-last" in door.server.log.read_text(errors="replace"))
    log = door.server.log.read_text(errors="replace")
    assert MARKER not in log
    assert door.server.token not in log


def test_no_server_had_a_defect(server: Server, superjson_server: Server) -> None:
    """It is the last test of this module: none of the inputs above caused a defect."""
    for each in (server, superjson_server):
        log = each.log.read_text(errors="replace")

        assert '"event": "defect"' not in log
        assert "Traceback" not in log
