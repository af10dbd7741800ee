"""The parameters of a URL are read as the standard library reads them, in whatever way they are escaped."""

from urllib.parse import unquote_plus

from hypothesis import given, settings
from hypothesis import strategies as st

from app.surfaces.trpc.request import read_query
from tests.kit.examples import examples

PIECES = st.sampled_from(
    [
        "%",
        "2",
        "5",
        "7",
        "B",
        "b",
        "%22",
        "%7B",
        "%7b",
        "%7D",
        "%3A",
        "%2C",
        "%25",
        "%2",
        "%F0",
        "%C3%A9",
        "+",
        "=",
        '"',
    ]
)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(PIECES, max_size=8).map("".join))
def test_a_parameter_is_unescaped(text: str) -> None:
    query = read_query(f"batch=1&input={text}".encode())

    assert query == {b"batch": b"1", b"input": unquote_plus(text).encode()}
