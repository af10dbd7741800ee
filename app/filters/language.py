"""Filters, read from JSON and judged in memory.

`app/store/events/query.py` and `app/filters/sql.py` write the same filters as SQL. The language is described at
`parse_filter`.
"""

import operator as python
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import force_setattr

from schemas import instants
from schemas.base import Instant
from schemas.errors import InvalidInput, Issue
from schemas.event import EventQuery, Source, SynapEvent
from schemas.filter import (
    And,
    Direction,
    Field,
    Kind,
    LiveFilterObject,
    Node,
    Not,
    Operator,
    Or,
    OrderTerm,
    Quantifier,
    Related,
    Relation,
    Scalar,
    Test,
    Value,
)
from schemas.issues import is_struct, unwrap
from schemas.jsontext import MAX_ISSUES, MAX_SAFE_INTEGER, UNSAFE_NUMBER, is_safe, join
from schemas.metadata import metadata_struct
from schemas.reference import named_event
from schemas.written import Tracked

MAX_TYPES = 10_000
"""Types whose subscribers are remembered."""

MAX_BYTES = 65_536
"""Of a filter as JSON. Every process holds those of all webhooks, and a list shows them."""

MAX_NODES = 100
MAX_DEPTH = 8
"""Filters inside each other, the outermost included."""

MAX_RELATIONS_DEEP = 2
"""Relations inside each other: each multiplies what the database looks at."""

MAX_VALUES = 100
MAX_TEXT = 1024
MAX_MEMBERS = 64
"""Of a path: as deep as JSON may be nested."""

MAX_ORDER = 8
MAX_KNOWN = 50
"""Known names that an answer repeats."""

COLUMNS: dict[str, Kind] = {
    "id": "uuid",
    "type": "text",
    "subjectId": "text",
    "userId": "text",
    "workspaceId": "text",
    "parentId": "text",
    "causationId": "text",
    "correlationId": "text",
    "source": "text",
    "producer": "text",
    "seq": "integer",
    "createdAt": "instant",
    "timestamp": "instant",
    "occurredAt": "instant",
    "hash": "hash",
}
"""The fields of an event that are no JSON. `parentId` is `causationId`, `createdAt` is `timestamp`, and the `producer`
of an event that names none is its source."""

EQUALITY: tuple[Operator, ...] = ("eq", "ne", "in", "nin", "isNull")
ORDERING: tuple[Operator, ...] = ("gt", "gte", "lt", "lte")
MATCHING: tuple[Operator, ...] = ("contains", "startsWith", "endsWith", "like")

OPERATORS: dict[Kind, tuple[Operator, ...]] = {
    "text": (*EQUALITY, *ORDERING, *MATCHING),
    "number": (*EQUALITY, *ORDERING),
    "integer": (*EQUALITY, *ORDERING),
    "boolean": EQUALITY,
    "instant": (*EQUALITY, *ORDERING),
    "uuid": EQUALITY,
    "hash": EQUALITY,
    "json": (*EQUALITY, *ORDERING, *MATCHING),
    "object": ("isNull",),
}
"""What each kind of field can be asked."""

INSTANT = (
    "^((?!0000)(?:[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    "|(?:0[13578]|1[02])-31)|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29))"
    "[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(?:([.][0-9]{1,6})[0-9]*)?"
    "(?:[Zz]|([+-])([01][0-9]|2[0-3]):?([0-5][0-9]))$"
)
"""An instant that stands as text in metadata, as Python and PostgreSQL read it: only days that there are, so that no
cast fails. Groups: date, time, fraction to the microsecond (the rest is cut), and the offset's sign, hours, minutes."""

_instant = re.compile(INSTANT)
_hash = re.compile(r"\Asha256:[0-9a-f]{64}\Z")


class FoundEvent(Struct, frozen=True, kw_only=True, eq=False):
    """An event as readers of a log meet it: what filters look at, and its JSON."""

    seq: int
    type: str
    source: str
    producer: str
    """The originating service; of an event that names none, its source."""
    has_metadata: bool
    subject_id: str | None
    correlation_id: str | None
    causation_id: str | None
    user_id: str
    recorded_at: datetime
    event: Tracked[SynapEvent]
    """As a door shows it: of the ledger's the JSON is a `LedgerEvent`."""
    occurred_at: datetime | None = None
    """Needed where the JSON does not show it: the ledger's of an erased event."""
    document: "Document | None" = None

    def read(self) -> "Document":
        """What stands in the event's JSON alone; decoded once, whoever asks."""
        document = self.document
        if document is None:
            document = Document.of(self.event.json)
            force_setattr(self, "document", document)
        return document


def matcher(query: EventQuery, workspace: str, only_user: str | None) -> Callable[[FoundEvent], bool]:
    """Says of an event of `workspace` whether it matches `query`; with `only_user`, events of other users never do.

    Raises InvalidInput for a filter that is none, or that asks for other events.
    """
    conditions: list[Callable[[FoundEvent], bool]] = []
    if (node := filter_of(query)) is not None:
        conditions.append(judge(node, workspace))
    if query.type is not None and query.type != "*":
        is_type = type_pattern(query.type).fullmatch
        conditions.append(lambda event: is_type(event.type) is not None)
    names = ("source", "producer", "has_metadata", "subject_id", "correlation_id", "causation_id", "user_id")
    wanted = [(name, value) for name in names if (value := getattr(query, name)) is not None]
    conditions.append(lambda event: all(getattr(event, name) == value for name, value in wanted))
    if only_user is not None:
        conditions.append(lambda event: event.user_id == only_user)
    if (start := query.from_) is not None:
        conditions.append(lambda event: event.recorded_at >= start)
    if (end := query.to) is not None:
        conditions.append(lambda event: event.recorded_at < end)
    return lambda event: all(condition(event) for condition in conditions)


def type_pattern(pattern: str) -> re.Pattern[str]:
    """A type pattern as a regular expression for the whole of a type.

    `*` stands for one segment, as the last of several for one or more, alone for all.
    """
    segments = [r"[^.]+" if segment == "*" else re.escape(segment) for segment in pattern.split(".")]
    if pattern.endswith("*"):
        segments[-1] = ".+"
    return re.compile(r"\.".join(segments))


def type_patterns(patterns: Iterable[str]) -> str:
    """Several type patterns as one regular expression for the whole of a type, as Python and PostgreSQL read it."""
    return f"^({'|'.join(type_pattern(pattern).pattern for pattern in patterns)})$"


def kept_filter(raw: LiveFilterObject) -> str:
    """The JSON that is kept of the `filter` of an input, for `Subscriber`: as it was sent, but for spaces.

    Raises InvalidInput where it is no filter, or asks for other events.
    """
    refuse_relations(parse_filter(raw, "filter", known_fields()), "filter")
    return msgspec.json.encode(raw).decode()


class Subscriber(Struct, frozen=True):
    """Who is told of events: those whose type one of the patterns fits, and that meet the filter if there is one.

    With `only_user`, of that user's alone. `filter` is what `kept_filter` made.
    """

    id: str
    patterns: Sequence[str]
    only_user: str | None
    filter: str | None = None

    @property
    def types(self) -> str:
        """The patterns as one regular expression."""
        return type_patterns(self.patterns)

    @property
    def node(self) -> Node | None:
        """The filter. Raises InvalidInput where it is none any more: kinds of metadata come and go."""
        return None if self.filter is None else parse_filter(msgspec.json.decode(self.filter), "filter", known_fields())


class _Told(Struct, frozen=True):
    """A subscriber, ready to be asked."""

    id: str
    types: re.Pattern[str]
    only_user: str | None
    meets: Callable[[FoundEvent], bool] | None


class Subscribers:
    """Says of an event of a workspace which subscribers it is for.

    An event costs the same however many subscribers there are; but each filter whose types fit judges it. Subscribers
    whose filter is none any more are told of nothing, and named in `unreadable`.
    """

    def __init__(self, subscribers: Iterable[Subscriber], workspace: str) -> None:
        self.workspace = workspace
        self.unreadable: list[str] = []
        self.weight = 0
        """Of all filters together."""
        self._all: list[_Told] = []
        for each in subscribers:
            try:
                node = each.node
            except InvalidInput:
                self.unreadable.append(each.id)
                continue
            meets = None if node is None else judge(node, workspace)
            self.weight += 0 if node is None else weight(node)
            self._all.append(_Told(each.id, re.compile(each.types), each.only_user, meets))
        self._have_filters = any(each.meets for each in self._all)
        self._by_type: dict[str, list[_Told]] = {}

    def judged(self, events: Iterable[tuple[int, str, str]]) -> list[int]:
        """The seqs of those that a filter has a say in; of each event its seq, type and user."""
        if not self._have_filters:
            return []
        return [
            seq
            for seq, type_, user_id in events
            if any(each.meets and each.only_user in {None, user_id} for each in self._interested(type_))
        ]

    def of(self, seq: int, type: str, user_id: str, found: Mapping[int, FoundEvent]) -> list[str]:
        """The ids of those who are told of an event; `found` has it under `seq` if it is among the `judged`."""
        return [
            each.id
            for each in self._interested(type)
            if each.only_user in {None, user_id} and (each.meets is None or each.meets(found[seq]))
        ]

    def needed(self, event: SynapEvent) -> dict[int, FoundEvent]:
        """What `of` needs to have found for an event that was just logged."""
        header = event.seq, event.type, event.user_id
        return {event.seq: _found(event)} if self.judged([header]) else {}

    def _interested(self, type: str) -> list[_Told]:
        interested = self._by_type.get(type)
        if interested is None:
            if len(self._by_type) == MAX_TYPES:
                self._by_type.clear()
            interested = self._by_type[type] = [each for each in self._all if each.types.match(type)]
        return interested


def _found(event: SynapEvent) -> FoundEvent:
    return FoundEvent(
        seq=event.seq,
        type=event.type,
        source=event.source,
        producer=event.producer or event.source,
        has_metadata=event.metadata is not UNSET,
        subject_id=event.subject_id,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        user_id=event.user_id,
        recorded_at=datetime.fromisoformat(event.timestamp),
        event=Tracked(str(event.id), msgspec.json.encode(event)),
    )


class Document(Struct, frozen=True):
    """What filters read of an event's JSON. U+0000 is U+FFFD in it, as in the database's projection."""

    id: str
    hash: str
    occurred_at: datetime | None
    data: object
    metadata: object

    @classmethod
    def of(cls, json: bytes) -> "Document":
        """From the JSON of a `SynapEvent` or a `LedgerEvent`."""
        if rb"\u0000" in json:
            # An escaped backslash is set aside, as a character that JSON never has bare: what is left is the escape.
            json = json.replace(rb"\\", b"\x01").replace(rb"\u0000", rb"\ufffd").replace(b"\x01", rb"\\")
        shown = _shown.decode(json)
        if shown.event_id is None:
            return cls(shown.id, shown.hash, shown.occurred_at, shown.data, shown.metadata)
        context = shown.context
        return cls(shown.event_id, shown.hash, context.occurred_at, shown.payload, context.metadata)


class _Context(Struct, frozen=True, rename="camel"):
    occurred_at: datetime | None = None
    metadata: Any = None


class _Shown(Struct):
    """Either shape of an event."""

    id: str
    hash: str
    event_id: str | None = None
    occurred_at: datetime | None = msgspec.field(name="occurredAt", default=None)
    data: Any = None
    metadata: Any = None
    payload: Any = None
    context: _Context = _Context()


_shown = msgspec.json.Decoder(_Shown)


class Fields:
    """The fields that filters and orders know: the columns, `data`, and metadata as the registered kinds type it."""

    def __init__(self, metadata: type[Struct]) -> None:
        """`metadata` is the type of a whole `metadata` object."""
        self._metadata = metadata
        self._columns = {
            name: Field(name, (), kind, get_args(Source) if name == "source" else ()) for name, kind in COLUMNS.items()
        }

    def find(self, dotted: str) -> Field:
        """The field that a caller calls `dotted`. Raises ValueError with what is wrong with it."""
        name, *path = dotted.split(".")
        if not path and name in self._columns:
            return self._columns[name]
        if len(path) > MAX_MEMBERS:
            raise ValueError(f"has more than {MAX_MEMBERS} members in its path")
        path = [_mapped(member) for member in path]
        if name == "data":
            return Field(name, tuple(path), "json" if path else "object")
        if name == "metadata":
            return self._typed(path)
        known = ", ".join([*COLUMNS, "data", "data.<path>", "metadata", "metadata.<path>"])
        raise ValueError(f"is not a known field; known are: {known}, and AND, OR, NOT, parent, children")

    def listed(self) -> Iterator[Field]:
        """Every field that has a name of its own: the columns, `data`, `metadata` and what its kinds declare."""
        yield from self._columns.values()
        yield Field("data", (), "object")
        yield Field("metadata", (), "object")
        yield from _members(self._metadata, (), ())

    def get(self, dotted: str) -> Field | None:
        """The same; None where it is no field."""
        try:
            return self.find(dotted)
        except ValueError:
            return None

    def named(self) -> dict[str, Field]:
        """What is listed, by the name that it is called by. Not what another field's name hides."""
        return {field.dotted: field for field in self.listed() if self.get(field.dotted) == field}

    def orders(self, dotted: str) -> bool:
        """Whether events can be ordered by it."""
        try:
            parse_order([{dotted: "asc"}], "orderBy", self)
        except InvalidInput:
            return False
        return True

    def _typed(self, path: list[str]) -> Field:
        wanted: Any = self._metadata
        for place, member in enumerate(path):
            if is_struct(wanted):
                types = {field.encode_name: field.type for field in msgspec.structs.fields(wanted)}
                if member not in types:
                    if not wanted.__struct_config__.forbid_unknown_fields:
                        return Field("metadata", tuple(path), "json")
                    known = ", ".join(sorted(types)[:MAX_KNOWN])
                    raise ValueError(f"is not a known field; known here are: {known}")
                wanted, meta = unwrap(types[member])
            elif wanted is dict or get_origin(wanted) is dict or _kind(wanted, None)[0] == "json":
                return Field("metadata", tuple(path), "json")
            else:
                what = "an array" if _kind(wanted, meta)[0] == "object" else f"a value ({_kind(wanted, meta)[0]})"
                raise ValueError(f"has no members: {'.'.join(['metadata', *path[:place]])} is {what}")
        kind, choices = _kind(wanted, meta if path else None)
        return Field("metadata", tuple(path), kind, choices)


def _members(wanted: Any, path: tuple[str, ...], above: tuple[Any, ...]) -> Iterator[Field]:
    for field in msgspec.structs.fields(wanted):
        member, meta = unwrap(field.type)
        kind, choices = _kind(member, meta)
        yield Field("metadata", (*path, field.encode_name), kind, choices)
        if is_struct(member) and member not in above:  # a type that holds itself is listed once
            yield from _members(member, (*path, field.encode_name), (*above, member))


def _kind(wanted: Any, meta: msgspec.Meta | None) -> tuple[Kind, tuple[str, ...]]:
    """What a type holds, and the only texts that it can equal."""
    values: tuple[object, ...] = get_args(wanted) if get_origin(wanted) is Literal else ()
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        values = tuple(member.value for member in wanted)
    texts = tuple(value for value in values if isinstance(value, str))
    if texts and len(texts) == len(values):
        return "text", texts
    if is_struct(wanted) or (get_origin(wanted) or wanted) in {dict, list, tuple, set, frozenset}:
        return "object", ()
    if wanted is datetime:
        return ("instant" if meta is not None and meta.tz else "text"), ()
    kinds: dict[object, Kind] = {str: "text", UUID: "text", int: "number", float: "number", bool: "boolean"}
    return kinds.get(wanted, "json"), ()


def parse_filter(raw: object, path: str, fields: Fields) -> Node:
    """A filter from decoded JSON that stands at `path` of the input.

    An object is a filter; several members mean AND. Members are `AND` and `OR` (arrays of filters), `NOT` (a filter),
    `parent` and `children` (`{"some": filter}`, `{"none": filter}`), and fields: `{field: {operator: value}}`, where a
    bare value means `eq` and null means `isNull`. `eq` and `ne` of null ask the same. Text is compared by code point
    and as it is written; in `like` a `*` stands for any text, and every other character for itself. In `data.a.b` and
    `metadata.a.b` a dot separates member names, so a member whose name has a dot cannot be reached, nor one inside an
    array.

    At most 65,536 bytes as JSON, 100 nodes (each comparison, AND, OR, NOT and relation), 8 filters inside each other,
    2 relations inside each other, lists of 100 values and texts of 1,024 characters. Raises InvalidInput with every
    invalid place.
    """
    _check_size(raw, path)
    parsing = _Parsing(fields)
    node = parsing.filter(raw, path, 1)
    if parsing.issues:
        raise InvalidInput(parsing.issues[:MAX_ISSUES])
    return node


def _check_size(raw: object, path: str) -> None:
    try:
        size = len(msgspec.json.encode(raw))
    except (RecursionError, UnicodeEncodeError):
        return  # it is refused by the place that is wrong
    if size > MAX_BYTES:
        raise InvalidInput([Issue(path, f"must have at most {MAX_BYTES:,} bytes as JSON, not {size:,}")])


def parse_order(raw: object, path: str, fields: Fields) -> list[OrderTerm]:
    """An order from decoded JSON: `[{field: direction}, ...]`, at most 8, by columns and typed members of metadata.

    Raises InvalidInput with every invalid place.
    """
    if not isinstance(raw, list) or len(raw) > MAX_ORDER:
        raise InvalidInput([Issue(path, f"must be an array of at most {MAX_ORDER} objects: [{{field: direction}}]")])
    terms: list[OrderTerm] = []
    issues: list[Issue] = []
    seen: set[tuple[str, ...]] = set()
    for place, item in enumerate(raw):
        where = join(path, place)
        if not isinstance(item, dict) or len(item) != 1:
            issues.append(Issue(where, "must be an object of one field and its direction"))
            continue
        [(name, direction)] = item.items()
        try:
            term = _order_term(name, direction, fields)
        except ValueError as error:
            issues.append(Issue(join(where, name), str(error)))
            continue
        key = (SAME.get(term.field.name, term.field.name), *term.field.path)
        if key in seen:
            issues.append(Issue(join(where, name), "is in the order already"))
        seen.add(key)
        terms.append(term)
    if issues:
        raise InvalidInput(issues)
    return terms


SAME = {"parentId": "causationId", "createdAt": "timestamp"}
"""Fields of two names."""


def _order_term(name: str, direction: object, fields: Fields) -> OrderTerm:
    field = fields.find(_text(name))
    if field.kind in {"json", "object", "hash"} or not all(map(IDENTIFIER.fullmatch, field.path)):
        raise ValueError("cannot be ordered by; fields of the event and typed values of metadata can")
    if direction not in get_args(Direction):
        raise ValueError(f"must be one of: {', '.join(get_args(Direction))}")
    descending = str(direction).startswith("desc")
    nulls_first = str(direction).endswith("nulls_first") or direction == "desc"
    return OrderTerm(field, descending, nulls_first)


IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""A member's name that may stand in a statement, where it is a registered Struct's."""


class _Parsing:
    """One filter while it is read, with what is wrong with it."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._nodes = 0
        self._relations = 0
        """Those that what is read now stands in."""
        self.issues: list[Issue] = []

    def filter(self, raw: object, path: str, depth: int) -> Node:
        """A filter that stands at `path`, inside `depth` - 1 others."""
        if not isinstance(raw, dict):
            return self._refused(path, f"must be a filter, which is an object, not {_name(raw)}")
        if depth > MAX_DEPTH:
            return self._refused(path, f"is nested deeper than {MAX_DEPTH}")
        return self._all([self._member(name, value, path, depth) for name, value in raw.items()], path)

    def _member(self, name: str, value: object, path: str, depth: int) -> Node:
        where = join(path, name)
        if name in {"AND", "OR"}:
            return self._several(And if name == "AND" else Or, value, where, depth)
        if name == "NOT":
            return self._counted(Not(self.filter(value, where, depth + 1)), where)
        if name in get_args(Relation):
            return self._related(name, value, where, depth)
        try:
            field = self._fields.find(_text(name))
        except ValueError as error:
            return self._refused(where, str(error))
        if not isinstance(value, dict):
            return self._test(field, "eq", value, where)
        return self._all([self._test(field, asked, item, join(where, asked)) for asked, item in value.items()], where)

    def _several(self, kind: type[And | Or], value: object, path: str, depth: int) -> Node:
        if not isinstance(value, list):
            return self._refused(path, f"must be an array of filters, not {_name(value)}")
        nodes = tuple(self.filter(item, join(path, place), depth + 1) for place, item in enumerate(value))
        return self._counted(kind(nodes), path)

    def _related(self, relation: Any, value: object, path: str, depth: int) -> Node:
        quantifiers = get_args(Quantifier)
        if not isinstance(value, dict) or not value or not set(value) <= set(quantifiers):
            return self._refused(path, f"must be an object of {' or '.join(quantifiers)} and a filter")
        if self._relations == MAX_RELATIONS_DEEP:
            return self._refused(path, f"is nested deeper than {MAX_RELATIONS_DEEP} relations (parent, children)")
        self._relations += 1
        nodes = [
            self._counted(
                Related(relation, quantifier, self.filter(value[quantifier], join(path, quantifier), depth + 1)), path
            )
            for quantifier in quantifiers
            if quantifier in value
        ]
        self._relations -= 1
        return self._all(nodes, path)

    def _test(self, field: Field, asked: str, value: object, path: str) -> Node:
        operators = OPERATORS[field.kind]
        operator = next((each for each in operators if each == asked), None)
        if value is None and asked in {"eq", "ne"}:
            operator, value = "isNull", asked == "eq"
        if operator is None:
            return self._refused(path, f"is no operator of {field.dotted}, which has: {', '.join(operators)}")
        if operator in {"in", "nin"}:
            return self._list(field, operator, value, path)
        try:
            return self._tested(field, operator, _value(field, operator, value), path)
        except ValueError as error:
            return self._refused(path, str(error))

    def _list(self, field: Field, operator: Operator, value: object, path: str) -> Node:
        if not isinstance(value, list) or len(value) > MAX_VALUES:
            return self._refused(path, f"must be an array of at most {MAX_VALUES} values")
        values: list[Scalar] = []
        for place, item in enumerate(value):
            try:
                values.append(_value(field, operator, item))
            except ValueError as error:
                self.issues.append(_issue(join(path, place), str(error)))
        return self._tested(field, operator, tuple(values), path)

    def _tested(self, field: Field, operator: Operator, value: Value, path: str) -> Node:
        """A comparison; one of the event's id asks for the UUID or the hash that names it, however that is spelled."""
        if field.kind != "uuid" or operator == "isNull":
            return self._counted(Test(field, operator, value), path)
        named = [named_event(str(each)) for each in (value if isinstance(value, tuple) else (value,))]
        ids = tuple(str(each) for each in named if isinstance(each, UUID))
        hashes = tuple(f"sha256:{each.hex()}" for each in named if isinstance(each, bytes))
        if ids and operator in {"eq", "ne"}:
            return self._counted(Test(field, operator, ids[0]), path)
        among: Operator = "in" if operator in {"eq", "in"} else "nin"
        tests = [Test(field, among, ids)] if ids or not hashes else []
        tests += [Test(self._fields.find("hash"), among, hashes)] if hashes else []
        nodes = tuple(self._counted(test, path) for test in tests)
        return nodes[0] if len(nodes) == 1 else self._counted((Or if among == "in" else And)(nodes), path)

    def _all(self, nodes: Sequence[Node], path: str) -> Node:
        return nodes[0] if len(nodes) == 1 else self._counted(And(tuple(nodes)), path)

    def _counted(self, node: Node, path: str) -> Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self.issues.append(Issue(path, f"is more than a filter may have: {MAX_NODES} comparisons, AND, OR and NOT"))
        if self._nodes > MAX_NODES or len(self.issues) >= MAX_ISSUES:
            raise InvalidInput(self.issues[:MAX_ISSUES])
        return node

    def _refused(self, path: str, message: str) -> Node:
        """Take note, and go on with anything."""
        self.issues.append(_issue(path, message))
        return self._counted(And(()), path)


def _issue(path: str, message: str) -> Issue:
    return Issue(path, message, "unsafe_number" if message == UNSAFE_NUMBER else None)


def _value(field: Field, operator: Operator, value: object) -> Scalar:
    """What a field is compared with. Raises ValueError with what is wrong with it."""
    if operator == "isNull":
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {_name(value)}")
        return value
    if value is None:
        raise ValueError("must not be null; isNull asks for that")
    read: Scalar = _READERS[field.kind](value)
    if field.kind == "json":
        wanted = str if operator in MATCHING else str | int | float
        if operator not in EQUALITY and (isinstance(read, bool) or not isinstance(read, wanted)):
            raise ValueError(f"must be a text{'' if operator in MATCHING else ' or a number'}, not {_name(value)}")
    if field.kind == "instant" and field.path:  # cut as what stands in metadata is
        read = msgspec.convert(_cut(str(value)), Instant).astimezone(UTC)
    if operator in EQUALITY and field.choices and read not in field.choices:
        raise ValueError(f"must be one of: {', '.join(field.choices[:MAX_KNOWN])}")
    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {_name(value)}")
    if len(value) > MAX_TEXT:
        raise ValueError(f"must have at most {MAX_TEXT} characters, not {len(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("has half of a surrogate pair alone") from None
    return _mapped(value)


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {_name(value)}")
    if not is_safe(value):
        raise ValueError(UNSAFE_NUMBER)
    return int(value) if float(value).is_integer() and abs(value) <= MAX_SAFE_INTEGER else value


def _integer(value: object) -> int:
    number = _number(value)
    if not isinstance(number, int):
        raise ValueError("must be a whole number from -(2^53-1) to 2^53-1")
    return number


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {_name(value)}")
    return value


def _instant_value(value: object) -> datetime:
    text = _text(value)
    try:
        at = msgspec.convert(text, Instant)
    except msgspec.ValidationError:
        raise ValueError(instants.fault_of(text)) from None
    if instants.is_far(at):
        raise ValueError(instants.FAR)
    return at.astimezone(UTC)


def _hash_value(value: object) -> str:
    text = _text(value)
    if not _hash.match(text):
        raise ValueError("must be 'sha256:' and 64 digits of lower-case hex")
    return text


def _json(value: object) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return _number(value)
    raise ValueError(f"must be a text, a number or a boolean, not {_name(value)}")


_READERS: dict[Kind, Callable[[object], Scalar]] = {
    "text": _text,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "instant": _instant_value,
    "uuid": _text,
    "hash": _hash_value,
    "json": _json,
}


def _mapped(text: str) -> str:
    """As the projection has it: PostgreSQL's JSON cannot hold U+0000."""
    return text.replace("\0", "\ufffd")


def _cut(instant: str) -> str:
    """An instant's text without what is finer than a microsecond."""
    return _finer.sub(r"\1", instant)


_finer = re.compile(r"([.][0-9]{6})[0-9]+")


def _name(value: object) -> str:
    names = {str: "a text", bool: "a boolean", list: "an array", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")


def refuse_relations(node: Node, path: str) -> None:
    """Raise InvalidInput where a filter at `path` asks for other events: one event alone does not say."""
    if _has_relations(node):
        message = "must not ask for parent or children here: events are looked at one by one"
        raise InvalidInput([Issue(path, message)])


def _has_relations(node: Node) -> bool:
    match node:
        case Related():
            return True
        case Not(inner):
            return _has_relations(inner)
        case And(nodes) | Or(nodes):
            return any(map(_has_relations, nodes))
        case Test():
            return False


@cache
def known_fields() -> Fields:
    """Those of the kinds that are registered when it is first asked for: extensions are loaded before."""
    return Fields(metadata_struct())


def filter_of(query: EventQuery) -> Node | None:
    """What a query's `filter` says. Raises InvalidInput."""
    return None if query.filter is None else parse_filter(query.filter, "filter", known_fields())


def judge(node: Node, workspace: str) -> Callable[[FoundEvent], bool]:
    """Says of an event of `workspace` whether it meets a filter. Raises InvalidInput for one with relations."""
    refuse_relations(node, "filter")
    return _judge(node, workspace)


def weight(node: Node | None) -> int:
    """How often a filter looks at an event at most."""
    match node:
        case None:
            return 0
        case And(nodes) | Or(nodes):
            return 1 + sum(map(weight, nodes))
        case Not(inner):
            return 1 + weight(inner)
        case Test():
            return len(node.value) if isinstance(node.value, tuple) else 1
        case Related():  # refused
            raise NotImplementedError


def cost(weight: int, events: Collection[FoundEvent]) -> int:
    """What filters of this weight take to judge events, in nanoseconds, more or less."""
    if not weight:
        return 0
    size = sum(len(found.event.json) for found in events)
    return size * (READING + weight) + len(events) * weight * COMPARING


READING = 10
"""What it takes to read a byte of an event, compared with looking for a text in it."""

COMPARING = 500
"""What a comparison takes beside what it looks through."""


def _judge(node: Node, workspace: str) -> Callable[[FoundEvent], bool]:
    match node:
        case And(nodes):
            judges = [_judge(each, workspace) for each in nodes]
            return lambda event: all(each(event) for each in judges)
        case Or(nodes):
            judges = [_judge(each, workspace) for each in nodes]
            return lambda event: any(each(event) for each in judges)
        case Not(inner):
            negated = _judge(inner, workspace)
            return lambda event: not negated(event)
        case Test():
            read, holds, wanted = _reader(node.field, workspace), _HOLDS[node.operator], node.value
            return lambda event: holds(read(event), wanted)
        case Related():  # refused
            raise NotImplementedError


def _reader(field: Field, workspace: str) -> Callable[[FoundEvent], object]:
    """Reads a field of an event; None where it is missing or null."""
    if field.name in {"data", "metadata"}:
        name, path = field.name, field.path
        if field.kind == "instant":
            return lambda event: _as_instant(_member_at(getattr(event.read(), name), path))
        return lambda event: _member_at(getattr(event.read(), name), path)
    return _COLUMN_READERS.get(field.name, lambda _: workspace)


_COLUMN_READERS: dict[str, Callable[[FoundEvent], object]] = {
    "id": lambda event: event.read().id,
    "hash": lambda event: event.read().hash,
    "occurredAt": lambda event: event.occurred_at or event.read().occurred_at,
    "type": lambda event: event.type,
    "subjectId": lambda event: event.subject_id,
    "userId": lambda event: event.user_id,
    "parentId": lambda event: event.causation_id,
    "causationId": lambda event: event.causation_id,
    "correlationId": lambda event: event.correlation_id,
    "source": lambda event: event.source,
    "producer": lambda event: event.producer,
    "seq": lambda event: event.seq,
    "createdAt": lambda event: event.recorded_at,
    "timestamp": lambda event: event.recorded_at,
}


def _member_at(value: object, path: Sequence[str]) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _as_instant(value: object) -> object:
    """The instant that a text of metadata is. Other values stay: they are there, but equal no instant."""
    return msgspec.convert(_cut(value), Instant) if isinstance(value, str) and _instant.fullmatch(value) else value


def _same(value: object, wanted: object) -> bool:
    return _sort(value) == _sort(wanted) and value == wanted


def _sort(value: object) -> type:
    """What only compares with its like: true is not 1."""
    return float if type(value) is int else type(value)


def _is_like(text: str, pattern: str) -> bool:
    """Whether the pieces between the stars follow each other in the text; never tries a place twice."""
    first, *pieces = pattern.split("*")
    if not pieces:
        return text == pattern
    last = pieces.pop()
    end = len(text) - len(last)
    place = len(first)
    if place > end or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in pieces:
        found = text.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _ordered(compares: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, wanted: _sort(value) == _sort(wanted) and compares(value, wanted)


def _matching(matches: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, wanted: isinstance(value, str) and matches(value, wanted)


_HOLDS: dict[Operator, Callable[[Any, Any], bool]] = {
    "isNull": lambda value, wanted: (value is None) is wanted,
    "eq": _same,
    "ne": lambda value, wanted: not _same(value, wanted),
    "in": lambda value, wanted: any(_same(value, each) for each in wanted),
    "nin": lambda value, wanted: not any(_same(value, each) for each in wanted),
    "gt": _ordered(python.gt),
    "gte": _ordered(python.ge),
    "lt": _ordered(python.lt),
    "lte": _ordered(python.le),
    "contains": _matching(python.contains),
    "startsWith": _matching(str.startswith),
    "endsWith": _matching(str.endswith),
    "like": _matching(_is_like),
}
"""Whether a value, None where it is missing, is what an operator asks for."""
