"""Health and readiness."""

import psycopg
import pytest

from tests.kit import web
from tests.surfaces.conftest import Observed


def test_a_process_that_answers_is_healthy(observed: Observed) -> None:
    answer = web.get(f"{observed.server.url}/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_migrated_database_is_ready(observed: Observed) -> None:
    answer = web.get(f"{observed.server.url}/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize(
    ("undo", "redo", "reason"),
    [
        (
            "UPDATE alembic_version SET version_num = '0000'",
            "UPDATE alembic_version SET version_num = '{}'",
            "The database has another version of the schema",
        ),
        (
            "DELETE FROM alembic_version",
            "INSERT INTO alembic_version VALUES ('{}')",
            "The database has another version of the schema",
        ),
        (
            "ALTER TABLE alembic_version RENAME TO hidden",
            "ALTER TABLE hidden RENAME TO alembic_version",
            "The database is not migrated",
        ),
    ],
    ids=["another version", "no version", "no schema"],
)
def test_a_database_that_is_not_migrated_is_not_ready(observed: Observed, undo: str, redo: str, reason: str) -> None:
    url = f"{observed.server.url}/readyz"
    with psycopg.connect(observed.database_url, autocommit=True) as connection:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        assert row is not None
        connection.execute(undo)
        try:
            answer = web.get(url)
        finally:
            connection.execute(redo.format(row[0]))

    assert (answer.status_code, answer.json()) == (503, {"status": "unready", "reason": reason})
    assert web.get(f"{observed.server.url}/healthz").status_code == 200
    assert web.get(url).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_token_and_says_nothing_more(observed: Observed, path: str) -> None:
    answer = web.get(f"{observed.server.url}{path}", headers={"authorization": "Bearer wrong"})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"status"}


@pytest.mark.parametrize(
    ("path", "type_"), [("/trpc", None), ("/trpc/events.log", None), ("/trpc/nosuch", "text/plain"), ("/trpc/x%", None)]
)
def test_head_is_empty_whatever_is_asked(observed: Observed, path: str, type_: str | None) -> None:
    headers = {} if type_ is None else {"content-type": type_}

    answer = web.head(f"{observed.server.url}{path}", headers=headers)

    assert (answer.status_code, answer.content) == (204, b"")


def test_the_contract_is_served(observed: Observed) -> None:
    answer = web.get(f"{observed.server.url}/trpc/contract.d.ts")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/typescript")
    assert "AppRouter" in answer.text
