"""The text of the TypeScript contract. The conformance tests check that it compiles and rejects wrong calls."""

import json
import re
import subprocess
import sys
from enum import StrEnum
from typing import Annotated, Any, ClassVar, get_args
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct

from app.contract.model import ANYTHING, Items, Leaf, Model, Reference, Way
from app.contract.operation import Kind
from app.contract.typescript import typescript
from app.filters.fields import Fields
from app.filters.order import parse_order
from app.filters.parse import parse_filter
from procedures.context import Context
from procedures.procedure import Procedure, Stream, mutation, query, subscription
from procedures.registry import registry
from schemas.base import Input, Instant, InstantText, Marker, Output, RawMetadata, Section, ShortText
from schemas.errors import Conflict, InvalidInput, ProcedureError
from schemas.event import Source, StreamEvents
from schemas.filter import Operator, Relation
from schemas.metadata import metadata_struct
from schemas.principal import Scope
from tests.kit.paths import ROOT

REGISTERING = """
from typing import Any
from msgspec import Meta, Struct
from app.contract.typescript import typescript
from procedures.registry import registry
from schemas.base import Instant, Section
from schemas.metadata import metadata_type

class Review(Section, frozen=True, kw_only=True):
    stars: int
    reviewed_at: Instant

class Place(Struct):
    name: str
    since: Instant
    notes: dict[str, Any]

metadata_type(review=Review, place=Place)
print(typescript(registry(), transformer="superjson"))
"""


REGISTERING_DATA = """
import sys
from typing import Any
from app.contract.typescript import typescript
from procedures.registry import registry
from schemas.base import Instant, Section
from schemas.event_data import event_data
from schemas.metadata import metadata_type

class Author(Section, frozen=True, kw_only=True):
    name: str
    since: Instant | None = None

class NoteCreated(Section, frozen=True, kw_only=True):
    title: str
    author: Author | None = None
    more: dict[str, Any] | None = None

class NoteDeleted(Section, frozen=True, kw_only=True):
    reason: str

metadata_type(author=Author)
event_data({"note.deleted": NoteDeleted, "note.created": NoteCreated, "note.copied": NoteCreated})
print(typescript(registry(), transformer=sys.argv[1]))
"""


class Colour(StrEnum):
    """The colour of a lamp."""

    RED = "red"
    GREEN = "green"


class Lamp(Section, frozen=True, kw_only=True):
    """A lamp. */ export const injected = 1; /*"""

    colour: Colour
    spares: list["Lamp | None"] | None = None


class LightLamp(Input, frozen=True, kw_only=True):
    lamp: Lamp
    metadata: RawMetadata | None = None
    lit_at: Instant | None = None


class Nothing(Input, frozen=True, kw_only=True):
    pass


class Lit(Output, frozen=True, kw_only=True):
    at: InstantText
    metadata: RawMetadata | None = None
    by_room: dict[str, int | None]
    owner: str | None
    dimmed: bool = False


class WatchLamps(Input, frozen=True, kw_only=True):
    room: str | None = None
    markers: bool | None = None


class AllDark(Marker, frozen=True, kw_only=True):
    """Says that no lamp is lit."""

    since: InstantText


def declared(name: str, input: type, output: Any, kind: Kind = Kind.MUTATION) -> dict[str, Procedure]:
    async def run(wanted: Any, context: Context) -> Any:
        raise NotImplementedError

    run.__annotations__ = {"wanted": input, "context": Context, "return": output}
    declare = {Kind.QUERY: query, Kind.MUTATION: mutation, Kind.SUBSCRIPTION: subscription}[kind]
    return {name: declare(name, scope=Scope.EVENTS_READ)(run)}


def interface(contract: str, name: str) -> str:
    return re.split(rf"export interface {name}(?:<.*>)? {{\n", contract)[1].split("\n}\n", 1)[0]


def _registering(script: str = REGISTERING, *arguments: str) -> str:
    """The contract of another process that registers something, because a registration lasts as long as its process."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout


def _has(wanted: dict[str, dict[str, object]], fields: Fields) -> bool:
    """Whether the field has the operator, whatever value it is compared with."""
    with pytest.raises(InvalidInput) as refused:
        parse_filter(wanted, "filter", fields)
    return "is no operator of" not in refused.value.issues[0].message


LIGHT = declared("rooms.light", LightLamp, Lit)
WATCH = declared("rooms.watch", WatchLamps, Stream[Lit, AllDark], Kind.SUBSCRIPTION)


def test_contract_has_every_procedure() -> None:
    procedures = registry()

    contract = typescript(procedures, transformer="none")

    for name, procedure in procedures.items():
        space, _, leaf = name.partition(".")
        record = contract.split(f"    {space}: {{\n", 1)[1]
        declared = record.split(f"      {leaf}: ", 1)[1].split(";\n", 1)[0]
        assert f"TRPC{procedure.kind.title()}Procedure<{{ input: {procedure.input.__name__}" in declared


def test_contract_is_the_same_each_time() -> None:
    assert typescript(registry(), transformer="superjson") == typescript(registry(), transformer="superjson")


def test_contract_types_the_event_as_documented() -> None:
    contract = typescript(registry(), transformer="none")

    event = interface(contract, "SynapEvent")
    assert '  version: "v1";' in event
    assert "  subjectId?: string;" in event
    assert "  data: Record<string, unknown>;" in event
    assert "  metadata?: Metadata;" in event
    assert "  timestamp: string;" in event
    assert "  metadata?: MetadataInput | null | undefined;" in interface(contract, "LogEvent")
    assert "list: TRPCQueryProcedure<{ input: ListEvents | void; output: SynapEvent[]; meta: object }>" in contract


def test_metadata_has_the_registered_kinds() -> None:
    contract = _registering()

    assert "  review?: Review;" in interface(contract, "Metadata")
    assert "  review?: ReviewInput | null | undefined;" in interface(contract, "MetadataInput")
    assert "  reviewedAt: string;" in interface(contract, "Review")
    assert "  reviewedAt: Date | string;" in interface(contract, "ReviewInput")


def _union(contract: str, name: str) -> list[str]:
    """The members of the union of an event's type, which are distinguished by `type`."""
    declared = contract.split(f"export type {name} = {{\n", 1)[1].split("\n);\n", 1)[0]
    return [line.removeprefix("  | ") for line in declared.split("} & (\n", 1)[1].splitlines()]


@pytest.mark.parametrize(
    ("name", "data"), [("SynapEvent", "data"), ("BrowsedEvent", "data"), ("LedgerEvent", "payload")]
)
def test_returned_events_are_distinguished_by_their_type(name: str, data: str) -> None:
    contract = _registering(REGISTERING_DATA, "none")

    assert _union(contract, name) == [
        f'{{ type: "note.copied"; {data}: NoteCreated }}',
        f'{{ type: "note.created"; {data}: NoteCreated }}',
        f'{{ type: "note.deleted"; {data}: NoteDeleted }}',
        f"{{ type: OtherEventType; {data}: Record<string, unknown> }}",
    ]
    assert contract.count("export type OtherEventType = `${string}.${string}` & ") == 1
    assert "  type:" not in contract.split(f"export type {name} = ", 1)[1].split("} & (", 1)[0]


def test_data_is_sent_as_it_comes_back_but_for_dates() -> None:
    plain, dates = (_registering(REGISTERING_DATA, each) for each in ("none", "superjson"))

    assert _union(plain, "LogEvent") == [
        each.replace("NoteCreated", "NoteCreatedInput").replace("Record<string, unknown>", "JsonObject")
        for each in _union(plain, "SynapEvent")
    ]
    assert "  more?: JsonObject | null | undefined;" in interface(plain, "NoteCreatedInput")
    assert interface(plain, "NoteCreated") == (
        "  title: string;\n  author?: AuthorData | null | undefined;\n"
        "  more?: Record<string, unknown> | null | undefined;"
    )
    assert _union(dates, "LogEvent")[1:3] == [
        '{ type: "note.created"; data: NoteCreatedInput }',
        '{ type: "note.deleted"; data: NoteDeleted }',
    ]
    assert "  author?: AuthorInput | null | undefined;" in interface(dates, "NoteCreatedInput")
    assert "  since?: Date | string | null | undefined;" in interface(dates, "AuthorInput")


def test_metadata_and_data_of_one_struct_differ_in_null() -> None:
    contract = _registering(REGISTERING_DATA, "superjson")

    assert "  since?: string;" in interface(contract, "Author")
    assert "  since?: string | null | undefined;" in interface(contract, "AuthorData")


def test_without_registered_data_events_are_interfaces() -> None:
    contract = typescript(registry(), transformer="none")

    assert "OtherEventType" not in contract
    assert "export type SynapEvent" not in contract


def test_filters_and_orders_have_the_registered_kinds() -> None:
    contract = _registering()

    members = interface(contract, "EventFilter")
    assert '  "metadata.review"?: null | ObjectOperators;' in members
    assert '  "metadata.review.stars"?: number | null | NumberOperators;' in members
    assert '  "metadata.review.reviewedAt"?: string | Date | null | InstantOperators;' in members
    assert "[path: `metadata.place.${string}`]: " in members  # its Struct accepts unknown members
    assert "[path: `metadata.place.notes.${string}`]: " in members
    assert "[path: `metadata.review.${string}`]" not in members
    assert '\n  | "metadata.review.stars"\n' in contract
    assert '"metadata.place.notes"' not in contract.split("export type EventOrderField", 1)[1]


def test_a_filter_has_every_field_with_its_operators() -> None:
    contract = typescript(registry(), transformer="none")
    fields = Fields(metadata_struct())

    members = interface(contract, "EventFilter")
    for field in fields.listed():
        name = json.dumps(field.dotted) if field.path else field.dotted
        [typed] = [line for line in members.splitlines() if line.startswith(f"  {name}?: ")]
        operators = re.search(r"\b([A-Z]\w+Operators)", typed)
        assert operators
        declared = re.search(rf"export interface {operators[1]}\b.*\n([^}}]*)\}}", contract)
        assert declared
        for operator in get_args(Operator):
            accepted = _has({field.dotted: {operator: {}}}, fields)
            assert (f"  {operator}?: " in declared[1]) == accepted, (field.dotted, operator)


def test_an_order_has_every_field_that_orders() -> None:
    contract = typescript(registry(), transformer="none")

    listed = contract.split("export type EventOrderField =", 1)[1].split(";", 1)[0]
    names = [json.loads(line.removeprefix("  | ")) for line in listed.splitlines()[1:]]
    assert {"seq", "createdAt", "metadata.ai.confidence.score", "metadata.import.importedAt"} <= set(names)
    assert {"hash", "data", "metadata.ai", "metadata.custom"}.isdisjoint(names)
    for name in names:
        assert parse_order([{name: "asc"}], "orderBy", Fields(metadata_struct()))


def test_enumerations_are_unions_in_a_filter() -> None:
    members = interface(typescript(registry(), transformer="none"), "EventFilter")

    sources = " | ".join(json.dumps(source) for source in get_args(Source))
    assert f"  source?: {sources} | null | TextOperators<{sources}>;" in members


def test_filters_accept_dates_only_with_superjson() -> None:
    dates, texts = (typescript(registry(), transformer=each) for each in ("superjson", "none"))

    assert "  createdAt?: string | Date | null | InstantOperators;" in interface(dates, "EventFilter")
    assert "  gte?: string | Date;" in interface(dates, "InstantOperators")
    assert "  createdAt?: string | null | InstantOperators;" in interface(texts, "EventFilter")
    assert "Date" not in texts.split("export interface EventFilter", 1)[1].split("export type EventOrderBy", 1)[0]


def test_a_filter_of_events_as_they_come_is_the_same_without_relations() -> None:
    contract = typescript(registry(), transformer="none")

    assert "  filter?: EventFilter | null | undefined;" in interface(contract, "ListEvents")
    for reader in ("StreamEvents", "FollowLedger"):
        assert "  filter?: LiveEventFilter | null | undefined;" in interface(contract, reader)
    assert "\nexport type LiveEventFilter = EventFilter<never>;\n" in contract
    for relation in get_args(Relation):
        assert f"  {relation}?: TRelated;" in interface(contract, "EventFilter")


def test_a_contract_with_only_streams_has_their_filters() -> None:
    contract = typescript(declared("lamps.watch", StreamEvents, Lit, Kind.SUBSCRIPTION), transformer="none")

    assert "  filter?: LiveEventFilter | null | undefined;" in interface(contract, "StreamEvents")
    assert "\nexport type LiveEventFilter = EventFilter<never>;\n" in contract
    assert "  NOT?: EventFilter<TRelated>;" in interface(contract, "EventFilter")


def test_a_contract_without_filters_has_none() -> None:
    contract = typescript(LIGHT, transformer="none")

    assert "EventFilter" not in contract
    assert "EventOrder" not in contract


def test_superjson_makes_instants_dates() -> None:
    contract = typescript(LIGHT, transformer="superjson")

    assert "  at: Date;" in interface(contract, "Lit")
    assert "  litAt?: Date | string | null | undefined;" in interface(contract, "LightLamp")
    assert "  importedAt: string;" in interface(contract, "Import")
    assert "  importedAt: Date | string;" in interface(contract, "ImportInput")
    assert "transformer: true }" in contract


def test_plain_json_makes_instants_text() -> None:
    contract = typescript(LIGHT, transformer="none")

    assert "Date" not in contract
    assert "  at: string;" in interface(contract, "Lit")
    assert "  litAt?: string | null | undefined;" in interface(contract, "LightLamp")
    assert "transformer: false }" in contract


def test_outputs_have_null_only_if_declared() -> None:
    lit = interface(typescript(LIGHT, transformer="none"), "Lit")

    assert "  byRoom: Record<string, number | null>;" in lit
    assert "  owner: string | null;" in lit
    assert "  dimmed?: boolean;" in lit


def test_a_struct_may_contain_itself() -> None:
    lamp = interface(typescript(LIGHT, transformer="none"), "Lamp")

    assert lamp == '  colour: "red" | "green";\n  spares?: (Lamp | null)[] | null | undefined;'


def test_a_struct_that_reads_differently_as_input_becomes_two() -> None:
    procedures = declared("lamps.mend", LightLamp, Lamp)

    contract = typescript(procedures, transformer="none")

    assert "  spares: (Lamp | null)[] | null;" in interface(contract, "Lamp")
    assert "  spares?: (LampInput | null)[] | null | undefined;" in interface(contract, "LampInput")
    assert "  lamp: LampInput;" in interface(contract, "LightLamp")


def test_a_docstring_cannot_end_its_comment() -> None:
    contract = typescript(LIGHT, transformer="none")

    assert "/** A lamp. *\\/ export const injected = 1; /* */\n" in contract


def test_the_contract_names_failures_by_their_codes() -> None:
    """Callers do not see the classes: they compare `data.reason`."""
    contract = typescript(registry(), transformer="none")

    assert "`invalid_input` if `start` is not a place of this log." in contract
    for kind in ProcedureError.__subclasses__():
        assert not re.search(rf"\b{kind.__name__}\b", contract), kind


def test_an_input_without_fields_takes_no_field() -> None:
    contract = typescript(declared("lamps.count", Nothing, int, Kind.QUERY), transformer="none")

    assert "[name: string]: never;" in interface(contract, "Nothing")
    assert "count: TRPCQueryProcedure<{ input: Nothing | void; output: number; meta: object }>" in contract


def test_a_subscription_yields_tracked_values() -> None:
    contract = typescript(declared("lamps.onLit", Nothing, Lit, Kind.SUBSCRIPTION), transformer="none")

    assert "onLit: TRPCSubscriptionProcedure<" in contract
    assert "output: AsyncIterable<{ id: string; data: Lit }>; meta: object }>" in contract
    assert (
        'import type { TRPCBuiltRouter, TRPCSubscriptionProcedure, TRPC_ERROR_CODE_KEY } from "@trpc/server";'
        in contract
    )


def test_a_stream_has_markers_in_the_router_that_asks_for_them() -> None:
    contract = typescript(WATCH, transformer="none")

    assert "export type AppRouter<TOptions extends { markers: boolean } = { markers: false }> = TRPC" in contract
    assert (
        '      watch: TOptions["markers"] extends true\n'
        '        ? TRPCSubscriptionProcedure<{ input: Omit<WatchLamps, "markers"> & { markers: true };'
        " output: AsyncIterable<{ id: string; data: Lit } | AllDark>; meta: object }>\n"
        "        : TRPCSubscriptionProcedure<{ input: WatchLamps | void;"
        " output: AsyncIterable<{ id: string; data: Lit }>; meta: object }>;\n"
    ) in contract
    assert interface(contract, "WatchLamps") == (
        "  room?: string | null | undefined;\n  markers?: false | null | undefined;"
    )


def test_a_marker_is_an_output() -> None:
    contract = typescript(WATCH, transformer="superjson")

    assert "/** Says that no lamp is lit. */\nexport interface AllDark {" in contract
    assert interface(contract, "AllDark") == "  cursor: string;\n  since: Date;"


def test_the_router_and_the_stream_say_how_to_get_markers() -> None:
    contract = typescript(WATCH | LIGHT, transformer="none")

    about_router = contract.split("export type AppRouter", 1)[0].rpartition("/**")[2]
    about_stream = contract.split("      watch: ", 1)[0].rpartition("/**")[2]
    about_light = contract.split("      light: ", 1)[0].rpartition(";\n")[2]
    assert "`AppRouter<{ markers: true }>`" in about_router
    assert "`AllDark`" in about_stream
    assert "`createTRPCClient<AppRouter<{ markers: true }>>`" in about_stream
    assert "markers" not in about_light


def test_without_a_stream_with_markers_the_router_takes_no_options() -> None:
    procedures = LIGHT | declared("rooms.count", WatchLamps, int, Kind.QUERY)

    contract = typescript(procedures, transformer="none")

    assert "/** Every procedure of the server. */\nexport type AppRouter = TRPCBuiltRouter<\n" in contract
    assert "TOptions" not in contract
    assert "  markers?: boolean | null | undefined;" in interface(contract, "WatchLamps")


def test_the_event_stream_has_its_marker() -> None:
    contract = typescript(registry(), transformer="none")

    assert "AsyncIterable<{ id: string; data: SynapEvent } | CaughtUp>" in contract
    assert "  caughtUp: true;" in interface(contract, "CaughtUp")
    assert "  markers?: false | null | undefined;" in interface(contract, "StreamEvents")


def test_namespaces_nest() -> None:
    contract = typescript(LIGHT | declared("rooms.attic.lamps.light", LightLamp, Lit), transformer="none")

    assert contract.index("    rooms: {") < contract.index("      attic: {") < contract.index("        lamps: {")


class Toggle(Input, frozen=True, kw_only=True):
    """An input that names lamps in one of several ways."""

    ids: Annotated[list[ShortText], Meta(max_length=9, extra={"message": "must have at most 9 ids"})] | None = None
    from_room: UUID | None = None
    to_room: UUID | None = None
    seconds: Annotated[int, Meta(extra={"message": "must be a whole number of seconds"})] = 5

    __one_of__: ClassVar[tuple[tuple[str, ...], ...]] = (("ids",), ("from_room", "to_room"))


def test_members_that_exclude_each_other_are_a_union() -> None:
    contract = typescript(declared("lamps.toggle", Toggle, int), transformer="none")

    assert contract.split("export type Toggle = ", 1)[1].split("\n\n", 1)[0] == (
        "{\n"
        "  /** Must be a whole number of seconds. Default 5. */\n"
        "  seconds?: number | null | undefined;\n"
        "} & (\n"
        "  | {\n"
        "      /** Must have at most 9 ids. Each item: must have 1 to 256 characters, none of them U+0000. */\n"
        "      ids: string[];\n"
        "      fromRoom?: null | undefined;\n"
        "      toRoom?: null | undefined;\n"
        "    }\n"
        "  | {\n"
        "      ids?: null | undefined;\n"
        "      /** A UUID. */\n"
        "      fromRoom: string;\n"
        "      /** A UUID. */\n"
        "      toRoom: string;\n"
        "    }\n"
        ");"
    )
    assert "toggle: TRPCMutationProcedure<{ input: Toggle; output: number;" in contract


EXCLUSIVE = {
    procedure.input: procedure for procedure in registry().values() if getattr(procedure.input, "__one_of__", ())
}


@pytest.mark.parametrize("wanted", EXCLUSIVE, ids=lambda struct: struct.__name__)
def test_a_member_that_excludes_others_may_be_absent_in_python(wanted: type[Input]) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(wanted)}

    for group in wanted.__one_of__:
        assert not any(fields[name].required for name in group)
    assert not EXCLUSIVE[wanted].optional


def test_members_of_inputs_say_their_limits_and_defaults() -> None:
    listed = interface(typescript(registry(), transformer="none"), "ListEvents")

    assert "  /** Must be a whole number from 1 to 1000. Default 100. */\n  limit?: number" in listed
    assert "  /** Must be an RFC 3339 time with a UTC offset. */\n  from?: string" in listed
    assert "*/\n  filter?:" not in listed


def test_every_limit_of_json_schema_is_in_typescript() -> None:
    contract = typescript(registry(), transformer="none")

    for procedure in registry().values():
        for member in Model(typed_answers=True).shape(Reference(procedure.input, Way.INPUT)).members:
            if isinstance(member.typed.form, Leaf | Items) and member.typed.said:
                assert f"/** {member.typed.said}".replace("*/", "*\\/") in contract, (procedure.name, member.name)


def test_a_list_by_pages_needs_an_input() -> None:
    contract = typescript(registry(), transformer="none")

    assert "page: TRPCQueryProcedure<{ input: ListEvents; output: EventPage; meta: object }>" in contract
    assert "list: TRPCQueryProcedure<{ input: ListEvents | void; output: SynapEvent[]; meta: object }>" in contract


class LampBroken(Conflict):
    """The lamp must be repaired."""

    code = "lamp_broken"


def test_errors_have_every_published_code() -> None:
    lamps = {name: msgspec.structs.replace(each, errors=(LampBroken,)) for name, each in LIGHT.items()}

    contract = typescript(lamps, transformer="none")

    codes = contract.split("export type ErrorCode =", 1)[1].split(";", 1)[0]
    assert {"conflict", "lamp_broken", "not_found", "invalid_cursor", "invalid_input"} <= set(re.findall(r"\w+", codes))
    assert "    reason?: ErrorCode;" in interface(contract, "ErrorShape")


def test_errors_have_the_codes_given() -> None:
    contract = typescript(LIGHT, transformer="none", error_codes=["NOT_FOUND", "CONFLICT"])

    assert '    code: "NOT_FOUND" | "CONFLICT";' in interface(contract, "ErrorShape")
    assert "TRPC_ERROR_CODE_KEY" not in contract


def _named(name: str) -> type[Struct]:
    return msgspec.defstruct(name, [("size", int)], bases=(Output,), kw_only=True, frozen=True, module="shop")


UNTYPED = msgspec.defstruct("Untyped", [("size", complex)], bases=(Output,), kw_only=True, frozen=True)


@pytest.mark.parametrize(
    ("procedures", "sentence"),
    [
        (
            LIGHT | declared("lamps.sell", Nothing, _named("Lamp")),
            "shop.Lamp: the name Lamp is taken by tests.contract.test_typescript.Lamp",
        ),
        (
            declared("lamps.route", Nothing, _named("AppRouter")),
            "shop.AppRouter: the name AppRouter is taken by the contract itself",
        ),
        (
            WATCH | declared("lamps.choose", Nothing, _named("TOptions")),
            "shop.TOptions: the name TOptions is taken by the contract itself",
        ),
        (
            declared("lamps.size", Nothing, UNTYPED),
            f"Untyped.size: the contract cannot express <class 'complex'>; use {ANYTHING}",
        ),
        (
            declared("lamps.size", Nothing, bytes),
            f"the output of lamps.size: the contract cannot express <class 'bytes'>; use {ANYTHING}",
        ),
        (LIGHT | declared("rooms", Nothing, Lit), "rooms: a procedure cannot be a namespace too"),
    ],
    ids=["two classes", "our own name", "a name of the router's own", "a field", "an output", "a namespace"],
)
def test_what_cannot_be_expressed_is_one_sentence(procedures: dict[str, Procedure], sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        typescript(procedures, transformer="none")

    assert str(refused.value) == sentence
