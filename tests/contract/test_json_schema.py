"""The JSON Schemas match the server: accepted inputs and outputs validate, and rejected inputs do not.

`UNSAID` lists what a schema cannot express.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, get_args
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.validators import extend
from msgspec import Meta, Struct

from app.contract.json_schema import json_schemas, self_contained
from app.contract.model import Way
from app.contract.operation import Kind
from app.contract.typescript import typescript
from app.filters.fields import Fields
from app.filters.order import parse_order
from app.filters.parse import parse_filter, refuse_relations
from app.ledger.draft import Drafting
from procedures.described import contract, procedures_described
from procedures.registry import registry
from schemas.base import Input, Output, Section
from schemas.browse import OrderObject
from schemas.errors import InvalidInput
from schemas.event import LogEvent, LogEvents
from schemas.filter import FilterObject, LiveFilterObject, Operator
from schemas.intents import FinishIntent
from schemas.issues import decoded, unwrap
from schemas.metadata import Ai, metadata_struct
from schemas.principal import EVERY, Principal
from schemas.wire.publish import FoundPublished, PublishEvent
from tests.filters.test_filter_property import filters_of, leaves
from tests.kit.examples import examples
from tests.kit.paths import ROOT
from tests.kit.servers import Server
from tests.properties.door import Door
from tests.properties.test_bad_input import AT, EVENT, INPUTS, NOBODY, paths, replaced

SOME = settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])

METADATA = metadata_struct()
FIELDS = Fields(METADATA)
DRAFTING = Drafting("did:key:z")
OWNER = Principal(key_id="k", user_id="u1", scopes=frozenset({EVERY}), workspaces=(EVERY,))

UNSAID = (
    "is a number that not every reader can hold",
    "must be a number that a double can hold",
    "must be an ISO 8601 time",  # on a day or at an hour that does not exist
    "must be a time from year 1 to 9999 in UTC",
    "is nested deeper than",
    "is more than a filter may have",
    "is already in the order",
)
"""Messages of inputs that the server rejects but a schema may accept."""


def _as_ecma(validator: Any, pattern: str, instance: object, schema: object) -> Iterator[Any]:
    """Check a pattern as ECMA-262 does: `$` matches only at the very end."""
    return Draft202012Validator.VALIDATORS["pattern"](  # type: ignore[no-any-return]
        validator, re.sub(r"\\.|\$", lambda token: r"\Z" if token[0] == "$" else token[0], pattern), instance, schema
    )


Validator = extend(Draft202012Validator, {"pattern": _as_ecma})  # type: ignore[no-untyped-call]


@cache
def _described() -> dict[str, dict[str, Any]]:
    return {each.name: msgspec.to_builtins(each) for each in procedures_described(registry())}


@cache
def _validator(name: str, member: str = "input") -> Any:
    return Validator(_described()[name][member])


@cache
def _filter_validator() -> Any:
    [schema], components = json_schemas([(FilterObject, Way.INPUT)])
    return Validator(self_contained(schema, components))


def _closed(schema: Any) -> Any:
    """The schema, changed so that it rejects members that it does not name."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    return {"additionalProperties": False, **closed} if isinstance(schema.get("properties"), dict) else closed


def _refused(name: str, sent: object) -> list[str] | None:
    """The messages with which the server rejects an input, before it reads stored data; None if it accepts it."""
    procedure = registry()[name]
    try:
        value = decoded(json.dumps(sent).encode(), procedure.decoder, METADATA)
        for logged in value.events if isinstance(value, LogEvents) else [value]:
            if isinstance(logged, LogEvent):
                DRAFTING.draft(logged, OWNER, "default")
        for field in msgspec.structs.fields(procedure.input):
            held, (bare, _) = getattr(value, field.name), unwrap(field.type)
            if field.encode_name == "filter" and held is not None:
                node = parse_filter(held, "filter", FIELDS)
                if LiveFilterObject in get_args(field.type):
                    refuse_relations(node, "filter")
            if isinstance(value, FinishIntent) and field.name == "data" and bytes(held) != b"null":
                DRAFTING.data("x.executed", bytes(held), "data")
            if bare == list[OrderObject] and held is not None:
                parse_order(held, field.encode_name, FIELDS)
    except InvalidInput as error:
        return [issue.message for issue in error.issues]
    return None


def _agree(validator: Any, sent: object, refused: list[str] | None) -> None:
    valid = validator.is_valid(sent)
    if refused is None:
        assert valid, list(validator.iter_errors(sent))
    elif valid:
        assert [message for message in refused if not message.startswith(UNSAID)] == []


TEXTS = st.sampled_from(
    [
        *("", "a", "a.b", "a.*", "a\x00", "a.b\n", "synap.x", "*", "x" * 129, "x" * 257, "x" * 1025, "now", "null"),
        *(AT, "2024-12-09 01:00:00.5+0530", "2024-12-09t01:00:00z", "2024-02-30T01:00:00Z", "2024-12-09T01:00:00"),
        *(NOBODY, NOBODY.replace("-", ""), NOBODY.upper(), "sha256:" + "0" * 64, "sha256:0", "sync", "events:read"),
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 1200),
    st.sampled_from([2**31, 2**53 - 1, 2**53, 0.5, 1.5, -0.25, 1e-7]),
    TEXTS,
)

SAMPLES: list[Any] = ["a", 1, 1.5, True, None, AT, NOBODY, "sha256:" + "0" * 64, "sync", [], ["a"], [1], {}]

NAMES = st.sampled_from(
    [
        *("filter", "AND", "OR", "NOT", "parent", "children", "some", "none", "data", "data.a", "data.", "seq", "id"),
        *("eq", "ne", "in", "nin", "gt", "lte", "like", "contains", "isNull", "source", "createdAt", "hash", "type"),
        *("metadata", "metadata.ai", "metadata.ai.agent", "metadata.ai.confidence.score", "metadata.custom.a.b"),
        *("metadata.ai.agent.x", "metadata.ai.inferredProperties.x", "metadata.sync.offline", "metadata.sync.platform"),
        *("metadata.import.importedAt", "metadata.nosuch", "nosuch", "timestamp", "ai", "sync", "custom", "x", ""),
        *("data." + ".".join("a" * 64), "data." + ".".join("a" * 65), "data." + "a" * 1020),
    ]
)

VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=5
)


@st.composite
def altered(draw: Any, good: Any) -> Any:
    """A good input with a few places replaced, removed or added."""
    sent = good
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths(sent)))
        held = sent
        for step in path:
            held = held[step]
        change = draw(st.sampled_from(["null", "less", "less", "more", "other"]))
        if isinstance(held, dict) and change == "more":
            held = held | {draw(NAMES): draw(VALUES)}
        elif isinstance(held, dict) and held and change != "other":
            name = draw(st.sampled_from(list(held)))
            held = {each: value for each, value in held.items() if each != name}
            held |= {name: None} if change == "null" else {}
        elif not isinstance(held, dict) or change == "other":
            held = draw(VALUES)
        sent = replaced(sent, path, held)
    return sent


def test_every_schema_is_one() -> None:
    schemas = [contract(registry())]
    for name, each in _described().items():
        for member in ("input", "output", "marker"):
            if member in each:
                schemas.append(each[member])
                assert each[member]["$schema"] == Draft202012Validator.META_SCHEMA["$id"], name

    # Most schemas define the same types, and each definition is checked only once.
    parts = [part for schema in schemas for part in (schema | {"$defs": {}}, *schema.get("$defs", {}).values())]
    for part in {json.dumps(part): part for part in parts}.values():
        Draft202012Validator.check_schema(part)


def test_every_reference_leads_somewhere() -> None:
    for document in (contract(registry()), *(each["input"] for each in _described().values())):
        targets = set(re.findall(r'"\$ref":"([^"]*)"', json.dumps(document, separators=(",", ":"))))

        assert targets <= {f"#/$defs/{name}" for name in document.get("$defs", ())}


def test_an_input_is_an_object_at_its_top() -> None:
    assert {each["input"]["type"] for each in _described().values()} == {"object"}


@pytest.mark.parametrize("name", INPUTS)
def test_good_inputs_validate(name: str) -> None:
    _validator(name).validate(INPUTS[name])


def test_no_procedure_is_left_out() -> None:
    assert set(_described()) == set(registry())


@pytest.mark.parametrize("name", INPUTS)
@SOME
@given(data=st.data())
def test_an_input_validates_if_the_server_accepts_it(name: str, data: st.DataObject) -> None:
    sent = data.draw(altered(INPUTS[name]))

    _agree(_validator(name), sent, _refused(name, sent))


@MANY
@given(data=st.data())
def test_metadata_validates_if_the_server_accepts_it(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(EVENT["metadata"])))
    sent = {"type": "a.b", "data": {}, "metadata": data.draw(altered({kind: EVENT["metadata"][kind]}))}

    _agree(_validator("events.log"), sent, _refused("events.log", sent))


@MANY
@given(data=st.data())
def test_a_filter_validates_if_the_server_accepts_it(data: st.DataObject) -> None:
    sent = data.draw(filters_of(leaves).flatmap(altered))

    _agree(_filter_validator(), sent, _refused("events.list", {"filter": sent}) if sent is not None else ["null"])


def test_every_field_can_be_asked_what_the_server_answers() -> None:
    every = list(FIELDS.listed())
    typical = {(field.kind, bool(field.path), bool(field.choices)): field for field in every}.values()
    asked = [{field.dotted: sample} for field in typical for sample in SAMPLES]
    asked += [
        {field.dotted: {operator: sample}}
        for field in typical
        for operator in (*get_args(Operator), "nosuch")
        for sample in SAMPLES
    ]
    asked += [{f"{field.dotted}.x": 1} for field in every]
    asked += [{field.dotted: {operator: "2024"}} for field in every for operator in ("eq", "gt", "like")]

    for sent in asked:
        _agree(_filter_validator(), sent, _refused("events.list", {"filter": sent}))


def test_an_instant_may_have_any_form_that_the_server_reads() -> None:
    for text in ("2024-12-09T01:00:00Z", "2024-12-09 01:00:00.123456789z", "2024-12-09t01:00:00+0530"):
        sent = {"type": "a.b", "data": {}, "occurredAt": text}

        assert _refused("events.log", sent) is None
        assert _validator("events.log").is_valid(sent)


def test_null_is_absent_in_inputs_and_never_answered() -> None:
    event, page = (_described()[name]["output"] for name in ("events.log", "events.page"))
    wanted = _described()["events.log"]["input"]

    assert wanted["required"] == ["type", "data"]
    assert {"type": "null"} in wanted["properties"]["subjectId"]["anyOf"]
    assert event["properties"]["subjectId"] == {"type": "string"}
    assert "subjectId" not in event["required"]
    assert page["properties"]["nextCursor"] == {"type": "string"}
    assert {"type": "null"} in _described()["events.browse"]["output"]["$defs"]["PageInfo"]["properties"]["endCursor"][
        "anyOf"
    ]


def test_what_is_rejected_is_described() -> None:
    properties = _described()["events.list"]["input"]["properties"]

    assert properties["limit"] == {
        "description": "Must be a whole number from 1 to 1000.",
        "anyOf": [{"type": "integer", "minimum": 1, "maximum": 1000}, {"type": "null"}],
        "default": 100,
    }


def test_a_struct_has_the_name_that_it_has_in_typescript() -> None:
    interfaces = re.findall(r"^export interface (\w+)", typescript(registry(), transformer="none"), re.MULTILINE)

    assert set(interfaces) - set(contract(registry())["$defs"]) == {"ErrorShape"}


def test_the_doors_of_http_have_schemas_too() -> None:
    types = [(PublishEvent, Way.INPUT), (FoundPublished, Way.OUTPUT), (Ai, Way.STORED)]

    schemas, components = json_schemas(types, ref_template="#/components/schemas/{name}")

    assert schemas == [{"$ref": f"#/components/schemas/{name}"} for name in ("PublishEvent", "FoundPublished", "Ai")]
    published = components["PublishEvent"]["properties"]["metadata"]["anyOf"][0]
    assert published == {"$ref": "#/components/schemas/PublishMetadata"}
    assert "EventFilter" not in components


class Lamp(Output, frozen=True, kw_only=True):
    sizes: dict[str, int | None]
    shade: Annotated[str, Meta(pattern="(?i)x", description="Of cloth.")] | None = None


class Untyped(Output, frozen=True, kw_only=True):
    size: complex


def test_what_is_no_struct_has_a_schema() -> None:
    [schema], components = json_schemas([(list[Lamp], Way.OUTPUT)])

    assert schema == {"type": "array", "items": {"$ref": "#/$defs/Lamp"}}
    assert components["Lamp"]["properties"] == {
        "sizes": {"type": "object", "additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        "shade": {"type": "string", "description": "Of cloth."},
    }


def test_a_name_that_exists_twice_has_its_module_in_front() -> None:
    other = type("Lamp", (Struct,), {"__annotations__": {"lit": bool}, "__module__": "shop"})

    schemas, components = json_schemas([(Lamp, Way.OUTPUT), (other, Way.OUTPUT), (other, Way.INPUT)])

    assert [schema["$ref"] for schema in schemas] == ["#/$defs/Lamp", "#/$defs/shop.Lamp", "#/$defs/LampInput"]
    assert components["shop.Lamp"]["properties"] == {"lit": {"type": "boolean"}}
    assert json_schemas([(Lamp, Way.OUTPUT)], reserved=["Lamp"])[1].keys() == {f"{__name__}.Lamp"}


def test_types_that_cannot_be_described_are_one_sentence() -> None:
    bulbs = [type("Bulb", (Struct,), {"__module__": "shop"}) for _ in range(3)]

    with pytest.raises(ValueError, match=r"^shop\.Bulb: the name shop\.Bulb is taken$"):
        json_schemas([(each, Way.OUTPUT) for each in bulbs])
    with pytest.raises(
        ValueError, match=r"^Untyped\.size: the contract cannot express <class 'complex'>; use a Struct, "
    ):
        json_schemas([(Untyped, Way.OUTPUT)])


REGISTERING = """
import json
import sys
from typing import Annotated, Any
from msgspec import Meta, Struct
from app.filters.fields import Fields
from app.filters.parse import parse_filter
from procedures.described import contract, kinds_described
from procedures.registry import registry
from schemas.base import Instant, Section
from schemas.errors import InvalidInput
from schemas.event_data import event_data
from schemas.metadata import metadata_struct, metadata_type
import msgspec

class Review(Section, frozen=True, kw_only=True):
    '''What a reviewer thought.'''
    stars: Annotated[int, Meta(ge=1, le=5)]
    reviewed_at: Instant

class Place(Struct):
    name: str
    notes: dict[str, Any]

class Tree(Section, frozen=True, kw_only=True):
    size: int | None = None
    left: "Tree | None" = None

metadata_type(review=Review, place=Place, tree=Tree)
event_data({"review.made": Review, "place.seen": Place})

def taken(sent):
    try:
        parse_filter(sent, "filter", Fields(metadata_struct()))
    except InvalidInput:
        return False
    return True

filters = json.load(sys.stdin)
answer = {"contract": contract(registry()), "kinds": kinds_described(), "taken": [taken(each) for each in filters]}
print(msgspec.json.encode(answer).decode())
"""

EXTENDED: list[tuple[dict[str, Any], bool]] = [
    ({"metadata.review.stars": {"gte": 4}}, True),
    ({"metadata.review.stars": {"like": "4"}}, False),
    ({"metadata.review.stars.x": 4}, False),
    ({"metadata.review.nosuch": 4}, False),
    ({"metadata.review.reviewedAt": AT}, True),
    ({"metadata.place.name": "a"}, True),
    ({"metadata.place.name": 1}, False),
    ({"metadata.place.names": {"like": "a*"}}, True),
    ({"metadata.place.other.any": 1}, True),
    ({"metadata.place.notes.a.b": True}, True),
    ({"metadata.place.notes": {"isNull": False}}, True),
    ({"metadata.tree.left.size": 1}, True),
    ({"metadata.tree.left.left.left.size": 1}, True),
    ({"metadata.tree.nosuch": 1}, False),
]


def test_kinds_of_extensions_stand_in_metadata_and_filters() -> None:
    command = [sys.executable, "-c", REGISTERING]
    sent = json.dumps([each for each, _ in EXTENDED])

    ran = subprocess.run(command, cwd=ROOT, input=sent, capture_output=True, text=True, timeout=60, check=True)

    answer = json.loads(ran.stdout)
    validator = Validator({"$ref": "#/$defs/EventFilter", "$defs": answer["contract"]["$defs"]})
    assert answer["taken"] == [taken for _, taken in EXTENDED]
    assert [validator.is_valid(each) for each, _ in EXTENDED] == answer["taken"]
    assert validator.is_valid({"metadata.place.name.x": "a"}), "the server rejects it, but a plain pattern cannot"
    kinds = {kind["name"]: kind for kind in answer["kinds"]}
    assert [name for name, kind in kinds.items() if not kind["builtIn"]] == ["review", "place", "tree"]
    assert kinds["review"]["description"] == "What a reviewer thought."
    for stars, valid in ((4, True), (9, False), ("4", False)):
        review = {"stars": stars, "reviewedAt": AT}
        whole = Validator({"$ref": "#/$defs/LogEvent", "$defs": answer["contract"]["$defs"]})
        assert Validator(kinds["review"]["schema"]).is_valid(review) is valid
        assert whole.is_valid({"type": "a.b", "data": {}, "metadata": {"review": review}}) is valid
        assert whole.is_valid({"type": "review.made", "data": review}) is valid
        assert whole.is_valid({"type": "a.b", "data": review})
    assert not whole.is_valid({"type": "place.seen", "data": {"name": 1}})
    assert "allOf" not in answer["contract"]["$defs"]["SynapEvent"]
    assert Validator(kinds["tree"]["schema"]).is_valid({"left": {"left": {"size": 1}}})
    assert not Validator(kinds["tree"]["schema"]).is_valid({"left": {"left": {"nosuch": 1}}})


def test_the_contract_is_the_same_each_time() -> None:
    assert msgspec.json.encode(contract(registry())) == msgspec.json.encode(contract(registry()))


def _story(door: Door) -> Iterator[tuple[str, Any]]:
    """Yield every procedure's name with one of its outputs."""

    def call(name: str, sent: object = None) -> Any:
        query = registry()[name].kind is Kind.QUERY
        reply = (door.query if query else door.mutate)(name, {} if sent is None else sent)
        assert reply.status == 200, (name, reply.body)
        return door.output(reply)

    event_ = EVENT | {"id": str(uuid4())}
    logged = call("events.log", event_)
    yield "events.log", logged
    yield "events.logBatch", call("events.logBatch", {"events": [{"type": "a.b", "data": {}}, event_]})
    yield "events.get", call("events.get", {"eventId": logged["id"]})
    yield "events.list", call("events.list")
    yield "events.page", call("events.page", {"limit": 1})
    yield "events.browse", call("events.browse", {"limit": 1})
    yield "events.browse", call("events.browse", {"type": "no.such"})
    yield "ledger.entries", call("ledger.entries")
    yield "ledger.node", call("ledger.node")
    yield "ledger.checkpoint", call("ledger.checkpoint")
    yield "ledger.proof", call("ledger.proof", {"eventId": logged["id"]})
    yield "ledger.receipt", call("ledger.receipt", {"eventId": logged["id"]})
    yield "ledger.consistency", call("ledger.consistency", {"fromSize": 1})
    yield "ledger.consistency", call("ledger.consistency", {"fromSize": 0, "toSize": 1})
    made = call("keys.create", {"scopes": ["events:read"], "expiresInSeconds": 60})
    yield "keys.create", made
    rotated = call("keys.rotate", {"keyId": made["id"], "graceSeconds": 5})
    yield "keys.rotate", rotated
    yield "keys.revoke", call("keys.revoke", {"keyId": rotated["id"]})
    yield "keys.list", call("keys.list", {"includeEnded": True})
    wanted = {"eventTypes": ["note.*"], "webhookUrl": "https://webhook.invalid/hook", "description": "d"}
    webhook = call("subscriptions.create", wanted | {"filter": {"data.title": "Hello"}})
    yield "subscriptions.create", webhook
    one = {"subscriptionId": webhook["subscriptionId"]}
    yield "subscriptions.pause", call("subscriptions.pause", one)
    yield "subscriptions.replay", call("subscriptions.replay", one | {"eventId": logged["id"]})
    yield "subscriptions.deliveries", call("subscriptions.deliveries", one)
    yield "subscriptions.rotateSecret", call("subscriptions.rotateSecret", one)
    yield "subscriptions.test", call("subscriptions.test", one)
    yield "subscriptions.get", call("subscriptions.get", one)
    yield "subscriptions.resume", call("subscriptions.resume", one)
    yield "subscriptions.list", call("subscriptions.list")
    yield "subscriptions.delete", call("subscriptions.delete", one)
    yield "events.validate", call("events.validate", {"type": "a.b", "data": {}})
    yield "events.validate", call("events.validate", {"type": "a"})
    yield "events.trace", call("events.trace", {"eventId": logged["id"]})
    yield "events.histogram", call("events.histogram", {"type": "note.*", "buckets": 3, "by": "source"})
    yield "events.types", call("events.types", {"prefix": "note.", "limit": 1})
    yield "events.erase", call("events.erase", {"ids": [logged["id"]]})
    yield "events.get", call("events.get", {"eventId": logged["id"]})
    for name in ("audit.list", "keys.current", "metadata.kinds", "metrics.current", "procedures.list"):
        yield name, call(name)


def _intent_story(door: Door) -> Iterator[tuple[str, Any]]:
    """What the procedures of intents answer to somebody who may decide on what they asked for."""
    scopes = ["events:read", "events:write", "intents:decide", "intents:decide-own"]
    made = door.output(door.mutate("keys.create", {"scopes": scopes, "expiresInSeconds": 60}))
    own = Door(msgspec.structs.replace(door.server, token=made["token"]), superjson=False)

    def call(name: str, sent: object) -> Any:
        reply = (own.query if registry()[name].kind is Kind.QUERY else own.mutate)(name, sent)
        assert reply.status == 200, (name, reply.body)
        return own.output(reply)

    terms = {"uses": 2, "approvers": ["control"], "risk": "low", "reversible": True, "summary": "s"}
    asked = {"type": "refund.requested", "data": {"parameters": [1]}, "metadata": {"synap": {"intent": terms}}}
    intent = call("events.log", asked)
    one = {"eventId": intent["id"]}
    yield "intents.list", call("intents.list", {"waiting": True})
    yield "intents.wait", call("intents.wait", one | {"timeoutSeconds": 0})
    decision = {"hash": intent["hash"], "decision": "approved", "reason": "r"}
    yield "intents.decide", call("intents.decide", one | decision)
    started = call("intents.start", one | {"hash": intent["hash"], "parameters": [1], "requestId": "r"})
    yield "intents.start", started
    yield "intents.finish", call("intents.finish", {"startId": started["event"]["id"], "outcome": "executed"})
    yield "intents.withdraw", call("intents.withdraw", one)
    yield "intents.get", call("intents.get", one)
    yield "intents.list", call("intents.list", {"limit": 1})


def test_every_output_validates(server: Server) -> None:
    door = Door(server, superjson=False)
    seen: set[str] = set()
    for name, answer in (*_story(door), *_intent_story(door)):
        schema = _described()[name]["output"]
        Validator(_closed(schema), format_checker=Validator.FORMAT_CHECKER).validate(answer)
        seen.add(name)

    for name, start in (("events.stream", {"start": "beginning"}), ("ledger.stream", {"after": -1})):
        values = door.stream(name, start | {"markers": True}, at_most=2).body
        [marker] = door.stream(name, {"markers": True}).body
        assert len(values) == 2
        for value in values:
            Validator(_closed(_described()[name]["output"])).validate(value)
        Validator(_closed(_described()[name]["marker"])).validate(marker)
        seen.add(name)
    assert seen == set(registry())


def test_an_answer_with_null_or_without_a_member_does_not_validate() -> None:
    output = Validator(_described()["subscriptions.delete"]["output"])

    assert output.is_valid({"subscriptionId": "s", "deleted": True, "later": "more"})
    assert not output.is_valid({"subscriptionId": None, "deleted": True})
    assert not output.is_valid({"subscriptionId": "s", "deleted": False})
    assert not output.is_valid({"deleted": True})


class Taking(Input, frozen=True, kw_only=True):
    review: "Stars"
    extra: int | None = None


class Stars(Section, frozen=True, kw_only=True):
    stars: int = 1


def test_a_struct_that_is_used_in_several_ways_has_several_names() -> None:
    _, components = json_schemas([(Taking, Way.INPUT), (Stars, Way.STORED), (list[Stars], Way.OUTPUT)])

    assert set(components) == {"Taking", "Stars", "StarsStored", "StarsInput"}
    assert components["Stars"]["required"] == ["stars"]
    assert "required" not in components["StarsStored"]
    assert components["StarsInput"]["additionalProperties"] is False
