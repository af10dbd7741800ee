"""Filters as SQL over rows of the table `event`. `matches.py` does the same in memory; a property test compares them.

The parameter `workspace` names the log.

Every value is a parameter, and so is every path that a caller made up: the names that stand in a statement are those of
registered Structs. No cast here can fail, in whatever order PostgreSQL evaluates: JSON is compared as `jsonb`, which
orders values of every type.
"""

import re
from collections.abc import Callable, Sequence

import msgspec

from app.filters.fields import IDENTIFIER
from app.filters.language import MATCHING, ORDERING
from app.filters.values import INSTANT
from schemas.filter import And, Field, FieldKind, Node, Not, Operator, Or, OrderTerm, Related, Scalar, Test

COLUMNS = {
    "id": "id",
    "type": "type",
    "subjectId": "subject_id",
    "userId": "user_id",
    "workspaceId": "workspace_id",
    "parentId": "causation_id",
    "causationId": "causation_id",
    "correlationId": "correlation_id",
    "source": "source",
    "seq": "seq",
    "createdAt": "recorded_at",
    "timestamp": "recorded_at",
    "occurredAt": "occurred_at",
    "hash": "hash",
    "data": "data",
    "metadata": "metadata",
}
"""Fields that are columns. `producer` is not, because an event without a producer has its source instead."""

TYPES: dict[FieldKind, str] = {
    "text": "text",
    "integer": "bigint",
    "number": "numeric",
    "boolean": "boolean",
    "instant": "timestamptz",
    "uuid": "uuid",
    "hash": "bytea",
}
"""The SQL types of values that are not compared as JSON."""

JSON_TYPES: dict[FieldKind, str] = {"text": "string", "number": "number", "boolean": "boolean", "instant": "string"}
"""The JSON types of values, by the names of `jsonpath`."""

COMPARISONS: dict[Operator, str] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

USUAL_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
"""The text of a UUID as PostgreSQL writes it."""


MAX_READINGS = 8
"""Up to this many tests each read a row's JSON by themselves, so that the planner sees which indexes serve them. For a
JSON of 1 MiB each takes some MiB of the database's memory."""


def condition(node: Node, parameters: dict[str, object], *, alias: str = "event", only_user: str | None = None) -> str:
    """A condition over a row of `event` that is called `alias`; its values are put into `parameters` (`f0`, `f1`, ...).

    It is NULL for some rows that do not match: `IS NOT TRUE` negates it. With `only_user`, relations lead to events of
    that user only.
    """
    return _ConditionWriter(parameters, only_user).of_row(node, alias)


def order_value(term: OrderTerm, *, alias: str = "event") -> str:
    """What an order term compares; NULL if there is nothing to compare. It has no parameters."""
    field = term.field
    if not field.path:
        return _column(field, alias)
    value = _of_type(projection(f"{alias}.{field.name}"), f"'{_jsonpath(field.path, JSON_TYPES[field.kind])}'")
    if field.kind in {"text", "instant"}:
        return _text(value) if field.kind == "text" else _instant(_text(value))
    return f"({value})::{TYPES[field.kind]}"


def order_type(term: OrderTerm) -> str:
    """The SQL type of `order_value`: text, bigint, numeric, boolean, timestamptz or uuid."""
    return TYPES[term.field.kind]


def projection(column: str) -> str:
    """The JSON of a text column as `jsonb`, which cannot hold U+0000: it is U+FFFD there.

    An escaped backslash is set aside, as a character that JSON never has bare: what is left is the escape.
    """
    mapped = rf"replace(replace(replace({column}, '\\', chr(1)), '\u0000', '\ufffd'), chr(1), '\\')"
    return rf"CASE WHEN strpos({column}, '\u0000') = 0 THEN {column}::jsonb ELSE {mapped}::jsonb END"


KINDS = ("ai", "automation", "custom", "import", "sync")
"""The built-in kinds of metadata, in the order of their bits in `kinds`."""


def kinds(column: str = "metadata") -> str:
    """SQL of the built-in kinds that metadata may have (`has_kind`), a bit for each.

    The index of kinds is sorted by it.

    It is written as PostgreSQL prints it.
    """
    bits = [f"({has_kind(kind, column)})::integer * {2**place}" for place, kind in enumerate(KINDS)]
    return f"({' + '.join(bits)})"


def has_kind(kind: str, column: str = "metadata") -> str:
    """A test whether metadata may have a kind, for an index. It is far cheaper than to read JSON.

    It is true for all metadata with the kind, because canonical text has no space after a name. It may also be true for
    other metadata: a free record may have a member of that name.
    """
    return f"strpos({column}, '\"{kind}\":') > 0"


def place_of(at: str, *, before: str = "<") -> str:
    """A scalar: the seq of the first event that is not before a time, or, if `before` is `<=`, that is after it.

    If there is no such event, it is the seq of the next event. Times strictly increase with seq, so this bisects the
    primary key: it reads twenty of a million events.
    """
    return f"""(
        WITH RECURSIVE part AS (
            SELECT 0::bigint AS low, (SELECT seq + 1 FROM event_tip WHERE workspace_id = %(workspace)s) AS high
            UNION ALL
            SELECT CASE WHEN recorded_at {before} {at} THEN seq + 1 ELSE low END,
                CASE WHEN recorded_at {before} {at} THEN high ELSE seq END
            FROM part CROSS JOIN LATERAL (
                SELECT seq, recorded_at FROM event
                WHERE workspace_id = %(workspace)s AND seq >= (low + high) / 2 AND seq <= (low + high) / 2
                ORDER BY seq LIMIT 1
            ) AS middle WHERE low < high
        ) SELECT low FROM part WHERE low = high)"""


class _ConditionWriter:
    """The state while one filter is written."""

    def __init__(self, parameters: dict[str, object], only_user: str | None) -> None:
        self._parameters = parameters
        self._only_user = only_user
        self._values = 0
        self._aliases = 0
        self._read: set[str] = set()
        """Rows whose JSON is read once, in a subquery beside them."""

    def of_row(self, node: Node, alias: str) -> str:
        """The condition for a row called `alias`. If it has many tests of the row's JSON, the JSON is read once."""
        if _tests_of_json(node) <= MAX_READINGS:
            return self.condition(node, alias)
        self._read.add(alias)
        data, metadata = projection(f"{alias}.data"), projection(f"{alias}.metadata")
        # OFFSET keeps PostgreSQL from putting the expressions into the condition, as often as they are named there.
        read = f"(SELECT {data} AS data, {metadata} AS metadata OFFSET 0) AS {alias}_json"
        return f"(SELECT {self.condition(node, alias)} FROM {read})"

    def condition(self, node: Node, alias: str) -> str:
        """The condition for a row called `alias`."""
        match node:
            case And(nodes):
                return " AND ".join([f"({self.condition(each, alias)})" for each in nodes]) or "true"
            case Or(nodes):
                return " OR ".join([f"({self.condition(each, alias)})" for each in nodes]) or "false"
            case Not(inner):
                return f"({self.condition(inner, alias)}) IS NOT TRUE"
            case Related():
                return self._related(node, alias)
            case Test(field):
                return self._member(node, alias) if field.path else self._column(node, alias)

    def _related(self, node: Related, alias: str) -> str:
        self._aliases += 1
        other = f"related{self._aliases}"
        conditions = [f"{other}.workspace_id = {alias}.workspace_id"]
        cause, effect = (alias, other) if node.relation == "children" else (other, alias)
        # Both say the same, so that the planner may begin with either.
        conditions.append(f"{effect}.causation_id = {cause}.id::text")
        named = f"{effect}.causation_id"
        conditions.append(f"{cause}.id = CASE WHEN {named} ~ '{USUAL_UUID}' THEN {named}::uuid END")
        if self._only_user is not None:
            conditions.append(f"{other}.user_id = {self._value(self._only_user)}::text")
        conditions.append(f"({self.of_row(node.node, other)})")
        exists = f"EXISTS (SELECT FROM event AS {other} WHERE {' AND '.join(conditions)})"
        return exists if node.quantifier == "some" else f"NOT {exists}"

    def _column(self, test: Test, alias: str) -> str:
        column = _column(test.field, alias)
        if test.operator == "isNull":
            return f"{column} IS {'' if test.value else 'NOT '}NULL"
        if test.operator in MATCHING:
            return f"{column} LIKE {self._value(_pattern(test))}::text"
        if column.endswith(".recorded_at"):
            return self._recorded(test, alias)
        return self._compared(column, test, _hash if test.field.kind == "hash" else _bound, TYPES[test.field.kind])

    def _recorded(self, test: Test, alias: str) -> str:
        """A condition on the time of an event, written as one on its seq."""
        values = test.value if isinstance(test.value, tuple) else (test.value,)
        times = [f"{self._value(_bound(value))}::timestamptz" for value in values]
        match test.operator:
            case "gte" | "lt":
                return f"{alias}.seq {'<' if test.operator == 'lt' else '>='} {place_of(times[0])}"
            case "gt" | "lte":
                return f"{alias}.seq {'<' if test.operator == 'lte' else '>='} {place_of(times[0], before='<=')}"
        each = [f"{alias}.seq >= {place_of(at)} AND {alias}.seq < {place_of(at, before='<=')}" for at in times]
        found = " OR ".join([f"({one})" for one in each]) or "false"
        return f"({found})" if test.operator in {"eq", "in"} else f"NOT ({found})"

    def _member(self, test: Test, alias: str) -> str:
        written = self._in_json(test, alias)
        is_there = test.operator not in {"ne", "nin"} and (test.operator != "isNull" or test.value is False)
        kind = test.field.path[0]
        if test.field.name == "metadata" and is_there and IDENTIFIER.fullmatch(kind):  # for the index of kinds
            return f"{may_have(kind, f'{alias}.metadata')} AND {written}"
        return written

    def _in_json(self, test: Test, alias: str) -> str:
        field, operator = test.field, test.operator
        if operator == "isNull":
            value = self._json(field, alias)
            if test.value:
                return f"coalesce({value}, 'null') = 'null'::jsonb"
            is_there = f"{value} <> 'null'::jsonb"
            return f"({begins} OR {is_there})" if (begins := _begins_with(field, alias)) else is_there
        if field.kind == "instant":
            return self._compared(_instant(self._text(field, alias)), test, _bound, "timestamptz")
        if operator in MATCHING:
            return f"{self._text(field, alias)} LIKE {self._value(_pattern(test))}::text"
        if operator in ORDERING and isinstance(test.value, str):
            return self._compared(self._text(field, alias), test, _bound, "text")
        value = self._of_type(field, alias, "number") if operator in ORDERING else self._json(field, alias)
        return self._compared(value, test, _json_text, "jsonb")

    def _compared(self, value: str, test: Test, bound: Callable[[Scalar], object], type_: str) -> str:
        if isinstance(test.value, tuple):
            found = f"{value} = ANY({self._value([bound(each) for each in test.value])}::{type_}[])"
            return found if test.operator == "in" else f"({found}) IS NOT TRUE"
        wanted = f"{self._value(bound(test.value))}::{type_}"
        if test.operator == "ne":
            return f"{value} IS DISTINCT FROM {wanted}"
        return f"{value} {COMPARISONS.get(test.operator, '=')} {wanted}"

    def _json(self, field: Field, alias: str) -> str:
        """A member as JSON; NULL if it is missing. A typed member may have an index over this expression."""
        if _is_ours(field):
            members = "".join([f" -> '{name}'" for name in field.path])
            return f"({self._document(field, alias)}{members})"
        return _of_type(self._document(field, alias), f"{self._value(_jsonpath(field.path))}::jsonpath")

    def _of_type(self, field: Field, alias: str, type_: str) -> str:
        """A member as JSON if it has the type; otherwise NULL."""
        path = _jsonpath(field.path, type_)
        jsonpath = f"'{path}'" if _is_ours(field) else f"{self._value(path)}::jsonpath"
        return _of_type(self._document(field, alias), jsonpath)

    def _document(self, field: Field, alias: str) -> str:
        """The whole `data` or `metadata` as JSON."""
        return f"{alias}_json.{field.name}" if alias in self._read else projection(f"{alias}.{field.name}")

    def _text(self, field: Field, alias: str) -> str:
        return _text(self._of_type(field, alias, "string"))

    def _value(self, value: object) -> str:
        while (name := f"f{self._values}") in self._parameters:
            self._values += 1
        self._parameters[name] = value
        return f"%({name})s"


def may_have(kind: str, column: str) -> str:
    """The same as `has_kind`, so that the planner recognises each index that serves it."""
    if kind not in KINDS:
        return has_kind(kind, column)
    sets = [str(bits) for bits in range(2 ** len(KINDS)) if bits & 2 ** KINDS.index(kind)]
    return f"{has_kind(kind, column)} AND {kinds(column)} = ANY('{{{','.join(sets)}}}'::int[])"


def _tests_of_json(node: Node) -> int:
    """How many tests of a row's own JSON there are. Tests of the rows to which relations lead do not count."""
    match node:
        case And(nodes) | Or(nodes):
            return sum(map(_tests_of_json, nodes))
        case Not(inner):
            return _tests_of_json(inner)
        case Test(field):
            return 1 if field.path else 0
        case Related():
            return 0


def _column(field: Field, alias: str) -> str:
    if field.name == "producer":
        return f"coalesce({alias}.producer, {alias}.source)"
    return f"{alias}.{COLUMNS[field.name]}"


def _begins_with(field: Field, alias: str) -> str | None:
    """A test whether a kind is the first one in metadata, which reads no JSON; None if the field is no kind.

    Most metadata has one kind.
    """
    kind = field.path[0]
    if field.name != "metadata" or len(field.path) > 1 or not IDENTIFIER.fullmatch(kind):
        return None
    return f"starts_with({alias}.metadata, '{{\"{kind}\":{{')"


def _is_ours(field: Field) -> bool:
    """Whether a path is made of names of registered Structs, and of no characters that mean something in SQL."""
    return field.name == "metadata" and field.kind != "json" and all(map(IDENTIFIER.fullmatch, field.path))


def _jsonpath(path: Sequence[str], type_: str | None = None) -> str:
    """A jsonpath to one member of an object, if it has a type. It is strict, so it does not look into arrays."""
    members = "".join([f".{msgspec.json.encode(name).decode()}" for name in path])
    return f"strict ${members}" + (f' ? (@.type() == "{type_}")' if type_ else "")


def _of_type(document: str, jsonpath: str) -> str:
    return f"jsonb_path_query_first({document}, {jsonpath}, '{{}}', true)"


def _text(value: str) -> str:
    """The text of a JSON string."""
    return f"({value} #>> '{{}}') COLLATE \"C\""


def _instant(text: str) -> str:
    """The instant that a text names. NULL if it names none."""
    return (
        "(SELECT (part[1] || ' ' || part[2] || coalesce(part[3], ''))::timestamp AT TIME ZONE 'UTC'"
        " - coalesce(part[4] || part[5] || ':' || part[6], '00:00')::interval"
        f" FROM regexp_match({text}, '{INSTANT}') AS read (part))"
    )


def _pattern(test: Test) -> str:
    """The pattern of LIKE for an operator's text."""
    text = re.sub(r"([\\%_])", r"\\\1", str(test.value))
    if test.operator == "like":
        return text.replace("*", "%")
    return f"{'' if test.operator == 'startsWith' else '%'}{text}{'' if test.operator == 'endsWith' else '%'}"


def _json_text(value: Scalar) -> str:
    return msgspec.json.encode(value).decode()


def _bound(value: Scalar) -> object:
    """A value as it is sent. Numbers go as text, because numbers of another size would be another statement."""
    return str(value) if isinstance(value, int) else value


def _hash(value: Scalar) -> bytes:
    return bytes.fromhex(str(value).removeprefix("sha256:"))
