"""SQL, the evaluator in memory and a naive evaluator agree on every filter and every event."""

import operator as python
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.filters.logs import ODD_FIELDS, Logs
from tests.kit.examples import examples
from tests.store.opened import draft

MANY = settings(
    max_examples=examples(300),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

IDS = [str(UUID(int=(0xA7000 + number) << 64 | 1 << 63 | number)) for number in range(1, 5)]

NAMES = ["a", "b", "", "a\0", "a\ufffd", "%(f0)s", "$1", '"', "'", "\\", "\\u0000", "😀", "*", "--", "number"]

texts = st.one_of(
    st.sampled_from(["", "a", "A", "0", "1", "true", "null", "\0", "\ufffd", "\\\0", "\\u0000", "😀", "\uffff", "é"]),
    st.text(alphabet="aA0%_*\\\"'\0\ufffd😀\uffffé.$-", max_size=4),
)

numbers = st.one_of(
    st.sampled_from([0, -0.0, 1, 1.0, 1.5, -1, 2**53 - 1, -(2**53) + 1, 1e21, 1e22, 1e-7, 5e-324, 0.1, 1e308]),
    st.integers(-3, 3),
    st.floats(-10, 10),
)

instants = st.builds(
    "{}{}{}:{}{}{}".format,
    st.sampled_from(["2024-01-01", "2024-02-29", "2023-02-29", "0001-01-01", "9999-12-31", "1900-02-29", "2024-13-01"]),
    st.sampled_from(["T", "t", " "]),
    st.sampled_from(["00:00", "23:59", "05:30", "24:00"]),
    st.sampled_from(["00", "59", "60"]),
    st.sampled_from(["", ".1", ".100000", ".1000009", ".999999999", "."]),
    st.sampled_from(["Z", "z", "+00:00", "-05:30", "+0530", "+23:59", "-23:59", "", "+24:00", "\n"]),
)

scalars = st.one_of(st.none(), st.booleans(), numbers, texts, instants)

values = st.one_of(
    scalars,
    st.lists(scalars | st.dictionaries(st.sampled_from(NAMES), scalars, max_size=2), max_size=2),
    st.dictionaries(st.sampled_from([*NAMES, "0"]), scalars, max_size=3),
)

records = st.dictionaries(st.sampled_from([*NAMES, "a.b", "0"]), values, max_size=4)

odd = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("number", "text", "flag", "at", "inner", "many"), values) | {"at": instants}
)

short = st.sampled_from(["a", "A", "a%", "a_b", "ab", "a*b", "😀", "\ufffd", "é", "\\", "u1"])

CAUSES = [*IDS, IDS[0].upper(), IDS[0].replace("-", ""), "x"]

causes = st.none() | st.sampled_from(CAUSES)

events = st.fixed_dictionaries(
    {
        "type_": st.sampled_from(["note.created", "note.deleted", "a.b", "a.b-c"]),
        "data": records,
        "metadata": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {},
                optional={
                    "ai": st.fixed_dictionaries(
                        {"agent": short}, optional={"confidence": st.fixed_dictionaries({"score": st.floats(0, 1)})}
                    ),
                    "sync": st.just({"deviceId": "d", "platform": "cli", "syncedAt": "2024-01-01T00:00:00+05:30"}),
                    "custom": odd,
                },
            ),
        ),
        "causation_id": causes,
    },
    optional={
        "subject_id": short,
        "user_id": short,
        "producer": short,
        "correlation_id": short,
        "source": st.sampled_from(["api", "sync"]),
        "occurred_at": st.just(datetime.fromisoformat("2024-01-01T05:30:00+05:30")),
    },
)

TEXTS = ["type", "subjectId", "userId", "workspaceId", "parentId", "causationId", "correlationId", "producer"]
TEXTS += ["metadata.ai.agent", "metadata.custom.text"]
NUMBERS = ["metadata.ai.confidence.score", "metadata.custom.number"]
INSTANTS = ["createdAt", "timestamp", "occurredAt", "metadata.sync.syncedAt", "metadata.custom.at"]
OBJECTS = ["data", "metadata", "metadata.ai", "metadata.custom", "metadata.custom.many", "metadata.custom.inner"]

LAST = timedelta(days=(datetime.max.replace(tzinfo=UTC) - datetime(1, 1, 1, tzinfo=UTC)).days)
"""The time from the beginning of year 1 to nearly the end of year 9999."""

EQUAL = ["eq", "ne"]
ORDERED = ["gt", "gte", "lt", "lte"]
MATCHED = ["contains", "startsWith", "endsWith", "like"]

asked_instants = st.sampled_from(
    [
        "2024-12-09T01:00:00Z",
        "2024-12-09T01:00:00.000001Z",
        "2024-12-09T06:30:00.000002+05:30",
        "2024-01-01T00:00:00Z",
        "2024-01-01T05:30:00+0530",
        "2024-02-29 00:00:00.1z",
        "2024-02-29T00:00:00.1000001Z",
        "2024-01-01T23:59:59.9999999Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ]
)
asked_ids = st.sampled_from([*IDS, IDS[0].upper(), IDS[0].replace("-", "")])
sources = st.sampled_from(["api", "sync", "system"])
column_texts = st.one_of(
    short, texts, st.sampled_from(CAUSES), st.sampled_from(["note.created", "note.*", "*", "a.b*"])
)
json_fields = st.one_of(
    st.just("data.a"),
    st.sampled_from(NAMES).map("data.{}".format),
    st.tuples(st.sampled_from(NAMES), st.sampled_from([*NAMES, "0"])).map("data.{0[0]}.{0[1]}".format),
    st.sampled_from(NAMES).map("metadata.custom.inner.{}".format),
)
json_values = st.one_of(st.booleans(), numbers, texts, instants)


def _tests(known: Any, operators: list[str], wanted: Any) -> Any:
    """Filters with one field and its condition."""
    return st.one_of(
        st.tuples(known, st.sampled_from(operators), wanted).map(lambda drawn: {drawn[0]: {drawn[1]: drawn[2]}}),
        st.tuples(known, st.booleans()).map(lambda drawn: {drawn[0]: {"isNull": drawn[1]}}),
        st.tuples(known, st.sampled_from(["in", "nin"]), st.lists(wanted, max_size=3)).map(
            lambda drawn: {drawn[0]: {drawn[1]: drawn[2]}}
        ),
        st.tuples(known, wanted | st.none()).map(lambda drawn: {drawn[0]: drawn[1]}),
    )


leaves = st.one_of(
    _tests(st.sampled_from(TEXTS), EQUAL + ORDERED + MATCHED, column_texts),
    _tests(st.sampled_from(NUMBERS), EQUAL + ORDERED, numbers),
    _tests(st.sampled_from(INSTANTS), EQUAL + ORDERED, asked_instants),
    _tests(st.just("seq"), EQUAL + ORDERED, st.integers(-1, 6)),
    _tests(st.just("id"), EQUAL, asked_ids),
    _tests(st.just("source"), EQUAL, sources),
    _tests(st.just("metadata.custom.flag"), EQUAL, st.booleans()),
    st.tuples(st.sampled_from(OBJECTS), st.booleans()).map(lambda drawn: {drawn[0]: {"isNull": drawn[1]}}),
    _tests(json_fields, EQUAL, json_values),
    _tests(json_fields, ORDERED, numbers | texts),
    st.tuples(json_fields, st.sampled_from(MATCHED), texts).map(lambda drawn: {drawn[0]: {drawn[1]: drawn[2]}}),
    st.just({}),
)


def filters_of(leaf: Any) -> Any:
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from(["AND", "OR"]), st.lists(inner, max_size=3)).map(lambda both: {both[0]: both[1]}),
            inner.map(lambda one: {"NOT": one}),
            st.tuples(inner, inner).map(lambda both: {**both[0], **both[1]}),
            st.tuples(st.sampled_from(["parent", "children"]), st.sampled_from(["some", "none"]), inner).map(
                lambda drawn: {drawn[0]: {drawn[1]: drawn[2]}}
            ),
        ),
        max_leaves=5,
    ).filter(lambda raw: _depth(raw) <= 8 and _relations(raw) <= 2)


@st.composite
def cases(draw: Any) -> tuple[list[Any], list[Any]]:
    """Events, and filters, many of which have values close to those of the events."""
    sent = draw(st.lists(events, min_size=1, max_size=6))
    places = [place for one in sent for place in _places(one)]
    leaf = st.one_of(st.sampled_from(places).flatmap(_close), leaves) if places else leaves
    return sent, draw(st.lists(filters_of(leaf), min_size=1, max_size=10))


def _places(sent: Any) -> Iterator[tuple[str, Any]]:
    """Paths of an event with their values, including paths into arrays, where filters find nothing."""
    custom = (sent["metadata"] or {}).get("custom", {})
    for root, record in (("data", sent["data"]), ("metadata.custom.inner", custom.get("inner"))):
        for name, value in record.items() if isinstance(record, dict) else ():
            if "." not in name:
                yield f"{root}.{name}", value
                for below in value if isinstance(value, list) else [value]:
                    if isinstance(below, dict):
                        yield from ((f"{root}.{name}.{inner}", item) for inner, item in below.items())
                if isinstance(value, list):
                    yield from ((f"{root}.{name}.{place}", item) for place, item in enumerate(value))
    yield from (
        (f"metadata.custom.{name}", custom[name]) for name in ("number", "text", "flag", "at") if name in custom
    )


def _close(place: tuple[str, Any]) -> Any:
    field, value = place
    wanted = [value, f"{value}"]
    wanted += [int(value) if isinstance(value, bool) else bool(value)] if isinstance(value, int | float) else []
    if field in {"metadata.custom.number", "metadata.custom.text", "metadata.custom.flag"}:
        kind: Any = {"number": int | float, "text": str, "flag": bool}[field.rsplit(".", 1)[1]]
        wanted = [each for each in wanted if isinstance(each, kind) and isinstance(each, bool) is (kind is bool)]
    elif field == "metadata.custom.at":
        wanted = [value] if _instant(value) and timedelta(0) <= (_instant(value) or timedelta(-1)) < LAST else []
    wanted = [each for each in wanted if isinstance(each, str | int | float)]
    asked = [{"isNull": True}, *({operator: each} for each in wanted for operator in EQUAL)]
    asked += [{operator: wanted} for operator in ("in", "nin")]
    for each in wanted:
        if not isinstance(each, bool):
            asked += [{operator: each} for operator in ORDERED]
        if isinstance(each, str) and not field.endswith("custom.at"):
            asked += [{operator: part} for operator in MATCHED for part in (each, each[1:], each[:-1], f"*{each[1:]}")]
    return st.sampled_from(asked).map(lambda one: {field: one})


def _depth(raw: Any) -> int:
    inner = [raw[name] for name in ("NOT",) if name in raw]
    inner += [item for name in ("AND", "OR") for item in raw.get(name, [])]
    inner += [item for name in ("parent", "children") for item in raw.get(name, {}).values()]
    return 1 + max(map(_depth, inner), default=0)


def _relations(raw: Any) -> int:
    """How deep relations are nested."""
    inner = [raw["NOT"]] if "NOT" in raw else []
    inner += [item for name in ("AND", "OR") for item in raw.get(name, [])]
    related = [item for name in ("parent", "children") for item in raw.get(name, {}).values()]
    return max([*map(_relations, inner), *[1 + _relations(item) for item in related]], default=0)


def _has_relations(raw: Any) -> bool:
    return bool({"parent", "children"} & set(raw)) or any(
        map(_has_relations, [*raw.get("AND", []), *raw.get("OR", []), *([raw["NOT"]] if "NOT" in raw else [])])
    )


@MANY
@given(cases())
def test_sql_and_memory_and_a_naive_reading_agree(logs: Logs, case: tuple[list[Any], list[Any]]) -> None:
    sent, asked = case
    logs.begin()
    ids = [*IDS, None, None]
    logs.append(*(draft(id=ids[place], **members) for place, members in enumerate(sent)))
    shown = [_mapped(one) for one in logs.shown()]

    for raw in asked:
        naive = [one["seq"] for one in shown if _holds(_mapped(raw), one, shown, logs.workspace)]
        event(f"matches {'none' if not naive else 'all' if len(naive) == len(shown) else 'some'}")

        assert logs.by_sql(raw, ODD_FIELDS) == naive
        if not _has_relations(raw):
            assert logs.by_matches(raw, ODD_FIELDS) == naive


def _mapped(value: Any) -> Any:
    """A value with every U+0000 replaced by U+FFFD."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_mapped(item) for item in value]
    if isinstance(value, dict):
        return {_mapped(name): _mapped(item) for name, item in value.items()}
    return value


def _holds(raw: Any, one: Any, log: list[Any], workspace: str) -> bool:
    def holds(inner: Any, other: Any = one) -> bool:
        return _holds(inner, other, log, workspace)

    def member(name: str, asked: Any) -> bool:
        if name == "AND":
            return all(map(holds, asked))
        if name == "OR":
            return any(map(holds, asked))
        if name == "NOT":
            return not holds(asked)
        if name in {"parent", "children"}:
            near, far = ("causationId", "id") if name == "parent" else ("id", "causationId")
            related = [other for other in log if other.get(far) is not None and other.get(far) == one.get(near)]
            return (
                any(holds(asked["some"], other) for other in related)
                if "some" in asked
                else not any(holds(asked["none"], other) for other in related)
            )
        value = _value(name, one, workspace)
        if not isinstance(asked, dict):
            asked = {"isNull": True} if asked is None else {"eq": asked}
        return all(_fits(name, value, operator, wanted) for operator, wanted in asked.items())

    return all(member(name, asked) for name, asked in raw.items())


def _value(name: str, one: Any, workspace: str) -> Any:
    if name == "workspaceId":
        return workspace
    if name == "producer":
        return one.get("producer", one["source"])
    for part in {"parentId": "causationId", "createdAt": "timestamp"}.get(name, name).split("."):
        one = one.get(part) if isinstance(one, dict) else None
    return one


def _fits(name: str, value: Any, operator: str, wanted: Any) -> bool:
    if operator == "isNull":
        return (value is None) is wanted
    if operator in {"ne", "nin"}:
        return not _fits(name, value, {"ne": "eq", "nin": "in"}[operator], wanted)
    if operator == "in":
        return any(_fits(name, value, "eq", each) for each in wanted)
    if name in INSTANTS:
        return _compares(_instant(value), operator, _instant(wanted))
    return _compares(value, operator, str(UUID(wanted)) if name == "id" else wanted)


def _compares(value: Any, operator: str, wanted: Any) -> bool:
    def is_like(sort: Any) -> bool:
        return all(isinstance(each, sort) and isinstance(each, bool) is (sort is bool) for each in (value, wanted))

    if not any(map(is_like, (bool, int | float, str, timedelta))):
        return False
    if operator == "like":
        return re.fullmatch(".*".join(map(re.escape, wanted.split("*"))), value, re.DOTALL) is not None
    if operator in MATCHED:
        size = len(wanted)
        places = [place for place in range(len(value) - size + 1) if value[place : place + size] == wanted]
        return {"contains": True, "startsWith": 0 in places, "endsWith": len(value) - size in places}[operator] and (
            places != []
        )
    compare = {"eq": python.eq, "gt": python.gt, "gte": python.ge, "lt": python.lt, "lte": python.le}[operator]
    return bool(compare(value, wanted))


def _instant(text: Any) -> timedelta | None:
    """The time since year 1, to the microsecond; None if the text is no instant."""
    if not isinstance(text, str):
        return None
    parts = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))", text, re.ASCII
    )
    if parts is None:
        return None
    year, month, day, hour, minute, second = map(int, parts.group(1, 2, 3, 4, 5, 6))
    try:
        local = datetime(year, month, day, hour, minute, second, int(f"{parts[7] or ''}000000"[:6]), tzinfo=UTC)
    except ValueError:
        return None
    hours, minutes = int(parts[9] or 0), int(parts[10] or 0)
    if hours > 23 or minutes > 59:
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    return local - datetime(1, 1, 1, tzinfo=UTC) - (-offset if parts[8] == "-" else offset)
