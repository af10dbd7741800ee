"""RFC 8785 (JCS) bytes of JSON text.

`rfc8785` is the reference. The fast path is msgspec's sorted encoder. It differs from JCS only in the form of floats
(`rfc8785` writes them here), in integers beyond 2^53, and in the order of keys beyond the Basic Multilingual Plane.
Text that may contain one of the last two takes the slow path. A property test compares the two paths.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec
import rfc8785
from msgspec import Raw

from schemas.jsontext import MAX_DEPTH, UNREADABLE, is_safe, read_json, refuse_limits

_ZERO_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 16
"""The zeros that every long number contains after `_ZERO_DIGITS`. Searching for them takes a fifth of the time of a
regular expression."""

_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]")


def canonical(text: bytes, path: str) -> bytes:
    """The JCS bytes of JSON `text`, which is at `path` of the input.

    Raises InvalidInput for malformed JSON, and with every place that is nested deeper than 64 or has an
    `unsafe_number`: an integer beyond ±(2^53 - 1), as sent or as JCS writes it, or a number beyond a double.
    """
    try:
        written = _sorted.encode(_fast.decode(text))
    except UNREADABLE:
        return _reference(text, path)
    nested = written.count(b"[") + written.count(b"{")
    if nested > MAX_DEPTH or _LONG_NUMBER in written.translate(_ZERO_DIGITS) or _is_beyond_bmp(written):
        return _reference(text, path)
    return written


def canonical_object(members: Mapping[str, bytes]) -> bytes:
    """The JCS bytes of an object whose members are JCS bytes."""
    names = sorted(members, key=lambda name: name.encode("utf-16-be"))
    return b"{%b}" % b",".join(msgspec.json.encode(name) + b":" + members[name] for name in names)


def _is_beyond_bmp(written: bytes) -> bool:
    return not written.isascii() and _BEYOND_BMP.search(written) is not None


def _reference(text: bytes, path: str) -> bytes:
    value = read_json(text, path)
    refuse_limits(value, path)
    return rfc8785.dumps(value)


@lru_cache(maxsize=4096)
def _float(text: str) -> Raw:
    number = float(text)
    if not is_safe(number):
        raise ValueError("not for the fast path")
    return Raw(rfc8785.dumps(number))


_fast = msgspec.json.Decoder(float_hook=_float)
_sorted = msgspec.json.Encoder(order="sorted")
