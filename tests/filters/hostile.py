"""Filters with texts that have a meaning in SQL, in PostgreSQL or in another parser on the way."""

TEXTS = [
    "'",
    "''",
    '"',
    "\\",
    "%",
    "%s",
    "%(workspace)s",
    "%(f0)s",
    "$1",
    ";",
    "' OR '1'='1",
    "' OR 1=1 --",
    "x') OR true --",
    "') UNION SELECT token_sha256 FROM api_key --",
    "'; DROP TABLE event; --",
    "1; SELECT pg_sleep(20)",
    "$$; SELECT 1; $$",
    "{}",
    "{0}",
    "\0",
    "\ud7ff\uffff",
    "\U0001f600",
    "é" * 300,
    "x" * 20_000,
    "*",
    ".*",
    "(a+)+$",
    "[",
    "null",
    "true",
    "[]",
    "[[]]",
    "[{}]",
    '[{"type":null}]',
    "-1",
    "1e400",
    "9" * 500,
    "NaN",
    "Infinity",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
    "-infinity",
    "now()",
    "00000000-0000-0000-0000-000000000000",
    "{'a':1}",
    "[" * 5000,
    '{"a":' * 1500,
]

FIELDS = ["id", "type", "subjectId", "workspaceId", "seq", "createdAt", "data", "data.a", "metadata.ai.agent", "nosuch"]

OPERATORS = ["eq", "ne", "in", "gt", "lte", "contains", "startsWith", "like", "isNull", "nosuch"]


def filters(number: int) -> list[object]:
    """Filters that have one of the texts in every place."""
    text = TEXTS[number]
    field, operator = FIELDS[number % len(FIELDS)], OPERATORS[number // len(FIELDS) % len(OPERATORS)]
    return [
        {field: text},
        {field: {operator: text}},
        {field: {operator: [text]}},
        {text: "x"},
        {f"data.{text}": text},
        {f"data.a.{text}.b": {"eq": 1}},
        {"NOT": {f"metadata.custom.{text}": {"ne": text}}},
        {"parent": {"some": {"data.x": text}}},
        {"workspaceId": text},
    ]
