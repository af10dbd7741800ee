"""Canonical bytes follow RFC 8785, as the reference library writes them, within our limits."""

import json
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.ledger.canonical import canonical
from schemas.errors import InvalidInput
from schemas.jsontext import MAX_DEPTH, MAX_SAFE_INTEGER
from tests.kit import paths
from tests.kit.examples import examples

VECTORS = json.loads((paths.VECTORS / "evlog1.json").read_text())
NUMBERS = dict(VECTORS["canonical_numbers"])

TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from('\x00\x1f\x7f"\\/\b\f\n\r\t\u2028\u2029\ud7ff\ue000\ufb33\uffff\U00010000\U0001f600\U0010ffff'),
    ),
    max_size=6,
)

SAFE_INTEGERS = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)

SAFE_FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-6, 1e-7, 5e-324, 2.2250738585072014e-308, 1e21, -1e21, 1.7e308, 0.1]),
    st.floats(allow_nan=False, allow_infinity=False),
).filter(lambda number: abs(number) >= 1e21 or abs(number) <= MAX_SAFE_INTEGER)

SCALARS = st.one_of(st.none(), st.booleans(), SAFE_INTEGERS, SAFE_FLOATS, TEXTS)

JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXTS, inner, max_size=5)),
    max_leaves=25,
)


def _nested(depth: int, leaf: str = "1") -> bytes:
    """Arrays and objects, nested in turn to this depth."""
    opened = "".join("[" if level % 2 else '{"a":' for level in range(depth))
    closed = "".join("]" if level % 2 else "}" for level in reversed(range(depth)))
    return f"{opened}{leaf}{closed}".encode()


def _read(text: bytes) -> Any:
    """JSON as JavaScript reads it: every number is a double."""
    return json.loads(text, parse_int=float)


@settings(max_examples=examples(400), deadline=None)
@given(JSON, st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 1}]))
@example({"\U0001f600": 1, "\ufb33": 2, "\ue000": 3, "z": 4}, {"ensure_ascii": False})
@example({"\x00": "\x00"}, {})
def test_canonical_text_is_what_the_reference_writes(value: Any, style: dict[str, Any]) -> None:
    text = json.dumps(value, **style).encode()

    written = canonical(text, "data")

    assert written == rfc8785.dumps(value)
    assert canonical(written, "data") == written


@settings(max_examples=examples(300), deadline=None)
@given(
    st.one_of(
        st.integers().map(str),
        st.integers(-(10**24), 10**24).map(str),
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.tuples(st.integers(-(10**18), 10**18), st.integers(-330, 330)).map(lambda n: f"{n[0]}e{n[1]}"),
        st.tuples(st.integers(-999, 999), st.integers(0, 10**20), st.integers(-30, 30)).map(
            lambda n: f"{n[0]}.{n[1]}E{n[2]:+}"
        ),
    )
)
@example("9007199254740991")
@example("9007199254740992")
@example("9007199254740991.5")
@example("-9007199254740992")
@example("18446744073709551616")
@example("1000000000000000000000")
def test_a_number_is_unsafe_if_it_is_an_integer_beyond_2_53_as_sent_or_in_jcs(literal: str) -> None:
    number = float(literal)
    text = rfc8785.dumps(number).decode() if math.isfinite(number) else None
    unsafe = text is None or any(
        written.lstrip("-").isdigit() and abs(int(written)) > MAX_SAFE_INTEGER for written in (literal, text)
    )

    try:
        written = canonical(f'{{"a":{literal}}}'.encode(), "data").decode()
    except InvalidInput:
        assert unsafe, f"{literal} is {text} in JCS and was refused"
    else:
        assert not unsafe
        assert written == f'{{"a":{text}}}'


@pytest.mark.parametrize(("literal", "text"), NUMBERS.items(), ids=list(NUMBERS))
def test_number_vectors_are_the_references(literal: str, text: str) -> None:
    assert rfc8785.dumps(float(literal)) == text.encode()


@pytest.mark.parametrize(("literal", "text"), NUMBERS.items(), ids=list(NUMBERS))
def test_number_vectors_are_written_unless_unsafe(literal: str, text: str) -> None:
    if text == "10000000000000000":
        with pytest.raises(InvalidInput) as refused:
            canonical(f"[{literal}]".encode(), "data")
        assert [(issue.path, issue.code) for issue in refused.value.issues] == [("data.0", "unsafe_number")]
    else:
        assert canonical(f"[{literal}]".encode(), "data") == f"[{text}]".encode()


def test_of_a_repeated_key_the_last_wins() -> None:
    assert canonical(b'{"a":1,"b":2,"\\u0061":3}', "data") == b'{"a":3,"b":2}'


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(1, 2 * MAX_DEPTH), st.sampled_from(["1", '"\U0001f600"', "{}", "[[]]"]))
@example(MAX_DEPTH, "1")
@example(MAX_DEPTH + 1, "1")
@example(MAX_DEPTH - 1, "{}")
@example(MAX_DEPTH, "{}")
def test_nesting_ends_at_64(depth: int, leaf: str) -> None:
    text = _nested(depth, leaf)
    whole = depth + leaf.count("{") + leaf.count("[")

    if whole <= MAX_DEPTH:
        assert canonical(text, "data") == rfc8785.dumps(_read(text))
    else:
        with pytest.raises(InvalidInput) as refused:
            canonical(text, "data")
        (issue,) = refused.value.issues
        assert issue.code == "too_deep"
        assert issue.path.startswith("data.a.0.a.0")


def test_many_brackets_side_by_side_or_in_text_are_not_depth() -> None:
    side_by_side = b"[" + b",".join([b"[]"] * 500) + b"]"
    in_text = b'["' + b"[{" * 500 + b'"]'

    assert canonical(side_by_side, "data") == side_by_side
    assert canonical(in_text, "data") == in_text


UNSAFE = {
    "2^53": b"9007199254740992",
    "-2^53": b"-9007199254740992",
    "2^64": b"18446744073709551616",
    "1e16": b"1e16",
    "1E+20": b"1E+20",
    "an integer written with a fraction": b"9007199254740993.0",
    "400 digits": b"9" * 400,
}


@pytest.mark.parametrize("literal", UNSAFE.values(), ids=list(UNSAFE))
@pytest.mark.parametrize("neighbour", [b'""', '"\U0001f600"'.encode()], ids=["alone", "beside astral text"])
def test_unsafe_numbers_are_rejected_by_name(literal: bytes, neighbour: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        canonical(b'{"a":{"b":[1,%b]},"c":%b}' % (literal, neighbour), "data")

    (issue,) = refused.value.issues
    assert (issue.path, issue.code) == ("data.a.b.1", "unsafe_number")
    assert "send it as text" in issue.message


HOSTILE = {
    "1e400": b'{"a":1e400}',
    "-1e400": b'{"a":-1e400}',
    "5000 digits": b'{"a":%b}' % (b"9" * 5000),
    "a lone surrogate": b'{"a":"\\ud800"}',
    "a lone low surrogate": b'{"a":"\\udc00 "}',
    "a lone surrogate as a key": b'{"\\ud800":1}',
    "surrogates in the wrong order": b'{"a":"\\ude00\\ud83d"}',
    "invalid UTF-8": b'{"a":"\xff"}',
    "invalid UTF-8 as a key": b'{"\xc3(":1}',
    "overlong UTF-8": b'{"a":"\xc0\x80"}',
    "an encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "cut off UTF-8": b'{"a":"\xf0\x9f\x98"}',
    "a raw control character": b'{"a":"\x01"}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "a trailing comma": b'{"a":1,}',
    "a comment": b'{"a":1/**/}',
    "a leading zero": b'{"a":01}',
    "a leading plus": b'{"a":+1}',
    "a bare point": b'{"a":1.}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "two values": b"{} {}",
    "an open object": b'{"a":',
    "nothing": b"",
    "white space": b" \n",
    "depth 1000": _nested(1000),
    "depth 100000": _nested(100_000),
    "100000 open brackets": b"[" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_text_is_invalid_input_at_its_place(text: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        canonical(text, "data.inner")

    assert [issue.path.startswith("data.inner") for issue in refused.value.issues] == [True]
    assert all(issue.code in {"malformed_json", "too_deep", "unsafe_number"} for issue in refused.value.issues)


@settings(max_examples=examples(300), deadline=None)
@given(st.one_of(st.binary(max_size=40), st.text('{}[]",:0123456789eE+-.tfn\\u d8\x00', max_size=30).map(str.encode)))
def test_any_bytes_are_canonical_or_invalid_input(text: bytes) -> None:
    try:
        written = canonical(text, "data")
    except InvalidInput:
        return

    assert written == rfc8785.dumps(_read(text))


@pytest.mark.parametrize("literal", [b"1e400", b"-1e400"])
def test_a_number_beyond_doubles_is_unsafe_at_its_place(literal: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        canonical(b'{"a":[%b]}' % literal, "data")

    assert [(issue.path, issue.code) for issue in refused.value.issues] == [("data.a.0", "unsafe_number")]


def test_an_error_repeats_at_most_the_start_of_a_name() -> None:
    with pytest.raises(InvalidInput) as refused:
        canonical(b'{"%b":1e16}' % (b"n" * 10_000), "data")

    assert len(refused.value.issues[0].path) < 200
