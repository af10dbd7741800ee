"""What a caller wants to be answered in (RFC 9110, section 12.5.1).

Litestar's parser takes `q=0` for a wish, and fails for `q=inf`.
"""

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

_ELEMENT = re.compile(rb'((?:[^",]|"(?:[^"\\]|\\.)*")+)', re.DOTALL)
_QUALITY = re.compile(rb";\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*(?:;|\Z)", re.IGNORECASE)


class _Range(Struct, frozen=True):
    """One element of `Accept`."""

    kind: str
    quality: float


def chosen(headers: Mapping[bytes, bytes], offered: Sequence[str]) -> str:
    """The one of the media types `offered` that a caller prefers, the first where it says nothing or wants none.

    Of those that it wants alike, one that it names comes before one that a wildcard stands for. Parameters but `q` are
    not looked at.
    """
    ranges = _ranges(headers)
    wished = {kind: _wish(ranges, kind) for kind in offered}
    best = max(offered, key=wished.__getitem__)  # of equals the first
    return best if wished[best][0] > 0 else offered[0]


def named_quality(headers: Mapping[bytes, bytes], kind: str) -> float:
    """How much a caller wants what it names itself, from 0 to 1; 0 where it does not."""
    return max((each.quality for each in _ranges(headers) if each.kind == kind), default=0.0)


def _ranges(headers: Mapping[bytes, bytes]) -> list[_Range]:
    found = []
    for element in _ELEMENT.findall(headers.get(b"accept", b"")):
        kind = element.partition(b";")[0].strip().lower().decode("latin-1")
        quality = _QUALITY.search(element)
        found.append(_Range(kind, min(float(quality[1]), 1.0) if quality else 1.0))
    return found


def _wish(ranges: Sequence[_Range], kind: str) -> tuple[float, int]:
    """How much a media type is wanted, and how precisely it is named: the most precise range counts."""
    for precision, text in enumerate((kind, f"{kind.partition('/')[0]}/*", "*/*")):
        matching = [each.quality for each in ranges if each.kind == text]
        if matching:
            return max(matching), -precision
    return 0.0, 0
