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


@pytest.mark.parametrize("name", ["contract.ts", "contract.d.ts"])
def test_the_contract_is_served(observed: Observed, name: str) -> None:
    answer = web.get(f"{observed.server.url}/trpc/{name}")

    tag = answer.headers["x-synap-contract"]
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/typescript")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["etag"] == f'"{tag}"'
    assert answer.text.startswith(f"// Contract {tag}\n")
    assert (f'export const CONTRACT = "{tag}";' in answer.text) == (name == "contract.ts")
    assert "AppRouter" in answer.text


@pytest.mark.parametrize("name", ["contract.ts", "contract.d.ts"])
@pytest.mark.parametrize("before", ["", "W/", '"other", '])
def test_a_contract_that_the_caller_has_is_not_sent(observed: Observed, name: str, before: str) -> None:
    url = f"{observed.server.url}/trpc/{name}"
    etag = web.get(url).headers["etag"]

    answer = web.get(url, headers={"if-none-match": f"{before}{etag}"})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert web.get(url, headers={"if-none-match": '"other"'}).status_code == 200


def test_every_answer_of_trpc_says_which_contract_the_server_has(observed: Observed) -> None:
    url, token = f"{observed.server.url}/trpc", observed.server.headers
    tag = web.get(f"{url}/contract.ts").headers["x-synap-contract"]

    answers = [
        web.get(f"{url}/events.list", headers=token),
        web.get(f"{url}/events.list,nosuch?batch=1", headers=token),
        web.get(f"{url}/events.list?batch=1", headers={**token, "trpc-accept": "application/jsonl"}),
        web.get(f"{url}/events.list"),
        web.get(f"{url}/events.stream"),
        web.get(f"{url}/x%zz"),
        web.head(f"{url}/events.list"),
    ]

    assert [answer.headers["x-synap-contract"] for answer in answers] == [tag] * len(answers)
