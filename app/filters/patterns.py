"""Regular expressions for schemas: ECMA-262, RE2 and the grammars of language models all read them alike.

Python accepts more. A lookahead or lookbehind is left out, which only makes an expression looser. An expression with
another part that is Python's only is not written at all. The server always checks the whole expression.
"""

import re

MAX_REPEATS = 1000
"""The maximum number of repetitions of a part in RE2."""

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
    """A literal text in such an expression. ECMA-262 has only these escapes."""
    return re.sub(r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>", text)


def _written(token: re.Match[str]) -> str:
    if token["edge"]:
        return "^" if token["edge"] == r"\A" else "$"
    if token["group"]:
        return "(?:" if token["group"] == "(?:" else "("
    return token["literal"] or token[0]


def _repeats(quantifier: str) -> int:
    return max(map(int, re.findall("[0-9]+", quantifier)), default=0)
