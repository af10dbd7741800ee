"""The connections that server processes may need, beside those that PostgreSQL allows."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.store.install.install import connect
from app.store.postgres.connection_limit import connected_processes, shortage
from tests.kit.command import synap
from tests.kit.databases import as_role, require_own
from tests.kit.servers import environment, serving, until

NAME = "guest_of_connections"


@pytest.fixture
def guest_url(database_url: str) -> Iterator[str]:
    """The database as a role that is no superuser: only such a role has limits of its own."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {NAME} LOGIN")
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {NAME}")
        yield as_role(database_url, NAME)
        connection.execute(f"DROP OWNED BY {NAME}")
        connection.execute(f"DROP ROLE {NAME}")


def _shortage(url: str, processes: int, each: int) -> str | None:
    with connect(url) as connection:
        return shortage(connection, processes, each)


def _too_many(connection: psycopg.Connection, processes: int) -> int:
    """So many connections of each of these processes are more than PostgreSQL allows; of one process less they fit."""
    [(most,)] = connection.execute("SELECT current_setting('max_connections')::int")
    return int(most) // processes + 1


@pytest.mark.parametrize(
    ("processes", "each", "remedy"),
    [
        (9, 10, None),
        (10, 10, "set SYNAP_DATABASE_CONNECTIONS=9 on every machine, or raise max_connections by 23."),
        (30, 10, "raise max_connections by 223."),
    ],
    ids=["enough", "fewer each would do", "too many processes"],
)
def test_more_than_max_connections_is_told_with_the_remedy(
    postgres_url: str, processes: int, each: int, remedy: str | None
) -> None:
    require_own("max_connections")

    said = _shortage(postgres_url, processes, each)

    assert said == (
        remedy
        and f"The {processes} server processes of this database may need {processes * each} connections ({each} each, "
        f"as SYNAP_DATABASE_CONNECTIONS says), but max_connections allows 97; {remedy}"
    )


@pytest.mark.parametrize("of", ["role", "database"])
def test_a_limit_of_the_role_or_the_database_counts(database_url: str, guest_url: str, of: str) -> None:
    name = NAME if of == "role" else database_url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ALTER {of} {name} CONNECTION LIMIT 15")

    said = _shortage(guest_url, 2, 10)

    assert said is not None
    assert f"but CONNECTION LIMIT of the {of} allows 15; set SYNAP_DATABASE_CONNECTIONS=7 on every machine" in said
    assert _shortage(database_url, 2, 10) is None


def test_processes_keep_to_their_connections_and_all_machines_are_counted(database_url: str, tmp_path: Path) -> None:
    settings = {"database_url": database_url, "database_connections": 4, "workers": 2}
    with serving(tmp_path / "one", **settings) as server, connect(database_url) as connection:
        for _ in range(40):
            assert server.query("events.list").status_code == 200
        [(used,)] = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND starts_with(application_name, 'synap ') AND pid <> pg_backend_pid()"
        )
        until(lambda: connected_processes(connection) == 2)
        each = _too_many(connection, 2)
        doctor = synap("doctor", env=environment(tmp_path / "one", **settings | {"database_connections": each}))

    assert used <= 8
    assert (
        f"hint: The 2 server processes of this database may need {2 * each} connections ({each} each," in doctor.stdout
    )


def test_a_start_counts_the_servers_of_other_machines(database_url: str, tmp_path: Path) -> None:
    with connect(database_url) as connection:
        each = _too_many(connection, 3)
    settings = {"database_url": database_url, "database_connections": each}
    first, second = tmp_path / "one", tmp_path / "two"
    with serving(first, **settings, workers=2) as one, connect(database_url) as connection:
        until(lambda: connected_processes(connection) == 2)
        second.mkdir()
        for name in ("node.key", "install.secret", "control.token"):
            (second / name).write_bytes((first / name).read_bytes())
        with serving(second, **settings) as two:
            said = [server.log.read_text() for server in (one, two)]

    assert "connections may run out" not in said[0]
    assert f"The 3 server processes of this database may need {3 * each} connections" in said[1]
