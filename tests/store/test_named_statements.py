"""Every statement of the store has a unique name, and a sentence that says what it does."""

import ast
import re
from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from tests.kit.paths import ROOT

STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|SET|LOCK|GRANT|REVOKE|CREATE|ALTER)\s")


class Named(Struct, frozen=True):
    """A statement in a constant."""

    place: str
    name: str
    has_sentence: bool


def _text(value: ast.expr | None) -> str:
    """The beginning of a text, without the parts that are inserted into it."""
    if isinstance(value, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else " " for part in value.values)
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _named() -> Iterator[Named]:
    """Yield the named statements, without those of migrations, whose docstrings say what they do."""
    for path in [*(ROOT / "app" / "store").rglob("*.py"), ROOT / "app" / "filters" / "sql.py"]:
        if path.parent.name == "versions":
            continue
        body = ast.parse(path.read_text()).body
        for node, following in zip(body, [*body[1:], None], strict=True):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _is_statement(node.value):
                has_sentence = isinstance(following, ast.Expr) and bool(_text(following.value))
                yield Named(path.name, node.targets[0].id, has_sentence)


def _is_statement(value: ast.expr) -> bool:
    return STATEMENT.match(_text(value)) is not None


def test_every_statement_has_a_sentence() -> None:
    named = list(_named())

    assert len(named) > 100
    assert [f"{each.place}: {each.name}" for each in named if not each.has_sentence] == []


def test_no_two_statements_have_one_name() -> None:
    counted = Counter(each.name for each in _named())

    assert [name for name, count in counted.items() if count > 1] == []
