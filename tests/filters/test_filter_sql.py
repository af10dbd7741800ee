"""Filters in the database: each operator, each field, hostile values, relations, and the use of indexes."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from app.filters.order import parse_order
from app.filters.parse import parse_filter
from app.filters.sql import MAX_READINGS, condition, order_type, order_value
from tests.filters.logs import FIELDS, ODD_FIELDS, Logs
from tests.store.opened import draft

HOSTILE = [
    "'",
    '"',
    "''; DROP TABLE event; --",
    "' OR '1'='1",
    "%",
    "%s",
    "%(f0)s",
    "%(workspace)s",
    "%%",
    "$1",
    "$$",
    "{}",
    "{alias}",
    "\\",
    "\\'",
    "\\\\",
    "\\u0000",
    "\0",
    "_",
    "--",
    "/* */",
    "*/",
    "*",
    "$",
    "@",
    "$.a ? (@ > 1)",
    '" ? (true) "',
    "null",
    "😀",
    "\u2028",
    "\x01",
    "\x7f",
    "\ufeff",
    "0",
    "-1",
    " ",
    "",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_texts_are_values_and_names_like_others(logs: Logs, text: str) -> None:
    name = text.replace(".", "")
    plain = text.replace("\0", "") or "x"
    logs.append(
        draft(data={name: text, "x": f"a{text}b"}, metadata={"custom": {name: text}}, subject_id=plain),
        draft(data={"other": "other"}, subject_id="other"),
    )

    for path in (f"data.{name}", f"metadata.custom.{name}"):
        assert logs.matching({path: text}) == [0]
        assert logs.matching({path: {"in": [text, "no"]}}) == [0]
        assert logs.matching({path: {"ne": text}}) == [1]
        assert logs.matching({path: {"gte": text}}) == [0]
        assert logs.matching({path: {"isNull": True}}) == [1]
    for operator in ("contains", "startsWith", "endsWith", "like"):
        assert logs.matching({f"data.{name}": {operator: text}}) == [0]
    assert logs.matching({"data.x": {"contains": text}}) == [0]
    assert logs.matching({"data.x": {"like": f"a{text}*"}}) == [0]
    assert logs.matching({"subjectId": plain}) == [0]
    assert logs.matching({"subjectId": {"contains": plain}}) == [0]
    assert logs.matching({"type": text}) == []


def test_no_text_of_a_caller_is_in_the_statement() -> None:
    for text in filter(None, HOSTILE):
        asked = {
            f"data.zz{text}": f"yy{text}",
            "subjectId": {"like": f"xx{text}"},
            f"metadata.custom.ww{text}": {"gt": 1},
        }
        sql = condition(parse_filter(asked, "filter", FIELDS), {})
        assert not re.search("zz|yy|xx|ww", sql)


@pytest.mark.parametrize(
    ("raw", "seqs"),
    [
        ({"data.x": 1}, [0, 1]),
        ({"data.x": "1"}, [2]),
        ({"data.x": True}, [3]),
        ({"data.x": {"ne": 1}}, [2, 3, 4, 5, 6, 7]),
        ({"data.x": {"nin": [1, "1"]}}, [3, 4, 5, 6, 7]),
        ({"data.x": {"isNull": True}}, [4, 7]),
        ({"data.x": {"isNull": False}}, [0, 1, 2, 3, 5, 6]),
        ({"data.x": None}, [4, 7]),
        ({"data.x": {"gte": 0}}, [0, 1]),
        ({"data.x": {"gte": ""}}, [2]),
        ({"NOT": {"data.x": {"gte": 0}}}, [2, 3, 4, 5, 6, 7]),
        ({"NOT": {"NOT": {"data.x": {"gte": 0}}}}, [0, 1]),
        ({"data.x": {"contains": ""}}, [2]),
        ({"data.x": {"in": []}}, []),
        ({"data.x": {"nin": []}}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"data.x.0": {"isNull": False}}, []),
        ({"data.x.y": 2}, [6]),
        ({"data": {"isNull": False}}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"metadata": {"isNull": False}}, [1]),
        ({"metadata.review": {"isNull": True}}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"AND": []}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"OR": []}, []),
        ({"NOT": {}}, []),
        ({"OR": [{"seq": 0}, {"seq": {"gt": 6}}]}, [0, 7]),
        ({"workspaceId": "another"}, []),
        ({"workspaceId": {"ne": "another"}}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"occurredAt": {"lt": "2024-01-01T06:00:00+05:30"}}, [1]),
        ({"producer": "api"}, [0, 2, 3, 4, 5, 6, 7]),
        ({"metadata.ai.confidence.score": {"gt": 0.25}}, [1]),
        ({"metadata.import.importedAt": {"gte": "2024-01-01T00:00:00Z"}}, [1]),
        ({"metadata.import.importedAt": "2023-12-31T23:00:00.1234569-01:00"}, [1]),
        ({"metadata.import.importedAt": {"in": ["2024-01-01T00:00:00.1234567Z"]}}, [1]),
    ],
)
def test_what_filters_mean(logs: Logs, raw: object, seqs: list[int]) -> None:
    values = [
        b'{"x":1}',
        b'{"x":1.0}',
        b'{"x":"1"}',
        b'{"x":true}',
        b'{"x":null}',
        b'{"x":[{"y":2}]}',
        b'{"x":{"y":2}}',
    ]
    metadata = {
        "ai": {"agent": "a", "confidence": {"score": 0.5}},
        "import": {"source": "csv", "importedAt": "2024-01-01T05:30:00.1234567+05:30"},
    }
    more: dict[str, Any] = {
        "metadata": metadata,
        "producer": "p",
        "occurred_at": datetime.fromisoformat("2024-01-01T00:00:00+00:00"),
    }
    logs.append(*(draft(data=data, **(more if place == 1 else {})) for place, data in enumerate([*values, b"{}"])))

    assert logs.matching(raw) == seqs
    assert logs.matching({"AND": [raw] * (MAX_READINGS + 1)}) == seqs  # so many that the row is parsed only once


def test_a_row_of_which_much_is_asked_is_read_once() -> None:
    def readings(tests: int) -> int:
        asked = {"OR": [{f"data.x{place}": {"contains": "x"}} for place in range(tests)]}
        return condition(parse_filter(asked, "filter", FIELDS), {}).count("replace(event.data")

    assert readings(MAX_READINGS) == MAX_READINGS
    assert readings(MAX_READINGS + 1) == readings(99) == 1


def test_text_is_ordered_by_code_point_and_pattern_characters_mean_themselves(logs: Logs) -> None:
    texts = ["Z", "a", "é", "\uffff", "😀", "a%b", "a_b", "a\\b", "axb"]
    logs.append(*(draft(data={"x": text}, subject_id=text) for text in texts))

    for field in ("data.x", "subjectId"):
        assert logs.matching({field: {"gt": "\uffff"}}) == [4]
        assert logs.matching({field: {"lt": "a"}}) == [0]
        assert logs.matching({field: {"like": "a%b"}}) == [5]
        assert logs.matching({field: {"like": "a_b"}}) == [6]
        assert logs.matching({field: {"like": "a\\b"}}) == [7]
        assert logs.matching({field: {"like": "a*b"}}) == [5, 6, 7, 8]
        assert logs.matching({field: {"like": "*"}}) == list(range(9))
        assert logs.matching({field: {"startsWith": "a", "endsWith": "b", "contains": "%"}}) == [5]


def test_ids_and_hashes_are_found(logs: Logs) -> None:
    logs.append(draft(), draft(), draft())
    [_, one, _] = logs.shown()

    assert logs.matching({"id": one["id"].upper()}) == [1]
    assert logs.matching({"id": {"nin": [one["id"]]}}) == [0, 2]
    assert logs.matching({"hash": one["hash"]}) == [1]
    assert logs.matching({"hash": {"in": [one["hash"]]}}) == [1]
    assert logs.matching({"createdAt": {"gte": one["timestamp"]}}) == [1, 2]


def test_a_value_of_another_type_than_declared_is_no_match(logs: Logs) -> None:
    stands = [1, "1", True, None, [], {}, "2023-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "0001-01-01T00:00:00+23:59"]
    names = ("number", "text", "flag", "at")
    logs.append(*(draft(metadata={"custom": dict.fromkeys(names, value)}) for value in stands))

    assert logs.matching({"metadata.custom.number": {"lt": 9}}, ODD_FIELDS) == [0]
    assert logs.matching({"metadata.custom.text": {"lt": "2"}}, ODD_FIELDS) == [1, 8]
    assert logs.matching({"metadata.custom.flag": {"ne": False}}, ODD_FIELDS) == list(range(9))
    assert logs.matching({"metadata.custom.at": {"gt": "2000-01-01T00:00:00Z"}}, ODD_FIELDS) == [7]
    assert logs.matching({"metadata.custom.at": {"lte": "0001-01-01T00:00:00Z"}}, ODD_FIELDS) == [8]


def test_relations_stay_in_the_workspace_and_with_the_user(logs: Logs) -> None:
    def events() -> list[Any]:
        cause, effect = (f"00000000-0000-7000-8000-00000000000{digit}" for digit in "1a")
        return [
            draft("a.cause", id=cause, user_id="u1"),
            draft("a.effect", id=effect, causation_id=cause, user_id="u2"),
            draft("a.other", causation_id=effect.upper(), user_id="u1"),
            draft("a.other", causation_id="no id", user_id="u1"),
            draft("a.last", causation_id=effect, user_id="u1"),
        ]

    logs.append(*events()[1:])  # an effect whose cause exists only in another workspace's log
    assert logs.by_sql({"parent": {"some": {}}}) == [3]
    logs.begin()
    logs.append(*events())

    assert logs.by_sql({"parent": {"some": {}}}) == [1, 4]
    assert logs.by_sql({"parent": {"none": {}}}) == [0, 2, 3]
    assert logs.by_sql({"parent": {"some": {"type": "a.cause"}}}) == [1]
    assert logs.by_sql({"children": {"some": {}}}) == [0, 1]
    assert logs.by_sql({"children": {"some": {"children": {"some": {"type": "a.last"}}}}}) == [0]
    assert logs.by_sql({"children": {"none": {"type": "a.effect"}}}) == [1, 2, 3, 4]
    assert logs.by_sql({"children": {"some": {}, "none": {"type": "a.last"}}}) == [0]
    much = {"AND": [{"data.x": None}, *[{"metadata": None}] * 3, *[{"data.y": {"ne": 1}}] * (MAX_READINGS + 1)]}
    assert logs.by_sql({"children": {"some": much}}) == [0, 1]
    assert logs.by_sql({"AND": [much, {"children": {"some": much}}]}) == [0, 1]
    assert logs.by_sql({"children": {"some": {}}}, only_user="u1") == [1]
    assert logs.by_sql({"parent": {"some": {}}}, only_user="u1") == [1]


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "note.t7"},
        {"type": {"in": ["note.t7", "note.t8"]}},
        {"type": {"startsWith": "note.t7"}},
        {"source": "sync"},
        {"producer": "p7"},
        {"userId": "u7"},
        {"subjectId": "s7"},
        {"correlationId": "c7"},
        {"parentId": "c7"},
        {"id": "00000000-0000-7000-8000-000000000001"},
        {"hash": f"sha256:{'0' * 64}"},
        {"createdAt": {"gte": "2034-01-01T00:00:00Z"}},
        {"seq": {"gt": 1990}},
        {"metadata.ai": {"isNull": False}},
        {"metadata.ai.agent": "a7"},
        {"children": {"some": {"seq": 1507}}},
        {"parent": {"some": {"seq": 1507}}},
    ],
    ids=str,
)
def test_an_index_serves(open_logs: Logs, raw: dict[str, object]) -> None:
    if open_logs.workspace != "seeded":
        open_logs.seed("seeded", 2000)
    parameters: dict[str, object] = {"workspace": "seeded"}
    matches = condition(parse_filter(raw, "filter", FIELDS), parameters)
    sql = f"EXPLAIN (FORMAT JSON) SELECT * FROM event WHERE workspace_id = %(workspace)s AND ({matches})"

    [[[explained]]] = open_logs.store.run(open_logs.store.database.rows_alone(sql, parameters))

    for scan in _scans(explained["Plan"]):
        if scan["Node Type"] in {"CTE Scan", "WorkTable Scan"}:  # they are part of the search for a time
            continue
        assert scan["Node Type"] in {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}, scan
        # The indexes of events with a metadata kind have no condition except the workspace.
        assert " AND " in scan["Index Cond"] or scan["Index Name"] in {"event_tip_pkey", "event_agent_ix"}, scan


def _scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan that read a table or an index."""
    if node["Node Type"].endswith("Scan") and node["Node Type"] != "Bitmap Heap Scan":
        yield node
    for inner in node.get("Plans", []):
        yield from _scans(inner)


@pytest.mark.parametrize(
    ("field", "kind", "values"),
    [
        ("seq", "bigint", [0, 1, 2, 3]),
        ("type", "text", ["note.created"] * 4),
        ("producer", "text", ["api", "p", "api", "api"]),
        ("subjectId", "text", [None, "s", None, None]),
        ("metadata.custom.number", "numeric", ["1.5", f"1{'0' * 21}", None, None]),
        ("metadata.custom.text", "text", ["\ufffd", "😀", None, None]),
        ("metadata.custom.flag", "boolean", [True, False, None, None]),
        (
            "metadata.custom.at",
            "timestamptz",
            ["2024-01-01 00:00:00+00:00", "9999-12-31 23:59:59.999999+00:00", None, None],
        ),
    ],
)
def test_what_an_order_compares(logs: Logs, field: str, kind: str, values: list[object]) -> None:
    first = {"number": 1.5, "text": "\0", "flag": True, "at": "2024-01-01T05:30:00+05:30"}
    second = {"number": 1e21, "text": "😀", "flag": False, "at": "9999-12-31T23:59:59.9999999Z"}
    logs.append(
        draft(metadata={"custom": first}),
        draft(metadata={"custom": second}, producer="p", subject_id="s"),
        draft(metadata={"custom": {name: [] for name in first}}),
        draft(),
    )
    [term] = parse_order([{field: "asc"}], "orderBy", ODD_FIELDS)

    value = order_value(term)
    sql = f"SELECT {value}, pg_typeof({value})::text FROM event WHERE workspace_id = %(workspace)s ORDER BY seq"
    rows = logs.store.run(logs.store.database.rows_alone(sql, {"workspace": logs.workspace}))

    assert order_type(term) == kind
    assert [value if value is None or isinstance(value, int) else str(value) for value, _ in rows] == values
    assert {{"timestamp with time zone": "timestamptz"}.get(row[1], row[1]) for row in rows} == {kind}


def test_the_largest_filters_are_carried_out(logs: Logs) -> None:
    logs.append(draft(data={"x": 1}), draft())
    related: dict[str, Any] = {"seq": 0}
    for relation in ("parent", "children"):
        related = {"OR": [{relation: {"none": related}} for _ in range(6)]}
    long = "data" + ".member" * 64
    instants = {"metadata.import.importedAt": {"gt": "2024-01-01T00:00:00Z"}}

    assert logs.by_sql(related) == [0, 1]
    assert logs.matching({"OR": [{long: {"like": "*a" * 80}} for _ in range(98)] + [{"data.x": 1}]}) == [0]
    assert logs.matching({"AND": [{f"data.x{place}": {"nin": ["😀" * 128]}} for place in range(99)]}) == [0, 1]
    assert logs.matching({"OR": [instants] * 99}) == []
