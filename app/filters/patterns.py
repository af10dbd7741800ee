"""Regular expressions as schemas write them: what ECMA-262, RE2 and the grammars of language models all read alike.

Python reads more. A lookahead or lookbehind is left out, which only makes an expression looser; one that needs
anything else of Python's is not written at all. The server goes on checking the whole expression.
"""

import re

MAX_REPEATS = 1000
"""How often RE2 repeats a part at most."""

_ITEM = r"\\[dDsSwWnrtfv]|\\x[0-9A-Fa-f]{2}|\\[\\\]\[^/.*+?(){}|$-]|[^\\\[\]&~-]"
_TOKEN = re.compile(
    r"(?P<assertion>\(\?<?[=!])"
    r"|(?P<group>\((?:\?:|\?P<\w+>|(?!\?)))"
    r"|(?P<end>\))"
    r"|(?P<edge>\\[AZ])"
    r"|(?P<repeat>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??(?![*+?]))"
    rf"|(?P<set>\[\^?-?(?:(?:{_ITEM})(?:-(?:{_ITEM}))?)*-?\])"
    r"|(?P<plain>\\[dDsSwWnrtfv]|\\x[0-9A-Fa-f]{2}|\\[\\^$.*+?()\[\]{}|/]|[^\\*+?()\[\]{}])"
    r"|\\(?P<literal>\W)",
    re.DOTALL,
)


def portable(pattern: str) -> str | None:
    """A regular expression of Python's, without its assertions; None if it has another part that is Python's only."""
    written: list[str] = []
    place = depth = 0  # of parentheses within an assertion
    while place < len(pattern):
        token = _TOKEN.match(pattern, place)
        if token is None or _repeats(token["repeat"] or "") > MAX_REPEATS:
            return None
        place, kind = token.end(), token.lastgroup
        if depth:
            depth += (kind in {"assertion", "group"}) - (kind == "end")
        elif kind == "assertion":
            depth = 1
        else:
            written.append(_written(token))
    return "".join(written)


def escaped(text: str) -> str:
    """A text within such an expression: ECMA-262 knows no escapes but these."""
    return re.sub(r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>", text)


def _written(token: re.Match[str]) -> str:
    if token["edge"]:
        return "^" if token["edge"] == r"\A" else "$"
    if token["group"]:
        return "(?:" if token["group"] == "(?:" else "("
    return token["literal"] or token[0]


def _repeats(quantifier: str) -> int:
    return max(map(int, re.findall("[0-9]+", quantifier)), default=0)
