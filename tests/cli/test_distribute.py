"""`synap distribute`: one PostgreSQL lacks Citus, and a cluster is not distributed twice."""

from pathlib import Path

import psycopg

from tests.kit.command import synap
from tests.kit.databases import is_cluster
from tests.kit.servers import environment


def test_distribute_says_what_a_database_lacks_and_changes_nothing_twice(
    database_url: str, postgres_url: str, tmp_path: Path
) -> None:
    done = synap("distribute", env=environment(tmp_path, database_url=database_url), cwd=tmp_path)

    if is_cluster(postgres_url):
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Every table is distributed already.")
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("synap: The database is one PostgreSQL without the extension Citus")


def test_a_role_gets_the_rights_of_a_server_whether_distributed_or_not(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS granted")
        connection.execute("CREATE ROLE granted")

        done = synap(
            "migrate", "--grant", "granted", env=environment(tmp_path, database_url=database_url), cwd=tmp_path
        )

        allowed = connection.execute("SELECT has_table_privilege('granted', 'event', 'INSERT')").fetchone()
        connection.execute("DROP OWNED BY granted")
        connection.execute("DROP ROLE granted")
    assert (done.returncode, done.stderr) == (0, "")
    assert allowed == (True,)


def test_a_schema_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    done = synap("distribute", env=environment(tmp_path / "none"), cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"synap: There is no database in {tmp_path / 'none'}; synap serve makes one.\n"
