"""How TypeScript spells what both of its printers write."""

import json
from collections.abc import Iterable
from inspect import cleandoc


def literals(values: Iterable[object]) -> str:
    """A union of texts and numbers."""
    return " | ".join(json.dumps(value) for value in values)


def alternatives(texts: Iterable[str]) -> str:
    """A union, one member per line."""
    return "".join(f"\n  | {text}" for text in texts)


def key(name: str) -> str:
    """The name of a member."""
    return name if name.isidentifier() else json.dumps(name)


def comment(text: str | None, indent: str = "") -> str:
    """A doc comment with a line break at its end, or nothing if there is no text. The text cannot end it early."""
    lines = cleandoc(text or "").replace("*/", "*\\/").splitlines()
    if len(lines) < 2:
        return f"{indent}/** {lines[0]} */\n" if lines else ""
    return "".join([f"{indent}/**\n", *(f"{indent} * {line}".rstrip() + "\n" for line in lines), f"{indent} */\n"])
