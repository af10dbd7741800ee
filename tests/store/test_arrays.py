"""What an array parameter holds is what PostgreSQL reads from it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.store.postgres.arrays import instants, texts, uuids
from tests.store.opened import Store

BERLIN = timezone(timedelta(hours=2))


@pytest.fixture(scope="module")
def connection(open_store: Store) -> Iterator[psycopg.Connection]:
    """A connection without the settings of a server."""
    with psycopg.connect(open_store.url) as connection:
        connection.execute("SET timezone = 'UTC'")
        yield connection


ARRAYS: dict[str, tuple[Any, str, list[Any]]] = {
    "texts": (texts, "text", ["a", None, "", '{"a,\\":"', "é 𝄞"]),
    "a text": (texts, "text", ["NULL"]),
    "ids": (uuids, "uuid", [UUID(int=0), UUID(int=2**128 - 1), UUID("0190163d-8694-739b-aea5-966c26f8ad91")]),
    "instants": (
        instants,
        "timestamptz",
        [
            datetime(1, 1, 1, tzinfo=UTC),
            None,
            datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            datetime(2026, 11, 30, 1, 2, 3, 4, tzinfo=BERLIN),
            datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ],
    ),
}


@pytest.mark.parametrize(("write", "kind", "values"), ARRAYS.values(), ids=list(ARRAYS))
def test_an_array_has_its_values(connection: psycopg.Connection, write: Any, kind: str, values: list[Any]) -> None:
    found = connection.execute(f"SELECT %b::{kind}[]", [write(values)]).fetchone()

    assert found == (values,)


@pytest.mark.parametrize("write", [texts, instants])
def test_an_array_of_nulls_is_filled_up_beside_another(connection: psycopg.Connection, write: Any) -> None:
    rows = connection.execute("SELECT * FROM unnest(%b, %b)", [texts(["a", "b"]), write([None, None])]).fetchall()

    assert rows == [("a", None), ("b", None)]
