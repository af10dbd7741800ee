"""Which forms of statements a distributed database (Citus) refuses, found in the text of a statement.

PostgreSQL itself accepts all of them. `docs/decisions/0028-beyond-one-machine.md` has the reasons.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from app.store.install.distribution import tables

REFERENCES, DISTRIBUTED = (set(names) for names in tables())

VOLATILE = r"\b(clock_timestamp|random|gen_random_uuid|audit_append)\s*\("

UNSTABLE = rf"{VOLATILE}|\b(now|to_char|to_json|to_jsonb|concat|current_setting)\s*\("
"""Functions whose result may change from one statement to the next, or with a setting."""

MODIFYING = re.compile(r"(?<!FOR )(?<!DO )(?<!KEY )\b(UPDATE|DELETE FROM|INSERT INTO)\b")
LOCKING = re.compile(r"\bFOR (NO KEY UPDATE|UPDATE|SHARE|KEY SHARE)\b")
AUDITING = re.compile(r"SELECT audit_append\((%\(\w+\)s(::\w+(\[\])?)?(, )?)+\)")
OF_WORKSPACE = re.compile(
    r"workspace_id (=|>=) (%\(\w+\)s|'_node')|= ANY\(%\(workspaces\)s|\bINSERT INTO \w+( AS \w+)? \(workspace_id"
)
"""What limits a statement to one workspace, or to the workspaces of one node."""


def plain(sql: str) -> str:
    """A statement on one line, without what its texts say."""
    return re.sub(r"\s+", " ", re.sub(r"'(?!_node')[^']*'", "''", sql)).strip()


def refused(sql: str) -> list[str]:
    """The names of the forms that a statement has, and a distributed database refuses."""
    text = plain(sql)
    return [name for name, has in FORMS.items() if has(text)]


def spans_workspaces(sql: str) -> bool:
    """Whether a statement reads or changes rows of workspaces, and not only of one."""
    text = plain(sql)
    named = set(re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO|USING) (\w+)", text))
    return bool(named & DISTRIBUTED) and OF_WORKSPACE.search(text) is None


def _inside(text: str, start: int) -> str:
    """The text from a place to the end of the parentheses around it."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth < 0:
            return text[start:place]
    return text[start:]


def _clause(body: str, word: str, *ends: str) -> str:
    """A clause of a statement: from a word to one of the words that may follow, none of them in parentheses."""
    flat = re.sub(r"\w", "x", body)
    depth = 0
    outside = []
    for sign, kept in zip(body, flat, strict=True):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        outside.append(sign if depth == 0 else kept.replace(" ", "x"))
    found = re.search(rf"\b{word}\b(.*?)(\b({'|'.join(ends)})\b|$)" if ends else rf"\b{word}\b(.*)$", "".join(outside))
    return body[found.start(1) : found.end(1)] if found else ""


def _changes(text: str) -> Iterator[str]:
    """Each INSERT, UPDATE and DELETE, also those in a WITH clause."""
    for found in MODIFYING.finditer(text):
        yield _inside(text, found.start())


def _assigned(body: str) -> str:
    """What an UPDATE assigns, or an INSERT of values stores."""
    if body.startswith("INSERT"):
        return _clause(body, "SET", "WHERE", "RETURNING")
    return _clause(body, "SET", "FROM", "WHERE", "RETURNING")


def _in_changes(pattern: str, part: Callable[[str], str]) -> Callable[[str], bool]:
    return lambda text: any(re.search(pattern, part(body)) for body in _changes(text))


def _selects_constants(text: str) -> bool:
    for body in _changes(text):
        selected = re.match(r"INSERT INTO \w+( AS \w+)? \([^()]*\) (SELECT .*)", body)
        if selected and not _clause(selected[2], "FROM") and not _clause(selected[2], "WHERE"):
            return True
    return False


def _locks_several_shards(text: str) -> bool:
    for found in LOCKING.finditer(text):
        start = text.rfind("SELECT", 0, found.start())
        locked = text[start : found.start()]
        named = re.search(r"\bFROM (\w+)", locked)
        if named and named[1] in DISTRIBUTED and "workspace_id = %(" not in locked:
            return True
    return False


def _correlates_with_reference(text: str) -> bool:
    names = "|".join(REFERENCES)
    outer = set(re.findall(rf"\bFROM ({names})\b", text))
    return any(re.search(rf"\( ?SELECT [^()]*= {name}\.\w+", text) for name in outer)


def _recurses_over_all(text: str) -> bool:
    return bool(re.search(r"\bWITH RECURSIVE\b", text)) and not re.search(r"workspace_id = %\(workspace\)s", text)


FORMS: Mapping[str, Callable[[str], bool]] = {
    "columns after the name of a WITH clause": lambda text: bool(
        re.search(r"(\bWITH( RECURSIVE)?|\),) \w+ ?\([\w, ]+\) AS ((NOT )?MATERIALIZED )?\(", text)
    ),
    "an audit entry within another statement": lambda text: "audit_append" in text and AUDITING.fullmatch(text) is None,
    "a function in RETURNING": _in_changes(UNSTABLE, lambda body: _clause(body, "RETURNING")),
    "an INSERT that selects constants": _selects_constants,
    "a time that is computed from a column in SET": _in_changes(r"now\(\) [-+] make_interval\(\w+ => (?!%)", _assigned),
    "a function in CASE or COALESCE in SET": _in_changes(rf"(CASE|coalesce\()((?!\bEND\b).)*?({UNSTABLE})", _assigned),
    "a volatile function in UPDATE or DELETE": lambda text: any(
        re.search(VOLATILE, body) for body in _changes(text) if not body.startswith("INSERT")
    ),
    "rows of several shards locked": _locks_several_shards,
    "a subquery that depends on a reference table": _correlates_with_reference,
    "a subquery without columns over all workspaces": lambda text: (
        spans_workspaces(text) and bool(re.search(r"\( ?SELECT FROM", text))
    ),
    "a recursion over all workspaces": lambda text: spans_workspaces(text) and _recurses_over_all(text),
    "a UNION in a lateral subquery": lambda text: bool(re.search(r"\bLATERAL \(SELECT\b[^()]*\bUNION\b", text)),
    "a row that is stored in a WITH clause": lambda text: bool(re.search(r"\( ?INSERT INTO", text)),
    "another role": lambda text: bool(re.match(r"SET (LOCAL )?ROLE\b", text)),
}
"""Each form by its name, and how it is found in the text of a statement."""
