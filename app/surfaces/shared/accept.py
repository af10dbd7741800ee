"""Chooses the media type of an answer (RFC 9110, section 12.5.1).

Litestar's parser treats `q=0` as a wish, and fails for `q=inf`.
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
    """The media type among `offered` that the caller prefers; the first if `Accept` is absent or accepts none of them.

    If two are equally preferred, a type that `Accept` names comes before one that only a wildcard matches. Parameters
    other than `q` are ignored.
    """
    ranges = _ranges(headers)
    wished = {kind: _wish(ranges, kind) for kind in offered}
    best = max(offered, key=wished.__getitem__)  # of equals the first
    return best if wished[best][0] > 0 else offered[0]


def named_quality(headers: Mapping[bytes, bytes], kind: str, *, header: bytes = b"accept") -> float:
    """The quality that `Accept`, or a `header` like it, gives to `kind` by name: 0 to 1, and 0 if it is not named."""
    return max((each.quality for each in _ranges(headers, header) if each.kind == kind), default=0.0)


def _ranges(headers: Mapping[bytes, bytes], header: bytes = b"accept") -> list[_Range]:
    found = []
    for element in _ELEMENT.findall(headers.get(header, b"")):
        kind = element.partition(b";")[0].strip().lower().decode("latin-1")
        quality = _QUALITY.search(element)
        found.append(_Range(kind, min(float(quality[1]), 1.0) if quality else 1.0))
    return found


def _wish(ranges: Sequence[_Range], kind: str) -> tuple[float, int]:
    """The quality of a media type, and how precisely it is named. The most precise range decides."""
    for precision, text in enumerate((kind, f"{kind.partition('/')[0]}/*", "*/*")):
        matching = [each.quality for each in ranges if each.kind == text]
        if matching:
            return max(matching), -precision
    return 0.0, 0
